# The first instructions of the kernel.
.include "lib/abi.inc"

.section .text.entry, "ax", @progbits

# _start(a0 = hart id, a1 = physical address of the device tree)
# Firmware jumps here in S mode, paging off, interrupts off, at the kernel's lowest load address. All addresses are
# pc-relative, so that the code runs at its load address even when it is linked into the high half.
FUNCTION _start
    csrw sie, zero
    csrw satp, zero
    la t0, kernel_trap
    csrw stvec, t0

    # Clear what C would expect cleared. Stacks and heap lie behind cleared_end: they need no clearing and are large.
    la t0, sbss
    la t1, cleared_end
.Lclear:
    bgeu t0, t1, .Lcleared
    sd zero, 0(t0)
    sd zero, 8(t0)
    addi t0, t0, 16
    j .Lclear
.Lcleared:
    la sp, boot_stack_top
    li s0, 0                                    # the end of every backtrace
    mv s1, a0
    mv s2, a1
    .if VIRTUAL_OFFSET
    call enter_high_half
    la t0, kernel_trap                          # from here on pc-relative addresses are virtual
    csrw stvec, t0
    .endif
    mv a0, s1
    mv a1, s2
    call profile_main
    li a0, 0
    call shutdown
END_FUNCTION _start
