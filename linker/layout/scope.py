"""What a script's expressions see: symbols, sections, regions, and the state of DATA_SEGMENT_ALIGN."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from linker.layout.datasegment import PAGE_SIZE, DataSegment
from linker.parts.inputs import InputSection
from linker.parts.sections import OutputSection
from linker.parts.symbols import constrained
from linker.script.evaluate import WORD, Kind, Value, evaluate

if TYPE_CHECKING:
    from linker.errors import Diagnostic
    from linker.layout.plan import Plan
    from linker.parts.regions import Region
    from linker.parts.symbols import LinkSymbol, SymbolTable
    from linker.script.syntax import Assignment, Expression


class Phase(IntEnum):
    """How far the link is: the same statements are evaluated again and again, each time knowing more (GNU ld)."""

    FIRST = 0
    """Nothing has a place: only numbers and symbols have values."""
    MARK = 1
    """To find out what is needed, and which sections stay empty."""
    ALLOCATING = 2
    ASSIGNING = 3
    FINAL = 4
    """What is unknown now is an error."""


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
    phase: Phase = Phase.FIRST
    from_dot: bool = False
    """Whether the expression that is evaluated took an address from its place in the script."""
    errors: list[Diagnostic] = field(default_factory=list)
    data: DataSegment = field(default_factory=DataSegment)
    iteration: int = 0
    """Counts the passes over the script."""
    values: dict[int, int] = field(default_factory=dict)
    """What each assignment (by id) came to in the last pass."""
    anchors: dict[str, OutputSection | None] = field(default_factory=dict)
    """The sections of symbols that took their address from `.` between sections."""
    nearby: OutputSection | None = None
    """The section that such a symbol belongs to at this place of the script."""
    _sources: list[LinkSymbol] = field(default_factory=list)
    """Symbols that the expression mentions, for its value."""
    _assigned_in: dict[str, int] = field(default_factory=dict)
    """The pass in which an assignment last gave a symbol its value."""
    _by_object: set[str] = field(default_factory=set)
    """Symbols of objects that the script defines anew."""
    _provided: set[int] = field(default_factory=set)
    """PROVIDE statements (by id) that took effect: from then on they are assignments."""
    _assigning: str | None = None
    """The symbol that gets a value, until its expression mentions it."""

    @property
    def final(self) -> bool:
        """Whether this is the last pass: what is unknown now is an error."""
        return self.phase is Phase.FINAL

    @property
    def placeless(self) -> bool:
        """Whether nothing has a place yet."""
        return self.phase is Phase.FIRST

    # What expressions ask

    def symbol(self, name: str) -> Value | None:
        """The value of a symbol; None when it has none in this pass."""
        entry = self.table.get(name)
        entry.referenced = True  # so that PROVIDE provides it
        self._sources.append(entry)
        if self._assigning == name and not self._is_number_of_this_pass(entry):
            self._assigning = None
        if not entry.defined:
            return None
        home = entry.home
        if home is None:
            return Value(entry.value, Kind.ABSOLUTE if self.section is None else Kind.NUMBER)
        if isinstance(home, OutputSection):
            return Value(entry.value, home)
        return self._input_symbol(home, entry.value)

    def _is_number_of_this_pass(self, entry: LinkSymbol) -> bool:
        return entry.defined and entry.home is None and self._assigned_in.get(entry.name) == self.iteration

    def _input_symbol(self, home: InputSection, value: int) -> Value | None:
        if home.merged is not None:
            home, value = home.merged.find(home, value)
        else:
            value = home.moved(value)
        if home.discarded:  # the relocations that use it will tell
            return Value(value, Kind.ABSOLUTE if self.section is None else Kind.NUMBER)
        if home.output is None:
            return Value(value, home)
        return Value(home.offset + value, home.output)

    def mentioned(self) -> int:
        """How many symbols the expression has mentioned so far."""
        return len(self._sources)

    def forget_mentions(self, count: int) -> None:
        """Those behind that many do not make the value."""
        del self._sources[count:]

    def is_script_number(self, name: str, value: int) -> bool:
        """Whether a symbol has that value by an assignment of this pass, and belongs to no section."""
        entry = self.table.names.get(name)
        return entry is not None and entry.from_script and entry.value == value and self._is_number_of_this_pass(entry)

    def is_defined(self, name: str) -> bool:
        """DEFINED: by an object, or by an assignment earlier in the script."""
        entry = self.table.names.get(name)
        if entry is None or not (entry.defined or entry.common):
            return False
        return not entry.from_script or name in self._by_object or self._assigned_in.get(name) == self.iteration

    def output_section(self, name: str) -> OutputSection | None:
        """The first output section of a name."""
        return self.plan.find(name)

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
        """The DATA_SEGMENT_ functions; None where they have no meaning."""
        return None if self.placeless else self.data.call(function, arguments, self.dot)

    def report(self, diagnostic: Diagnostic) -> None:
        """Note an error; the passes before the last one only guess."""
        if self.final:
            self.errors.append(diagnostic)

    # Assignments

    def fold(self, expression: Expression | None) -> Value | None:
        """Evaluate a whole expression."""
        self.from_dot = False
        self._sources.clear()
        return evaluate(expression, self)

    def assign(self, assignment: Assignment) -> bool:
        """Give a symbol its value; says whether the statement takes effect at all (PROVIDE may not)."""
        entry = self.table.names.get(assignment.symbol)
        is_known = entry is None or entry.defined or entry.common
        if assignment.provide and is_known and id(assignment) not in self._provided:
            return False
        self._assigning = assignment.symbol
        value = self.fold(assignment.value)
        self.note(assignment, value)
        refers_to_itself = self._assigning is None
        self._assigning = None
        if refers_to_itself and not self.final:
            return True
        self._provided.add(id(assignment))
        if value is None:
            if assignment.symbol in self.table.names:
                return True
            value = Value(0)
        self._define(self.table.get(assignment.symbol), value, hidden=assignment.hidden)
        return True

    def _define(self, entry: LinkSymbol, value: Value, *, hidden: bool) -> None:
        base = value.base
        if base is Kind.NUMBER:
            base = self.section or Kind.ABSOLUTE
        if not entry.from_script and (entry.defined or entry.common):
            self._by_object.add(entry.name)
        entry.defined, entry.weak, entry.common, entry.from_script = True, False, False, True
        entry.home = base if isinstance(base, OutputSection | InputSection) else None
        entry.value, entry.file, entry.symbol = value.value, None, None
        if len(self._sources) == 1:  # an alias has the type of what it names
            source = self._sources[0]
            entry.type = source.type
            entry.visibility = constrained(entry.visibility, source.visibility)
        entry.hidden |= hidden
        self._assigned_in[entry.name] = self.iteration
        if self.final:
            if entry.home is None and self.from_dot:
                self.anchors[entry.name] = self.nearby
            else:
                self.anchors.pop(entry.name, None)

    def note(self, assignment: Assignment, value: Value | None) -> None:
        """Remember what an assignment came to, for the map."""
        if self.final and value is not None:
            base = self.section.vma if self.section is not None and value.base is Kind.NUMBER else 0
            self.values[id(assignment)] = (value.absolute + base) & WORD
