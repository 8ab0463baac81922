"""Which function an address is in, with the calls that were inlined there, from an ELF's DWARF entries."""

from bisect import bisect_right
from collections.abc import Container, Iterator
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from emu.firmware.entries import children
from emu.firmware.lines import file_names, read_units
from emu.lateclass import dataclass

_FUNCTION, _INLINED = "DW_TAG_subprogram", "DW_TAG_inlined_subroutine"
_WITH_CODE = (_FUNCTION, _INLINED, "DW_TAG_lexical_block", "DW_TAG_namespace")
_NAMES = ("DW_AT_linkage_name", "DW_AT_MIPS_linkage_name", "DW_AT_name")
_ORIGINS = ("DW_AT_abstract_origin", "DW_AT_specification")


@dataclass(frozen=True, slots=True)
class Frame:
    """One function that an address belongs to: the innermost first, then those it was inlined into."""

    function: str | None
    """As the file has it, mangled; None when only the symbol table can tell."""
    file: str | None
    """With its directory; None when the file does not say."""
    line: int


class FunctionFinder:
    """Answers from the DWARF of one open `ELFFile`; without any, it knows nothing."""

    def __init__(self, elf: Any) -> None:  # pyelftools has no types
        has_dwarf = elf.has_dwarf_info()
        self._elf = elf
        self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False) if has_dwarf else None

    def frames(self, address: int) -> list[Frame]:
        """The functions that an address belongs to, at least one; of nothing known where nothing is, or damaged."""
        file, line = None, 0
        try:
            file, line = self._line(address)
            return list(self._frames(address, file, line)) or [Frame(None, file, line)]
        except Exception:  # noqa: BLE001  # damaged DWARF trips the parser anywhere
            return [Frame(None, file, line)]

    def _frames(self, address: int, file: str | None, line: int) -> Iterator[Frame]:
        for scope in reversed(self.scopes(address)):
            yield Frame(self._name(scope), file, line)
            if scope.tag == _INLINED:
                file, line = self._call(scope, scope.cu)

    def scopes(self, address: int) -> list[Any]:
        """The DWARF entries of the function and of the inlined calls that an address lies in, the outermost first.

        Raises whatever damaged information trips.
        """
        for unit in self._dwarf.iter_CUs() if self._dwarf else ():
            top = unit.get_top_DIE()
            scopes = list(self._scopes(top, address, unit)) if self._may_hold(top, address, unit) else []
            if scopes:
                return scopes
        found = (list(self._scopes(unit.get_top_DIE(), address, unit)) for unit in self._with_more)
        return next(filter(None, found), [])

    @cached_property
    def _with_more(self) -> list[Any]:
        """Units with code outside of the ranges that they tell."""
        if self._dwarf is None:
            return []
        units = zip(self._dwarf.iter_CUs(), read_units(self._elf), strict=False)
        return [entries for entries, unit in units if unit.has_more()]

    def inlined_calls(self, names: Container[str]) -> Iterator[Frame]:
        """Where calls of functions of these names were inlined: each with the file and line of the call.

        Raises whatever damaged information trips.
        """
        for unit in self._dwarf.iter_CUs() if self._dwarf else ():
            waiting = [unit.get_top_DIE()]
            while waiting:
                for child in children(waiting.pop()):
                    if child.has_children and child.tag in _WITH_CODE:
                        waiting.append(child)
                    if child.tag == _INLINED and (name := self._name(child)) is not None and name in names:
                        yield Frame(name, *self._call(child, unit))

    @cached_property
    def _lines(self) -> list[tuple[int, int, str, int]]:
        return _lines(self._elf) if self._elf.has_dwarf_info() else []

    @cached_property
    def _starts(self) -> list[int]:
        return [start for start, *_ in self._lines]

    def _line(self, address: int) -> tuple[str | None, int]:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._lines[index][1]:
            return None, 0
        _, _, file, line = self._lines[index]
        return file, line

    def _may_hold(self, top: Any, address: int, unit: Any) -> bool:
        ranges = list(self._ranges(top, unit))
        return not ranges or any(start <= address < end for start, end in ranges)

    def _scopes(self, entry: Any, address: int, unit: Any) -> Iterator[Any]:
        """Functions and inlined calls around the address, the outermost first."""
        for child in children(entry):
            is_scope = child.tag in (_FUNCTION, _INLINED)
            if is_scope and not any(start <= address < end for start, end in self._ranges(child, unit)):
                continue
            inner = list(self._scopes(child, address, unit)) if child.has_children else []
            if is_scope:
                yield child
            if is_scope or inner:
                yield from inner
                return

    def _ranges(self, entry: Any, unit: Any) -> Iterator[tuple[int, int]]:
        attributes = entry.attributes
        if "DW_AT_ranges" in attributes:
            yield from self._listed_ranges(entry, unit)
        elif "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
            low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
            yield low, high.value if high.form == "DW_FORM_addr" else low + high.value

    def _listed_ranges(self, entry: Any, unit: Any) -> Iterator[tuple[int, int]]:
        lists = self._dwarf.range_lists() if self._dwarf else None
        if lists is None:
            return
        low = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        base = low.value if low else 0
        for item in lists.get_range_list_at_offset(entry.attributes["DW_AT_ranges"].value, cu=unit):
            if hasattr(item, "base_address"):
                base = item.base_address
            else:
                start = 0 if getattr(item, "is_absolute", False) else base
                yield item.begin_offset + start, item.end_offset + start

    def _name(self, entry: Any) -> str | None:
        for attribute in _NAMES:
            if attribute in entry.attributes:
                return str(entry.attributes[attribute].value.decode("utf-8", "replace"))
        for attribute in _ORIGINS:
            if attribute in entry.attributes:
                return self._name(entry.get_DIE_from_attribute(attribute))
        return None

    def _call(self, entry: Any, unit: Any) -> tuple[str | None, int]:
        attributes = entry.attributes
        if "DW_AT_call_line" not in attributes or "DW_AT_call_file" not in attributes or self._dwarf is None:
            return None, 0
        program = self._dwarf.line_program_for_CU(unit)
        names = [] if program is None else _paths(program.header, _directory(unit))
        number = attributes["DW_AT_call_file"].value
        return names[number] if 0 <= number < len(names) else None, attributes["DW_AT_call_line"].value


def _lines(elf: Any) -> list[tuple[int, int, str, int]]:
    """First address, the one behind, file and line, of every row, by address."""
    dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)
    directories = [_directory(unit) for unit in dwarf.iter_CUs()]
    rows = []
    for unit, directory in zip(read_units(elf), directories, strict=False):
        for sequence in unit.read():
            ends = [*sequence.starts[1:], sequence.end]
            for start, end, row in zip(sequence.starts, ends, sequence.rows, strict=True):
                if start:  # a function that the linker has left out lies at 0
                    rows.append((start, end, str(PurePosixPath(directory, row.file)), row.line))
    return sorted(rows)


def _directory(unit: Any) -> str:
    attribute = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    return attribute.value.decode("utf-8", "replace") if attribute else ""


def _paths(header: Any, directory: str) -> list[str]:
    """The path of each file by its number in the unit's line table."""
    first = 0 if header.version >= 5 else 1
    name = file_names(header)
    return [str(PurePosixPath(directory, name(number))) for number in range(len(header.file_entry) + first)]
