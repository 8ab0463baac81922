# Self-test of whichever frame allocator was linked: what it hands out, takes back, and hands out again.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ RUN, 8                                     # frames of the contiguous run

.text

# frame_selftest()
# Prints what it does. Panics when the counts do not fit, or when more frames are in use afterwards than before.
FUNCTION frame_selftest
    ENTER 5
    call frame_in_use
    mv s5, a0
    call frame_total
    sub a2, a0, s5
    la a1, frame_allocator_name
    la a0, line_title
    call printf

    call frame_alloc
    mv s1, a0
    call frame_alloc
    mv s2, a0
    call frame_alloc
    mv s3, a0
    beqz s3, .Lno_frame                         # the last one: if there was a frame for it, there was for all
    slli a1, s1, PAGE_SHIFT
    slli a2, s2, PAGE_SHIFT
    slli a3, s3, PAGE_SHIFT
    la a0, line_three
    call printf

    mv a0, s2
    call frame_dealloc
    call frame_alloc
    mv s2, a0
    slli a1, a0, PAGE_SHIFT
    la a0, line_again
    call printf

    li a0, RUN
    call frame_alloc_contiguous
    mv s4, a0
    beqz s4, .Lno_frame
    slli a2, a0, PAGE_SHIFT
    li a1, RUN
    li t0, RUN << PAGE_SHIFT
    add a3, a2, t0
    la a0, line_run
    call printf
    call frame_in_use
    sub a0, a0, s5
    li t0, 3 + RUN
    bne a0, t0, .Lwrong_count

    mv a0, s4
    li a1, RUN
    call frame_dealloc_contiguous
    mv a0, s1
    call frame_dealloc
    mv a0, s3
    call frame_dealloc
    mv a0, s2
    call frame_dealloc
    call frame_in_use
    sub a1, a0, s5
    bnez a1, .Lwrong_count
    la a0, line_freed
    call printf
    LEAVE 5
.Lwrong_count:
    la a0, message_count
    call panic
.Lno_frame:
    la a0, message_no_frame
    call panic
END_FUNCTION frame_selftest

STRING line_title, "\nframes (%s): %d free\n"
STRING line_three, "  three, one by one           %p %p %p\n"
STRING line_again, "  the second freed; the next  %p\n"
STRING line_run, "  %d in a row                  %p .. %p\n"
STRING line_freed, "  all freed; still in use     %d\n"
STRING message_count, "frame self-test: wrong number of frames in use"
STRING message_no_frame, "no available frame to allocate"
