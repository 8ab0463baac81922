"""Instructions as bits: opcodes, and instructions that are told by all or most of their bits.

Unprivileged manual, chapter 34 (opcode maps and instruction listings); privileged manual, chapter 5.
"""

OPCODE = 0x7F
"""The bits of an instruction of four bytes that are its opcode."""
LOAD, LOAD_FP, MISC_MEM, OP_IMM, AUIPC, OP_IMM_32 = 0x03, 0x07, 0x0F, 0x13, 0x17, 0x1B
STORE, STORE_FP, AMO, OP, LUI, OP_32 = 0x23, 0x27, 0x2F, 0x33, 0x37, 0x3B
MADD, MSUB, NMSUB, NMADD, OP_FP, OP_V, OP_VE = 0x43, 0x47, 0x4B, 0x4F, 0x53, 0x57, 0x77
BRANCH, JALR, JAL, SYSTEM = 0x63, 0x67, 0x6F, 0x73
FUSED = MADD, MSUB, NMSUB, NMADD
"""The multiply-adds."""

ECALL, EBREAK = 0x0000_0073, 0x0010_0073
SRET, MRET, WFI = 0x1020_0073, 0x3020_0073, 0x1050_0073
TRAP_RETURNS = SRET, MRET
OTHER_STACK = 0xFFFF_FFFF
"""No instruction: stands for a write of `satp` behind which other memory is at the stack pointer."""
SFENCE_VMA, SFENCE_VMA_MASK = 0x1200_0073, 0xFE00_7FFF
"""Whatever its registers are."""
LR, SC = 2, 3
"""funct5 of AMO: bits 31 to 27."""

C_J, C_BEQZ, C_BNEZ = 0xA001, 0xC001, 0xE001
C_JUMP_MASK = 0xE003
"""Quadrant and funct3, by which these three are told."""
C_JR, C_MV, C_JALR = 0x8002, 0x8002, 0x9002
"""`c.mv` is `c.jr` with a second register."""
C_REGISTER_MASK = 0xF07F
"""What is left of `c.jr` and `c.jalr` without their register, which is not x0."""
C_JR_MASK = C_REGISTER_MASK & ~(1 << 12)
"""The same, without what tells them from each other."""

RET, C_RET = 0x0000_8067, 0x8082
RETURNS = RET, C_RET
RET_MASK = 0xF_FFFF
"""`jalr zero, (ra)`, whatever its immediate is."""
CALLS = (0xFFF, 0xEF), (0x7FFF, 0xE7), (0xF07F, 0x9002)
"""`jal ra`, `jalr ra`, `c.jalr`: a mask each, and what it leaves."""


def signed(value: int, bits: int) -> int:
    """The lowest bits of a value as a number in two's complement.

    >>> signed(0xFFF, 12), signed(0x1007, 12)
    (-1, 7)
    """
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value
