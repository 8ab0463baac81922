# Profile rcore-v3 (003): identity mapped in 8 MiB, frames from a stack, heap in .bss, then the applications.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"

.equ TRACKERS, 5
.equ HALVES, 2

.text

# profile_main(a0 = hart id, a1 = physical address of the device tree)
FUNCTION profile_main
    ENTER 1
    la a0, line_hello
    call print_string
    la a0, heap_space
    li a1, HEAP_SIZE
    call heap_init
    call kernel_end_ppn
    li a1, MEMORY_END
    call frames_start
    la s1, sections
.Lsection:
    la a0, line_section
    ld a1, 0(s1)
    ld a2, 8(s1)
    ld a3, 16(s1)
    call printf
    addi s1, s1, 24
    la t0, sections_end
    bne s1, t0, .Lsection
    la a0, announce
    call kernel_space_init

    call heap_test
    la a0, line_heap_test
    call print_string
    call frame_allocator_test
    call remap_test
    call process_init
    li a0, REPLACEMENT
    li a1, STORE_PAGES
    call replacement_init
    la s1, applications
.Lapplication:
    ld a0, 0(s1)
    call process_run
    bnez a0, .Lfailed
    addi s1, s1, 8
    la t0, applications_end
    bne s1, t0, .Lapplication
    la a0, line_end
    call print_string
    LEAVE 1
.Lfailed:
    ld a1, 0(s1)
    la a0, message_application
    call panic
END_FUNCTION profile_main

# announce(a0 = name of a section that is about to be mapped)
LOCAL_FUNCTION announce
    la t0, section_name_stack
    beq a0, t0, .Lnot_announced                 # 003 counts it to .bss
    mv a1, a0
    la a0, line_mapping
    la t0, section_name_memory
    bne a1, t0, .Lprint_mapping
    la a0, line_mapping_memory
.Lprint_mapping:
    j printf
.Lnot_announced:
    ret
END_FUNCTION announce

# frame_allocator_test(): five frames, all dropped, and five again, which are the same from the last to the first
LOCAL_FUNCTION frame_allocator_test
    ENTER 3, TRACKERS * 8
    li s2, HALVES
.Lhalf:
    li s1, 0
.Lallocate:
    call frame_alloc
    beqz a0, .Lno_frame
    slli t0, s1, 3
    add t0, sp, t0
    sd a0, 0(t0)
    mv a1, a0
    la a0, line_tracker
    call printf
    addi s1, s1, 1
    li t0, TRACKERS
    bne s1, t0, .Lallocate
    li s1, 0                                    # a vector drops its elements from the first to the last
.Ldrop:
    slli t0, s1, 3
    add t0, sp, t0
    ld a0, 0(t0)
    call frame_dealloc
    addi s1, s1, 1
    li t0, TRACKERS
    bne s1, t0, .Ldrop
    addi s2, s2, -1
    bnez s2, .Lhalf
    la a0, line_frame_test
    call print_string
    LEAVE 3, TRACKERS * 8
.Lno_frame:
    la a0, message_no_frame
    call panic
END_FUNCTION frame_allocator_test

# remap_test(): the middle of .text and .rodata is not writable, that of .data not executable
LOCAL_FUNCTION remap_test
    ENTER
    la a0, stext
    la a1, etext
    li a2, PTE_W
    call check_middle
    la a0, srodata
    la a1, erodata
    li a2, PTE_W
    call check_middle
    la a0, sdata
    la a1, edata
    li a2, PTE_X
    call check_middle
    la a0, line_remap_test
    call print_string
    LEAVE
END_FUNCTION remap_test

# check_middle(a0 = start, a1 = end, a2 = the flag that the page in the middle must not have)
LOCAL_FUNCTION check_middle
    ENTER 1
    mv s1, a2
    add a1, a0, a1
    srli a1, a1, PAGE_SHIFT + 1
    la t0, kernel_space
    ld t0, 0(t0)
    ld a0, SPACE_ROOT(t0)
    call find_pte
    beqz a0, .Lwrong_mapping
    ld t0, 0(a0)
    and t0, t0, s1
    bnez t0, .Lwrong_mapping
    LEAVE 1
.Lwrong_mapping:
    la a0, message_remap
    call panic
END_FUNCTION check_middle

.section .rodata
.balign 8
sections:
    .quad name_text, stext, etext
    .quad name_rodata, srodata, erodata
    .quad name_data, sdata, edata
    .quad name_bss, sbss, ebss
sections_end:
applications:
    .quad name_hello, name_faults, name_memory, name_slices
applications_end:

STRING line_hello, "[kernel] Hello, world!\n"
STRING line_section, "%s [%p, %p)\n"
STRING line_mapping, "mapping %s section\n"
STRING line_mapping_memory, "mapping physical memory\n"
STRING line_heap_test, "heap_test passed!\n"
STRING line_tracker, "FrameTracker:PPN=%p\n"
STRING line_frame_test, "frame_allocator_test passed!\n"
STRING line_remap_test, "remap_test passed!\n"
STRING line_end, "[kernel] all applications completed\n"
STRING name_text, ".text"
STRING name_rodata, ".rodata"
STRING name_data, ".data"
STRING name_bss, ".bss"
STRING name_hello, "hello"
STRING name_faults, "faults"
STRING name_memory, "memory"
STRING name_slices, "slices"
STRING message_no_frame, "no available frame to allocate"
STRING message_remap, "remap_test: the mapping allows too much"
STRING message_application, "the application %s failed"
