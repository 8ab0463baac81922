"""Addresses: passes over the plan until nothing moves any more (GNU ld, lang_size_sections)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.layout.inputs import InputSection
from linker.layout.regions import DEFAULT, choose_regions
from linker.layout.scope import DataSegment
from linker.layout.sections import DataItem, OutputSection
from linker.script.evaluate import WORD, Kind, Value, align_up, check, evaluate
from linker.script.syntax import Assertion, Assignment, Binary, Call, Conditional, Expression, Fill, Name, Number

if TYPE_CHECKING:
    from linker.layout.regions import Region
    from linker.layout.scope import Scope

_MAX_PASSES = 24
_ASSIGN_DOT_LIMIT = 1 << 40
"""Bytes: a section that `.` makes larger is a mistake."""


@dataclass(slots=True)
class _Cursor:
    """The place inside an output section."""

    output: OutputSection
    fill: bytes
    subalign: int | None


class Sizer:
    """Runs the passes."""

    def __init__(self, scope: Scope, forced: dict[str, int], *, check_regions: bool) -> None:
        self.scope = scope
        self.forced = forced
        """Section addresses from the command line (`-Ttext`)."""
        self.check_regions = check_regions
        self.moved = False

    def drop_empty(self) -> None:
        """Find the sections that stay empty, and leave them out (GNU ld, strip_excluded_output_sections)."""
        choose_regions(self.scope.plan.sections(), self.scope.regions)
        self._pass()
        for output in self.scope.plan.sections():
            if not output.created or (output.size == 0 and not output.keep):
                output.removed = True
                output.ignored = not output.sets_symbols or not output.created

    def run(self) -> None:
        """Lay out; errors are left in the scope."""
        scope = self.scope
        for _ in range(2):
            self._settle()
            if scope.data.adjust or not scope.data.saves_a_page():
                break
            scope.data.adjust = True
        scope.final = True
        self._pass()
        if self.moved and not scope.errors:
            message = "the addresses do not settle: a section's place depends on itself"
            scope.errors.append(Diagnostic(message))

    def restart(self) -> None:
        """Forget the last pass: the headers have another size than was assumed."""
        self.scope.final = False
        self.scope.data = DataSegment()
        self.scope.errors.clear()
        self.scope.anchors.clear()

    def _settle(self) -> None:
        for _ in range(_MAX_PASSES):
            before = self._snapshot()
            self._pass()
            if self._snapshot() == before:
                return

    def _snapshot(self) -> list[tuple[int, int, int]]:
        sections = [(s.vma, s.lma, s.size) for s in self.scope.plan.sections()]
        symbols = [(e.value, id(e.home), 0) for e in self.scope.table.names.values() if e.from_script]
        wanted = sum(entry.referenced for entry in self.scope.table.names.values())
        return [*sections, *symbols, (wanted, 0, 0)]

    # One pass

    def _pass(self) -> None:
        scope = self.scope
        before = self._snapshot() if scope.final else []
        for region in scope.regions.values():
            region.reset()
        scope.dot, scope.section, scope.previous = 0, None, None
        scope.moved_on = False
        scope.assigned.clear()
        for command in scope.plan.commands:
            if isinstance(command, OutputSection):
                self._output_section(command)
            else:
                self._assign_between(command)
                # As in GNU ld, any statement between sections makes `.` the place of what follows.
                scope.regions[DEFAULT].current = scope.dot
        self.moved = scope.final and self._snapshot() != before

    def _assign_between(self, assignment: Assignment | Assertion) -> None:
        scope = self.scope
        if isinstance(assignment, Assertion):
            check(assignment, scope)
            return
        if assignment.symbol != ".":
            scope.assign(assignment)
            return
        value = self._new_location(assignment)
        if value is None:
            return
        scope.dot = value.absolute
        scope.moved_on = True

    def _new_location(self, assignment: Assignment) -> Value | None:
        value = evaluate(assignment.value, self.scope)
        self.scope.note(assignment, value)
        if value is None:
            self.scope.report(Diagnostic("the location counter gets no known value", assignment.location))
        return value

    def _output_section(self, output: OutputSection) -> None:
        scope = self.scope
        statement = output.statement
        address = statement.address if statement else None
        start = None
        if output.name in self.forced:
            start = self.forced[output.name]
        elif address is not None:
            value = evaluate(address, scope)
            if value is not None:
                start = value.absolute
            elif scope.final:
                message = f"the address of section '{output.name}' is not known here"
                scope.report(Diagnostic(message, statement.location if statement else None))
        if start is not None:
            scope.dot = start
        if not output.created or output.ignored:
            if not output.created:
                self._symbols_only(output)
            output.vma = output.lma = scope.dot
            output.size, output.vma_known, output.lma_known = 0, True, True
            return
        align, padding = self._start(output, start)
        self._contents(output)
        self._set_lma(output, align, padding)
        self._advance(output)
        if output.alloc:
            scope.previous, scope.moved_on = output, False

    def _symbols_only(self, output: OutputSection) -> None:
        """A statement that makes no section still checks its assertions."""
        for item in output.items:
            if isinstance(item, Assertion):
                check(item, self.scope)

    def _start(self, output: OutputSection, start: int | None) -> tuple[int, int]:
        """Set the start address. Returns the alignment used and the bytes it cost."""
        scope, statement = self.scope, output.statement
        wanted = self._align_option(statement.align if statement else None)
        if wanted is not None:
            output.align = max(output.align, wanted)
        is_debug_orphan = statement is None and not output.alloc
        if start is None and is_debug_orphan:
            start = 0  # what is not loaded has no address
        if start is None:
            region = self._region(output)
            dot, align = region.current, output.align
        else:
            self._region(output)
            dot, align = start, wanted or 1
        output.vma = align_up(dot, align)
        output.vma_known = True
        scope.dot = output.vma
        return align, output.vma - dot

    def _align_option(self, expression: Expression | None) -> int | None:
        if expression is None:
            return None
        value = evaluate(expression, self.scope)
        if value is None or value.value == 0:
            return None
        if value.value & (value.value - 1):
            self.scope.report(Diagnostic(f"an alignment of {value.value} is not a power of two", _place(expression)))
            return None
        return value.value

    def _region(self, output: OutputSection) -> Region:
        scope, statement = self.scope, output.statement
        if output.region is not None and output.region.name != DEFAULT:
            return output.region
        default = scope.regions[DEFAULT]
        output.region = default
        if output.like is not None and output.like.region is not None:
            output.region, output.load_region = output.like.region, output.like.load_region
            if output.region is not default:
                return output.region
        if statement is not None and statement.region and output.chosen is None:
            message = f"section '{output.name}' goes to the memory region '{statement.region}', which MEMORY lacks"
            scope.report(Diagnostic(message, statement.location))
        elif output.chosen is not None and output.chosen is not default:
            output.region = output.chosen
        elif output.alloc:
            fitting = (r for r in scope.regions.values() if r.name != DEFAULT and r.accepts(output))
            output.region = next(fitting, default)
        if statement is not None and statement.load_region and output.load_region is None:
            message = f"section '{output.name}' is loaded to region '{statement.load_region}', which MEMORY lacks"
            scope.report(Diagnostic(message, statement.location))
        self._check_region_given(output, has_address=bool(statement and statement.address is not None))
        return output.region

    def _check_region_given(self, output: OutputSection, *, has_address: bool) -> None:
        if output.region is None or output.region.name != DEFAULT or has_address or not self.check_regions:
            return
        if output.alloc and not output.is_tbss and len(self.scope.regions) > 1 and not output.removed:
            message = f"no memory region is given for section '{output.name}'"
            where = output.statement.location if output.statement else None
            hint = "add '>region' behind it, or attributes such as (rwx) to a region"
            self.scope.report(Diagnostic(message, where, hint=hint))

    # Contents

    def _contents(self, output: OutputSection) -> None:
        scope, statement = self.scope, output.statement
        scope.section = output
        subalign = self._align_option(statement.subalign) if statement else None
        fill = self._fill_pattern(statement.fill) if statement and statement.fill is not None else b"\0"
        cursor = _Cursor(output, fill, subalign)
        output.pads, output.size = [], 0
        for item in output.items:
            if isinstance(item, InputSection):
                self._input(cursor, item)
            elif isinstance(item, Assignment):
                self._assign_inside(cursor, item)
            elif isinstance(item, DataItem):
                self._data(cursor, item)
            elif isinstance(item, Fill):
                cursor.fill = self._fill_pattern(item.pattern)
            elif isinstance(item, Assertion):
                check(item, scope)
        scope.section = None

    def _input(self, cursor: _Cursor, section: InputSection) -> None:
        output, scope = cursor.output, self.scope
        if section.merged is not None and not section.size:  # all its strings are elsewhere
            section.offset = scope.dot - output.vma
            return
        align = section.align if cursor.subalign is None else cursor.subalign
        output.align = max(output.align, align)
        start = align_up(scope.dot, align)
        self._pad(cursor, start)
        section.offset = (start - output.vma) & WORD
        scope.dot = start + section.size
        output.size = scope.dot - output.vma

    def _pad(self, cursor: _Cursor, end: int) -> None:
        output, dot = cursor.output, self.scope.dot
        if end > dot:
            output.pads.append((dot - output.vma, end - dot, cursor.fill))
            output.size = end - output.vma

    def _assign_inside(self, cursor: _Cursor, assignment: Assignment) -> None:
        scope, output = self.scope, cursor.output
        if assignment.symbol != ".":
            output.sets_symbols = True
            scope.assign(assignment)
            return
        value = self._new_location(assignment)
        if value is None:
            return
        address = (value.value + output.vma) & WORD if isinstance(value.base, Kind) else value.absolute
        if not _is_idle(assignment.value, value.value):
            output.keep = True
        if address < scope.dot:
            message = f"'.' cannot move backwards (from {scope.dot:#x} to {address:#x})"
            scope.report(Diagnostic(message, assignment.location))
            return
        if address - scope.dot > _ASSIGN_DOT_LIMIT:
            message = (
                f"'.' moves by {address - scope.dot:#x} bytes; inside a section it counts from the section's start"
            )
            scope.report(Diagnostic(message, assignment.location))
            return
        if address != scope.dot:
            self._pad(cursor, address)
            if output.kind not in ("COPY", "INFO", "OVERLAY", "DSECT"):
                output.alloc = True
            scope.dot = address
            output.size = scope.dot - output.vma

    def _data(self, cursor: _Cursor, item: DataItem) -> None:
        scope, output = self.scope, cursor.output
        item.offset = scope.dot - output.vma
        # Its value is that of an expression between sections: symbols are addresses in it.
        scope.section = None
        value = evaluate(item.data.value, scope)
        scope.section = output
        item.value = 0 if value is None else value.absolute
        scope.dot += item.data.size
        output.size = scope.dot - output.vma

    def _fill_pattern(self, expression: Expression) -> bytes:
        """A hexadecimal number fills as long as it is written, another value as four bytes, big-endian."""
        if isinstance(expression, Number) and expression.text[:2].lower() == "0x":
            digits = expression.text[2:]
            return bytes.fromhex("0" * (len(digits) % 2) + digits) if digits.isalnum() else b"\0"
        value = evaluate(expression, self.scope)
        return (0 if value is None else value.value & 0xFFFF_FFFF).to_bytes(4, "big")

    # Behind the contents

    def _set_lma(self, output: OutputSection, align: int, padding: int) -> None:
        statement = output.statement
        output.lma_known = True
        if statement is not None and statement.load_address is not None:
            value = evaluate(statement.load_address, self.scope)
            output.lma = output.vma if value is None else value.absolute
            return
        region = output.region
        assert region is not None
        if output.load_region is not None:
            output.lma = output.load_region.current
            if statement is not None and statement.align_with_input:
                output.lma += padding
            else:
                if output.load_region is not region:
                    align = self._align_option(statement.align if statement else None) or 1
                output.lma = align_up(output.lma, align)
            return
        output.lma = output.vma
        last = region.last
        if last is not None and output.alloc:
            backwards = output.vma < last.vma and output.size and output.vma + output.size <= last.vma
            if not backwards:
                output.lma = align_up((output.vma + last.lma - last.vma) & WORD, align)

    def _advance(self, output: OutputSection) -> None:
        scope, region = self.scope, output.region
        assert region is not None
        tracked = (
            output.size != 0
            or (region.last is None and output.vma != output.lma)
            or (region.last is not None and output.vma >= region.last.vma)
        )
        if tracked and not output.removed and output.load_region is None and output.alloc:
            region.last = output
        length = 0 if output.is_tbss else output.size
        scope.dot = (output.vma + length) & WORD
        if not output.alloc:
            return
        region.current = scope.dot
        self._check_room(output, region, output.vma)
        if output.load_region is not None and output.load_region is not region:
            aligned = bool(output.statement and output.statement.align_with_input)
            if output.load or aligned:
                output.load_region.current = output.lma + length
                self._check_room(output, output.load_region, output.lma)

    def _check_room(self, output: OutputSection, region: Region, address: int) -> None:
        if not self.scope.final or region.name == DEFAULT or output.removed:
            return
        end = region.origin + region.length
        over = address + output.size - end
        if address < region.origin or (over > 0 and over > region.overflow):
            region.overflow = max(over, 1)
            size = f"{over} bytes too many" if over > 0 else f"its address {address:#x} lies before the region"
            message = f"section '{output.name}' does not fit into region '{region.name}': {size}"
            where = output.statement.location if output.statement else region.location
            span = (
                f"the region is {region.origin:#x} .. {end:#x}, the section {address:#x} .. {address + output.size:#x}"
            )
            self.scope.report(Diagnostic(message, where, hint=span))


def _is_idle(expression: Expression, value: int) -> bool:
    """Assignments to `.` that keep no empty section: 0, `.`, `. + 0` and `ALIGN(. != 0 ? x : 1)` (GNU ld)."""
    if value != 0:
        return False
    match expression:
        case Number() | Name():
            return True
        case Binary(operator="+", left=Name(name="."), right=Number(value=0)):
            return True
        case Call(function="ALIGN", arguments=(Conditional(condition=Binary(operator="!=")),)):
            return True
    return False


def _place(expression: Expression) -> Location | None:
    return getattr(expression, "location", None)
