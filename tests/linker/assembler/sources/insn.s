.option arch, +c
.text
.insn r 0x33,0,0,a0,a1,a2
.insn r OP,0,0,a0,a1,a2
.insn r MADD,0,0,a0,a1,a2,a3
.insn r4 MADD,0,0,a0,fa1,a2,a3
.insn i 0x13,0,a0,a1,5
.insn i LOAD, 3, a0, 4(a1)
.insn s STORE, 3, a0, 4(a1)
.insn u LUI, a0, 0x12345
.insn j JAL, a0, .
.insn uj JAL, a0, .
.insn sb BRANCH, 0, a0, a1, .
.insn b BRANCH, 0, a0, a1, .
.insn 0x13
.insn 4,0x13
.insn 2,1
.insn 0x1
.insn cr C2, 8, a0, a1
.insn ci C1, 0, a0, 4
.insn ciw C0, 0, a1, 4
.insn ca C1, 0x23, 0, a0, a1
.insn cb C1, 6, a0, .
.insn cj C1, 5, .
.insn cl C0, 2, a0, 4(a1)
.insn cs C0, 6, a0, 4(a1)
.insn css C2, 6, a0, 4
