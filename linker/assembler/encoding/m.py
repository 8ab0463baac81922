"""M, integer multiplication and division (unprivileged manual, tables "RV32M" and "RV64M Standard Extension")."""

MULTIPLY = """
mul     rd, rs1, rs2        | 0000001           rs2 rs1  000      rd 0110011
mulh    rd, rs1, rs2        | 0000001           rs2 rs1  001      rd 0110011
mulhsu  rd, rs1, rs2        | 0000001           rs2 rs1  010      rd 0110011
mulhu   rd, rs1, rs2        | 0000001           rs2 rs1  011      rd 0110011
mulw    rd, rs1, rs2        | 0000001           rs2 rs1  000      rd 0111011
"""
"""The part of M that is also the extension Zmmul."""

DIVIDE = """
div     rd, rs1, rs2        | 0000001           rs2 rs1  100      rd 0110011
divu    rd, rs1, rs2        | 0000001           rs2 rs1  101      rd 0110011
rem     rd, rs1, rs2        | 0000001           rs2 rs1  110      rd 0110011
remu    rd, rs1, rs2        | 0000001           rs2 rs1  111      rd 0110011
divw    rd, rs1, rs2        | 0000001           rs2 rs1  100      rd 0111011
divuw   rd, rs1, rs2        | 0000001           rs2 rs1  101      rd 0111011
remw    rd, rs1, rs2        | 0000001           rs2 rs1  110      rd 0111011
remuw   rd, rs1, rs2        | 0000001           rs2 rs1  111      rd 0111011
"""
