"""`.insn`: an instruction by its format and fields, or by its bits (GNU as manual, "RISC-V Instruction Formats")."""

from functools import cache
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.encoding.registers import FLOAT, INTEGER
from linker.assembler.encoding.rows import AddressSlot, Row, ValueSlot, make_row
from linker.assembler.instructions import split_operands

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

_FORMATS = """
r   opcode7, funct3, funct7, rd, rs1, rs2          | funct7 rs2 rs1 funct3 rd opcode
r   opcode7, funct3, funct2, rd, rs1, rs2, rs3     | rs3 funct2 rs2 rs1 funct3 rd opcode
r4  opcode7, funct3, funct2, rd, rs1, rs2, rs3     | rs3 funct2 rs2 rs1 funct3 rd opcode
i   opcode7, funct3, rd, rs1, imm12                | imm[11:0] rs1 funct3 rd opcode
i   opcode7, funct3, rd, imm12(rs1)                | imm[11:0] rs1 funct3 rd opcode
s   opcode7, funct3, rs2, simm12(rs1)              | imm[11:5] rs2 rs1 funct3 imm[4:0] opcode
b   opcode7, funct3, rs1, rs2, label13             | imm[12|10:5] rs2 rs1 funct3 imm[4:1|11] opcode
sb  opcode7, funct3, rs1, rs2, label13             | imm[12|10:5] rs2 rs1 funct3 imm[4:1|11] opcode
u   opcode7, rd, uimm20                            | imm[31:12] rd opcode
j   opcode7, rd, label21                           | imm[20|10:1|11|19:12] rd opcode
uj  opcode7, rd, label21                           | imm[20|10:1|11|19:12] rd opcode
cr  opcode2, funct4, rd, rs2                       | funct4 rd rs2 opcode2
ci  opcode2, funct3, rd, imm6                      | funct3 imm[5] rd imm[4:0] opcode2
ciw opcode2, funct3, rd', uimm8                    | funct3 imm[7:0] rd' opcode2
css opcode2, funct3, rs2, uimm6                    | funct3 imm[5:0] rs2 opcode2
cl  opcode2, funct3, rd', uimm5(rs1')              | funct3 imm[4:2] rs1' imm[1:0] rd' opcode2
cs  opcode2, funct3, rs2', uimm5(rs1')             | funct3 imm[4:2] rs1' imm[1:0] rs2' opcode2
ca  opcode2, funct6, funct2, rd', rs2'             | funct6 rd' funct2 rs2' opcode2
cb  opcode2, funct3, rs1', label9                  | funct3 imm[8|4:3] rs1' imm[7:6|2:1|5] opcode2
cj  opcode2, funct3, label12                       | funct3 imm[11|4|9:8|10|6|7|3:1|5] opcode2
"""
"""A register field takes integer and floating-point registers."""

_OPCODES = {
    name: code << 2 | 3
    for code, name in enumerate(
        "load load_fp custom_0 misc_mem op_imm auipc op_imm_32 - store store_fp custom_1 amo op lui op_32 - "
        "madd msub nmsub nmadd op_fp - custom_2 - branch jalr - jal system - custom_3 -".upper().split()
    )
    if name != "-"
} | {"C0": 0, "C1": 1, "C2": 2}
"""Unprivileged manual, table "RISC-V base opcode map"."""


@cache
def _rows() -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for line in _FORMATS.strip().splitlines():
        left, bits = line.split(" | ")
        mnemonic, _, signature = left.partition(" ")
        row = make_row(mnemonic, " ".join(signature.split()), bits, "i")
        row.slots = tuple(_any_register(slot) for slot in row.slots)
        rows.setdefault(mnemonic, []).append(row)
    return rows


def _any_register(slot: dict[str, int] | ValueSlot | AddressSlot) -> dict[str, int] | ValueSlot | AddressSlot:
    if not isinstance(slot, dict):
        return slot
    bits = {INTEGER[name]: value for name, value in slot.items()}
    return slot | {name: bits[number] for name, number in FLOAT.items() if number in bits}


def insn(assembly: "Assembly", text: str) -> None:
    """The directive."""
    kind, _, rest = text.strip().partition(" ")
    rows = _rows().get(kind.lower())
    if rows is None:
        _raw(assembly, text)
        return
    if rows[0].size == 2 and not assembly.compressed:
        raise StatementError(f"format {kind!r} belongs to extension 'c', which is not enabled", kind)
    operands = split_operands(rest)
    names = [str(_OPCODES.get(operand.upper(), operand)) for operand in operands[:1]]
    fragment, start = assembly.fragment, len(assembly.fragment.data)
    assembly.encoder.choose(f".insn {kind}", rows, names + operands[1:])
    if rows[0].size == 4 and len(fragment.data) == start + 4:
        length = _length(int.from_bytes(fragment.data[start:], "little"))
        if length is None:
            raise StatementError("no instruction has these bits: they stand for more than 22 bytes", operands[0])
        assembly.emit(bytes(length - 4))


def _length(word: int) -> int | None:
    """Bytes of an instruction (unprivileged manual, "Expanded Instruction-Length Encoding"); None where reserved.

    >>> _length(0x0001), _length(0x13), _length(0x1F), _length(0x3F), _length(0x307F), _length(0x707F)
    (2, 4, 6, 8, 16, None)
    """
    if word & 3 != 3:
        return 2
    if word & 0x1F != 0x1F:
        return 4
    if word & 0x3F == 0x1F:
        return 6
    if word & 0x7F == 0x3F:
        return 8
    return 10 + 2 * (word >> 12 & 7) if word & 0x7000 != 0x7000 else None


def _raw(assembly: "Assembly", text: str) -> None:
    parts = split_operands(text)
    if len(parts) not in (1, 2):
        raise StatementError(
            f"{text!r} is neither an instruction format nor bits", text, "formats: " + ", ".join(_rows())
        )
    value = assembly.absolute(parts[-1])
    length = _length(value)
    if length is None:
        raise StatementError(f"no instruction has the bits {parts[-1]}", parts[-1])
    if len(parts) == 2:
        given = assembly.absolute(parts[0])
        if given != length:
            raise StatementError(f"the bits are those of an instruction of {length} bytes, not {given}", parts[0])
    if not 0 <= value < 1 << 8 * length:
        raise StatementError(f"{parts[-1]} does not fit in {length} bytes", parts[-1])
    assembly.emit(value.to_bytes(length, "little"))
