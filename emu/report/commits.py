"""Spike's commit log (`spike --log-commits`) of a recording: each instruction with what it has written."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from emu.engine.translated.features import Access, Write
from emu.record.recording import Recording

R = TypeVar("R", Access, Write)
_FLOAT = 32
_SC = 3
_ATOMIC = 0x2F


def commit_log(recording: Recording, first: int, last: int, *, hart: int = 0) -> Iterator[tuple[int, str]]:
    """The pc and a line of each instruction, as Spike writes it: privilege, pc, code, register, addresses, values.

    Without the CSRs that an instruction has written, and without stores to devices: a recording does not have them.
    Raises RecordingError for a recording without memory or registers.
    """
    writes: _Queue[Write] = _Queue(recording.writes(first, last))
    accesses: _Queue[Access] = _Queue(recording.accesses(first, last))
    head = f"core{hart:>4}: "
    for instret, pc, code, privilege in recording.instructions(first, last):
        word = int.from_bytes(code, "little")
        text = f"{head}{int(privilege)} {pc:#018x} ({word:#0{2 + 2 * len(code)}x})"
        for write in writes.at(instret):
            kind, number = ("f", write.register - _FLOAT) if write.register >= _FLOAT else ("x", write.register)
            text += f" {kind}{number:<2} {write.value:#018x}"
        is_sc = word & 0x7F == _ATOMIC and word >> 27 == _SC
        for access in accesses.at(instret):
            if access.is_store:
                text += f" mem {access.address:#018x} {access.value:#0{2 + 2 * access.size}x}"
            elif not is_sc:
                text += f" mem {access.address:#018x}"
        yield pc, text


class _Queue(Generic[R]):
    """What was recorded in the order of time, taken an instruction at a time."""

    def __init__(self, items: Iterator[R]) -> None:
        self._items: Iterator[R] = items
        self._next: R | None = next(items, None)

    def at(self, instret: int) -> Iterator[R]:
        """What the instruction did before which so many had retired."""
        while self._next is not None and self._next.instret <= instret:
            if self._next.instret == instret:
                yield self._next
            self._next = next(self._items, None)
