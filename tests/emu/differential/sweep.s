# Executes each word of a list and notes whether it was an illegal instruction. M mode; layout: sweep.py.

.equ LIST, 0x80800000
.equ DATA, 0x80400000
.equ FINISHER, 0x100000

.text
.globl _start
_start:
    la t0, trap
    csrw mtvec, t0
    la sp, state
    li t0, LIST
    ld t1, (t0)                         # how many there are
    addi t0, t0, 8
    sd t0, 0(sp)
    slli t1, t1, 2
    add t1, t0, t1
    sd t1, 8(sp)
next:                                   # sp: the state
    ld t0, 0(sp)
    ld t1, 8(sp)
    beq t0, t1, done
    csrw mscratch, sp
    lw t1, (t0)
    la t2, slot
    sw t1, (t2)
    andi t3, t1, 3
    li t4, 3
    beq t3, t4, 1f
    li t3, 0x9002
    sh t3, 2(t2)
1:  fence.i
    li t0, 0x7800                       # FS = Dirty, MPP = M
    csrs mstatus, t0
    csrw fcsr, zero
    li t0, 0x20100                      # MPRV, SPP
    csrc mstatus, t0
    la t0, slot + 64
    csrw mepc, t0
    csrw sepc, t0
    li ra, DATA
    .irp n, 2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    mv x\n, ra
    .endr
    mv x5, ra
    j slot

.balign 4
trap:
    csrrw sp, mscratch, sp
    ld t0, 0(sp)
    csrr t1, mcause
    addi t1, t1, -2
    seqz t1, t1
    csrr t2, mepc
    la t3, slot
    sub t2, t2, t3
    seqz t2, t2
    and t1, t1, t2
    sw t1, (t0)
    addi t0, t0, 4
    sd t0, 0(sp)
    j next
done:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b
.balign 8
state: .zero 16
.balign 0x2000
.zero 0x1000
slot:                                   # breakpoints lie on both sides of it
.zero 0x1000
