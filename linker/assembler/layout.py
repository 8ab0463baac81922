"""Layout: gives every fragment its address, with jumps and branches as short as their targets allow.

The order of steps is GNU's, so that where several layouts are consistent the same one is found: each pass goes over
the fragments once, and a target further on still has the address of the pass before.
"""

from collections.abc import Iterator

from linker.assembler.diagnostics import Diagnostics
from linker.assembler.evaluation import Evaluator
from linker.assembler.expressions import ExpressionError
from linker.assembler.program import (
    Advance,
    Align,
    AsmSymbol,
    Binary,
    Branch,
    Expr,
    Fill,
    Fragment,
    Leb128,
    Org,
    SectionBuilder,
)
from linker.objects import leb128
from linker.objects.model import SymbolBinding

_PASSES = 100
"""Layouts settle within a few passes; after so many, parts may only grow any more."""

MAX_SIZE = 1 << 28
"""Bytes that a section may have in the file; more is taken for a mistake in the source."""

_REACH_SHORT_BRANCH = 1 << 8
_REACH_SHORT_JUMP = 1 << 11
_REACH_BRANCH = 1 << 12


class Layout:
    """Lays out one section."""

    def __init__(self, section: SectionBuilder, evaluator: Evaluator, diagnostics: Diagnostics) -> None:
        self._section = section
        self._fragments = section.fragments()
        self._evaluator = evaluator
        self._diagnostics = diagnostics
        self._only_grow = False

    def run(self) -> None:
        """Assign all addresses and sizes."""
        self._estimate()
        passes = 0
        while self._adjust():
            passes += 1
            self._only_grow = passes > _PASSES
            if passes > 2 * _PASSES:
                self._report_endless()
                break
        last = self._fragments[-1] if self._fragments else None
        self._section.size = last.address + len(last.data) + _tail_size(last) if last else 0

    def _report_endless(self) -> None:
        for fragment in self._fragments:
            if isinstance(fragment.tail, Org | Fill | Leb128):
                self._diagnostics.error("the size of this depends on itself", fragment.tail.mark)
                return

    def _estimate(self) -> None:
        address = 0
        for fragment in self._fragments:
            fragment.address = address
            address += len(fragment.data)
            if fragment.tail is not None:
                fragment.tail.size = self._size(fragment)
                address += fragment.tail.size

    def _adjust(self) -> bool:
        """One pass; true when a size changed."""
        stretch = 0
        changed = False
        for fragment in self._fragments:
            fragment.address += stretch
            tail = fragment.tail
            if tail is None:
                continue
            size = self._size(fragment)
            if self._only_grow:
                size = max(size, tail.size)
            if size != tail.size:
                stretch += size - tail.size
                tail.size = size
                changed = True
        return changed

    def _size(self, fragment: Fragment) -> int:
        tail = fragment.tail
        end = fragment.address + len(fragment.data)
        match tail:
            case Align():
                padding = -end % tail.alignment
                return 0 if tail.maximum and padding > tail.maximum else padding
            case Branch():
                return self._branch_size(tail, end)
            case Leb128():
                return len(leb128.written(self._number(tail.value) or 0, signed=tail.signed))
            case Advance():
                return self._advance_size(tail)
            case Org():
                return self._org_size(tail, end)
            case Fill():
                count = self._number(tail.count)
                size = max(count or 0, 0) * len(tail.pattern)
                return size if self._section.is_nobits else min(size, MAX_SIZE)
        return 0

    def _number(self, expression: Expr) -> int | None:
        try:
            return self._evaluator.known(expression)
        except ExpressionError:
            return None  # reported once, when the section is written

    def _advance_size(self, tail: Advance) -> int:
        distance = self._number(Binary("-", tail.end, tail.start)) or 0
        return sum(map(len, advance(distance)))

    def _org_size(self, tail: Org, end: int) -> int:
        try:
            value = self._evaluator.linear(tail.target)
        except ExpressionError:
            return 0
        if value is None or value.removed or len(value.added) > 1:
            return 0
        target = value.constant
        if value.added:
            place = self._evaluator.place(value.added[0])
            if place is None or place[0].section is not self._section:
                return 0
            target += place[0].address + place[1]
        return min(max(target - end, 0), MAX_SIZE)

    def _branch_size(self, branch: Branch, end: int) -> int:
        distance = self._distance(branch, end)
        if distance is not None:
            reach = _REACH_SHORT_JUMP if branch.is_jump else _REACH_SHORT_BRANCH
            if branch.short is not None and -reach <= distance < reach:
                return 2
            if -_REACH_BRANCH <= distance < _REACH_BRANCH:
                return 4
            if branch.short is not None and not branch.is_jump:
                return 6
        return 4 if branch.is_jump else 8

    def _distance(self, branch: Branch, end: int) -> int | None:
        """From the branch to its target; None when that is in another section, undefined or weak."""
        try:
            value = self._evaluator.linear(branch.target)
        except ExpressionError:
            return None
        if value is None or value.removed or len(value.added) != 1:
            return None
        symbol: AsmSymbol = value.added[0]
        place = self._evaluator.place(symbol)
        if place is None or place[0].section is not self._section or symbol.binding is SymbolBinding.WEAK:
            return None
        return place[0].address + place[1] + value.constant - end


def _tail_size(fragment: Fragment) -> int:
    return fragment.tail.size if fragment.tail else 0


def advance(distance: int) -> Iterator[bytes]:
    """`DW_CFA_advance_loc` in its shortest form: the code, and the distance behind it where it is not in it."""
    if distance < 0x40:
        yield bytes([0x40 | distance])
        return
    for code, size in ((0x02, 1), (0x03, 2), (0x04, 4)):
        if distance < 1 << 8 * size:
            yield bytes([code])
            yield distance.to_bytes(size, "little")
            return
