# The trap vector of the kernel: traps taken in S mode.
.include "lib/abi.inc"
.include "boot/stack.inc"
.include "trap/trap_frame.inc"

.text

# kernel_trap: stvec points here. Saves every integer register and the trap's CSRs on the current stack, calls
# trap_handler(a0 = trap frame), restores everything (sepc and sstatus too, which the handler may have changed), returns.
.balign 4                                       # stvec has no room for the two lowest bits
FUNCTION kernel_trap
    # A trap because of a full stack must not save anything on that stack: it would fault here again, for ever.
    # sscratch is free while the hart is in the kernel and keeps sp meanwhile.
    csrw sscratch, sp
    addi sp, sp, -TRAP_FRAME_SIZE
    srli sp, sp, STACK_SHIFT
    andi sp, sp, 1
    beqz sp, stack_overflow
    csrr sp, sscratch
    addi sp, sp, -TRAP_FRAME_SIZE

    sd x1, 1 * 8(sp)
    sd x3, 3 * 8(sp)
    sd x4, 4 * 8(sp)
    sd x5, 5 * 8(sp)
    sd x6, 6 * 8(sp)
    sd x7, 7 * 8(sp)
    sd x8, 8 * 8(sp)
    sd x9, 9 * 8(sp)
    sd x10, 10 * 8(sp)
    sd x11, 11 * 8(sp)
    sd x12, 12 * 8(sp)
    sd x13, 13 * 8(sp)
    sd x14, 14 * 8(sp)
    sd x15, 15 * 8(sp)
    sd x16, 16 * 8(sp)
    sd x17, 17 * 8(sp)
    sd x18, 18 * 8(sp)
    sd x19, 19 * 8(sp)
    sd x20, 20 * 8(sp)
    sd x21, 21 * 8(sp)
    sd x22, 22 * 8(sp)
    sd x23, 23 * 8(sp)
    sd x24, 24 * 8(sp)
    sd x25, 25 * 8(sp)
    sd x26, 26 * 8(sp)
    sd x27, 27 * 8(sp)
    sd x28, 28 * 8(sp)
    sd x29, 29 * 8(sp)
    sd x30, 30 * 8(sp)
    sd x31, 31 * 8(sp)
    addi t0, sp, TRAP_FRAME_SIZE
    sd t0, TRAP_SP(sp)
    csrr t1, scause
    sd t1, TRAP_SCAUSE(sp)
    csrr t1, stval
    sd t1, TRAP_STVAL(sp)
    csrr t1, sstatus
    sd t1, TRAP_SSTATUS(sp)
    csrr t1, sepc
    sd t1, TRAP_SEPC(sp)
    sd s0, TRAP_RECORD_S0(sp)
    mv s0, t0

    mv a0, sp
    call trap_handler

    ld t0, TRAP_SEPC(sp)
    csrw sepc, t0
    ld t0, TRAP_SSTATUS(sp)
    csrw sstatus, t0
    ld x1, 1 * 8(sp)
    ld x3, 3 * 8(sp)
    ld x4, 4 * 8(sp)
    ld x5, 5 * 8(sp)
    ld x6, 6 * 8(sp)
    ld x7, 7 * 8(sp)
    ld x8, 8 * 8(sp)
    ld x9, 9 * 8(sp)
    ld x10, 10 * 8(sp)
    ld x11, 11 * 8(sp)
    ld x12, 12 * 8(sp)
    ld x13, 13 * 8(sp)
    ld x14, 14 * 8(sp)
    ld x15, 15 * 8(sp)
    ld x16, 16 * 8(sp)
    ld x17, 17 * 8(sp)
    ld x18, 18 * 8(sp)
    ld x19, 19 * 8(sp)
    ld x20, 20 * 8(sp)
    ld x21, 21 * 8(sp)
    ld x22, 22 * 8(sp)
    ld x23, 23 * 8(sp)
    ld x24, 24 * 8(sp)
    ld x25, 25 * 8(sp)
    ld x26, 26 * 8(sp)
    ld x27, 27 * 8(sp)
    ld x28, 28 * 8(sp)
    ld x29, 29 * 8(sp)
    ld x30, 30 * 8(sp)
    ld x31, 31 * 8(sp)
    ld sp, TRAP_SP(sp)
    sret
END_FUNCTION kernel_trap

# The kernel stack is full: say so on the emergency stack, from which no way leads back. The frame record of the
# interrupted code goes on top of it, so that the backtrace shows who filled the stack.
.type stack_overflow, @function
stack_overflow:
    la sp, emergency_stack_top
    addi sp, sp, -16
    sd s0, 0(sp)
    csrr t0, sepc
    sd t0, 8(sp)
    addi s0, sp, 16
    la a0, message_overflow
    csrr a1, sscratch
    csrr a2, sepc
    call panic
.size stack_overflow, . - stack_overflow

STRING message_overflow, "kernel stack overflow: sp=%p at %p"
