# Runs instruction streams one after the other in M, S or U mode, and logs every register at each trap. It is the whole
# firmware (M mode) and executes on this machine and on QEMU alike; layout.py has the addresses and indexes.

.equ CONTROL, 0x83780000
.equ STREAMS, 0
.equ CURRENT, 8
.equ TRAPS, 16
.equ CURSOR, 24
.equ MOST_TRAPS, 40
.equ FINISHER, 0x100000
.equ CLINT, 0x2000000
.equ AREA_SHIFT, 16
.equ FIRST_AREA, 0x80100000
.equ AS_MPP, 0xe0000                    # MPRV, SUM and MXR: read code with the privilege that it was executed with

.text
.globl _start
_start:
    la t0, 1f
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f                         # all of memory is open to S and U mode
    csrw pmpcfg0, t0
.balign 4
1:  la t0, trap
    csrw mtvec, t0
    li t0, CLINT + 0x4000
    li t1, -1
    sd t1, (t0)
    j next

# Interrupts and exceptions that M mode takes. mscratch holds where the next record goes.
.balign 4
trap:
    csrrw sp, mscratch, sp
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8*\n(sp)
    .endr
    csrr t0, mscratch
    sd t0, 16(sp)
    li s0, CONTROL
    ld t0, CURRENT(s0)
    sd t0, (sp)
    csrr s1, mstatus
    sd s1, 67*8(sp)
    li t1, 3                            # a breakpoint's tval may be its address or 0
    csrr t0, mcause
    bne t0, t1, 1f
    csrw mtval, zero
1:  csrr t0, scause
    bne t0, t1, 1f
    csrw stval, zero
1:  li t1, 5                            # where a misaligned load begins outside memory, QEMU says less exactly
    csrr t0, mcause
    bne t0, t1, 1f
    csrci mtval, 7
1:  csrr t0, scause
    bne t0, t1, 1f
    csrci stval, 7
1:
    .macro keep index, csr
    csrr t0, \csr
    sd t0, \index*8(sp)
    .endm
    keep 64, mcause
    keep 65, mepc
    keep 66, mtval
    keep 68, mip
    keep 69, mie
    keep 70, scause
    keep 71, sepc
    keep 72, stval
    keep 73, satp
    keep 75, medeleg
    keep 76, mideleg
    keep 77, mcounteren
    keep 78, scounteren
    keep 79, stvec
    keep 80, sscratch
    keep 81, sstatus
    keep 82, sie
    keep 83, sip
    li t0, 3 << 13
    csrs mstatus, t0
    keep 74, fcsr
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd f\n, (32+\n)*8(sp)
    .endr
    addi s2, sp, 88*8
    csrw mscratch, s2
    sd s2, CURSOR(s0)

    ld t0, 27*8(sp)                     # the stream's budget is used up, or it only traps
    bltz t0, next
    ld t0, TRAPS(s0)
    addi t0, t0, 1
    sd t0, TRAPS(s0)
    li t1, MOST_TRAPS
    bge t0, t1, next

    csrr s3, mcause
    csrr s4, mepc
    li t0, 9
    bne s3, t0, direct
    csrr t0, stvec
    andi t0, t0, -4
    sub t1, s4, t0
    li t2, 64
    bgeu t1, t2, direct
    addi t0, t0, 64                     # the handler of S mode called: go on at its sret
    csrw mepc, t0
    csrr s3, scause
    csrr s4, sepc
    call following
    csrw sepc, a0
    j leave
direct:
    call following
    csrw mepc, a0
leave:
    csrw mstatus, s1
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8*\n(sp)
    .endr
    ld sp, 16(sp)
    mret

# Where to go on (a0) after cause s3 at s4. An interrupt is switched off; what could not be fetched is left for x26.
following:
    bltz s3, 2f
    li t0, 12
    beq s3, t0, 1f
    li t0, 2
    bltu s3, t0, 1f
    li t0, AS_MPP
    csrs mstatus, t0
    lbu t1, (s4)
    csrc mstatus, t0
    andi t1, t1, 3
    addi a0, s4, 4
    addi t1, t1, -3
    beqz t1, 3f
    addi a0, s4, 2
    ret
1:  ld a0, 26*8(sp)
    ret
2:  li t0, 1
    sll t0, t0, s3
    csrc mie, t0
    li t0, CLINT
    sw zero, (t0)
    mv a0, s4
3:  ret

next:
    li s0, CONTROL
    ld t0, CURRENT(s0)
    addi t0, t0, 1
    sd t0, CURRENT(s0)
    ld t1, STREAMS(s0)
    bgeu t0, t1, off
    sd zero, TRAPS(s0)
    ld t1, CURSOR(s0)
    csrw mscratch, t1
    slli t0, t0, AREA_SHIFT
    li t1, FIRST_AREA
    add sp, t0, t1
    li t0, (2 << 32) | (3 << 13)        # QEMU lets UXL become 3
    csrw mstatus, t0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, (32+\n)*8(sp)
    .endr
    .macro set index, csr
    ld t0, \index*8(sp)
    csrw \csr, t0
    .endm
    set 74, fcsr
    csrw mie, zero
    li t0, CLINT
    sw zero, (t0)
    set 65, mepc
    set 66, mtval
    set 64, mcause
    set 70, scause
    set 71, sepc
    set 72, stval
    set 73, satp
    set 75, medeleg
    set 76, mideleg
    set 77, mcounteren
    set 78, scounteren
    set 79, stvec
    set 80, sscratch
    set 68, mip
    set 69, mie
    set 67, mstatus
    sfence.vma
    fence.i
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8*\n(sp)
    .endr
    ld sp, 16(sp)
    mret
off:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
    j off
