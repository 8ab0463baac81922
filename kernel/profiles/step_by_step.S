# Profile step-by-step (004): hand all frames behind the kernel to the allocator, and test it.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ DEVICE_TREE_PAGES, 1                       # 004 keeps one page behind the kernel for the device tree

.text

# profile_main(a0 = hart id, a1 = physical address of the device tree)
FUNCTION profile_main
    ENTER
    call kernel_end_ppn
    addi a0, a0, DEVICE_TREE_PAGES
    li a1, MEMORY_END
    call frames_start
    la a0, line_init
    call print_string
    call frame_test
    # 004 goes on with the mapping in its next chapter; here the kernel leaves the boot table before it ends.
    la a0, heap_space
    li a1, HEAP_SIZE
    call heap_init
    li a0, 0
    call kernel_space_init
    LEAVE
END_FUNCTION profile_main

# frame_test(): two frames, the first freed and allocated again
LOCAL_FUNCTION frame_test
    ENTER 2
    call allocate_and_print
    mv s1, a0
    call allocate_and_print
    mv s2, a0
    mv a0, s1
    call frame_dealloc
    call allocate_and_print
    mv s1, a0
    mv a0, s2
    call frame_dealloc
    mv a0, s1
    call frame_dealloc
    LEAVE 2
END_FUNCTION frame_test

# allocate_and_print() -> a0 = ppn
LOCAL_FUNCTION allocate_and_print
    ENTER 1
    call frame_alloc
    beqz a0, .Lno_frame
    mv s1, a0
    slli a1, a0, PAGE_SHIFT
    la a0, line_frame
    call printf
    mv a0, s1
    LEAVE 1
.Lno_frame:
    la a0, message_no_frame
    call panic
END_FUNCTION allocate_and_print

STRING line_init, "++++init frame allocator succeed!++++\n"
STRING line_frame, "test frame_allocator : %p\n"
STRING message_no_frame, "no available frame to allocate"
