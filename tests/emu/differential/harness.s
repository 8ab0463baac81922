# Runs programs one after the other in M, S or U mode, and records the registers at each trap. It is the whole firmware
# (M mode) and executes on this machine and on QEMU alike; layout.py has the addresses and indexes. Programs leave tp
# alone: it points to the state page of the one that runs.

.equ CURRENT, 0x80003000
.equ AREA_SIZE, 0x6000
.equ FINISHER, 0x100000
.equ CLINT, 0x2000000
.equ SAVED, 0
.equ CURSOR, 8                          # where the next record goes
.equ LOG_END, 16
.equ CODE, 24                           # the physical address of the code pages; 0: there is no such program
.equ STATE, 64
.equ FINAL, 768
.equ RECORD, 320

.text
.globl _start
_start:
    la t0, 1f
    csrw mtvec, t0
    li t0, (1 << 54) - 1                # QEMU keeps the bits above as well
    csrw pmpaddr0, t0
    li t0, 0x1f                         # all of memory is open to S and U mode
    csrw pmpcfg0, t0
.balign 4
1:  la t0, trap
    csrw mtvec, t0
    li t0, CLINT + 0x4000
    li t1, -1
    sd t1, (t0)
    li t0, CURRENT                      # the first program
    ld tp, (t0)
    li t0, 3 << 13
    csrs mstatus, t0
    j begin

# Interrupts and exceptions that M mode takes.
.balign 4
trap:
    sd t0, SAVED(tp)
    ld t0, CURSOR(tp)
    .irp n, 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8*\n(t0)
    .endr
    ld t1, SAVED(tp)
    sd t1, 5*8(t0)
    li t2, 3                            # a breakpoint's tval may be its address or 0
    li t3, 5                            # where a misaligned load begins outside memory, QEMU says less exactly
    .macro keep_trap index, prefix, cause, pc
    csrr \cause, \prefix\()cause
    sd \cause, \index*8(t0)
    csrr \pc, \prefix\()epc
    sd \pc, (\index+1)*8(t0)
    bne \cause, t2, 1f
    csrw \prefix\()tval, zero
1:  bne \cause, t3, 1f
    csrci \prefix\()tval, 7
1:  csrr t1, \prefix\()tval
    sd t1, (\index+2)*8(t0)
    .endm
    keep_trap 32, m, s3, s4
    keep_trap 36, s, s5, s6
    csrr t1, mstatus
    sd t1, 35*8(t0)
    addi t2, t0, RECORD
    sd t2, CURSOR(tp)
    bltz x27, end                       # the budget is used up
    ld t3, LOG_END(tp)
    bgeu t2, t3, end

    li t1, 9
    bne s3, t1, direct
    csrr t1, stvec
    andi t1, t1, -4
    sub t2, s4, t1
    li t3, 64
    bgeu t2, t3, direct
    addi t1, t1, 64                     # the handler of S mode called: go on at its sret
    csrw mepc, t1
    mv s3, s5
    mv s4, s6
    call following
    csrw sepc, a0
    j leave
direct:
    call following
    csrw mepc, a0
leave:
    ld t0, CURSOR(tp)
    addi t0, t0, -RECORD
    .irp n, 1,2,3,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8*\n(t0)
    .endr
    ld t0, 5*8(t0)
    mret

# Where to go on (a0) after cause s3 at s4. An interrupt is switched off; what could not be fetched, or does not lie
# beside x26, is left for x26. The code pages are two, aligned to their size, as in the program's address space.
following:
    bltz s3, 2f
    mv a0, x26
    li t1, 12
    beq s3, t1, 3f
    li t1, 2
    bltu s3, t1, 3f
    xor t1, s4, x26
    srli t1, t1, 15
    bnez t1, 3f
    slli t1, s4, 64 - 13
    srli t1, t1, 64 - 13
    ld t2, CODE(tp)
    add t1, t1, t2
    lbu t1, (t1)
    andi t1, t1, 3
    addi a0, s4, 4
    addi t1, t1, -3
    beqz t1, 3f
    addi a0, s4, 2
3:  ret
2:  li t1, 1
    sll t1, t1, s3
    csrc mie, t1
    li t1, CLINT
    sw zero, (t1)
    mv a0, s4
    ret

end:
    addi s0, tp, FINAL
    .macro keep index, csr
    csrr t0, \csr
    sd t0, \index*8(s0)
    .endm
    keep 32, mip
    andi t0, t0, 8
    beqz t0, 1f
    li t0, CLINT
    sw zero, (t0)
1:
    keep 33, mie
    keep 34, satp
    keep 36, medeleg
    keep 37, mideleg
    keep 38, mcounteren
    keep 39, scounteren
    keep 40, stvec
    keep 41, sscratch
    keep 42, mscratch
    keep 43, sstatus
    keep 44, sie
    keep 45, sip
    li t0, 3 << 13
    csrs mstatus, t0
    keep 35, fcsr
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd f\n, \n*8(s0)
    .endr
    li t0, AREA_SIZE
    add tp, tp, t0
begin:
    ld t0, CODE(tp)
    beqz t0, off
    li t0, CURRENT
    sd tp, (t0)
    addi s0, tp, STATE
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, (32+\n)*8(s0)
    .endr
    .macro set index, csr
    ld t0, \index*8(s0)
    csrw \csr, t0
    .endm
    set 74, fcsr
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
    set 81, mscratch
    set 68, mip
    set 69, mie
    set 67, mstatus
    sfence.vma
    .irp n, 1,2,3,5,6,7,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8*\n(s0)
    .endr
    ld s0, 8*8(s0)
    mret
off:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
    j off
