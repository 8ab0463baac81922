"""The bits by which instructions are told, against the assembler that is compared with GNU's."""

import pytest

from emu.isa import encodings as bits
from linker.assembler import assemble

OPCODES = {
    bits.LOAD: ("lb a0, (a1)", "ld a0, (a1)"), bits.LOAD_FP: ("flw fa0, (a1)", "fld fa0, (a1)"),
    bits.OP_IMM: ("addi a0, a1, 1", "srai a0, a1, 3"), bits.AUIPC: ("auipc a0, 1",),
    bits.OP_IMM_32: ("addiw a0, a1, 1", "slliw a0, a1, 1"), bits.STORE: ("sb a0, (a1)", "sd a0, (a1)"),
    bits.STORE_FP: ("fsw fa0, (a1)",), bits.AMO: ("lr.w a0, (a1)", "amoadd.d a0, a1, (a2)"),
    bits.OP: ("add a0, a1, a2", "mul a0, a1, a2"), bits.LUI: ("lui a0, 1",), bits.OP_32: ("addw a0, a1, a2",),
    bits.MADD: ("fmadd.d fa0, fa1, fa2, fa3",), bits.MSUB: ("fmsub.s fa0, fa1, fa2, fa3",),
    bits.NMSUB: ("fnmsub.d fa0, fa1, fa2, fa3",), bits.NMADD: ("fnmadd.d fa0, fa1, fa2, fa3",),
    bits.OP_FP: ("fadd.d fa0, fa1, fa2", "fmv.x.d a0, fa0"), bits.BRANCH: ("beq a0, a1, .", "bgeu a0, a1, ."),
    bits.JALR: ("jalr a0, (a1)",), bits.JAL: ("jal a0, .",), bits.SYSTEM: ("csrr a0, mepc", "wfi"),
}  # fmt: skip
WHOLE = {
    "ecall": bits.ECALL, "ebreak": bits.EBREAK, "sret": bits.SRET, "mret": bits.MRET, "wfi": bits.WFI,
    "ret": bits.RET, "c.jr ra": bits.C_RET,
}  # fmt: skip
"""Instructions of which all bits are known."""
MASKED = [
    ("sfence.vma a0, a1", bits.SFENCE_VMA_MASK, bits.SFENCE_VMA), ("jalr zero, -4(ra)", bits.RET_MASK, bits.RET),
    ("c.j .", bits.C_JUMP_MASK, bits.C_J), ("c.beqz a0, .", bits.C_JUMP_MASK, bits.C_BEQZ),
    ("c.bnez a0, .", bits.C_JUMP_MASK, bits.C_BNEZ), ("c.jr a5", bits.C_REGISTER_MASK, bits.C_JR),
    ("c.jalr a5", bits.C_REGISTER_MASK, bits.C_JALR), ("c.jalr a5", bits.C_JR_MASK, bits.C_JR),
    ("jal ra, .", *bits.CALLS[0]), ("jalr ra, 8(a5)", *bits.CALLS[1]), ("c.jalr a5", *bits.CALLS[2]),
]  # fmt: skip


def assembled(source: str) -> int:
    source = source if source.startswith("c.") else f".option norvc\n{source}"
    return int.from_bytes(bytes(assemble(source, name="t.s").section(".text").data)[:4], "little")


@pytest.mark.parametrize("opcode", OPCODES, ids=hex)
def test_an_opcode_is_that_of_its_instructions(opcode: int) -> None:
    assert {assembled(source) & bits.OPCODE for source in OPCODES[opcode]} == {opcode}


@pytest.mark.parametrize("source", WHOLE)
def test_an_instruction_without_operands_has_these_bits(source: str) -> None:
    assert assembled(source) == WHOLE[source]


@pytest.mark.parametrize(("source", "mask", "left"), MASKED)
def test_the_rest_of_an_instruction_does_not_matter_behind_its_mask(source: str, mask: int, left: int) -> None:
    assert assembled(source) & mask == left


def test_an_sc_is_told_from_an_lr_by_its_highest_bits() -> None:
    assert (assembled("lr.d a0, (a1)") >> 27, assembled("sc.d a0, a1, (a2)") >> 27) == (bits.LR, bits.SC)
