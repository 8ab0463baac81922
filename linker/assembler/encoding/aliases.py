"""Pseudo-instructions that stand for one instruction (unprivileged manual, "Assembly Programmer's Handbook").

A row is a pseudo-instruction and the instruction it stands for. A name on the right takes what is written for it on
the left; anything else on the right is fixed. `exactly` keeps the result from being compressed, as GNU `as` does for
those. Rows of the same mnemonic are tried from top to bottom. Those that become several instructions: `pseudo.py`.
"""

INTEGER = """
nop                     = addi zero, zero, 0
li      rd, imm12       = exactly addi rd, zero, imm12
mv      rd, rs1         = exactly addi rd, rs1, 0
move    rd, rs1         = exactly addi rd, rs1, 0
not     rd, rs1         = xori rd, rs1, -1
neg     rd, rs2         = sub rd, zero, rs2
negw    rd, rs2         = subw rd, zero, rs2
sext.w  rd, rs1         = addiw rd, rs1, 0
zext.b  rd, rs1         = exactly andi rd, rs1, 255
seqz    rd, rs1         = sltiu rd, rs1, 1
snez    rd, rs2         = sltu rd, zero, rs2
sltz    rd, rs1         = slt rd, rs1, zero
sgtz    rd, rs2         = slt rd, zero, rs2
sgt     rd, rs2, rs1    = slt rd, rs1, rs2
sgtu    rd, rs2, rs1    = sltu rd, rs1, rs2
add     rd, rs1, imm12  = addi rd, rs1, imm12
addw    rd, rs1, imm12  = addiw rd, rs1, imm12
and     rd, rs1, imm12  = andi rd, rs1, imm12
or      rd, rs1, imm12  = ori rd, rs1, imm12
xor     rd, rs1, imm12  = xori rd, rs1, imm12
slt     rd, rs1, imm12  = slti rd, rs1, imm12
sltu    rd, rs1, imm12  = sltiu rd, rs1, imm12
sll     rd, rs1, shamt6 = slli rd, rs1, shamt6
srl     rd, rs1, shamt6 = srli rd, rs1, shamt6
sra     rd, rs1, shamt6 = srai rd, rs1, shamt6
sllw    rd, rs1, shamt5 = slliw rd, rs1, shamt5
srlw    rd, rs1, shamt5 = srliw rd, rs1, shamt5
sraw    rd, rs1, shamt5 = sraiw rd, rs1, shamt5
"""

CONTROL = """
beqz    rs1, label13      = beq rs1, zero, label13
bnez    rs1, label13      = bne rs1, zero, label13
blez    rs2, label13      = bge zero, rs2, label13
bgez    rs1, label13      = bge rs1, zero, label13
bltz    rs1, label13      = blt rs1, zero, label13
bgtz    rs2, label13      = blt zero, rs2, label13
bgt     rs2, rs1, label13 = blt rs1, rs2, label13
ble     rs2, rs1, label13 = bge rs1, rs2, label13
bgtu    rs2, rs1, label13 = bltu rs1, rs2, label13
bleu    rs2, rs1, label13 = bgeu rs1, rs2, label13
j       label21           = jal zero, label21
jal     label21           = jal ra, label21
jr      rs1               = jalr zero, 0(rs1)
jr      imm12(rs1)        = jalr zero, imm12(rs1)
jr      rs1, imm12        = jalr zero, imm12(rs1)
jalr    rs1               = jalr ra, 0(rs1)
jalr    imm12(rs1)        = jalr ra, imm12(rs1)
jalr    rd, rs1           = jalr rd, 0(rs1)
jalr    rd, rs1, imm12    = jalr rd, imm12(rs1)
jalr    rs1, imm12        = jalr ra, imm12(rs1)
ret                       = jalr zero, 0(ra)
scall                     = ecall
sbreak                    = ebreak
fence                     = fence iorw, iorw
"""

UNIMPLEMENTED = """
unimp                     = csrrw zero, cycle, zero
"""
"""Where there are no compressed instructions: a write to a read-only CSR. With them, see `COMPRESSED`."""

COMPRESSED = """
unimp                     = c.unimp
li      rd!0, imm6        = c.li rd, imm6
mv      rd!0, rs2!0       = c.mv rd, rs2
move    rd!0, rs2!0       = c.mv rd, rs2
jr      rs1!0             = c.jr rs1
jalr    rs1!0             = c.jalr rs1
ret                       = c.jr ra
"""
"""Where there are compressed instructions these are tried first."""

CSR = """
csrr    rd, csr         = csrrs rd, csr, zero
csrw    csr, rs1        = csrrw zero, csr, rs1
csrs    csr, rs1        = csrrs zero, csr, rs1
csrc    csr, rs1        = csrrc zero, csr, rs1
csrwi   csr, zimm5      = csrrwi zero, csr, zimm5
csrsi   csr, zimm5      = csrrsi zero, csr, zimm5
csrci   csr, zimm5      = csrrci zero, csr, zimm5
csrw    csr, zimm5      = csrrwi zero, csr, zimm5
csrs    csr, zimm5      = csrrsi zero, csr, zimm5
csrc    csr, zimm5      = csrrci zero, csr, zimm5
csrrw   rd, csr, zimm5  = csrrwi rd, csr, zimm5
csrrs   rd, csr, zimm5  = csrrsi rd, csr, zimm5
csrrc   rd, csr, zimm5  = csrrci rd, csr, zimm5
rdcycle   rd            = csrrs rd, cycle, zero
rdtime    rd            = csrrs rd, time, zero
rdinstret rd            = csrrs rd, instret, zero
"""

FLOAT_CSR = """
frcsr   rd              = csrrs rd, fcsr, zero
frsr    rd              = csrrs rd, fcsr, zero
fscsr   rs1             = csrrw zero, fcsr, rs1
fscsr   rd, rs1         = csrrw rd, fcsr, rs1
fssr    rs1             = csrrw zero, fcsr, rs1
fssr    rd, rs1         = csrrw rd, fcsr, rs1
frrm    rd              = csrrs rd, frm, zero
fsrm    rs1             = csrrw zero, frm, rs1
fsrm    rd, rs1         = csrrw rd, frm, rs1
fsrmi   zimm5           = csrrwi zero, frm, zimm5
fsrmi   rd, zimm5       = csrrwi rd, frm, zimm5
frflags rd              = csrrs rd, fflags, zero
fsflags rs1             = csrrw zero, fflags, rs1
fsflags rd, rs1         = csrrw rd, fflags, rs1
fsflagsi zimm5          = csrrwi zero, fflags, zimm5
fsflagsi rd, zimm5      = csrrwi rd, fflags, zimm5
"""


def float_moves(width: str) -> str:
    """The sign-injection pseudo-instructions and swapped comparisons of one width, `s` or `d`."""
    return f"""
fmv.{width}  frd, frs1        = fsgnj.{width} frd, frs1, frs1
fneg.{width} frd, frs1        = fsgnjn.{width} frd, frs1, frs1
fabs.{width} frd, frs1        = fsgnjx.{width} frd, frs1, frs1
fgt.{width}  rd, frs2, frs1   = flt.{width} rd, frs1, frs2
fge.{width}  rd, frs2, frs1   = fle.{width} rd, frs1, frs2
"""


OLD_FLOAT_NAMES = """
fmv.x.s rd, frs1        = fmv.x.w rd, frs1
fmv.s.x frd, rs1        = fmv.w.x frd, rs1
"""
