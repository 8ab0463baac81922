"""Addresses and sizes: one pass over the plan, giving every section its place (GNU ld, lang_size_sections)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.layout.alignments import alignment_of
from linker.layout.regions import accepts
from linker.layout.scope import Phase
from linker.objects.model import SectionFlag
from linker.parts.inputs import InputSection
from linker.parts.regions import DEFAULT
from linker.parts.sections import NOT_ALLOCATED, DataItem, OutputSection
from linker.script.evaluate import WORD, Kind, align_up, check
from linker.script.fills import fill_bytes
from linker.script.syntax import (
    Assertion,
    Assignment,
    Binary,
    Call,
    Conditional,
    Expression,
    Fill,
    Insert,
    Name,
    Number,
)

if TYPE_CHECKING:
    from linker.layout.scope import Scope
    from linker.parts.regions import Region


@dataclass(slots=True)
class _Cursor:
    """The place inside an output section."""

    output: OutputSection
    fill: bytes
    subalign: int | None
    behind_gap: bool = False
    """Whether the statement before this one was an assignment that moved `.`."""


class Sizer:
    """Runs passes."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.untrimmed = True
        """Whether code still has the nops that its alignment does not need: GNU ld deletes them later."""
        self.reports = False
        """Whether this is the pass whose findings are told."""

    def run(self, *, reports: bool = False) -> None:
        """One pass over the script."""
        scope = self.scope
        self.reports = reports
        for region in scope.regions.values():
            region.reset()
        scope.dot, scope.section = 0, None
        scope.iteration += 1
        for output in scope.plan.order:
            output.old_size, output.size, output.vma_known, output.lma_known = output.size, 0, False, False
        for command in scope.plan.commands:
            if isinstance(command, OutputSection):
                self._output_section(command)
            elif not isinstance(command, Insert):
                self._assign_between(command)
                # As in GNU ld, any statement between sections makes `.` the place of what follows.
                scope.regions[DEFAULT].current = scope.dot

    def _report(self, message: str, where: Location | None, hint: str = "") -> None:
        if self.reports:
            self.scope.errors.append(Diagnostic(message, where, hint=hint))

    def _assign_between(self, assignment: Assignment | Assertion) -> None:
        scope = self.scope
        if isinstance(assignment, Assertion):
            check(assignment, scope)
        elif assignment.symbol != ".":
            scope.assign(assignment)
        else:
            value = scope.fold(assignment.value)
            if value is not None:
                scope.dot = value.absolute

    def _output_section(self, output: OutputSection) -> None:
        scope = self.scope
        if output.refused:
            return
        if output.address is not None:
            value = scope.fold(output.address)
            if value is not None:
                scope.dot = value.absolute
            elif scope.phase is not Phase.MARK:
                self._report(f"the address of section '{output.name}' is not known here", _where(output))
        if not output.created:
            return
        dot = scope.dot
        align, padding = self._start(output)
        self._contents(output)
        scope.dot = dot if output.ignored else output.vma
        output.vma_known = True
        self._set_lma(output, align, padding)
        output.lma_known = True
        self._advance(output)

    def _start(self, output: OutputSection) -> tuple[int, int]:
        """Set the start address. Returns the alignment used and the bytes it cost."""
        scope, statement = self.scope, output.statement
        wanted = alignment_of(statement.align if statement else None, scope)
        if wanted is not None:
            output.align = max(output.align, wanted)
        if output.address is None:
            region = self._region(output)
            dot, align = region.current, output.align
        else:
            dot, align = scope.dot, wanted or 1
        output.vma = align_up(dot, align)
        return align, output.vma - dot

    def _region(self, output: OutputSection) -> Region:
        """Where a section without an address goes."""
        scope = self.scope
        default = scope.regions[DEFAULT]
        region = output.region
        if region is None or (region is default and (output.alloc or output.load)):
            region = next((r for r in scope.regions.values() if accepts(r, output)), default)
            output.region = region
        return region

    # Contents

    def _contents(self, output: OutputSection) -> None:
        scope, statement = self.scope, output.statement
        scope.section, scope.dot = output, output.vma
        subalign = alignment_of(statement.subalign, scope) if statement else None
        fill = self._fill_pattern(statement.fill) if statement and statement.fill is not None else b"\0"
        cursor = _Cursor(output, fill, subalign)
        output.pads = []
        output.steps.clear()
        for item in output.items:
            gaps = len(output.pads)
            if isinstance(item, InputSection):
                self._input(cursor, item)
            elif isinstance(item, Assignment):
                self._assign_inside(cursor, item)
                cursor.behind_gap = len(output.pads) > gaps
                continue
            elif isinstance(item, DataItem):
                self._data(cursor, item)
            elif isinstance(item, Fill):
                cursor.fill = self._fill_pattern(item.pattern)
            elif isinstance(item, Assertion):
                check(item, scope)
            cursor.behind_gap = False
        scope.section = None

    def _input(self, cursor: _Cursor, section: InputSection) -> None:
        output, scope = cursor.output, self.scope
        strings = section.merged is not None and section.section.flags & SectionFlag.MERGE
        elsewhere = strings and not section.size  # all of them stand in another section
        if output.ignored or section.ghost or elsewhere:
            section.offset = (scope.dot - output.vma) & WORD
            return
        align = section.align if cursor.subalign is None else cursor.subalign
        output.align = max(output.align, align)
        start = align_up(scope.dot, align)
        if cursor.behind_gap and start != scope.dot:  # an orphan: GNU ld fills the latter of two gaps only
            output.pads.pop()
        self._pad(cursor, start)
        section.offset = (start - output.vma) & WORD
        size = section.section.size if self.untrimmed and section.deleted_at else section.size
        scope.dot = (start + size) & WORD
        output.size = (scope.dot - output.vma) & WORD

    def _pad(self, cursor: _Cursor, end: int) -> None:
        output, dot = cursor.output, self.scope.dot
        if end != dot:
            output.pads.append((dot - output.vma, end - dot, cursor.fill))
            output.size = (end - output.vma) & WORD

    def _assign_inside(self, cursor: _Cursor, assignment: Assignment) -> None:
        scope, output = self.scope, cursor.output
        if assignment.symbol != ".":
            output.sets_symbols |= scope.assign(assignment)
            return
        value = scope.fold(assignment.value)
        if scope.phase is Phase.MARK and not self._is_idle(assignment.value, None if value is None else value.value):
            output.keep = True
        if value is None:
            return
        address = (value.value + output.vma) & WORD if value.base is Kind.NUMBER else value.absolute
        if address < scope.dot:
            message = f"'.' cannot move backwards (from {scope.dot:#x} to {address:#x})"
            self._report(message, assignment.location)
            return
        if address != scope.dot and not output.ignored:
            output.steps[id(assignment)] = address - scope.dot
            self._pad(cursor, address)
            output.alloc |= output.kind not in NOT_ALLOCATED
            scope.dot = address

    def _is_idle(self, expression: Expression, value: int | None) -> bool:
        """Assignments to `.` that keep no empty section: 0, `. + 0`, and `ALIGN(. != 0 ? x : 1)` (GNU ld).

        A symbol of the script that is 0 counts as 0.
        """
        if value != 0:
            return False
        match expression:
            case Number() | Name():
                return self._is_zero(expression)
            case Binary(operator="+", left=Name(name="."), right=right):
                return self._is_zero(right)
            case Call(function="ALIGN", arguments=(Conditional(condition=condition, otherwise=Number(value=1)),)):
                return _asks_for_contents(condition)
        return False

    def _is_zero(self, expression: Expression) -> bool:
        if isinstance(expression, Number):
            return expression.value == 0
        return isinstance(expression, Name) and self.scope.is_script_number(expression.name, 0)

    def _data(self, cursor: _Cursor, item: DataItem) -> None:
        scope, output = self.scope, cursor.output
        item.offset = (scope.dot - output.vma) & WORD
        # Its value is that of an expression between sections: symbols are addresses in it.
        scope.section = None
        scope.fold(item.data.value)
        scope.section = output
        scope.dot = (scope.dot + item.data.size) & WORD
        output.size = (scope.dot - output.vma) & WORD

    def _fill_pattern(self, expression: Expression) -> bytes:
        value = self.scope.fold(expression)
        return fill_bytes(expression, None if value is None else value.value)

    # Behind the contents

    def _set_lma(self, output: OutputSection, align: int, padding: int) -> None:
        scope, statement, region = self.scope, output.statement, output.region or self.scope.regions[DEFAULT]
        if statement is not None and statement.load_address is not None:
            dot, scope.dot = scope.dot, 0
            value = scope.fold(statement.load_address)
            scope.dot = dot
            output.lma = output.vma if value is None else value.absolute
        elif output.load_region is not None:
            output.lma = output.load_region.current
            if statement is not None and statement.align_with_input:
                output.lma += padding
            else:
                if output.load_region is not region:
                    align = alignment_of(statement.align if statement else None, scope) or 1
                output.lma = align_up(output.lma, align)
        else:
            output.lma = output.vma
            last = region.last
            if last is not None and output.alloc:
                backwards = scope.dot < last.vma and output.size and scope.dot + output.size <= last.vma
                if not backwards:
                    follows = statement is not None and statement.overlay == "later"
                    lma = last.lma + last.size if follows else output.vma + last.lma - last.vma
                    output.lma = align_up(lma & WORD, align)

    def _advance(self, output: OutputSection) -> None:
        scope, region = self.scope, output.region or self.scope.regions[DEFAULT]
        counts = output.alloc and not output.is_tbss
        tracked = (
            output.size != 0
            or (region.last is None and output.vma != output.lma)
            or (region.last is not None and scope.dot >= region.last.vma)
        )
        is_first = output.statement is not None and output.statement.overlay == "first"
        if ((counts and tracked) or is_first) and output.load_region is None:
            region.last = output
        if output.ignored:
            return
        length = 0 if output.is_tbss else output.size
        scope.dot = (scope.dot + length) & WORD
        if output.statement is not None and output.statement.end is not None:
            value = scope.fold(output.statement.end)
            if value is not None:
                scope.dot = value.absolute
        if not output.alloc and not output.load:
            return
        region.current = scope.dot
        self._check_room(output, region, output.vma)
        if output.load_region is not None and output.load_region is not region:
            aligned = bool(output.statement and output.statement.align_with_input)
            if output.load or aligned:
                output.load_region.current = output.lma + length
                self._check_room(output, output.load_region, output.lma)

    def _check_room(self, output: OutputSection, region: Region, address: int) -> None:
        if not self.reports or region.name == DEFAULT or output.removed:
            return
        end = region.origin + region.length
        over = region.current - end
        if region.current >= region.origin and (over <= 0 or over <= region.overflow):
            return
        region.overflow = max(over, 1)
        size = f"{over} bytes too many" if over > 0 else f"its address {address:#x} lies before the region"
        message = f"section '{output.name}' does not fit into region '{region.name}': {size}"
        where = output.statement.location if output.statement else region.location
        span = f"the region is {region.origin:#x} .. {end:#x}, the section {address:#x} .. {address + output.size:#x}"
        self._report(message, where, span)


def _asks_for_contents(condition: Expression) -> bool:
    match condition:
        case Binary(operator="!=", left=Name(name="."), right=Number(value=0)):
            return True
    return False


def _where(output: OutputSection) -> Location | None:
    return output.statement.location if output.statement else None
