"""D, double-precision floating point (unprivileged manual, tables "RV32D" and "RV64D Standard Extension").

`rm0` is a rounding mode that is `rne` when not written: those conversions are exact, so GNU writes 000 there.
"""

ROWS = """
fld      frd, imm12(rs1)          | imm[11:0]             rs1  011      rd 0000111
fsd      frs2, simm12(rs1)        | imm[11:5]         rs2 rs1  011 imm[4:0] 0100111
fmadd.d  frd, frs1, frs2, frs3, rm | rs3 01           rs2 rs1   rm      rd 1000011
fmsub.d  frd, frs1, frs2, frs3, rm | rs3 01           rs2 rs1   rm      rd 1000111
fnmsub.d frd, frs1, frs2, frs3, rm | rs3 01           rs2 rs1   rm      rd 1001011
fnmadd.d frd, frs1, frs2, frs3, rm | rs3 01           rs2 rs1   rm      rd 1001111
fadd.d   frd, frs1, frs2, rm      | 0000001           rs2 rs1   rm      rd 1010011
fsub.d   frd, frs1, frs2, rm      | 0000101           rs2 rs1   rm      rd 1010011
fmul.d   frd, frs1, frs2, rm      | 0001001           rs2 rs1   rm      rd 1010011
fdiv.d   frd, frs1, frs2, rm      | 0001101           rs2 rs1   rm      rd 1010011
fsqrt.d  frd, frs1, rm            | 0101101         00000 rs1   rm      rd 1010011
fsgnj.d  frd, frs1, frs2          | 0010001           rs2 rs1  000      rd 1010011
fsgnjn.d frd, frs1, frs2          | 0010001           rs2 rs1  001      rd 1010011
fsgnjx.d frd, frs1, frs2          | 0010001           rs2 rs1  010      rd 1010011
fmin.d   frd, frs1, frs2          | 0010101           rs2 rs1  000      rd 1010011
fmax.d   frd, frs1, frs2          | 0010101           rs2 rs1  001      rd 1010011
fcvt.s.d frd, frs1, rm            | 0100000         00001 rs1   rm      rd 1010011
fcvt.d.s frd, frs1, rm0           | 0100001         00000 rs1   rm      rd 1010011
feq.d    rd, frs1, frs2           | 1010001           rs2 rs1  010      rd 1010011
flt.d    rd, frs1, frs2           | 1010001           rs2 rs1  001      rd 1010011
fle.d    rd, frs1, frs2           | 1010001           rs2 rs1  000      rd 1010011
fclass.d rd, frs1                 | 1110001         00000 rs1  001      rd 1010011
fcvt.w.d rd, frs1, rm             | 1100001         00000 rs1   rm      rd 1010011
fcvt.wu.d rd, frs1, rm            | 1100001         00001 rs1   rm      rd 1010011
fcvt.d.w frd, rs1, rm0            | 1101001         00000 rs1   rm      rd 1010011
fcvt.d.wu frd, rs1, rm0           | 1101001         00001 rs1   rm      rd 1010011
fcvt.l.d rd, frs1, rm             | 1100001         00010 rs1   rm      rd 1010011
fcvt.lu.d rd, frs1, rm            | 1100001         00011 rs1   rm      rd 1010011
fmv.x.d  rd, frs1                 | 1110001         00000 rs1  000      rd 1010011
fcvt.d.l frd, rs1, rm             | 1101001         00010 rs1   rm      rd 1010011
fcvt.d.lu frd, rs1, rm            | 1101001         00011 rs1   rm      rd 1010011
fmv.d.x  frd, rs1                 | 1111001         00000 rs1  000      rd 1010011
"""
