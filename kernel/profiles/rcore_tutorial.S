# Profile rcore-tutorial (000, 001): linear in the high half, frames from a stack of intervals, 8 MiB of heap in .bss.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ ROUNDS, 2

.text

# profile_main(a0 = hart id, a1 = physical address of the device tree)
FUNCTION profile_main
    ENTER 3
    la a0, heap_space
    li a1, HEAP_SIZE
    call heap_init
    call kernel_end_ppn
    li a1, MEMORY_END
    call frames_start
    la a0, line_memory
    call print_string

    li s3, ROUNDS
.Lround:
    call frame_alloc
    beqz a0, .Lno_frame
    mv s1, a0
    call frame_alloc
    beqz a0, .Lno_frame
    mv s2, a0
    slli a1, s1, PAGE_SHIFT
    slli a2, s2, PAGE_SHIFT
    la a0, line_frames
    call printf
    mv a0, s2                                   # trackers are dropped in the reverse order of their declaration
    call frame_dealloc
    mv a0, s1
    call frame_dealloc
    addi s3, s3, -1
    bnez s3, .Lround

    call heap_test
    la a0, line_heap
    call print_string
    li a0, 0
    call kernel_space_init                      # the documents' next chapter: leave the boot table
    LEAVE 3
.Lno_frame:
    la a0, message_no_frame
    call panic
END_FUNCTION profile_main

STRING line_memory, "mod memory initialized\n"
STRING line_frames, "PhysicalAddress(%p) and PhysicalAddress(%p)\n"
STRING line_heap, "heap test passed\n"
STRING message_no_frame, "no available frame to allocate"
