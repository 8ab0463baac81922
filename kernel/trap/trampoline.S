# The way from a program into the kernel and back: the one page that both address spaces map at the same address, so that
# the instruction after the switch of satp is fetched from where the one before came from.
.include "lib/abi.inc"
.include "process/process.inc"
.include "trap/registers.inc"

.section .trampoline, "ax", @progbits

# user_trap: stvec points to its address in the trampoline while a program runs; sscratch holds TRAP_CONTEXT.
# Saves every integer register and sepc in the trap context, switches to the kernel's space and to the kernel stack of
# the process, and goes on at user_trap_handler.
.balign 4
FUNCTION user_trap
    csrrw a0, sscratch, a0
    SAVE_REGISTERS 10                           # all but a0, which is in sscratch
    csrr t0, sscratch
    sd t0, CONTEXT_A0(a0)
    csrr t0, sepc
    sd t0, CONTEXT_SEPC(a0)
    ld t0, CONTEXT_KERNEL_SATP(a0)
    ld sp, CONTEXT_KERNEL_SP(a0)
    li s0, 0                                    # backtraces end here
    csrw satp, t0                               # no fence: every space has an ASID of its own
    la t0, user_trap_address                    # not `la t0, user_trap_handler`: that is relative to the linked address
    ld t0, 0(t0)
    jr t0
.balign 8
user_trap_address:
    .quad user_trap_handler
END_FUNCTION user_trap

# user_return(a0 = satp of the process): called at its address in the trampoline, with sscratch = TRAP_CONTEXT
# Switches to the program's space, restores what user_trap saved, and returns to the program. Never returns here.
FUNCTION user_return
    csrw satp, a0
    csrr a0, sscratch
    ld t0, CONTEXT_SEPC(a0)
    csrw sepc, t0
    RESTORE_REGISTERS 10
    ld x10, CONTEXT_A0(a0)
    sret
END_FUNCTION user_return
