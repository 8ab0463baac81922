"""What a script's expressions see: symbols, sections, regions, and the state of DATA_SEGMENT_ALIGN."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linker.layout.inputs import InputSection
from linker.layout.sections import OutputSection
from linker.objects.model import SymbolType
from linker.script.evaluate import WORD, Kind, Value, align_up, evaluate
from linker.script.syntax import Assignment, Name

if TYPE_CHECKING:
    from linker.errors import Diagnostic
    from linker.layout.placement import Plan
    from linker.layout.regions import Region
    from linker.layout.symbols import LinkSymbol, SymbolTable
    from linker.script.syntax import Expression

PAGE_SIZE = 0x1000


@dataclass(slots=True)
class DataSegment:
    """DATA_SEGMENT_ALIGN ... DATA_SEGMENT_END: whether the data segment can begin on the text's last page."""

    seen: bool = False
    ended: bool = False
    adjust: bool = False
    base: int = 0
    end: int = 0
    common_page: int = PAGE_SIZE

    def saves_a_page(self) -> bool:
        """Whether beginning on a fresh page would take one page less (GNU ld, lang_size_segment)."""
        page = self.common_page
        first, last = -self.base & (page - 1), self.end & (page - 1)
        return bool(self.ended and first and last and self.base & -page != self.end & -page and first + last <= page)


@dataclass(slots=True)
class Scope:
    """The environment of `linker.script.evaluate`."""

    table: SymbolTable
    plan: Plan
    regions: dict[str, Region]
    max_page_size: int = PAGE_SIZE
    segment_starts: dict[str, int] = field(default_factory=dict)
    headers: int = 0
    loads_headers: bool = False
    """Whether the script asked for SIZEOF_HEADERS."""
    dot: int = 0
    section: OutputSection | None = None
    final: bool = False
    errors: list[Diagnostic] = field(default_factory=list)
    data: DataSegment = field(default_factory=DataSegment)
    by_name: dict[str, OutputSection] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)
    """Symbols to which an assignment of this pass gave a value."""
    script_symbols: dict[str, list[Assignment]] = field(default_factory=dict)
    values: dict[int, int] = field(default_factory=dict)
    """What each assignment (by id) came to in the last pass."""
    anchors: dict[str, OutputSection | None] = field(default_factory=dict)
    previous: OutputSection | None = None
    """The loaded output section before the place between sections that is laid out now."""
    moved_on: bool = False
    """Whether `.` was assigned behind that section: what follows belongs to the next one."""

    # What expressions ask

    def symbol(self, name: str) -> Value | None:
        """The value of a symbol; None when it has none in this pass."""
        entry = self.table.get(name)
        entry.referenced = True  # so that PROVIDE provides it
        if not entry.defined:
            return None
        home = entry.home
        if home is None:
            return Value(entry.value, Kind.ABSOLUTE if self.section is None else Kind.NUMBER)
        if isinstance(home, OutputSection):
            return Value(entry.value, home)
        return self._input_symbol(home, entry.value)

    def _input_symbol(self, home: InputSection, value: int) -> Value | None:
        if home.merged is not None:
            home, value = home.merged.find(home, value)
        else:
            value = home.moved(value)
        if home.output is None:
            return None
        return Value(home.offset + value, home.output)

    def is_defined(self, name: str) -> bool:
        """DEFINED: by an object, or by an assignment earlier in the script."""
        entry = self.table.names.get(name)
        if entry is None or not (entry.defined or entry.common):
            return False
        return not entry.from_script or name in self.assigned

    def output_section(self, name: str) -> OutputSection | None:
        """An output section by name; `NEXT_SECTION` and the like are not known."""
        return self.by_name.get(name)

    def region(self, name: str) -> tuple[int, int] | None:
        """Origin and length of a region."""
        region = self.regions.get(name)
        return None if region is None else (region.origin, region.length)

    def constant(self, name: str) -> int | None:
        """CONSTANT(...)."""
        return {"MAXPAGESIZE": self.max_page_size, "COMMONPAGESIZE": min(PAGE_SIZE, self.max_page_size)}.get(name)

    def header_size(self) -> int:
        """SIZEOF_HEADERS."""
        self.loads_headers = True
        return self.headers

    def segment_start(self, name: str) -> int | None:
        """The base that the command line gave a segment."""
        return self.segment_starts.get(name)

    def data_segment(self, function: str, arguments: tuple[int, ...]) -> int | None:
        """The DATA_SEGMENT_ functions; without relro, so that RELRO_END changes nothing."""
        if function == "DATA_SEGMENT_END":
            self.data.ended, self.data.end = True, arguments[0]
            return arguments[0]
        if function == "DATA_SEGMENT_RELRO_END":
            return arguments[1]
        page, common = arguments
        value = align_up(self.dot, page)
        if self.data.adjust:
            if common < page:
                value += (self.dot + common - 1) & (page - common)
            return value
        value += self.dot & (page - 1)
        self.data.seen, self.data.base, self.data.common_page = True, value, max(common, 1)
        return value

    def report(self, diagnostic: Diagnostic) -> None:
        """Note an error; the passes before the last one only guess."""
        if self.final:
            self.errors.append(diagnostic)

    # Assignments

    def assign(self, assignment: Assignment) -> None:
        """Give a symbol its value, unless it is provided and not needed."""
        entry = self.table.names.get(assignment.symbol)
        if assignment.provide and not _wants_provision(entry):
            return
        value = evaluate(assignment.value, self)
        self.note(assignment, value)
        if value is None:
            if not self.final and entry is None:
                self.table.get(assignment.symbol)
            return
        entry = entry or self.table.get(assignment.symbol)
        base = value.base
        if base is Kind.NUMBER:
            base = self.section or Kind.ABSOLUTE
        entry.defined, entry.weak, entry.common, entry.from_script = True, False, False, True
        entry.home = base if isinstance(base, OutputSection) else None
        entry.value, entry.size, entry.file, entry.symbol = value.value, 0, None, None
        entry.type = self._type_of(assignment.value)
        if assignment.hidden:
            entry.hidden = True
        self.assigned.add(assignment.symbol)
        if self.final:
            self._anchor(entry, assignment.value)

    def note(self, assignment: Assignment, value: Value | None) -> None:
        """Remember what an assignment came to, for the map."""
        if self.final and value is not None:
            base = self.section.vma if self.section is not None and isinstance(value.base, Kind) else 0
            dot = base if assignment.symbol == "." or value.base is Kind.NUMBER else 0
            self.values[id(assignment)] = (value.absolute + dot) & WORD

    def _type_of(self, expression: Expression) -> SymbolType:
        """A plain alias has the type of what it names."""
        if isinstance(expression, Name) and expression.name != ".":
            entry = self.table.names.get(expression.name)
            if entry is not None:
                return entry.type
        return SymbolType.NOTYPE

    def _anchor(self, entry: LinkSymbol, expression: Expression) -> None:
        """Between sections, a symbol that came from `.` belongs to the section before it."""
        if entry.home is None and self.section is None and mentions_dot(expression):
            self.anchors[entry.name] = self._section_for_dot()
        else:
            self.anchors.pop(entry.name, None)

    def _section_for_dot(self) -> OutputSection | None:
        """The section that a symbol between sections belongs to (GNU ld, section_for_dot)."""
        loaded, following, after_end = [], None, False
        passed = self.previous is None
        for command in self.plan.commands:
            if isinstance(command, Assignment):
                after_end |= command.symbol.lstrip("_") == "end"
            elif isinstance(command, OutputSection):
                present = command.created and not command.removed
                if present and command.alloc and not command.tls:
                    loaded.append(command)
                if passed and present and not after_end and following is None:
                    following = command
                passed |= command is self.previous
        if self.previous is None or (self.moved_on and (following is None or following.alloc)):
            if following is not None and following in loaded:
                return following
            return loaded[-1] if loaded else None
        if self.previous in loaded:
            return self.previous
        before = [section for section in loaded if section.vma <= self.previous.vma]
        return before[-1] if before else loaded[0] if loaded else None


def mentions_dot(expression: object) -> bool:
    """Whether the location counter takes part in an expression, or an origin, which GNU ld treats alike."""
    if isinstance(expression, Name):
        return expression.name == "."
    slots = getattr(type(expression), "__slots__", ())
    parts = (getattr(expression, slot) for slot in slots)
    function = getattr(expression, "function", "")
    if function in ("ABSOLUTE", "NEXT"):
        return False
    if function == "ORIGIN" or (function in ("ALIGN", "BLOCK") and len(getattr(expression, "arguments", ())) == 1):
        return True
    return any(
        any(mentions_dot(item) for item in part) if isinstance(part, tuple) else mentions_dot(part)
        for part in parts
        if isinstance(part, tuple) or hasattr(type(part), "__slots__")
    )


def _wants_provision(entry: LinkSymbol | None) -> bool:
    """PROVIDE defines what objects mention and do not define."""
    if entry is None:
        return False
    if entry.from_script:
        return True
    return entry.referenced and not entry.defined and not entry.common
