# The kernel's own address space: each section with the permissions it needs and no others, and all free memory.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"

.equ KERNEL_ASID, 0

VARIABLE kernel_space                           # 0 until kernel_space_init

# The sections: start, end (both addresses as the kernel sees them), permissions, name. The page between the last two
# is the guard of the boot stack.
.equ SECTION_START, 0
.equ SECTION_END, 8
.equ SECTION_FLAGS, 16
.equ SECTION_NAME, 24
.equ SECTION_SIZE, 32

.section .data
.balign 8
kernel_sections:
    .quad stext, etext, PTE_R | PTE_X, name_text
    .quad srodata, erodata, PTE_R, name_rodata
    .quad sdata, edata, PTE_R | PTE_W, name_data
    .quad sbss, boot_stack_guard, PTE_R | PTE_W, name_bss
    .quad boot_stack, ebss, PTE_R | PTE_W, section_name_stack
section_memory:
    .quad ekernel, 0, PTE_R | PTE_W, section_name_memory    # its end is known at run time
kernel_sections_end:

.text

# kernel_space_init(a0 = a function that is called with the name of each section before it is mapped, or 0)
# Maps every section and switches to the new table. memory_end_pa, frames and heap must be ready.
# Panics when memory runs out.
FUNCTION kernel_space_init
    ENTER 3
    mv s3, a0                                   # s3: what to call with each name, or 0
    la t0, memory_end_pa
    ld t0, 0(t0)
    PA_TO_VA t0, t0, t1
    la t1, section_memory
    sd t0, SECTION_END(t1)
    li a0, KERNEL_ASID
    call space_new
    beqz a0, .Lno_frame
    la t0, kernel_space
    sd a0, 0(t0)
    mv s2, a0                                   # s2: the space
    la s1, kernel_sections                      # s1: the section
.Lmap_section:
    beqz s3, .Lannounced
    ld a0, SECTION_NAME(s1)
    jalr s3
.Lannounced:
    mv a0, s2
    ld t3, SECTION_START(s1)
    ld t4, SECTION_END(s1)
    srli a1, t3, PAGE_SHIFT
    srli a2, t4, PAGE_SHIFT
    ld a3, SECTION_FLAGS(s1)
    li a4, AREA_LINEAR
    VA_TO_PPN a5, t3, t0
    call area_add
    beqz a0, .Lno_frame
    addi s1, s1, SECTION_SIZE
    la t0, kernel_sections_end
    bne s1, t0, .Lmap_section

    mv a0, s2
    la a1, boot_stack_guard
    srli a1, a1, PAGE_SHIFT
    addi a2, a1, 1
    li a3, 0
    li a4, AREA_GUARD
    call area_add
    beqz a0, .Lno_frame
    ld a0, SPACE_ROOT(s2)
    li a1, KERNEL_ASID
    call page_table_activate
    LEAVE 3
.Lno_frame:
    la a0, message_no_frame
    call panic
END_FUNCTION kernel_space_init

# kernel_space_print(): one line for each section
FUNCTION kernel_space_print
    ENTER 1
    la s1, kernel_sections                      # s1: the section
.Lprint_section:
    la a0, line_section
    ld a1, SECTION_NAME(s1)
    ld a2, SECTION_START(s1)
    ld a3, SECTION_END(s1)
    ld t0, SECTION_FLAGS(s1)                    # t0: its permissions
    li a4, 'r'                                  # every section is readable
    li a5, '-'
    andi t1, t0, PTE_W
    beqz t1, .Lexecutable
    li a5, 'w'
.Lexecutable:
    li a6, '-'
    andi t1, t0, PTE_X
    beqz t1, .Lprint_flags
    li a6, 'x'
.Lprint_flags:
    call printf
    addi s1, s1, SECTION_SIZE
    la t0, kernel_sections_end
    bne s1, t0, .Lprint_section
    LEAVE 1
END_FUNCTION kernel_space_print

.globl section_name_stack, section_name_memory
STRING name_text, ".text"
STRING name_rodata, ".rodata"
STRING name_data, ".data"
STRING name_bss, ".bss"
STRING section_name_stack, "stack, heap"
STRING section_name_memory, "memory"
STRING line_section, "  %-12s %p .. %p  %c%c%c\n"
STRING message_no_frame, "no available frame to allocate"
