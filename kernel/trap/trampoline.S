# The way from a program into the kernel and back: the one page that both address spaces map at the same address, so that
# the instruction after the switch of satp is fetched from where the one before came from.
.include "lib/abi.inc"
.include "process/process.inc"

.section .trampoline, "ax", @progbits

# user_trap: stvec points to its address in the trampoline while a program runs; sscratch holds TRAP_CONTEXT.
# Saves every integer register and sepc in the trap context, switches to the kernel's space and to the kernel stack of
# the process, and goes on at user_trap_handler.
.balign 4
FUNCTION user_trap
    csrrw a0, sscratch, a0
    sd x1, 1 * 8(a0)
    sd x2, 2 * 8(a0)
    sd x3, 3 * 8(a0)
    sd x4, 4 * 8(a0)
    sd x5, 5 * 8(a0)
    sd x6, 6 * 8(a0)
    sd x7, 7 * 8(a0)
    sd x8, 8 * 8(a0)
    sd x9, 9 * 8(a0)
    sd x11, 11 * 8(a0)
    sd x12, 12 * 8(a0)
    sd x13, 13 * 8(a0)
    sd x14, 14 * 8(a0)
    sd x15, 15 * 8(a0)
    sd x16, 16 * 8(a0)
    sd x17, 17 * 8(a0)
    sd x18, 18 * 8(a0)
    sd x19, 19 * 8(a0)
    sd x20, 20 * 8(a0)
    sd x21, 21 * 8(a0)
    sd x22, 22 * 8(a0)
    sd x23, 23 * 8(a0)
    sd x24, 24 * 8(a0)
    sd x25, 25 * 8(a0)
    sd x26, 26 * 8(a0)
    sd x27, 27 * 8(a0)
    sd x28, 28 * 8(a0)
    sd x29, 29 * 8(a0)
    sd x30, 30 * 8(a0)
    sd x31, 31 * 8(a0)
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
    ld x1, 1 * 8(a0)
    ld x2, 2 * 8(a0)
    ld x3, 3 * 8(a0)
    ld x4, 4 * 8(a0)
    ld x5, 5 * 8(a0)
    ld x6, 6 * 8(a0)
    ld x7, 7 * 8(a0)
    ld x8, 8 * 8(a0)
    ld x9, 9 * 8(a0)
    ld x11, 11 * 8(a0)
    ld x12, 12 * 8(a0)
    ld x13, 13 * 8(a0)
    ld x14, 14 * 8(a0)
    ld x15, 15 * 8(a0)
    ld x16, 16 * 8(a0)
    ld x17, 17 * 8(a0)
    ld x18, 18 * 8(a0)
    ld x19, 19 * 8(a0)
    ld x20, 20 * 8(a0)
    ld x21, 21 * 8(a0)
    ld x22, 22 * 8(a0)
    ld x23, 23 * 8(a0)
    ld x24, 24 * 8(a0)
    ld x25, 25 * 8(a0)
    ld x26, 26 * 8(a0)
    ld x27, 27 * 8(a0)
    ld x28, 28 * 8(a0)
    ld x29, 29 * 8(a0)
    ld x30, 30 * 8(a0)
    ld x31, 31 * 8(a0)
    ld x10, CONTEXT_A0(a0)
    sret
END_FUNCTION user_return
