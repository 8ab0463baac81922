# Profile full: everything the kernel has, on however much memory the device tree names.
.include "lib/abi.inc"
.include "lib/page.inc"

.text

# profile_main(a0 = hart id, a1 = physical address of the device tree)
FUNCTION profile_main
    ENTER 3
    mv s1, a0
    PA_TO_VA a0, a1, t0
    call device_tree_memory
    beqz a1, .Lno_memory
    mv s2, a0
    mv s3, a1
    mv a1, s1
    srli a2, s3, 20
    mv a3, s2
    la a0, line_start
    call printf

    call kernel_end_ppn
    add a1, s2, s3
    call frames_start
    call frame_selftest
    la a0, heap_space
    li a1, HEAP_SIZE
    call heap_init
    call heap_selftest
    li a0, 0
    call kernel_space_init
    la a0, line_mapping
    call print_string
    call kernel_space_print
    call lazy_selftest
    call permission_selftest
    call process_init
    li a0, REPLACEMENT
    li a1, STORE_PAGES
    call replacement_init
    call process_selftest
    la a0, line_end
    call print_string
    LEAVE 3
.Lno_memory:
    la a0, message_no_memory
    call panic
END_FUNCTION profile_main

STRING line_start, "ekernel on hart %d: %d MiB of memory from %p\n"
STRING line_mapping, "\npaging is on (Sv39)\n"
STRING line_end, "\nall self-tests passed\n"
STRING message_no_memory, "the device tree names no memory"
