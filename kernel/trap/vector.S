# The trap vector of the kernel: traps taken in S mode.
.include "lib/abi.inc"
.include "boot/stack.inc"
.include "trap/registers.inc"
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

    SAVE_REGISTERS 2                            # all but sp, which is in sscratch
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
    RESTORE_REGISTERS 2
    ld sp, TRAP_SP(sp)
    sret
END_FUNCTION kernel_trap

# The kernel stack is full: say so on the emergency stack, from which no way leads back. The frame record of the
# interrupted code goes on top of it, so that the backtrace shows who filled the stack.
LOCAL_FUNCTION stack_overflow
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
END_FUNCTION stack_overflow

STRING message_overflow, "kernel stack overflow: sp=%p at %p"
