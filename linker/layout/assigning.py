"""The assignments of the script, evaluated once the sections have places (GNU ld, lang_do_assignments)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.errors import Diagnostic
from linker.objects.model import SymbolVisibility
from linker.parts.inputs import InputSection
from linker.parts.sections import DataItem, OutputSection
from linker.parts.symbols import constrained
from linker.script.evaluate import check
from linker.script.syntax import Assertion, Assignment, Data, OutputSectionStatement

if TYPE_CHECKING:
    from linker.layout.scope import Phase, Scope
    from linker.script.syntax import SectionsCommand


def assign_unplaced(scope: Scope, statements: list[SectionsCommand], phase: Phase) -> None:
    """Give symbols what values they can have before anything has a place.

    The bounds of MEMORY may depend on them, PROVIDE takes effect, and aliases name what they stand for.
    """
    scope.phase = phase
    scope.iteration += 1
    scope.dot, scope.section = 0, None
    for command in statements:
        if isinstance(command, Assignment):
            _assign_unplaced(scope, command)
        elif isinstance(command, OutputSectionStatement):
            scope.section = None if scope.placeless else OutputSection(command.name)
            for item in command.statements:
                if isinstance(item, Assignment):
                    _assign_unplaced(scope, item)
                elif isinstance(item, Data) and not scope.placeless:
                    scope.fold(item.value)
            scope.section = None


def _assign_unplaced(scope: Scope, assignment: Assignment) -> None:
    if assignment.symbol != ".":
        scope.assign(assignment)
    elif not scope.placeless:
        scope.fold(assignment.value)


def hide_symbols(scope: Scope, statements: list[SectionsCommand]) -> None:
    """Hide what HIDDEN and PROVIDE_HIDDEN name, even where another statement defines it (GNU ld)."""
    for command in statements:
        for item in command.statements if isinstance(command, OutputSectionStatement) else [command]:
            entry = scope.table.names.get(item.symbol) if isinstance(item, Assignment) and item.hidden else None
            if entry is not None:
                entry.hidden = True
                entry.visibility = constrained(entry.visibility, SymbolVisibility.HIDDEN)


def assign_all(scope: Scope, phase: Phase) -> None:
    """Evaluate all assignments, data and assertions, with the sections as the last pass has placed them."""
    _Assigner(scope, phase).run()


class _Assigner:
    def __init__(self, scope: Scope, phase: Phase) -> None:
        self.scope = scope
        scope.phase = phase
        scope.iteration += 1
        self.current: OutputSection | None = None
        """The loaded section before this place."""
        self.prefers_next = False
        """Whether `.` was assigned behind it: what follows belongs to the next one."""
        self.after_end = self._end_index()
        self.position = {id(section): index for index, section in enumerate(scope.plan.order)}

    def _end_index(self) -> int:
        """Where the script has assigned `end`: sections behind that are not looked for."""
        for index, command in enumerate(self.scope.plan.commands):
            items = command.items if isinstance(command, OutputSection) else [command]
            if any(isinstance(item, Assignment) and item.symbol.lstrip("_") == "end" for item in items):
                return index
        return len(self.scope.plan.commands)

    def run(self) -> None:
        scope = self.scope
        scope.dot, scope.section = 0, None
        for index, command in enumerate(scope.plan.commands):
            if isinstance(command, OutputSection):
                self._section(command, index)
            elif isinstance(command, Assertion):
                check(command, scope)
            elif isinstance(command, Assignment):
                self._between(command, index)
        scope.section = None

    def _between(self, assignment: Assignment, index: int) -> None:
        scope = self.scope
        if assignment.symbol == ".":
            self.prefers_next = True
            value = scope.fold(assignment.value)
            scope.note(assignment, value)
            if value is None:
                scope.report(Diagnostic("the location counter gets no known value", assignment.location))
            else:
                scope.dot = value.absolute
            return
        if scope.final:
            scope.nearby = self._section_for_dot(index)
        scope.assign(assignment)

    def _section(self, output: OutputSection, index: int) -> None:
        scope = self.scope
        dot = scope.dot
        if output.created:
            if not output.ignored and output.alloc:
                self.current, self.prefers_next = output, False
            scope.dot = output.vma
        scope.section = output
        if scope.final:
            scope.nearby = self._section_for_dot(index)
        for item in output.items:
            self._item(output, item)
        scope.section = None
        if output.ignored:
            scope.dot = dot
        elif output.created:
            scope.dot = output.vma + (0 if output.is_tbss else output.size)
            if output.statement is not None and output.statement.end is not None:
                value = scope.fold(output.statement.end)
                scope.dot = scope.dot if value is None else value.absolute

    def _item(self, output: OutputSection, item: object) -> None:
        scope = self.scope
        if isinstance(item, InputSection):
            scope.dot = output.vma + item.offset + item.size
        elif isinstance(item, DataItem):
            scope.section = None
            value = scope.fold(item.data.value)
            scope.section = output
            item.value = 0 if value is None else value.absolute
            if value is None:
                scope.report(Diagnostic("the value of the data is not known", item.data.location))
            scope.dot += item.data.size
        elif isinstance(item, Assertion):
            check(item, scope)
        elif isinstance(item, Assignment):
            if item.symbol != ".":
                scope.assign(item)
                return
            value = scope.fold(item.value)
            scope.note(item, value)
            if value is None:
                scope.report(Diagnostic("the location counter gets no known value", item.location))
            scope.dot += output.steps.get(id(item), 0)

    # Which section an address between sections belongs to

    def _section_for_dot(self, index: int) -> OutputSection | None:
        """GNU ld, section_for_dot."""
        if self.current is None or self.prefers_next:
            following, position = self._following(index)
            if self.current is None or following is None or position <= self.after_end:
                return self._loaded_at_or_before(following)
        return self._loaded_at_or_before(self.current) or self._first_loaded()

    def _following(self, index: int) -> tuple[OutputSection | None, int]:
        """The next section of the output behind a command; none behind the end of the image."""
        commands = self.scope.plan.commands
        for position in range(index + 1, len(commands)):
            command = commands[position]
            if isinstance(command, OutputSection) and (position > self.after_end or command.is_live):
                return command, position
        return None, len(commands)

    def _loaded_at_or_before(self, section: OutputSection | None) -> OutputSection | None:
        order = self.scope.plan.order
        begin = len(order) - 1 if section is None else self.position.get(id(section), -1)
        for position in range(begin, -1, -1):
            if _holds_symbols(order[position]):
                return order[position]
        return None

    def _first_loaded(self) -> OutputSection | None:
        return next((section for section in self.scope.plan.order if _holds_symbols(section)), None)


def _holds_symbols(section: OutputSection) -> bool:
    return section.is_live and section.alloc and not section.tls
