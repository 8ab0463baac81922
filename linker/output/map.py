"""The memory map as text, in the form of GNU ld's `-Map`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.output.prepare import ATTRIBUTES
from linker.parts.inputs import InputSection
from linker.parts.regions import DEFAULT
from linker.parts.sections import DataItem, MatchedInput, OutputSection
from linker.script.format import format_assignment, format_expression
from linker.script.syntax import Assertion, Assignment, Insert

if TYPE_CHECKING:
    from linker.layout.plan import Plan
    from linker.layout.scope import Scope
    from linker.parts.symbols import LinkSymbol, SymbolTable

_NAME_WIDTH = 16
_DATA_NAMES = {1: "BYTE", 2: "SHORT", 4: "LONG", 8: "QUAD"}


def write_map(table: SymbolTable, plan: Plan, scope: Scope) -> str:
    """The map: archive members, what was left out, the regions, and every section with its parts and symbols."""
    return "\n".join(_Map(table, plan, scope).lines()) + "\n"


class _Map:
    def __init__(self, table: SymbolTable, plan: Plan, scope: Scope) -> None:
        self.table = table
        self.plan = plan
        self.scope = scope
        self.out: list[str] = []
        self.symbols: dict[InputSection, list[LinkSymbol]] = {}
        for entry in table.names.values():
            if isinstance(entry.home, InputSection):
                self.symbols.setdefault(entry.home, []).append(entry)

    def lines(self) -> list[str]:
        self._members()
        self._discarded()
        self._regions()
        self._image()
        return self.out

    def _members(self) -> None:
        if not self.table.pulled:
            return
        self.out += ["Archive member included to satisfy reference by file (symbol)", ""]
        for file, asker, name in self.table.pulled:
            by = asker.name if asker is not None else "the command line"
            self.out += [file.name, f"{'':30}{by} ({name})"]
        self.out.append("")

    def _discarded(self) -> None:
        lost = [
            s for file in self.table.files for s in file.sections if s.discarded and s.size and s.name != ATTRIBUTES
        ]
        if lost:
            self.out += ["Discarded input sections", ""]
            for section in lost:
                self._line(f" {section.name}", 0, section.size, section.file.name)
            self.out.append("")

    def _regions(self) -> None:
        self.out += ["Memory Configuration", "", "Name             Origin             Length             Attributes"]
        for name, region in self.scope.regions.items():
            if name == region.name != DEFAULT:
                length = f"0x{region.length:016x}"
                self.out.append(f"{name:16} 0x{region.origin:016x} {length} {region.attributes}".rstrip())
        self.out += [f"{DEFAULT:16} 0x{0:016x} 0x{(1 << 64) - 1:016x}", "", "Linker script and memory map", ""]
        self.out += [f"LOAD {file.name}" for file in self.table.files if file.archive is None]

    def _image(self) -> None:
        for command in self.plan.commands:
            if isinstance(command, OutputSection):
                if command.created:
                    self._section(command)
            elif not isinstance(command, Insert):
                self._statement(command)

    def _line(self, name: str, address: int, size: int, rest: str = "") -> None:
        """A name, its address and size in columns; a long name has a line of its own."""
        if len(name) >= _NAME_WIDTH:
            self.out.append(name)
            name = ""
        self.out.append(f"{name:{_NAME_WIDTH}}0x{address:016x} {size:>#10x} {rest}".rstrip())

    def _statement(self, statement: Assignment | Assertion) -> None:
        indent = " " * _NAME_WIDTH
        if isinstance(statement, Assertion):
            self.out.append(f"{indent}0x{1:016x}{indent}{format_expression(statement)}")
            return
        value = self.scope.values.get(id(statement))
        shown = f"0x{value:016x}" if value is not None else "[!provide]".ljust(18)
        self.out.append(f"{indent}{shown}{indent}{format_assignment(statement)}")

    def _section(self, section: OutputSection) -> None:
        self.out.append("")
        load = f"load address 0x{section.lma:016x}" if section.alloc and section.lma != section.vma else ""
        self._line(section.name, section.vma, section.size, load)
        gaps = {offset: (size, pattern) for offset, size, pattern in section.pads}
        for item in section.items:
            if isinstance(item, InputSection):
                self._fill(section, gaps, item.offset)
                self._input(section, item)
            elif isinstance(item, DataItem):
                text = format_expression(item.data.value)
                name = f" {_DATA_NAMES[item.data.size]} 0x{item.value:x}"
                self._line(name, section.vma + item.offset, item.data.size, text)
            elif isinstance(item, MatchedInput):
                self.out.append(f" {item.text}")
            elif isinstance(item, Assignment | Assertion):
                self._statement(item)
        self._fill(section, gaps, section.size)

    def _fill(self, section: OutputSection, gaps: dict[int, tuple[int, bytes]], until: int) -> None:
        for offset in sorted(gaps):
            if offset < until:
                size, pattern = gaps.pop(offset)
                shown = pattern.hex() if pattern.strip(b"\0") else ""
                self._line(" *fill*", section.vma + offset, size, shown)

    def _input(self, output: OutputSection, section: InputSection) -> None:
        self._line(f" {section.name}", output.vma + section.offset, section.size, section.file.name)
        original = section.section.size
        if original != section.size:
            self.out.append(f"{'':{_NAME_WIDTH + 18}} {original:>#10x} (size before relaxing)")
        for entry in sorted(self.symbols.get(section, ()), key=lambda symbol: symbol.address):
            self.out.append(f"{'':{_NAME_WIDTH}}0x{entry.address:016x}{'':{_NAME_WIDTH}}{entry.name}")
