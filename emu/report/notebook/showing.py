"""Which objects a notebook shows how."""

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from emu.events import PageFault
from emu.memory.map import PhysicalMemory
from emu.mmu.space import AddressSpace
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.faults import PageFaultHandled
from emu.observe.lastinstructions import LastInstructions
from emu.record.recording import Recording
from emu.report.notebook import markup
from emu.report.notebook.holdings import ledger_html, ledger_picture
from emu.report.notebook.markup import Picture, heading
from emu.report.notebook.spaces import memory_html, memory_picture, space_html, space_picture
from emu.report.notebook.traces import last_html, last_picture, recording_html, recording_picture
from emu.report.notebook.walks import fault_html, walk_html, walk_picture
from emu.walks import Walk


def _handled_html(event: PageFaultHandled) -> list[Element]:
    end = "the instruction was tried again" if event.retried else f"the kernel went on at {event.target}"
    return [*fault_html(event.fault), heading("handled", f"after {event.instret:,} instructions {end}"),
            *walk_html(event.walk)]  # fmt: skip


_HTML: dict[type, Callable[[Any], list[Element]]] = {
    Walk: walk_html,
    PageFault: fault_html,
    PageFaultHandled: _handled_html,
    AddressSpace: space_html,
    PhysicalMemory: memory_html,
    AllocationLedger: ledger_html,
    Recording: recording_html,
    LastInstructions: last_html,
}
_SVG: dict[type, Callable[[Any], Picture]] = {
    Walk: walk_picture,
    PageFault: lambda fault: walk_picture(fault.walk),
    PageFaultHandled: lambda event: walk_picture(event.walk),
    AddressSpace: space_picture,
    PhysicalMemory: memory_picture,
    AllocationLedger: ledger_picture,
    Recording: recording_picture,
    LastInstructions: last_picture,
}


def html(value: object) -> str | None:
    """An object as HTML; None for a kind that has no other form than text."""
    made = _HTML.get(type(value))
    return None if made is None else markup.html(*made(value))


def svg(value: object) -> str | None:
    """An object as a picture; None for a kind that is none."""
    made = _SVG.get(type(value))
    return None if made is None else made(value).svg()
