# Panic: the kernel says what is wrong and how it got there, and switches the machine off with a failure.
.include "lib/abi.inc"
.include "lib/csr.inc"
.include "lib/sbi.inc"

.equ MOST_FRAMES, 32                            # a backtrace ends here even if the chain does not
.equ ARGUMENTS, 64

VARIABLE panicking

.text

# panic(a0 = format, a1 .. a7 = values, as for printf)
# Prints `panic at <return address> : <message>` and the chain of return addresses, then switches off. Never returns.
FUNCTION panic
    csrci sstatus, SSTATUS_SIE
    ENTER 1, ARGUMENTS
    la t0, panicking
    ld t1, 0(t0)
    bnez t1, .Lagain
    li t1, 1
    sd t1, 0(t0)
    sd a0, 0(sp)
    sd a1, 8(sp)
    sd a2, 16(sp)
    sd a3, 24(sp)
    sd a4, 32(sp)
    sd a5, 40(sp)
    sd a6, 48(sp)
    sd a7, 56(sp)
    la a0, message_panic
    ld a1, -8(s0)
    call printf
    ld a0, 0(sp)
    ld a1, 8(sp)
    ld a2, 16(sp)
    ld a3, 24(sp)
    ld a4, 32(sp)
    ld a5, 40(sp)
    ld a6, 48(sp)
    ld a7, 56(sp)
    call printf
    la a0, message_backtrace
    call print_string
    mv a0, s0
    call print_backtrace
    li a0, SBI_SRST_REASON_FAILURE
    call shutdown
.Lagain:
    # The first panic faulted itself, for example over a destroyed frame chain: printing more would fault again.
    la a0, message_again
    call print_string
    li a0, SBI_SRST_REASON_FAILURE
    call shutdown
END_FUNCTION panic

# print_backtrace(a0 = frame pointer)
# Prints the return address of each frame, one a line, innermost first. The chain ends with a frame pointer of zero,
# and is given up where it does not point upwards to an aligned address, as stacks grow down.
FUNCTION print_backtrace
    ENTER 2
    mv s1, a0                                   # s1: frame pointer
    li s2, MOST_FRAMES                          # s2: lines that are left
.Lframe:
    beqz s1, .Loutermost
    andi t0, s1, 7
    bnez t0, .Loutermost
    ld a1, -8(s1)
    la a0, message_return_address
    call printf
    ld t0, -16(s1)                              # t0: the caller's frame pointer
    addi s2, s2, -1
    beqz s2, .Loutermost
    mv t1, s1
    mv s1, t0
    bgtu s1, t1, .Lframe
.Loutermost:
    LEAVE 2
END_FUNCTION print_backtrace

STRING message_panic, "panic at %p : "
STRING message_backtrace, "\nbacktrace:\n"
STRING message_return_address, "  %p\n"
STRING message_again, "panic while panicking\n"
