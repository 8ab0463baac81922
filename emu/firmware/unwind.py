"""How to find a function's caller, from the call frame information of an ELF: `.debug_frame` and `.eh_frame`."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial

from emu.hints import Any
from emu.lateclass import dataclass


@dataclass(frozen=True, slots=True)
class FrameRule:
    """What holds at one instruction (DWARF 5, section 6.4.1)."""

    register: int
    """The canonical frame address, the caller's stack pointer, is this register and ..."""
    offset: int
    saved: Mapping[int, int]
    """Registers that are in memory, by their offset from the canonical frame address."""


@dataclass(frozen=True, slots=True)
class FrameRange:
    """The rules of one function."""

    start: int
    end: int
    read: Callable[[], list[tuple[int, FrameRule | None]]]
    """Where each rule begins to hold; None where the file's rule is more than a register and an offset."""


class CallFrames:
    """The rules of an image; those of a function are decoded when one of them is first asked for.

    >>> rule = FrameRule(2, 16, {1: -8})
    >>> frames = CallFrames(lambda: [FrameRange(0x80200000, 0x80200010, lambda: [(0x80200004, rule)])])
    >>> frames.at(0x80200008) is rule, frames.at(0x80200000)
    (True, None)
    """

    def __init__(self, read: Callable[[], Iterable[FrameRange]]) -> None:
        self._read = read
        self._rows: dict[int, list[tuple[int, FrameRule | None]]] = {}

    def at(self, address: int) -> FrameRule | None:
        """The rule for the instruction at an address, None where the file has none."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._ranges[index].end:
            return None
        rows = self._rows.get(index)
        if rows is None:
            rows = self._rows[index] = self._ranges[index].read()
        at = bisect_right(rows, address, key=lambda row: row[0]) - 1
        return rows[at][1] if at >= 0 else None

    @cached_property
    def _ranges(self) -> list[FrameRange]:
        return sorted(self._read(), key=lambda part: part.start)

    @cached_property
    def _starts(self) -> list[int]:
        return [part.start for part in self._ranges]


def read_frames(elf: Any) -> Iterator[FrameRange]:  # pyelftools has no types
    """The rules of an open `ELFFile`; what cannot be decoded is left out."""
    from elftools.dwarf.callframe import FDE, CallFrameInfo

    class Frames(CallFrameInfo):  # type: ignore[misc, unused-ignore]  # as above
        """Leaves the instructions of an entry unread, most of its bytes: few of a Linux's 12,000 are asked for."""

        def _parse_instructions(self, *place: Any) -> Any:
            self.stream.seek(place[-1])
            return partial(super()._parse_instructions, *place)

    if not elf.has_dwarf_info() and elf.get_section_by_name(".eh_frame") is None:
        return
    dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)
    for section, is_eh in ((dwarf.debug_frame_sec, False), (dwarf.eh_frame_sec, True)):
        try:
            found = (
                Frames(section.stream, section.size, section.address, dwarf.structs, for_eh_frame=is_eh).get_entries()
                if section
                else ()
            )
        except Exception:  # noqa: BLE001, S112  # damaged DWARF trips the parser anywhere; callers are then told otherwise
            continue
        for entry in found:
            if isinstance(entry, FDE):
                start = entry["initial_location"]
                yield FrameRange(start, start + entry["address_range"], partial(_decode, entry))


def _decode(entry: Any) -> list[tuple[int, FrameRule | None]]:
    try:
        for one in (entry.cie, entry):
            if callable(one.instructions):
                one.instructions = one.instructions()
        return [(line["pc"], _rule(line)) for line in entry.get_decoded().table]
    except Exception:  # noqa: BLE001  # as above
        return []


def _rule(line: Mapping[Any, Any]) -> FrameRule | None:
    frame = line["cfa"]
    if frame.reg is None:
        return None
    rules = ((number, rule) for number, rule in line.items() if isinstance(number, int))
    saved = {number: rule.arg for number, rule in rules if rule.type == "OFFSET"}
    return FrameRule(frame.reg, frame.offset, saved)
