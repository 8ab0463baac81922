"""A recording, and the last instructions of a machine, in a notebook."""

from collections.abc import Iterable
from itertools import islice
from xml.etree.ElementTree import Element

from emu.address import VirtAddr
from emu.errors import EmuError
from emu.observe.lastinstructions import LastInstructions
from emu.record.recording import Recording
from emu.report.disassembly import disassemble
from emu.report.notebook.markup import heading, table
from emu.report.places import PlaceNames

_SHOWN = 24
_HEADS = ("instret", "", "pc", "instruction", "place")


def recording_html(recording: Recording) -> list[Element]:
    """Of what it is a recording, how much it holds, and how it begins."""
    notes = [f"fidelity {recording.fidelity}; recorded: {', '.join(recording.what) or 'nothing'}"]
    if recording.missing is not None:
        notes.append(f"it is not complete: {recording.missing}")
    title = f"recording of {recording.program or 'a kernel'}"
    try:
        first, last, _ = recording.extent()
        notes.append(f"{last - first:,} instructions, from {first:,} to {last:,}")
        names = PlaceNames(recording.names)
        rows = [
            (f"{instret:,}", privilege.name, f"{pc:#x}", disassemble(code, pc) or "?", names.name(pc))
            for instret, pc, code, privilege in islice(recording.instructions(first), _SHOWN)
        ]
    except EmuError as error:
        return [heading(title, *notes, str(error))]
    return [heading(title, *notes), table(_HEADS, rows, more=last - first - len(rows))]


def last_html(last: LastInstructions) -> list[Element]:
    """The last instructions, the newest below."""
    names = PlaceNames(last.machine.platform.names)
    return [heading("last instructions"), table(_HEADS[2:], _rows(last, names))]


def _rows(last: LastInstructions, names: PlaceNames) -> Iterable[tuple[str, str, str]]:
    for pc, code in last.tail(_SHOWN):
        yield f"{pc:#x}", disassemble(code, pc) or "?", names.name(VirtAddr(pc))
