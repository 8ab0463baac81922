"""What a recorded run asked of its allocators: allocations and frees in their order, to be asked of others."""

from collections.abc import Iterable, Iterator

from emu.lateclass import dataclass

_FRAMES = ("FrameAllocated", "FrameFreed")


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: hand something out, to be known by a number from now on, or take back what has that number."""

    number: int
    frees: bool = False
    size: int = 0
    """Bytes of a block, or frames in a row."""
    align: int = 0
    """Of a block, in bytes; 0 when the allocator was not told."""
    part: int = 0
    """Of frames that come back: which one of those that were handed out together is the first."""


def heap_workload(events: Iterable[dict[str, object]]) -> Iterator[Ask]:
    """The calls of heaps among recorded events; a free of what was never handed out is left out.

    >>> recorded = [{"event": "HeapAllocated", "address": "0x80", "size": 48, "align": 8},
    ...             {"event": "HeapFreed", "address": "0x80", "size": 0}]
    >>> [(ask.frees, ask.number, ask.size) for ask in heap_workload(recorded)]
    [(False, 0, 48), (True, 0, 48)]
    """
    held: dict[int, Ask] = {}
    number = 0
    for event in events:
        kind, address = event.get("event"), number_of(event.get("address"))
        if kind not in ("HeapAllocated", "HeapFreed"):
            continue
        before = held.pop(address, None)
        if before is not None:
            yield Ask(before.number, frees=True, size=before.size, align=before.align)
        if kind == "HeapAllocated":
            size, align = number_of(event.get("size")), number_of(event.get("align"))
            held[address] = Ask(number, size=max(size, 1), align=align)
            yield held[address]
            number += 1


def frame_workload(events: Iterable[dict[str, object]]) -> Iterator[Ask]:
    """The calls of frame allocators among recorded events; frees of what was never handed out are left out.

    >>> recorded = [{"event": "FrameAllocated", "ppn": "0x80400", "count": 4},
    ...             {"event": "FrameFreed", "ppn": "0x80402", "count": 2}]
    >>> [(ask.frees, ask.number, ask.part, ask.size) for ask in frame_workload(recorded)]
    [(False, 0, 0, 4), (True, 0, 2, 2)]
    """
    held: dict[int, tuple[int, int]] = {}
    number = 0
    for event in events:
        kind, first = event.get("event"), number_of(event.get("ppn"))
        if kind not in _FRAMES:
            continue
        count = min(max(number_of(event.get("count")), 1), 1 << 20)
        yield from _taken_back(held, range(first, first + count))
        if kind == "FrameAllocated":
            held.update({first + part: (number, part) for part in range(count)})
            yield Ask(number, size=count)
            number += 1


def _taken_back(held: dict[int, tuple[int, int]], frames: range) -> Iterator[Ask]:
    """Frames that come back, those of one allocation that lie in a row as one."""
    run: Ask | None = None
    for ppn in frames:
        known = held.pop(ppn, None)
        if run is not None and known == (run.number, run.part + run.size):
            run = Ask(run.number, frees=True, size=run.size + 1, part=run.part)
            continue
        if run is not None:
            yield run
        run = None if known is None else Ask(known[0], frees=True, size=1, part=known[1])
    if run is not None:
        yield run


def number_of(value: object) -> int:
    """A number of a recorded event, which may be a hexadecimal text; 0 for what is none.

    >>> number_of("0x10"), number_of(3), number_of(None)
    (16, 3, 0)
    """
    try:
        return int(value, 0) if isinstance(value, str) else int(value) if isinstance(value, int) else 0
    except ValueError:
        return 0
