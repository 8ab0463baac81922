.altmacro
.macro SAVE_GP n
    sd x\n, \n*8(sp)
.endm
.macro LOAD_GP n
    ld x\n, \n*8(sp)
.endm
    .section .text.trampoline
    .globl __alltraps
    .align 2
__alltraps:
    csrrw sp, sscratch, sp
    addi sp, sp, -34*8
    sd x1, 1*8(sp)
    sd x3, 3*8(sp)
    .set n, 5
    .rept 27
        SAVE_GP %n
        .set n, n+1
    .endr
    csrr t0, sstatus
    .set n, 5
    .rept 27
        LOAD_GP %n
        .set n, n+1
    .endr
.macro loc a
LOCAL l1, l2
l1: j l2
l2: beqz a0, l1
    addi a0, a0, a
.endm
loc 5
loc <6>
.macro str s
 .ascii "s \s"
 .byte \s
.endm
str %2+3
str < 7 >
.macro two a b
.byte a, b
.endm
two %1+1, 4
two 5, <(6)>
.noaltmacro
SAVE_GP 4
.macro SAVE_SOME n:req, off=0
 .if \n > \off
 sd x\n, (\n+\off)*8(sp)
 .endif
.endm
SAVE_SOME 4
SAVE_SOME n=5, off=2
