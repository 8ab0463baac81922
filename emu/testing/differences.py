"""Failed comparisons of what a guest has, for a person: registers, memory as a hex dump, address spaces, events."""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise

from emu.counted import counted
from emu.events import Event
from emu.firmware.compounds import plain
from emu.mmu.space import AddressSpace, append_span, spans
from emu.testing.execute import Executed

Span = tuple[int, int, str]
_NONE = object()
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
    if isinstance(left, AddressSpace) and isinstance(right, Mapping):
        return list(_spaces(left.permissions(), spans(right)))
    if isinstance(right, AddressSpace) and isinstance(left, Mapping):
        return list(_spaces(spans(left), right.permissions()))
    if isinstance(left, AddressSpace) and isinstance(right, AddressSpace):
        return list(_spaces(left.permissions(), right.permissions()))
    if isinstance(left, ctypes.Structure | ctypes.Union) or isinstance(right, ctypes.Structure | ctypes.Union):
        return list(_structures(left, right))
    if _are_events(left) and _are_events(right):
        return list(_events(left, right))
    return None


def _spaces(left: list[Span], right: list[Span]) -> Iterator[str]:
    """Addresses that are not mapped alike, as ranges."""
    yield "address spaces differ"
    ends = sorted({end for first, last, _ in (*left, *right) for end in (first, last + 1)})
    found: list[Span] = []
    for first, behind in pairwise(ends):
        one, other = (_letters(spans, first) for spans in (left, right))
        if one != other:
            append_span(found, (first, behind - 1, f"{one or 'not mapped'} == {other or 'not mapped'}"))
    yield from (f"  {first:#x}..{last:#x}  {what}" for first, last, what in found[:_ROWS])
    if len(found) > _ROWS:
        yield f"  and {len(found) - _ROWS:,} more ranges"
    if not found:
        yield "  the same permissions, of other memory"


def _letters(spans: list[Span], address: int) -> str:
    return next((letters for first, last, letters in spans if first <= address <= last), "")


def _structures(left: object, right: object) -> Iterator[str]:
    """The fields that differ, by their path."""
    name = next(type(each).__name__ for each in (left, right) if isinstance(each, ctypes.Structure | ctypes.Union))
    yield f"{name}: fields differ"
    yield from (f"  {line}" for line in islice(_fields("", plain(left), plain(right)), _ROWS))


def _fields(path: str, left: object, right: object) -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in [*left, *(name for name in right if name not in left)]:
            yield from _fields(f"{path}.{name}", left.get(name, _NONE), right.get(name, _NONE))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _fields(f"{path}[{number}]", one, other)
    elif left != right:
        yield f"{path}: {_shown(left)} == {_shown(right)}"


def _shown(value: object) -> str:
    if value is _NONE:
        return "no such field"
    return f"{value} ({value:#x})" if isinstance(value, int) and not -10 < value < 10 else repr(value)


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
        sizes = f"{counted(len(left), 'event')} == {counted(len(right), 'event')}"
        yield f"{sizes}: the first {min(len(left), len(right))} are the same"
        return
    yield f"event {at} differs first, of {len(left)} and {len(right)}"
    yield f"  {left[at]}"
    yield f"  {right[at]}"
