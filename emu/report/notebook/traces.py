"""A recording, and the last instructions of a machine, in a notebook."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from xml.etree.ElementTree import Element

from emu.address import VirtAddr
from emu.errors import EmuError
from emu.observe.lastinstructions import LastInstructions
from emu.record.recording import Recording
from emu.report.disassembly import disassemble
from emu.report.notebook.markup import Picture, colour, heading, table
from emu.report.places import PlaceNames

_SHOWN = 24
_FUNCTIONS = 12
_COLUMNS = 200
_MOST = 1 << 26
"""Instructions of a recording that are drawn: more would take more than seconds."""
_LEFT, _ROW = 200.0, 18
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
    drawn = [recording_picture(recording).element()]
    return [heading(title, *notes), *drawn, table(_HEADS, rows, more=last - first - len(rows))]


def recording_picture(recording: Recording) -> Picture:
    """In which functions it was when: those with most instructions, each in a row of its own, the rest below them."""
    picture = Picture()
    try:
        first, last, _ = recording.extent()
        end = min(last, first + _MOST)
        columns = _functions_in_time(recording, first, max(end - first, 1))
    except EmuError as error:
        picture.text(0, 14, str(error))
        return picture
    whole = sum(columns, Counter[str]())
    names = [name for name, _ in whole.most_common(_FUNCTIONS)]
    picture.text(0, 14, f"functions, from {first:,} to {end:,} instructions" + (", of more" if end < last else ""))
    width = (picture.width - _LEFT) / _COLUMNS
    for row, name in enumerate([*names, "others"] if len(whole) > len(names) else names):
        y = 22.0 + _ROW * row
        picture.text(0, y + 12, name[:26])
        for place, column in enumerate(columns):
            part = _others(column, names) if row == len(names) else column[name]
            if part:
                share = part / column.total()
                style = {"fill": colour(name), "fill_opacity": 0.25 + 0.75 * share}
                picture.box(_LEFT + place * width, y, width, _ROW - 4, f"{name}: {100 * share:.0f} %", **style)
    return picture


def _functions_in_time(recording: Recording, first: int, length: int) -> list[Counter[str]]:
    """Instructions by function in each part of a range."""
    names, blocks, lengths = PlaceNames(recording.names), recording.blocks, recording.lengths
    functions = {number: names.function(VirtAddr(block.pc)) for number, block in blocks.items()}
    columns = [Counter[str]() for _ in range(_COLUMNS)]
    at_once = min(4096, max(8, length // (16 * _COLUMNS)))
    instret = first
    for begin, words in recording.words():
        instret = instret if begin is None else begin
        for place in range(0, len(words), at_once):
            counts = Counter(words[place : place + at_once])
            column = columns[min(max(instret - first, 0) * _COLUMNS // length, _COLUMNS - 1)]
            for word, times in counts.items():
                retired = lengths[word] * times
                instret += retired
                if word in functions:
                    column[functions[word]] += retired
            if instret > first + length:
                return columns
    return columns


def _others(column: Counter[str], names: Iterable[str]) -> int:
    return column.total() - sum(column[name] for name in names)


def last_html(last: LastInstructions) -> list[Element]:
    """The last instructions, the newest below."""
    names = PlaceNames(last.machine.platform.names)
    return [heading("last instructions"), table(_HEADS[2:], _rows(last, names))]


def last_picture(last: LastInstructions) -> Picture:
    """The same as text."""
    picture = Picture()
    for line, words in enumerate(_rows(last, PlaceNames(last.machine.platform.names))):
        for x, word in zip((0, 150, 420), words, strict=True):
            picture.text(x, 16 + 16 * line, word)
    return picture


def _rows(last: LastInstructions, names: PlaceNames) -> Iterable[tuple[str, str, str]]:
    for pc, code in last.tail(_SHOWN):
        yield f"{pc:#x}", disassemble(code, pc) or "?", names.name(VirtAddr(pc))
