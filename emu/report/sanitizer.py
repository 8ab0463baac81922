"""What the sanitizer found, in the order and the words of KASAN's reports."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from emu.events import FrameAllocated, HeapAllocated
from emu.isa.privilege import Access
from emu.machine import Machine
from emu.mmu.pte import Pte
from emu.observe.code import HOST
from emu.observe.sanitizer.bugs import Bug, MemoryBug, Region

_RULE = "=" * 66
_PER_LINE, _CELL = 16, 8
_FREES = (Bug.DOUBLE_FREE, Bug.INVALID_FREE, Bug.WRONG_SIZE_FREE)


class BugReport:
    """Writes the reports of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def text(self, event: MemoryBug) -> str:
        """One report; the page walk is that of the moment at which it is asked for."""
        return "\n".join((_RULE, *self.lines(event), _RULE))

    def lines(self, event: MemoryBug) -> Iterator[str]:
        """Its lines, without the rules around it."""
        yield f"BUG: ekernel: {event.bug.value} in {self._place(event.pc)}"
        if event.use is not None:
            yield from self._unwritten(event)
            return
        yield f"{self._what(event)} by hart {event.hart} in {event.privilege.name} mode, instret {event.instret:,}"
        yield ""
        yield "Call trace:"
        yield from self._stack((event.pc, *event.callers))
        if event.why:
            yield from ("", f"Poisoned because: {event.why}")
        if event.region is not None:
            yield from self._region(event, event.region)
        if event.bug not in _FREES:
            yield from ("", "Page walk:", *self._walk(event))
        if event.shadow:
            yield from ("", "Memory state around the buggy address:", *_shadow(event))

    def _unwritten(self, event: MemoryBug) -> Iterator[str]:
        """As KMSAN says it: who uses the value, how it came there, who was given the memory, which bytes they are."""
        assert event.use is not None
        assert event.unwritten is not None
        place = f"by hart {event.hart} in {event.privilege.name} mode, instret {event.instret:,}"
        yield f"Value {event.value:#x} {event.use.value}, {place}"
        yield from ("", "Call trace:", *self._stack((event.pc, *event.callers)))
        if event.stored:
            yield from ("", "Uninit was stored to memory at:", *self._stack(event.stored))
        region, (first, last) = event.region, event.unwritten
        if region is not None and region.allocated is not None:
            created = region.allocated
            yield from ("", "Uninit was created at:", *self._stack((created.pc, *created.callers)))
        yield ""
        bytes_of = f"Byte {first} of {event.size} is" if first == last else f"Bytes {first}-{last} of {event.size} are"
        yield f"{bytes_of} uninitialized"
        yield f"Memory access of size {event.size} starts at {_hex(event.address)}"
        if region is not None and not event.stored:
            what, end = "page" if region.is_frames else "region", region.start + region.size
            inside = int(event.address) - int(region.start)
            yield f" {inside} bytes inside of {region.size}-byte {what} [{_hex(region.start)}, {_hex(end)})"

    def _what(self, event: MemoryBug) -> str:
        address = _hex(event.address)
        if event.bug in _FREES:
            return f"Free of {f'size {event.size} at ' if event.size else ''}addr {address}"
        value = f" (value {event.value:#x})" if event.write else ""
        return f"{'Write' if event.write else 'Read'} of size {event.size} at addr {address}{value}"

    def _place(self, address: int) -> str:
        """`f+0xa8/0xbc (file.c:12)`, and of code that was inlined into f its line: `, inlined at file.c:88`."""
        if address == HOST:
            return "the host"
        found = self._machine.symbols.at(address)
        if found is None:
            return _hex(address)
        symbol, offset = found
        size = f"/{symbol.size:#x}" if symbol.size else ""
        line = self._machine.lines.at(address)
        name = f"{symbol.label}+{offset:#x}{size}"
        if line is None:
            return name
        return f"{name} ({PurePath(line.file).name}:{line.line}){self._machine.platform.names.inlined.suffix(address)}"

    def _stack(self, addresses: Iterable[int]) -> Iterator[str]:
        return (f" {self._place(address)}" for address in addresses)

    def _region(self, event: MemoryBug, region: Region) -> Iterator[str]:
        for title, other in (("Allocated by", region.allocated), ("Freed by", region.freed)):
            if other is not None:
                yield from ("", f"{title} {_hart(other)}:", *self._stack((other.pc, *other.callers)))
        yield ""
        allocated = region.allocated
        if event.bug is Bug.STACK:
            what = "stack"
        elif region.is_frames:
            yield f"The buggy address belongs to the page {_hex(region.start)}"
            what = "page"
        else:
            yield f"The buggy address belongs to the object at {_hex(region.start)}"
            if isinstance(allocated, HeapAllocated) and allocated.kind:
                yield f" which belongs to the cache {allocated.kind} of size {region.size}"
            what = "region"
        if isinstance(allocated, FrameAllocated) and allocated.count > 1:
            yield f" which is one of {allocated.count} from PPN {int(allocated.ppn):#x} on"
        yield f"The buggy address is located {_located(event, region)} of"
        yield f" {region.size}-byte {what} [{_hex(region.start)}, {_hex(region.start + region.size)})"

    def _walk(self, event: MemoryBug) -> Iterator[str]:
        walk = self._machine.walk(event.address, Access.STORE if event.write else Access.LOAD)
        for step in walk.steps:
            pte = Pte(step.pte)
            yield f" level {step.level}: PTE {step.pte_address} = {step.pte:#018x} ({pte})"
        place = f"physical address {walk.physical}" if walk.physical is not None else "refused"
        yield f" {place}" + ("" if walk.steps else " (no paging)")


def _hart(event: HeapAllocated | FrameAllocated | object) -> str:
    return f"hart {getattr(event, 'hart', 0)}, instret {getattr(event, 'instret', 0):,}"


def _located(event: MemoryBug, region: Region) -> str:
    """As KASAN says it: inside, to the left or to the right, from the first byte that is accessed and must not be."""
    address, start, end = int(event.address), int(region.start), int(region.start) + region.size
    if address < start and event.address + event.size <= start:
        return f"{start - address} bytes to the left"
    if address >= end:
        return f"{address - end} bytes to the right"
    return f"{address - start} bytes inside"


def _shadow(event: MemoryBug) -> Iterator[str]:
    for first, codes in event.shadow:
        here = first <= event.address < first + _PER_LINE * _CELL
        text = " ".join(f"{code:02x}" for code in codes)
        head = f"{'>' if here else ' '}{_hex(first)}: "
        yield head + text
        if here:
            yield " " * (len(head) + 3 * ((int(event.address) - first) // _CELL)) + "^"


def _hex(address: int) -> str:
    return f"{int(address) & (1 << 64) - 1:016x}"


def bug_numbers(machine: Machine, events: Sequence[MemoryBug]) -> list[dict[str, object]]:
    """The reports for programs."""
    report = BugReport(machine)
    return [
        {
            "bug": event.bug.value,
            "at": report._place(event.pc),
            "instret": event.instret,
            "address": hex(event.address),
            "size": event.size,
            "write": event.write,
            "region": None if event.region is None else [hex(event.region.start), event.region.size],
            "callers": [report._place(address) for address in event.callers],
            "why": event.why,
            **({} if event.use is None else {"use": event.use.value, "unwritten": event.unwritten}),
        }
        for event in events
    ]
