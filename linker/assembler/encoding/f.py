"""F, single-precision floating point (unprivileged manual, tables "RV32F" and "RV64F Standard Extension")."""

ROWS = """
flw      frd, imm12(rs1)          | imm[11:0]             rs1  010      rd 0000111
fsw      frs2, simm12(rs1)        | imm[11:5]         rs2 rs1  010 imm[4:0] 0100111
fmadd.s  frd, frs1, frs2, frs3, rm | rs3 00           rs2 rs1   rm      rd 1000011
fmsub.s  frd, frs1, frs2, frs3, rm | rs3 00           rs2 rs1   rm      rd 1000111
fnmsub.s frd, frs1, frs2, frs3, rm | rs3 00           rs2 rs1   rm      rd 1001011
fnmadd.s frd, frs1, frs2, frs3, rm | rs3 00           rs2 rs1   rm      rd 1001111
fadd.s   frd, frs1, frs2, rm      | 0000000           rs2 rs1   rm      rd 1010011
fsub.s   frd, frs1, frs2, rm      | 0000100           rs2 rs1   rm      rd 1010011
fmul.s   frd, frs1, frs2, rm      | 0001000           rs2 rs1   rm      rd 1010011
fdiv.s   frd, frs1, frs2, rm      | 0001100           rs2 rs1   rm      rd 1010011
fsqrt.s  frd, frs1, rm            | 0101100         00000 rs1   rm      rd 1010011
fsgnj.s  frd, frs1, frs2          | 0010000           rs2 rs1  000      rd 1010011
fsgnjn.s frd, frs1, frs2          | 0010000           rs2 rs1  001      rd 1010011
fsgnjx.s frd, frs1, frs2          | 0010000           rs2 rs1  010      rd 1010011
fmin.s   frd, frs1, frs2          | 0010100           rs2 rs1  000      rd 1010011
fmax.s   frd, frs1, frs2          | 0010100           rs2 rs1  001      rd 1010011
fcvt.w.s rd, frs1, rm             | 1100000         00000 rs1   rm      rd 1010011
fcvt.wu.s rd, frs1, rm            | 1100000         00001 rs1   rm      rd 1010011
fmv.x.w  rd, frs1                 | 1110000         00000 rs1  000      rd 1010011
feq.s    rd, frs1, frs2           | 1010000           rs2 rs1  010      rd 1010011
flt.s    rd, frs1, frs2           | 1010000           rs2 rs1  001      rd 1010011
fle.s    rd, frs1, frs2           | 1010000           rs2 rs1  000      rd 1010011
fclass.s rd, frs1                 | 1110000         00000 rs1  001      rd 1010011
fcvt.s.w frd, rs1, rm             | 1101000         00000 rs1   rm      rd 1010011
fcvt.s.wu frd, rs1, rm            | 1101000         00001 rs1   rm      rd 1010011
fmv.w.x  frd, rs1                 | 1111000         00000 rs1  000      rd 1010011
fcvt.l.s rd, frs1, rm             | 1100000         00010 rs1   rm      rd 1010011
fcvt.lu.s rd, frs1, rm            | 1100000         00011 rs1   rm      rd 1010011
fcvt.s.l frd, rs1, rm             | 1101000         00010 rs1   rm      rd 1010011
fcvt.s.lu frd, rs1, rm            | 1101000         00011 rs1   rm      rd 1010011
"""
