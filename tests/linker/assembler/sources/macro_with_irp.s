.macro pushm reg
addi sp, sp, -8
sd \reg, 0(sp)
.endm
.irp r, ra, s0, s1
pushm \r
.endr
