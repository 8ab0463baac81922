"""Failed comparisons of what a guest has, for a person: registers, memory as a hex dump, address spaces, events."""

from collections.abc import Iterator, Mapping, Sequence

from emu.events import Event
from emu.testing.execute import Executed

_ROW = 16
_ROWS = 12


def explain(left: object, right: object) -> list[str] | None:
    """The lines of a report; None for values that pytest itself explains best."""
    if isinstance(left, Executed) and isinstance(right, Mapping):
        return left.explain(right)
    if isinstance(right, Executed) and isinstance(left, Mapping):
        return right.explain(left)
    if isinstance(left, bytes | bytearray) and isinstance(right, bytes | bytearray):
        return list(_dumped(bytes(left), bytes(right))) if _is_binary(left) or _is_binary(right) else None
    if _are_events(left) and _are_events(right):
        return list(_events(left, right))
    return None


def _is_binary(data: bytes | bytearray) -> bool:
    return any(byte < 9 or byte > 126 for byte in data[:4096])


def _dumped(left: bytes, right: bytes) -> Iterator[str]:
    """Rows that differ, as a hex dump of both, with what differs marked."""
    if len(left) != len(right):
        yield f"{len(left)} bytes == {len(right)} bytes"
    else:
        yield f"{sum(a != b for a, b in zip(left, right, strict=True))} of {len(left)} bytes differ"
    rows = [at for at in range(0, max(len(left), len(right)), _ROW) if left[at : at + _ROW] != right[at : at + _ROW]]
    for at in rows[:_ROWS]:
        one, other = left[at : at + _ROW], right[at : at + _ROW]
        yield f"  {at:#06x}  {_row(one)}"
        yield f"      ==  {_row(other)}"
        marks = ("^^" if one[n : n + 1] != other[n : n + 1] else "  " for n in range(_ROW))
        yield f"          {' '.join(marks)}".rstrip()
    if len(rows) > _ROWS:
        yield f"  and {len(rows) - _ROWS:,} more rows"


def _row(data: bytes) -> str:
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    return f"{data.hex(' '):<{3 * _ROW - 1}}  {text}"


def _are_events(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, Event) for each in value)


def _events(left: object, right: object) -> Iterator[str]:
    assert isinstance(left, Sequence)
    assert isinstance(right, Sequence)
    at = next((n for n, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), None)
    if at is None:
        yield f"{len(left)} events == {len(right)} events: the first {min(len(left), len(right))} are the same"
        return
    yield f"event {at} differs first, of {len(left)} and {len(right)}"
    yield f"  {left[at]}"
    yield f"  {right[at]}"
