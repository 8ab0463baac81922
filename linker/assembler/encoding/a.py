"""A, atomic instructions (unprivileged manual, tables "RV32A" and "RV64A Standard Extension").

`aq` and `rl` in the bits stand for the suffixes `.aq`, `.rl` and `.aqrl` of the mnemonic.
"""

WORD = """
lr.w      rd, (rs1)         | 00010 aq rl     00000 rs1  010      rd 0101111
sc.w      rd, rs2, (rs1)    | 00011 aq rl       rs2 rs1  010      rd 0101111
amoswap.w rd, rs2, (rs1)    | 00001 aq rl       rs2 rs1  010      rd 0101111
amoadd.w  rd, rs2, (rs1)    | 00000 aq rl       rs2 rs1  010      rd 0101111
amoxor.w  rd, rs2, (rs1)    | 00100 aq rl       rs2 rs1  010      rd 0101111
amoand.w  rd, rs2, (rs1)    | 01100 aq rl       rs2 rs1  010      rd 0101111
amoor.w   rd, rs2, (rs1)    | 01000 aq rl       rs2 rs1  010      rd 0101111
amomin.w  rd, rs2, (rs1)    | 10000 aq rl       rs2 rs1  010      rd 0101111
amomax.w  rd, rs2, (rs1)    | 10100 aq rl       rs2 rs1  010      rd 0101111
amominu.w rd, rs2, (rs1)    | 11000 aq rl       rs2 rs1  010      rd 0101111
amomaxu.w rd, rs2, (rs1)    | 11100 aq rl       rs2 rs1  010      rd 0101111
"""

DOUBLEWORD = """
lr.d      rd, (rs1)         | 00010 aq rl     00000 rs1  011      rd 0101111
sc.d      rd, rs2, (rs1)    | 00011 aq rl       rs2 rs1  011      rd 0101111
amoswap.d rd, rs2, (rs1)    | 00001 aq rl       rs2 rs1  011      rd 0101111
amoadd.d  rd, rs2, (rs1)    | 00000 aq rl       rs2 rs1  011      rd 0101111
amoxor.d  rd, rs2, (rs1)    | 00100 aq rl       rs2 rs1  011      rd 0101111
amoand.d  rd, rs2, (rs1)    | 01100 aq rl       rs2 rs1  011      rd 0101111
amoor.d   rd, rs2, (rs1)    | 01000 aq rl       rs2 rs1  011      rd 0101111
amomin.d  rd, rs2, (rs1)    | 10000 aq rl       rs2 rs1  011      rd 0101111
amomax.d  rd, rs2, (rs1)    | 10100 aq rl       rs2 rs1  011      rd 0101111
amominu.d rd, rs2, (rs1)    | 11000 aq rl       rs2 rs1  011      rd 0101111
amomaxu.d rd, rs2, (rs1)    | 11100 aq rl       rs2 rs1  011      rd 0101111
"""
