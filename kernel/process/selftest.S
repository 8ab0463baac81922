# Self-test of processes: the program `tour` runs all others; afterwards nothing of them is left.
.include "lib/abi.inc"

.text

# process_selftest()
# Prints what the programs print. Panics when one of them did not do what it should, or something leaked.
FUNCTION process_selftest
    ENTER 3
    la a0, line_title
    call print_string
    call frame_in_use
    mv s1, a0
    call heap_requested
    mv s2, a0
    la a0, name_tour
    call process_run
    li t0, -1
    beq a0, t0, .Lno_frame
    bnez a0, .Lfailed
    call frame_in_use
    bne a0, s1, .Lfailed
    mv s3, a0
    call heap_requested
    bne a0, s2, .Lfailed
    mv a2, a0
    mv a1, s3
    la a0, line_end
    call printf
    LEAVE 3
.Lfailed:
    la a0, message_failed
    call panic
.Lno_frame:
    la a0, message_no_frame
    call panic
END_FUNCTION process_selftest

STRING line_title, "\nprograms\n"
STRING name_tour, "tour"
STRING line_end, "afterwards as before: %d frames and %d bytes of heap in use\n"
STRING message_failed, "process self-test: a program failed, or left something behind"
STRING message_no_frame, "no available frame to allocate"
