"""RV32I and RV64I (unprivileged manual, chapter "RV32/64G Instruction Set Listings").

A row is a mnemonic, its operands as they are written, and the bits 31..0 as the manual prints them.
How operands are named: see `operands.py`. `fence.tso` and `fence.i` stand with their chapters.
"""

BASE = """
lui     rd, uimm20          | imm[31:12]                          rd 0110111
auipc   rd, uimm20          | imm[31:12]                          rd 0010111
jal     rd, label21         | imm[20|10:1|11|19:12]               rd 1101111
jalr    rd, imm12(rs1)      | imm[11:0]             rs1  000      rd 1100111
beq     rs1, rs2, label13   | imm[12|10:5]      rs2 rs1  000 imm[4:1|11] 1100011
bne     rs1, rs2, label13   | imm[12|10:5]      rs2 rs1  001 imm[4:1|11] 1100011
blt     rs1, rs2, label13   | imm[12|10:5]      rs2 rs1  100 imm[4:1|11] 1100011
bge     rs1, rs2, label13   | imm[12|10:5]      rs2 rs1  101 imm[4:1|11] 1100011
bltu    rs1, rs2, label13   | imm[12|10:5]      rs2 rs1  110 imm[4:1|11] 1100011
bgeu    rs1, rs2, label13   | imm[12|10:5]      rs2 rs1  111 imm[4:1|11] 1100011
lb      rd, imm12(rs1)      | imm[11:0]             rs1  000      rd 0000011
lh      rd, imm12(rs1)      | imm[11:0]             rs1  001      rd 0000011
lw      rd, imm12(rs1)      | imm[11:0]             rs1  010      rd 0000011
lbu     rd, imm12(rs1)      | imm[11:0]             rs1  100      rd 0000011
lhu     rd, imm12(rs1)      | imm[11:0]             rs1  101      rd 0000011
sb      rs2, simm12(rs1)    | imm[11:5]         rs2 rs1  000 imm[4:0] 0100011
sh      rs2, simm12(rs1)    | imm[11:5]         rs2 rs1  001 imm[4:0] 0100011
sw      rs2, simm12(rs1)    | imm[11:5]         rs2 rs1  010 imm[4:0] 0100011
addi    rd, rs1, imm12      | imm[11:0]             rs1  000      rd 0010011
slti    rd, rs1, imm12      | imm[11:0]             rs1  010      rd 0010011
sltiu   rd, rs1, imm12      | imm[11:0]             rs1  011      rd 0010011
xori    rd, rs1, imm12      | imm[11:0]             rs1  100      rd 0010011
ori     rd, rs1, imm12      | imm[11:0]             rs1  110      rd 0010011
andi    rd, rs1, imm12      | imm[11:0]             rs1  111      rd 0010011
add     rd, rs1, rs2        | 0000000           rs2 rs1  000      rd 0110011
sub     rd, rs1, rs2        | 0100000           rs2 rs1  000      rd 0110011
sll     rd, rs1, rs2        | 0000000           rs2 rs1  001      rd 0110011
slt     rd, rs1, rs2        | 0000000           rs2 rs1  010      rd 0110011
sltu    rd, rs1, rs2        | 0000000           rs2 rs1  011      rd 0110011
xor     rd, rs1, rs2        | 0000000           rs2 rs1  100      rd 0110011
srl     rd, rs1, rs2        | 0000000           rs2 rs1  101      rd 0110011
sra     rd, rs1, rs2        | 0100000           rs2 rs1  101      rd 0110011
or      rd, rs1, rs2        | 0000000           rs2 rs1  110      rd 0110011
and     rd, rs1, rs2        | 0000000           rs2 rs1  111      rd 0110011
fence   pred, succ          | 0000 pred succ      00000  000   00000 0001111
fence.tso                   | 1000 0011 0011      00000  000   00000 0001111
ecall                       | 000000000000        00000  000   00000 1110011
ebreak                      | 000000000001        00000  000   00000 1110011
"""
"""Table "RV32I Base Instruction Set"; the shifts by immediate are RV64I's."""

WIDE = """
lwu     rd, imm12(rs1)      | imm[11:0]             rs1  110      rd 0000011
ld      rd, imm12(rs1)      | imm[11:0]             rs1  011      rd 0000011
sd      rs2, simm12(rs1)    | imm[11:5]         rs2 rs1  011 imm[4:0] 0100011
slli    rd, rs1, shamt6     | 000000     shamt[5:0] rs1  001      rd 0010011
srli    rd, rs1, shamt6     | 000000     shamt[5:0] rs1  101      rd 0010011
srai    rd, rs1, shamt6     | 010000     shamt[5:0] rs1  101      rd 0010011
addiw   rd, rs1, imm12      | imm[11:0]             rs1  000      rd 0011011
slliw   rd, rs1, shamt5     | 0000000    shamt[4:0] rs1  001      rd 0011011
srliw   rd, rs1, shamt5     | 0000000    shamt[4:0] rs1  101      rd 0011011
sraiw   rd, rs1, shamt5     | 0100000    shamt[4:0] rs1  101      rd 0011011
addw    rd, rs1, rs2        | 0000000           rs2 rs1  000      rd 0111011
subw    rd, rs1, rs2        | 0100000           rs2 rs1  000      rd 0111011
sllw    rd, rs1, rs2        | 0000000           rs2 rs1  001      rd 0111011
srlw    rd, rs1, rs2        | 0000000           rs2 rs1  101      rd 0111011
sraw    rd, rs1, rs2        | 0100000           rs2 rs1  101      rd 0111011
"""
"""Table "RV64I Base Instruction Set (in addition to RV32I)"."""

THREAD_POINTER = """
add     rd, rs1, tp, tprel  | 0000000         00100 rs1  000      rd 0110011
"""
"""psABI, "Local Exec": an `add` of the thread pointer that names its symbol with `%tprel_add`."""

ZIFENCEI = """
fence.i                     | 000000000000        00000  001   00000 0001111
"""
"""Table "RV32/RV64 Zifencei Standard Extension"."""

ZIHINTPAUSE = """
pause                       | 0000 0001 0000      00000  000   00000 0001111
"""
"""Chapter "Zihintpause": a fence with predecessor W and no successor."""
