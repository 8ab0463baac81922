"""C, compressed instructions for RV64 (unprivileged manual, tables "Instruction listing for RVC, Quadrants 0, 1, 2").

The third column is what the instruction expands into. Read from right to left it is also the rule by which an
instruction is compressed: where the operands of the longer one fit, the assembler writes the shorter. Further forms
that GNU `as` compresses follow after a comma-free `or`. A row without a third column is never chosen by itself.

`rd'` are the registers x8..x15, `rd!0` is not x0, `rd!02` neither x0 nor x2; a repeated name means the same register.
"""

# ruff: noqa: E501  a row is a line
QUADRANT_0 = """
c.unimp                      | 000 00000000 000 00
c.addi4spn rd', sp, nzuimm10x4 | 000 imm[5:4|9:6|2|3] rd' 00                 | addi rd', sp, nzuimm10x4 or add rd', sp, nzuimm10x4
c.fld  frd', uimm8x8(rs1')   | 001 imm[5:3] rs1' imm[7:6] rd' 00             | fld frd', uimm8x8(rs1')
c.lw   rd', uimm7x4(rs1')    | 010 imm[5:3] rs1' imm[2|6] rd' 00             | lw rd', uimm7x4(rs1')
c.ld   rd', uimm8x8(rs1')    | 011 imm[5:3] rs1' imm[7:6] rd' 00             | ld rd', uimm8x8(rs1')
c.fsd  frs2', uimm8x8(rs1')  | 101 imm[5:3] rs1' imm[7:6] rs2' 00            | fsd frs2', uimm8x8(rs1')
c.sw   rs2', uimm7x4(rs1')   | 110 imm[5:3] rs1' imm[2|6] rs2' 00            | sw rs2', uimm7x4(rs1')
c.sd   rs2', uimm8x8(rs1')   | 111 imm[5:3] rs1' imm[7:6] rs2' 00            | sd rs2', uimm8x8(rs1')
"""

QUADRANT_1 = """
c.nop                        | 000 0 00000 00000 01                          | addi zero, zero, 0
c.nop  nzimm6                  | 000 imm[5] 00000 imm[4:0] 01
c.addi rd, imm6              | 000 imm[5] rd imm[4:0] 01                     | addi rd!0, rd, nzimm6 or add rd!0, rd, imm6
c.addiw rd!0, imm6           | 001 imm[5] rd imm[4:0] 01                     | addiw rd!0, rd, imm6
c.li   rd, imm6              | 010 imm[5] rd imm[4:0] 01                     | addi rd!0, zero, imm6
c.addi16sp sp, nzimm10x16    | 011 imm[9] 00010 imm[4|6|8:7|5] 01            | addi sp, sp, nzimm10x16 or add sp, sp, nzimm10x16
c.lui  rd!2, nzuimm20c       | 011 imm[17] rd imm[16:12] 01                  | lui rd!02, nzuimm20c
c.srli64 rd'                 | 100 0 00 rd' 00000 01
c.srai64 rd'                 | 100 0 01 rd' 00000 01
c.srli rd', nzshamt6         | 100 shamt[5] 00 rd' shamt[4:0] 01             | srli rd', rd', nzshamt6
c.srai rd', nzshamt6         | 100 shamt[5] 01 rd' shamt[4:0] 01             | srai rd', rd', nzshamt6
c.andi rd', imm6             | 100 imm[5] 10 rd' imm[4:0] 01                 | andi rd', rd', imm6
c.sub  rd', rs2'             | 100 0 11 rd' 00 rs2' 01                       | sub rd', rd', rs2'
c.xor  rd', rs2'             | 100 0 11 rd' 01 rs2' 01                       | xor rd', rd', rs2' or xor rd', rs2', rd'
c.or   rd', rs2'             | 100 0 11 rd' 10 rs2' 01                       | or rd', rd', rs2' or or rd', rs2', rd'
c.and  rd', rs2'             | 100 0 11 rd' 11 rs2' 01                       | and rd', rd', rs2' or and rd', rs2', rd'
c.subw rd', rs2'             | 100 1 11 rd' 00 rs2' 01                       | subw rd', rd', rs2'
c.addw rd', rs2'             | 100 1 11 rd' 01 rs2' 01                       | addw rd', rd', rs2' or addw rd', rs2', rd'
c.j    label12               | 101 imm[11|4|9:8|10|6|7|3:1|5] 01             | j label21
c.beqz rs1', label9          | 110 imm[8|4:3] rs1' imm[7:6|2:1|5] 01         | beq rs1', zero, label13
c.bnez rs1', label9          | 111 imm[8|4:3] rs1' imm[7:6|2:1|5] 01         | bne rs1', zero, label13
"""

QUADRANT_2 = """
c.slli64 rd                  | 000 0 rd 00000 10
c.slli rd, nzshamt6          | 000 shamt[5] rd shamt[4:0] 10                 | slli rd!0, rd, nzshamt6
c.fldsp frd, uimm9x8(sp)     | 001 imm[5] rd imm[4:3|8:6] 10                 | fld frd, uimm9x8(sp)
c.lwsp rd!0, uimm8x4(sp)     | 010 imm[5] rd imm[4:2|7:6] 10                 | lw rd!0, uimm8x4(sp)
c.ldsp rd!0, uimm9x8(sp)     | 011 imm[5] rd imm[4:3|8:6] 10                 | ld rd!0, uimm9x8(sp)
c.jr   rs1!0                 | 100 0 rs1 00000 10
c.mv   rd, rs2!0             | 100 0 rd rs2 10                               | add rd!0, zero, rs2!0 or addi rd!0, rs2!0, 0
c.ebreak                     | 100 1 00000 00000 10                          | ebreak
c.jalr rs1!0                 | 100 1 rs1 00000 10
c.add  rd, rs2!0             | 100 1 rd rs2 10                               | add rd!0, rd, rs2!0 or add rd!0, rs2!0, rd
c.fsdsp frs2, uimm9x8(sp)    | 101 imm[5:3|8:6] rs2 10                       | fsd frs2, uimm9x8(sp)
c.swsp rs2, uimm8x4(sp)      | 110 imm[5:2|7:6] rs2 10                       | sw rs2, uimm8x4(sp)
c.sdsp rs2, uimm9x8(sp)      | 111 imm[5:3|8:6] rs2 10                       | sd rs2, uimm9x8(sp)
"""
