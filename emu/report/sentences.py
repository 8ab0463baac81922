"""Each event as one sentence in English."""

import re
from collections.abc import Callable
from typing import Any

from emu import events
from emu.address import PAGE_SIZE
from emu.events import Event
from emu.isa.causes import PAGE_FAULTS, ExceptionCause, cause_label
from emu.isa.csrs import csr_name
from emu.isa.privilege import Access
from emu.mmu.pte import Pte
from emu.observe.code import call_before
from emu.observe.faults import PageFaultHandled
from emu.report.kinds import KINDS
from emu.report.places import Places
from emu.report.reasons.pages import pte_text, refusal
from emu.report.reasons.traps import TrapReasons

_ACCESS_WORDS = {Access.FETCH: "fetch from", Access.LOAD: "load from", Access.STORE: "store to"}
_SAID_ELSEWHERE = frozenset(
    {*PAGE_FAULTS.values(), ExceptionCause.BREAKPOINT}
    | {ExceptionCause.ECALL_FROM_U, ExceptionCause.ECALL_FROM_S, ExceptionCause.ECALL_FROM_M}
)
"""Causes that other events tell of, or that say everything."""
_SHOWN_ARGUMENTS = 4
_ALL = (1 << 64) - 1


class Sentences:
    """Says in one sentence what an event tells, with the names that `places` knows."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._reasons = TrapReasons(places)
        self._sayings: dict[type[Event], tuple[str, Callable[[Any], str]]] = {
            event: (label, getattr(self, _method_for(event)))
            for labels in KINDS.values()
            for event, label in labels.items()
        }

    def say(self, event: Event) -> tuple[str, str]:
        """A short label of at most seven characters, and the sentence."""
        label, saying = self._sayings[type(event)]
        return label, saying(event)

    def _at(self, event: Event) -> str:
        return f"at {self._places.name(event.pc)}"

    def _page_fault(self, event: events.PageFault) -> str:
        is_fetch = event.access is Access.FETCH
        instruction = None if is_fetch else self._places.instruction(event.pc, event.privilege)
        by = f" by `{instruction}`" if instruction else ""
        return f"{_ACCESS_WORDS[event.access]} {event.address}{by} {self._at(event)} refused: {refusal(event.walk)}"

    def _page_fault_handled(self, event: PageFaultHandled) -> str:
        duration = f"after {event.instret - event.fault.instret:,} instructions"
        if not event.retried:
            return f"went on at {self._places.name(event.target)} {duration}, {event.fault.address} not tried again"
        leaf = event.walk.leaf
        if event.walk.refusal is not None or leaf is None:
            return f"tried again {duration}, but {refusal(event.walk)}"
        return f"mapped {event.fault.address} by {pte_text(leaf.level, leaf.pte_address, leaf.pte)}, retried {duration}"

    def _frame(self, event: events.FrameAllocated | events.FrameFreed) -> str:
        frames = f"{event.ppn!r}" if event.count == 1 else f"{event.ppn!r} and {event.count - 1} more"
        return f"{frames} {self._at(event)}"

    _frame_allocated = _frame_freed = _frame

    def _heap_allocated(self, event: events.HeapAllocated) -> str:
        align = f" aligned to {event.align}" if event.align else ""
        return f"{event.address} {event.size} bytes{align} {self._at(event)}"

    def _heap_freed(self, event: events.HeapFreed) -> str:
        size = f" {event.size} bytes" if event.size else ""
        return f"{event.address}{size} {self._at(event)}"

    def _page_evicted(self, event: events.PageEvicted) -> str:
        return f"{event.vpn!r} gives {event.ppn!r} up and goes to slot {event.slot} {self._at(event)}"

    def _page_loaded(self, event: events.PageLoaded) -> str:
        return f"{event.vpn!r} comes back into {event.ppn!r} {self._at(event)}"

    def _trap_taken(self, event: events.TrapTaken) -> str:
        why = None if event.interrupt or event.cause in _SAID_ELSEWHERE else self._reasons.why(event)
        return (
            f"{cause_label(event.cause, interrupt=event.interrupt)} from {event.privilege.name} {self._at(event)}"
            f" (tval {event.tval:#x}), to {event.to_privilege.name} at {self._places.name(event.handler)}"
            f"{f': {why}' if why else ''}"
        )

    def _trap_returned(self, event: events.TrapReturned) -> str:
        return f"{event.privilege.name} to {event.to_privilege.name} at {self._places.name(event.target)}"

    def _function_called(self, event: events.FunctionCalled) -> str:
        shown = ", ".join(f"{argument:#x}" for argument in event.args[:_SHOWN_ARGUMENTS])
        site = call_before(self._places.machine, event.return_address) or event.return_address
        return f"{'  ' * event.depth}{event.name}({shown}, ..) from {self._places.name(site)}"

    def _function_returned(self, event: events.FunctionReturned) -> str:
        duration = event.instret - event.called_at
        return f"{'  ' * event.depth}{event.name} = {event.value:#x} after {duration:,} instructions"

    def _syscall_made(self, event: events.SyscallMade) -> str:
        shown = ", ".join(f"{argument:#x}" for argument in event.args)
        return f"{event.number}({shown}) {self._at(event)}"

    def _address_space_switched(self, event: events.AddressSpaceSwitched) -> str:
        return f"{event.old:#x} to {event.new:#x} {self._at(event)}"

    def _csr_written(self, event: events.CsrWritten) -> str:
        return f"{csr_name(event.number)} is {event.value:#x} {self._at(event)}"

    def _tlb_filled(self, event: events.TlbFilled) -> str:
        return f"{event.access.value} {event.vpn!r} is {event.ppn!r} {self._at(event)}"

    def _pte_written(self, event: events.PteWritten) -> str:
        by = "by the page walk, " if event.by_walk else ""
        size = PAGE_SIZE << 9 * event.level
        last = (int(event.first) + size - 1) & _ALL
        return (
            f"{event.pte_address}, level {event.level} for {event.first}..{last:#x}: {_entry(event.old)} becomes "
            f"{_entry(event.new)} {by}{self._at(event)}"
        )

    def _stale_translation_used(self, event: events.StaleTranslationUsed) -> str:
        change = event.change
        instruction = self._places.instruction(event.pc, event.privilege)
        by = f" by `{instruction}`" if instruction and event.access is not Access.FETCH else ""
        if event.walk.physical is None:
            now = f"would be refused by now: {refusal(event.walk)}"
        else:
            now = f"would go to {event.walk.physical} by now"
        return (
            f"{_ACCESS_WORDS[event.access]} {event.address}{by} {self._at(event)} went to {event.used} and {now}; "
            f"{change.pte_address}, level {change.level}, was {_entry(change.old)} and became {_entry(change.new)} "
            f"at {self._places.name(change.pc)} after {change.instret:,} instructions, and no sfence.vma came since"
        )

    def _interrupt_raised(self, event: events.InterruptRaised) -> str:
        return cause_label(event.cause, interrupt=True)

    def _mmio_access(self, event: events.MmioAccess) -> str:
        verb = "writes" if event.write else "reads"
        return f"{verb} {event.value:#x} ({event.size} bytes) at {event.device} {event.address} {self._at(event)}"

    def _memory_accessed(self, event: events.MemoryAccessed) -> str:
        what = f"{event.old:#x} becomes {event.new:#x}" if event.write else f"{event.old:#x} is read"
        place = self._places.name(event.address)
        named = "" if place == f"{event.address}" else f" {place}"
        return f"{event.address}{named} ({event.size} bytes): {what} {self._at(event)}"

    def _machine_reset(self, event: events.MachineReset) -> str:
        return f"the machine starts again {self._at(event)}"


def _method_for(event: type[Event]) -> str:
    return re.sub("(?=[A-Z])", "_", event.__name__).lower()


def _entry(pte: int) -> str:
    return f"({Pte(pte)})" if pte else "0"
