"""How to find a function's caller, from the call frame information of an ELF: `.debug_frame` and `.eh_frame`."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from io import BytesIO
from operator import itemgetter
from struct import Struct

from emu.hints import Any, NamedTuple
from emu.lateclass import dataclass

_WORD, _ABSOLUTE = Struct("<I"), Struct("<QQ")
_LONG = 0xFFFFFFFF
"""In place of a length: it follows, in 64 bits. In `.debug_frame` it says CIE, too."""
_LONG_HEAD, _HEAD = 12, 8
_FORMATS = {0: "Q", 2: "H", 3: "I", 4: "Q", 10: "h", 11: "i", 12: "q"}
"""DW_EH_PE: in the lower half of an encoding the size; in the upper half whether a place is relative."""
_RELATIVE = 0x10


@dataclass(frozen=True, slots=True)
class FrameRule:
    """What holds at one instruction (DWARF 5, section 6.4.1)."""

    register: int
    """The canonical frame address, the caller's stack pointer, is this register and ..."""
    offset: int
    saved: Mapping[int, int]
    """Registers that are in memory, by their offset from the canonical frame address."""


class FrameTable(NamedTuple):
    """The functions of one section."""

    ranges: list[tuple[int, int, int]]
    """Start, end, and a number by which its rules are asked for."""
    read: Callable[[int], list[tuple[int, FrameRule | None]]]
    """Where each rule begins to hold; None where the file's rule is more than a register and an offset."""


class CallFrames:
    """The rules of an image; those of a function are decoded when one of them is first asked for.

    >>> rule = FrameRule(2, 16, {1: -8})
    >>> table = FrameTable([(0x80200000, 0x80200010, 0)], lambda number: [(0x80200004, rule)])
    >>> frames = CallFrames(lambda: [table])
    >>> frames.at(0x80200008) is rule, frames.at(0x80200000)
    (True, None)
    """

    def __init__(self, read: Callable[[], Iterable[FrameTable]]) -> None:
        self._read = read
        self._rows: dict[tuple[int, int], list[tuple[int, FrameRule | None]]] = {}

    def at(self, address: int) -> FrameRule | None:
        """The rule for the instruction at an address, None where the file has none."""
        nearest = -1, 0, 0, 0
        for index, table in enumerate(self._tables):
            place = bisect_right(table.ranges, (address + 1,)) - 1
            if place >= 0 and table.ranges[place][0] >= nearest[0]:
                nearest = (*table.ranges[place], index)
        _, end, number, index = nearest
        if address >= end:
            return None
        rows = self._rows.get((index, number))
        if rows is None:
            rows = self._rows[index, number] = self._tables[index].read(number)
        at = bisect_right(rows, address, key=lambda row: row[0]) - 1
        return rows[at][1] if at >= 0 else None

    @cached_property
    def _tables(self) -> list[FrameTable]:
        return [FrameTable(sorted(table.ranges, key=itemgetter(0)), table.read) for table in self._read()]


def read_frames(elf: Any) -> Iterator[FrameTable]:  # pyelftools has no types
    """The rules of an open `ELFFile`; what cannot be decoded is left out.

    Only where the entries are is read, without pyelftools: of a Linux's 11,000 few are asked for.
    """
    from elftools.dwarf.callframe import CallFrameInfo
    from elftools.dwarf.structs import DWARFStructs

    for data, address, is_eh in _sections(elf):
        structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
        frames = CallFrameInfo(BytesIO(data), len(data), address, structs, for_eh_frame=is_eh)
        try:
            ranges = list(_entries(data, address, frames, is_eh=is_eh))
        except Exception:  # noqa: BLE001, S112  # damaged DWARF trips the parser anywhere; callers are then told otherwise
            continue
        yield FrameTable(ranges, partial(_decoded, frames))


def _sections(elf: Any) -> Iterator[tuple[bytes, int, bool]]:
    """Contents, address, and whether it is `.eh_frame`, of each section; other debug information is far larger."""
    if elf.get_section_by_name(".zdebug_frame") is not None:
        packed = elf.get_dwarf_info(relocate_dwarf_sections=False).debug_frame_sec
        if packed is not None:
            yield packed.stream.getvalue(), packed.address, False
    for name, is_eh in ((".debug_frame", False), (".eh_frame", True)):
        section = elf.get_section_by_name(name)
        if section is not None:
            yield section.data(), section["sh_addr"], is_eh


def _entries(data: bytes, address: int, frames: Any, *, is_eh: bool) -> Iterator[tuple[int, int, int]]:
    """The FDEs of a section (DWARF 5, section 6.4.1; LSB, section 10.6.1): start, end, place."""
    at, word, places = 0, _WORD.unpack_from, _ABSOLUTE.unpack_from
    formats: dict[int, tuple[Struct, int] | None] = {}
    while at < len(data):
        (length,) = word(data, at)
        if is_eh and not length:
            at += _WORD.size
            continue
        (link,) = word(data, at + _WORD.size)
        behind = at + _WORD.size + length
        if length == _LONG:
            behind = at + _LONG_HEAD + int.from_bytes(data[at + _WORD.size : at + _LONG_HEAD], "little")
            entry = frames._parse_entry_at(at)
            if "initial_location" in entry.header:
                yield _parsed(entry)
        elif not is_eh and link != _LONG:
            start, size = places(data, at + _HEAD)
            yield start, start + size, at
        elif is_eh and link:
            cie = at + _WORD.size - link
            if cie not in formats:
                formats[cie] = _format(frames._parse_entry_at(cie).augmentation_dict["FDE_encoding"])
            form = formats[cie]
            if form is None:
                yield _parsed(frames._parse_entry_at(at))
            else:
                start, size = form[0].unpack_from(data, at + _HEAD)
                start += address + at + _HEAD if form[1] else 0
                yield start, start + size, at
        at = behind


def _format(encoding: int) -> tuple[Struct, int] | None:
    """How an FDE has its start and size, and whether the start counts from its own place; None if in another way."""
    letter, relative = _FORMATS.get(encoding & 0xF), encoding & 0xF0
    return None if letter is None or relative not in (0, _RELATIVE) else (Struct("<" + 2 * letter), relative)


def _parsed(entry: Any) -> tuple[int, int, int]:
    start = entry["initial_location"]
    return start, start + entry["address_range"], entry.offset


def _decoded(frames: Any, at: int) -> list[tuple[int, FrameRule | None]]:
    try:
        return [(line["pc"], _rule(line)) for line in frames._parse_entry_at(at).get_decoded().table]
    except Exception:  # noqa: BLE001  # as above
        return []


def _rule(line: Mapping[Any, Any]) -> FrameRule | None:
    frame = line["cfa"]
    if frame.reg is None:
        return None
    rules = ((number, rule) for number, rule in line.items() if isinstance(number, int))
    saved = {number: rule.arg for number, rule in rules if rule.type == "OFFSET"}
    return FrameRule(frame.reg, frame.offset, saved)
