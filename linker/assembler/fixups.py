"""Turns laid-out fragments into bytes, and what is not known until linking into relocations."""

from dataclasses import dataclass

from linker.assembler.directives.space import nops
from linker.assembler.encoding.fields import Field, parse_pattern
from linker.assembler.evaluation import Linear
from linker.assembler.expressions import ExpressionError
from linker.assembler.instructions import constant_part
from linker.assembler.layout import advance
from linker.assembler.program import (
    Advance,
    Align,
    AsmSymbol,
    Binary,
    Branch,
    Expr,
    Fill,
    Fixup,
    Fragment,
    Leb128,
    Org,
    SectionBuilder,
    WrittenRelocation,
)
from linker.assembler.source import Mark
from linker.assembler.state import Assembly
from linker.objects import leb128
from linker.objects.model import SectionFlag, SymbolType
from linker.objects.riscv import R

_TARGET_FIELDS: dict[int, Field] = {
    R.BRANCH: parse_pattern("imm[12|10:5] 00000 00000 000 imm[4:1|11] 0000000").fields["imm"],
    R.JAL: parse_pattern("imm[20|10:1|11|19:12] 00000 0000000").fields["imm"],
    R.RVC_BRANCH: parse_pattern("000 imm[8|4:3] 000 imm[7:6|2:1|5] 00").fields["imm"],
    R.RVC_JUMP: parse_pattern("000 imm[11|4|9:8|10|6|7|3:1|5] 00").fields["imm"],
}
"""Where jumps and branches hold their target, which GNU fills in for reading although the linker computes it anew."""

_HI_FIELD = parse_pattern("imm[31:12] 00000 0000000").fields["imm"]
_LO_FIELDS: dict[int, Field] = {
    R.LO12_I: parse_pattern("imm[11:0] 00000 000 00000 0000000").fields["imm"],
    R.LO12_S: parse_pattern("imm[11:5] 00000 00000 000 imm[4:0] 0000000").fields["imm"],
}
_DATA = {4: R.ABS32, 8: R.ABS64}
_ADD = {1: R.ADD8, 2: R.ADD16, 4: R.ADD32, 8: R.ADD64}
_SUB = {1: R.SUB8, 2: R.SUB16, 4: R.SUB32, 8: R.SUB64}
_STEPS = {1: (R.SET6, R.SUB6), 2: (R.SET8, R.SUB8), 3: (R.SET16, R.SUB16), 5: (R.SET32, R.SUB32)}
"""By the size of a step in an unwind table."""
_THREAD_LOCAL = (R.TPREL_HI20, R.TPREL_LO12_I, R.TPREL_LO12_S, R.TPREL_ADD, R.TLS_GOT_HI20, R.TLS_GD_HI20)
_THREAD_LOCAL_DATA = (R.TLS_DTPREL32, R.TLS_DTPREL64)
RELAXABLE = (
    R.HI20, R.LO12_I, R.LO12_S, R.PCREL_HI20, R.PCREL_LO12_I, R.PCREL_LO12_S, R.CALL_PLT,
    R.TPREL_HI20, R.TPREL_LO12_I, R.TPREL_LO12_S, R.TPREL_ADD,
)  # fmt: skip
"""Relocations beside which GNU puts R_RISCV_RELAX where relaxation is on."""


@dataclass(slots=True)
class PendingRelocation:
    """A relocation whose symbol is still the assembler's."""

    offset: int
    type: int
    symbol: AsmSymbol | SectionBuilder | None
    """A section where the symbol itself is not written."""
    addend: int = 0


class SectionWriter:
    """Writes the bytes and relocations of one section, after layout."""

    def __init__(self, assembly: Assembly, section: SectionBuilder) -> None:
        self._assembly = assembly
        self._evaluator = assembly.evaluator
        self._section = section
        self.data = bytearray()
        self.relocations: list[PendingRelocation] = []

    def write(self) -> None:
        """Fill `data` and `relocations`; errors go to the assembly's diagnostics."""
        if self._section.data_mark:
            self._error(f"section {self._section.name!r} holds no data, only space", self._section.data_mark)
        for fragment in self._section.fragments():
            if self._section.is_nobits:
                if isinstance(fragment.tail, Branch):
                    self._error(f"section {self._section.name!r} holds no data, only space", fragment.tail.mark)
                elif isinstance(fragment.tail, Fill):
                    self._known(fragment.tail.count, fragment.tail.mark, "the count")
                elif isinstance(fragment.tail, Org):
                    self._org(fragment.tail, fragment.address + len(fragment.data))
                continue
            self.data += fragment.data
            if fragment.tail is not None:
                self._tail(fragment)
        for fixup in self._section.fixups:
            self._fixup(fixup, fixup.fragment.address + fixup.offset)
        self._pad()
        # GNU writes them in order of address as well; at one address in order of creation
        self.relocations.sort(key=lambda relocation: relocation.offset)
        ordered, self.relocations = self.relocations, []
        for written in self._assembly.written_relocations:
            self._written(written)
        self.relocations = _merged(ordered, self.relocations)

    def _pad(self) -> None:
        """Code ends at its alignment, as the linker pads with whole instructions; mergeable entries are whole."""
        if self._section.is_nobits:
            return
        if self._section.is_code:
            size = -len(self.data) % self._section.align
            self.data += bytes(size) if self._assembly.modes.relax else nops(size)
        if self._section.flags & SectionFlag.MERGE and self._section.entry_size > 1:
            self.data += bytes(-len(self.data) % self._section.entry_size)

    def _error(self, message: str, mark: Mark, hint: str = "") -> None:
        self._assembly.diagnostics.error(message, mark, hint=hint)

    # Parts whose size layout decided

    def _tail(self, fragment: Fragment) -> None:
        match fragment.tail:
            case Align() as align:
                self._align(align)
            case Fill() as fill:
                count = self._known(fill.count, fill.mark, "the count")
                if count is not None and max(count, 0) * len(fill.pattern) != fill.size:
                    self._error(f"{count} times {len(fill.pattern)} bytes are more than a section may have", fill.mark)
                    return
                self.data += fill.pattern * (fill.size // max(len(fill.pattern), 1))
            case Org() as org:
                self._org(org, len(self.data))
            case Leb128() as number:
                value = self._known(number.value, number.mark, "the value")
                self.data += leb128.written(value or 0, signed=number.signed)
            case Branch() as branch:
                self._branch(branch)
            case Advance() as step:
                self._advance(step)

    def _align(self, align: Align) -> None:
        if align.fill is None:
            # as GNU, which looks at what relaxation is at the end of the source
            self.data += bytes(align.size) if self._assembly.modes.relax else nops(align.size)
            return
        width = len(align.fill)
        if align.size % width:
            self._error(
                f"{align.size} bytes of padding are not filled by a value of {width} bytes",
                align.mark,
                "take '.balign'",
            )
            return
        self.data += bytes(align.size % width) + align.fill * (align.size // width)

    def _org(self, org: Org, start: int) -> None:
        value = self._linear(org.target, org.mark)
        if value is None:
            return
        target = value.constant
        if value.added or value.removed:
            place = self._evaluator.place(value.added[0]) if len(value.added) == 1 and not value.removed else None
            if place is None or place[0].section is not self._section:
                self._error("'.org' needs a place in its own section", org.mark)
                return
            target += place[0].address + place[1]
        if target < start:
            self._error(f"'.org' goes back from {start:#x} to {target:#x}", org.mark, "'.org' can only go forward")
        elif target - start != org.size:
            self._error(f"'.org {target:#x}' is too far away", org.mark)
        elif not self._section.is_nobits:
            self.data += bytes([org.fill]) * org.size

    def _known(self, expression: Expr, mark: Mark, what: str) -> int | None:
        value = self._linear(expression, mark)
        if value is None:
            return None
        if not value.is_constant:
            self._error(f"{what} is not a constant", mark, _names(value))
            return None
        return value.constant

    def _linear(self, expression: Expr, mark: Mark, *, fold: bool = True) -> Linear | None:
        try:
            value = self._evaluator.linear(expression, fold=fold)
        except ExpressionError as error:
            self._error(str(error), mark)
            return None
        if value is None:
            self._error("the expression cannot be computed: an operand of it is a symbol's address", mark)
        return value

    def _branch(self, branch: Branch) -> None:
        offset = len(self.data)
        match branch.size:
            case 2:
                assert branch.short is not None
                kind = R.RVC_JUMP if branch.is_jump else R.RVC_BRANCH
                self._put(branch.short, 2, kind, branch, offset)
            case 4:
                self._put(branch.word, 4, R.JAL if branch.is_jump else R.BRANCH, branch, offset)
            case 6:
                assert branch.short is not None
                # c.beqz and c.bnez differ in one bit; the inverted one skips the jump
                skip = _TARGET_FIELDS[R.RVC_BRANCH].place(6)
                self.data += ((branch.short ^ 1 << 13) | skip).to_bytes(2, "little")
                self._put(0x6F, 4, R.JAL, branch, offset + 2)
            case _:
                # beq and bne, blt and bge, bltu and bgeu differ in the lowest bit of funct3
                skip = _TARGET_FIELDS[R.BRANCH].place(8)
                self.data += ((branch.word ^ 1 << 12) | skip).to_bytes(4, "little")
                self._put(0x6F, 4, R.JAL, branch, offset + 4)

    def _advance(self, step: Advance) -> None:
        distance = self._known(Binary("-", step.end, step.start), step.mark, "the distance") or 0
        for piece in advance(distance):
            offset = len(self.data)
            self.data += piece
        set_kind, sub_kind = _STEPS[step.size]
        self._relocate(offset, set_kind, step.end, 0)
        self._relocate(offset, sub_kind, step.start, 0)

    def _put(self, word: int, size: int, kind: R, branch: Branch, offset: int) -> None:
        self.data += word.to_bytes(size, "little")
        self._instruction(kind, branch.target, offset, size, branch.mark)

    # Values

    def _fixup(self, fixup: Fixup, offset: int) -> None:
        if self._section.is_nobits:
            self._error(f"section {self._section.name!r} holds no data, only space", fixup.mark)
        elif fixup.type is None:
            self._number(fixup, offset)
        elif fixup.type is R.ALIGN:
            assert isinstance(fixup.expression, int)
            self.relocations.append(PendingRelocation(offset, R.ALIGN, None, fixup.expression))
        else:
            self._instruction(fixup.type, fixup.expression, offset, fixup.size, fixup.mark)
            made = self.relocations[-1] if self.relocations else None
            if fixup.relax and fixup.type in RELAXABLE and made and made.offset == offset and made.symbol:
                # GNU repeats the addend, which means nothing there
                self.relocations.append(PendingRelocation(offset, R.RELAX, None, made.addend))

    def _written(self, written: WrittenRelocation) -> None:
        """A relocation of `.reloc`, if it is this section's: where a symbol says so, else where it was written."""
        place = self._linear(written.offset, written.mark)
        if place is None:
            return
        section, offset = written.section, place.constant
        if place.added or place.removed:
            start = self._evaluator.place(place.added[0]) if len(place.added) == 1 and not place.removed else None
            if start is None:
                if written.section is self._section:
                    self._error("the offset of '.reloc' is neither a number nor a place", written.mark, _names(place))
                return
            section, offset = start[0].section, offset + start[0].address + start[1]
        if section is not self._section:
            return
        if not 0 <= offset <= len(self.data):
            self._error(f"offset {offset:#x} of '.reloc' is outside section {section.name!r}", written.mark)
            return
        value = self._linear(written.value, written.mark) if written.value is not None else Linear(0)
        if value is None:
            return
        if value.removed or len(value.added) > 1:
            self._error("a relocation can refer to one symbol and a distance from it", written.mark, _names(value))
        elif value.added:
            symbol = value.added[0]
            target = self._evaluator.place(symbol) if symbol.is_temporary else None
            if target is None:
                self._relocate(offset, written.type, symbol, value.constant)
            else:
                addend = target[0].address + target[1] + value.constant
                self.relocations.append(PendingRelocation(offset, written.type, target[0].section, addend))
        else:
            self.relocations.append(PendingRelocation(offset, written.type, None, value.constant))

    def _patch(self, offset: int, size: int, bits: int) -> None:
        old = int.from_bytes(self.data[offset : offset + size], "little")
        self.data[offset : offset + size] = (old | bits).to_bytes(size, "little")

    def _instruction(self, kind: int, expression: Expr, offset: int, size: int, mark: Mark) -> None:
        value = self._linear(expression, mark)
        if value is None:
            return
        if value.removed or len(value.added) > 1:
            self._error("an instruction can refer to one symbol and a distance from it", mark, _names(value))
            return
        if kind == R.HI20:
            self._patch(offset, size, _HI_FIELD.place(constant_part(R.HI20, value.constant) << 12))
        elif kind in _LO_FIELDS:
            self._patch(offset, size, _LO_FIELDS[kind].place(value.constant))
        if not value.added:
            if kind in _THREAD_LOCAL or kind in _THREAD_LOCAL_DATA:
                self._error("a number is not thread-local", mark, "expected a symbol of '.tdata' or '.tbss'")
                return
            if kind not in (R.HI20, R.LO12_I, R.LO12_S):
                self.relocations.append(PendingRelocation(offset, kind, None, value.constant))
            return
        symbol = value.added[0]
        if kind in _TARGET_FIELDS:
            place = self._evaluator.place(symbol)
            target = (place[0].address + place[1] if place else 0) + value.constant
            self._patch(offset, size, _TARGET_FIELDS[kind].place(target - offset))
        if kind in _THREAD_LOCAL or kind in _THREAD_LOCAL_DATA:
            self._thread_local(symbol, mark)
        if kind in _THREAD_LOCAL_DATA:
            self._patch(offset, size, value.constant & (1 << 8 * size) - 1)
        self._relocate(offset, kind, symbol, value.constant)

    def _thread_local(self, symbol: AsmSymbol, mark: Mark) -> None:
        place = self._evaluator.place(symbol)
        if symbol.common or (place and not place[0].section.flags & SectionFlag.TLS):
            where = f"section {place[0].section.name!r}" if place else "a common block"
            self._error(
                f"{symbol.name!r} is not thread-local: it is in {where}",
                mark,
                "take its address with 'la', or put it into '.tdata' or '.tbss'",
            )
        symbol.type = SymbolType.TLS

    def _relocate(self, offset: int, kind: int, symbol: AsmSymbol, addend: int) -> None:
        symbol.relocated = True
        self.relocations.append(PendingRelocation(offset, kind, symbol, addend))

    def _number(self, fixup: Fixup, offset: int) -> None:
        value = self._linear(fixup.expression, fixup.mark, fold=False)
        if value is None:
            return
        size = fixup.size
        if value.added and value.removed and len(value.added) == len(value.removed) == 1:
            distance = self._distance(value.added[0], value.removed[0])
            if distance is None:
                self._difference(fixup, offset, value)
                return
            value = Linear(value.constant + distance)
        if value.is_constant:
            self._constant(fixup, offset, value.constant)
        elif value.removed or len(value.added) > 1:
            self._error("data can refer to a symbol or to the difference of two", fixup.mark, _names(value))
        elif size not in _DATA:
            self._error(
                f"an address does not fit in {size} byte{'s' * (size > 1)}", fixup.mark, "expected '.word' or '.dword'"
            )
        else:
            self._relocate(offset, _DATA[size], value.added[0], value.constant)

    def _constant(self, fixup: Fixup, offset: int, value: int) -> None:
        bits = 8 * fixup.size
        if not -(1 << bits) < value < 1 << bits:
            self._error(f"value {value:#x} does not fit in {fixup.size} bytes", fixup.mark)
            return
        self.data[offset : offset + fixup.size] = (value & (1 << bits) - 1).to_bytes(fixup.size, "little")

    def _distance(self, plus: AsmSymbol, minus: AsmSymbol) -> int | None:
        """The distance of two places, if the linker cannot change it: in code it could, by relaxation."""
        place = self._evaluator.place(plus)
        if place is None or place[0].section.is_code:
            return None
        return self._evaluator.distance(plus, minus)

    def _difference(self, fixup: Fixup, offset: int, value: Linear) -> None:
        if fixup.size not in _ADD:
            self._error(f"a difference of symbols does not fit in {fixup.size} bytes", fixup.mark)
            return
        self._relocate(offset, _ADD[fixup.size], value.added[0], value.constant)
        self._relocate(offset, _SUB[fixup.size], value.removed[0], 0)


def _merged(ordered: list[PendingRelocation], written: list[PendingRelocation]) -> list[PendingRelocation]:
    """Relocations of `.reloc` among the others as GNU has them: each as late as the next one's address allows."""
    if not written:
        return ordered
    result: list[PendingRelocation] = []
    remaining = iter(written)
    following = next(remaining, None)
    for relocation in ordered:
        while following is not None and following.offset < relocation.offset:
            result.append(following)
            following = next(remaining, None)
        result.append(relocation)
    return result + ([following, *remaining] if following is not None else [])


def _names(value: Linear) -> str:
    parts = [f"+ {symbol.name}" for symbol in value.added] + [f"- {symbol.name}" for symbol in value.removed]
    return "it is " + " ".join(parts).removeprefix("+ ") + (f" + {value.constant}" if value.constant else "")
