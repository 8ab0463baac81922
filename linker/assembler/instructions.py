"""Encodes instructions: finds the row whose operands fit, and writes its bits, compressed where GNU would."""

import re
from dataclasses import dataclass
from typing import Protocol

from linker.assembler.advice import for_csr, for_operands, for_register, for_word
from linker.assembler.diagnostics import StatementError
from linker.assembler.encoding.elsewhere import extension_elsewhere
from linker.assembler.encoding.operands import Kind, Operand
from linker.assembler.encoding.rows import AddressSlot, Row, Slot, ValueSlot
from linker.assembler.encoding.table import Table, extension_of
from linker.assembler.expressions import ExpressionError, wrap
from linker.assembler.program import Branch, Expr, Fixup, Fragment, Tail
from linker.assembler.source import Mark
from linker.objects.riscv import R

_LONG_FORM = {0xA001: 0x0000_006F, 0xC001: 0x0000_0063, 0xE001: 0x0000_1063}
"""What GNU turns `c.j`, `c.beqz` and `c.bnez` into when the target is far: jal zero, beq and bne with zero."""
_COMPRESSED_CODE = 0xE003
"""The bits of a compressed jump or branch that say which one it is."""


_UPPER = (0x37, 0x17)
"""Opcodes of `lui` and `auipc`."""
_SHRINKING = (R.HI20, R.PCREL_HI20, R.TPREL_HI20, R.TPREL_ADD, R.CALL_PLT)
"""Instructions with these are counted as ones that the linker could shorten, as GNU counts them."""

_QUOTED_OR_COMMA = re.compile(
    r"""  "(?:[^"\\]++|\\.)*+"?  |  '(?:\\[0-7]{1,3}|\\.|[^\\])'?  |  ,  """, re.VERBOSE | re.DOTALL
)
_LABEL_WIDTH = re.compile(r"label\d+")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An operand that does not fit a row."""

    row: Row
    index: int
    found: str
    reason: str
    """Why it is not even an expression, where that is so."""

    @property
    def expectation(self) -> str:
        """What should stand there."""
        slot = self.row.slots[self.index]
        if isinstance(slot, AddressSlot):
            text = f"an address such as {_address_example(slot)}"
            if slot.offset.high:
                text += f", with {slot.offset.operand.expectation}"
        else:
            text = _written_operands(self.row)[self.index].expectation
        return f"{text} ({self.reason})" if self.reason else text


def split_operands(text: str) -> list[str]:
    """Operands as they are written, without the space around them; commas in quotes or brackets do not separate.

    >>> split_operands("a0, 8(sp)")
    ['a0', '8(sp)']
    """
    if not text:
        return []
    if "'" not in text and '"' not in text:
        return [part.strip() for part in text.split(",")]
    parts: list[str] = []
    start = 0
    for match in _QUOTED_OR_COMMA.finditer(text):
        if match[0] == ",":
            parts.append(text[start : match.start()].strip())
            start = match.end()
    parts.append(text[start:].strip())
    return parts


class Writer(Protocol):
    """The place that instructions are written to, and what is known there."""

    table: Table
    fragment: Fragment
    mark: Mark
    uses_privileged: bool

    def expression(self, text: str) -> Expr:
        """Read an expression. Raises ExpressionError."""

    def known(self, expression: Expr) -> int | None:
        """The number that an expression is now, or None. Raises ExpressionError."""

    def add_fixup(self, fixup: Fixup) -> None:
        """Have a value written at the end."""

    def add_tail(self, tail: Tail) -> None:
        """Append a part whose size is decided later."""

    def end_run(self) -> None:
        """Note that the instruction just written could become shorter at the link."""


class InstructionEncoder:
    """Writes instructions into the current section."""

    def __init__(self, assembly: Writer) -> None:
        self._assembly = assembly
        self._pending: tuple[R, Expr] | None = None
        self._compressible = True
        self._reason = ""

    def instruction(self, mnemonic: str, operands: list[str]) -> bool:
        """Encode one instruction that the table has; false when no row is of that mnemonic.

        Raises:
            StatementError: no row of the mnemonic fits the operands.

        """
        rows = self._assembly.table.rows.get(mnemonic)
        if rows is None:
            return False
        self.choose(mnemonic, rows, operands)
        return True

    def choose(self, mnemonic: str, rows: list[Row], operands: list[str]) -> None:
        """Encode the first row that fits. Raises StatementError when none does."""
        mismatches = self._try_rows(rows, operands)
        if mismatches is not None:
            self._explain(mnemonic, rows, operands, mismatches)

    def fits(self, mnemonic: str, operands: list[str]) -> bool:
        """Encode one instruction if a row fits; false, and nothing written, if none does."""
        rows = self._assembly.table.rows.get(mnemonic)
        return rows is not None and self._try_rows(rows, operands) is None

    def _try_rows(self, rows: list[Row], operands: list[str]) -> list[Mismatch] | None:
        count = len(operands)
        mismatches: list[Mismatch] = []
        for row in rows:
            if not row.required <= count <= len(row.slots):
                continue
            word = row.word if count == row.required else row.word & ~row.optional_mask
            self._pending = None
            self._compressible = True
            self._reason = ""
            for index, (slot, operand) in enumerate(zip(row.slots, operands, strict=False)):
                bits = slot.get(operand) if type(slot) is dict else self._bits(slot, operand)
                if bits is None:
                    mismatches.append(Mismatch(row, index, operand, self._reason))
                    break
                word |= bits
            else:
                self._emit(row, word)
                return None
        return mismatches

    def _bits(self, slot: Slot, text: str) -> int | None:
        assert not isinstance(slot, dict)
        if not isinstance(slot, AddressSlot):
            return self._value(slot, text)
        offset, register = _split_address(text)
        bits = slot.registers.get(register)
        if bits is None or not offset:
            return bits
        offset_bits = self._value(slot.offset, offset)
        return None if offset_bits is None else bits | offset_bits

    def _value(self, slot: ValueSlot, text: str) -> int | None:
        """The bits of a number, or none of a symbol, which is then pending; None when it does not fit."""
        operand = slot.operand
        if text[:1] == "%":
            return self._relocated(slot, text)
        if operand.names and text in operand.names:
            return slot.place(operand.names[text])
        if operand.kind is Kind.RELOCATION:
            return None
        try:
            expression = self._assembly.expression(text)
            if operand.kind is Kind.LABEL:
                assert operand.relocations is not None
                self._pending = operand.relocations[""], expression
                return 0
            value = self._assembly.known(expression)
        except ExpressionError as error:
            self._reason = str(error)
            return None
        if value is None:
            return None
        return slot.encode(wrap(value) if value >> 63 == 1 else value)

    def _relocated(self, slot: ValueSlot, text: str) -> int | None:
        """The bits of `%lo(symbol)` and its like: those of a number, else none and a relocation to come."""
        operator, rest = _split_operator(text)
        relocations = slot.operand.relocations or {}
        if operator not in relocations:
            return None
        try:
            expression = self._assembly.expression(rest)
            value = self._assembly.known(expression)
        except ExpressionError as error:
            self._reason = str(error)
            return None
        kind = relocations[operator]
        if value is not None and kind in (R.HI20, R.LO12_I, R.LO12_S):
            self._compressible = False  # as GNU, although nothing is left to relocate
            return slot.place(constant_part(kind, value))
        self._pending = kind, expression
        return 0

    def _emit(self, row: Row, word: int) -> None:
        assembly = self._assembly
        if row.privileged:
            assembly.uses_privileged = True
        if self._pending is None:
            short = row.compress(word) if row.compressions and self._compressible else None
            if short is not None:
                assembly.fragment.data += short.to_bytes(2, "little")
            else:
                assembly.fragment.data += word.to_bytes(row.size, "little")
                if word & 0x7F in _UPPER and row.size == 4:
                    assembly.end_run()
            return
        kind, expression = self._pending
        long = _LONG_FORM.get(word & _COMPRESSED_CODE) if row.size == 2 else None
        if row.label is None or (row.size == 2 and long is None):
            self.emit_relocated(word, row.size, kind, expression)
        elif long is not None:
            if kind != R.RVC_JUMP:
                long |= (8 + (word >> 7 & 7)) << 15
            self._emit_branch(row, kind, long, word, expression)
        else:
            self._emit_branch(row, kind, word, row.compress(word) if row.compressions else None, expression)

    def _emit_branch(self, row: Row, kind: R, word: int, short: int | None, target: Expr) -> None:
        assembly = self._assembly
        is_jump = kind in (R.JAL, R.RVC_JUMP)
        if short is None and isinstance(target, int) and is_jump:
            # a jump to a number is as long as it can be already
            self.emit_relocated(word, 4, R.JAL, target)
            return
        assembly.add_tail(Branch(row, word, short, target, is_jump, assembly.mark))

    def emit_relocated(self, word: int, size: int, kind: R, expression: Expr) -> None:
        """Write bits whose field for a symbol is filled in later."""
        assembly = self._assembly
        data = assembly.fragment.data
        assembly.add_fixup(Fixup(assembly.fragment, len(data), kind, expression, assembly.mark, size))
        data += word.to_bytes(size, "little")
        if kind in _SHRINKING:
            assembly.end_run()

    def _explain(self, mnemonic: str, rows: list[Row], operands: list[str], mismatches: list[Mismatch]) -> None:
        common = for_operands(mnemonic, operands)
        if not mismatches:
            forms = dict.fromkeys(_LABEL_WIDTH.sub("label", row.signature) or "no operands" for row in rows)
            raise StatementError(
                f"{mnemonic!r} does not take {len(operands)} operand{'s' * (len(operands) != 1)}",
                mnemonic,
                "expected "
                + ", or ".join(f"'{mnemonic} {form}'" if form != "no operands" else form for form in forms)
                + (f"; {common}" if common else ""),
            )
        furthest = max(mismatch.index for mismatch in mismatches)
        chosen = [mismatch for mismatch in mismatches if mismatch.index == furthest]
        expectations = dict.fromkeys(mismatch.expectation for mismatch in chosen)
        for wider in list(expectations):
            expectations = {text: None for text in expectations if not text.startswith(f"{wider} other than")}
        found = chosen[0].found
        advice = common or (next(filter(None, map(_advice, chosen)), "") if found else "")
        raise StatementError(
            f"operand {furthest + 1} of {mnemonic!r} does not fit: {found!r}"
            if found
            else f"operand {furthest + 1} of {mnemonic!r} is missing",
            found,
            "expected " + ", or ".join(expectations) + (f"; {advice}" if advice else ""),
        )


def _advice(mismatch: Mismatch) -> str:
    """What to say about an operand that is a register or a CSR nearly, or elsewhere."""
    slot = mismatch.row.slots[mismatch.index]
    if isinstance(slot, dict):
        return for_register(mismatch.found, slot)
    if isinstance(slot, AddressSlot):
        return for_register(_split_address(mismatch.found)[1], slot.registers)
    return for_csr(mismatch.found) if slot.operand.kind is Kind.CSR else ""


def constant_part(kind: R, value: int) -> int:
    """What `%hi` or `%lo` of a number is (psABI, "Absolute Addresses")."""
    if kind is R.HI20:
        return ((value + 0x800) >> 12) & 0xFFFFF
    return value & 0xFFF


def _split_address(text: str) -> tuple[str, str]:
    if not text.endswith(")"):
        return "", ""
    opening = text.rfind("(")
    return text[:opening].strip(), text[opening + 1 : -1].strip()


def _split_operator(text: str) -> tuple[str, str]:
    end = 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[:end], text[end:].strip()


def _address_example(slot: AddressSlot) -> str:
    return "(a0)" if slot.offset.high == 0 else ("8(sp)" if len(slot.registers) < 4 else "8(a0)")


def _written_operands(row: Row) -> list[Operand]:
    """The first operand of each slot."""
    written: list[Operand] = []
    remaining = iter(operand for operand, _ in row.flat)
    for slot in row.slots:
        written.append(next(remaining))
        if isinstance(slot, AddressSlot):
            next(remaining)
    return written


def unknown_mnemonic(mnemonic: str, names: list[str]) -> StatementError:
    """The error for a word that is no instruction, macro or directive, with the nearest one that is."""
    extension = extension_of(mnemonic)
    if extension is not None:
        return StatementError(
            f"instruction {mnemonic!r} belongs to extension {extension!r}, which is not enabled",
            mnemonic,
            f"enable it with '-march=' or '.option arch, +{extension}'",
        )
    elsewhere = extension_elsewhere(mnemonic)
    if elsewhere is not None:
        return StatementError(
            f"instruction {mnemonic!r} belongs to extension {elsewhere!r}, which is not implemented",
            mnemonic,
            "'.insn' writes an instruction by its fields",
        )
    kind = "directive" if mnemonic.startswith(".") else "instruction"
    return StatementError(f"no such {kind}: {mnemonic!r}", mnemonic, for_word(mnemonic, names))
