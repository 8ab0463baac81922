"""INSERT: moves what the scripts said so far behind or before a section (GNU ld, process_insert_statements)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.errors import Diagnostic
from linker.parts.sections import OutputSection
from linker.script.syntax import Assignment, Insert

if TYPE_CHECKING:
    from linker.layout.plan import Command, Plan


def insert_statements(plan: Plan) -> None:
    """Carry out the INSERT statements of the plan, in their order."""
    position = 0
    while position < len(plan.commands):
        statement = plan.commands[position]
        if not isinstance(statement, Insert):
            position += 1
            continue
        moved, plan.commands = plan.commands[:position], plan.commands[position + 1 :]
        position = 0
        sections = plan.sections()
        index = next((i for i, s in enumerate(sections) if s.name == statement.section and not s.refused), None)
        if index is None:
            message = f"there is no output section '{statement.section}' to insert at"
            plan.errors.append(Diagnostic(message, statement.location))
            continue
        after: OutputSection | None = sections[index]
        if statement.before:
            after = next((s for s in reversed(sections[:index]) if not s.refused), None)
        _move_in_order(plan, moved, sections, after)
        place = position_after(plan.commands, after)
        plan.commands[place:place] = moved


def _move_in_order(
    plan: Plan, moved: list[Command], sections: list[OutputSection], after: OutputSection | None
) -> None:
    mine = [command for command in moved if isinstance(command, OutputSection) and command.created]
    anchor = _existing(sections, after)
    if not mine or anchor is None or anchor is mine[-1]:
        return
    begin, end = plan.order.index(mine[0]), plan.order.index(mine[-1])
    span = plan.order[begin : end + 1]
    del plan.order[begin : end + 1]
    if anchor in plan.order:
        place = plan.order.index(anchor) + 1
        plan.order[place:place] = span
    else:
        plan.order[begin:begin] = span


def _existing(sections: list[OutputSection], after: OutputSection | None) -> OutputSection | None:
    """The section itself, or when nothing made it, the one before it that exists."""
    if after is None:
        return None
    before = sections[: sections.index(after) + 1]
    return next((s for s in reversed(before) if s.created and (s is after or not s.refused)), None)


def position_after(commands: list[Command], after: OutputSection | None) -> int:
    """Behind the section, and what belongs to it: up to the assignment to `.` that starts the next section.

    The first assignment of a script sets the start address, and is passed over (GNU ld, insert_os_after).
    """
    index = commands.index(after) + 1 if after is not None else 0
    assignment: int | None = None
    ignore_first = after is None
    while index < len(commands):
        command = commands[index]
        if isinstance(command, OutputSection):
            if assignment is not None and (not command.has_input or command.alloc):
                return assignment
            return index
        if isinstance(command, Assignment) and command.symbol == "." and assignment is None:
            if not ignore_first:
                assignment = index
            ignore_first = False
        index += 1
    return index
