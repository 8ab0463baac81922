# The kernel's own mapping: each section with the permissions it needs and no others, and all free memory.
.include "lib/abi.inc"
.include "lib/page.inc"

# Set at once: the kernel's own pages need no bookkeeping of accesses. Global: the same in every address space.
.equ KERNEL_FLAGS, PTE_G | PTE_A | PTE_D

VARIABLE kernel_root_ppn                        # 0 until kernel_space_init

# The areas: start, end (both addresses as the kernel sees them), permissions, name. There is none for the guard page.
.equ AREA_START, 0
.equ AREA_END, 8
.equ AREA_FLAGS, 16
.equ AREA_NAME, 24
.equ AREA_SIZE, 32

.section .data
.balign 8
.globl kernel_areas
kernel_areas:
    .quad stext, etext, PTE_R | PTE_X, name_text
    .quad srodata, erodata, PTE_R, name_rodata
    .quad sdata, edata, PTE_R | PTE_W, name_data
    .quad sbss, boot_stack_guard, PTE_R | PTE_W, name_bss
    .quad boot_stack, ebss, PTE_R | PTE_W, name_stack
kernel_area_memory:
    .quad ekernel, 0, PTE_R | PTE_W, name_memory    # its end is known at run time
kernel_areas_end:

.text

# kernel_space_init()
# Maps every area and switches to the new table. memory_end_pa and the frame allocator must be ready.
# Panics when there are too few frames.
FUNCTION kernel_space_init
    ENTER 2
    la t0, memory_end_pa
    ld t0, 0(t0)
    PA_TO_VA t0, t0, t1
    la t1, kernel_area_memory
    sd t0, AREA_END(t1)
    call page_table_new
    beqz a0, 3f
    la t0, kernel_root_ppn
    sd a0, 0(t0)
    mv s2, a0
    la s1, kernel_areas
1:  mv a0, s2
    ld t3, AREA_START(s1)
    ld t4, AREA_END(s1)
    srli a1, t3, PAGE_SHIFT
    VA_TO_PPN a2, t3, t0
    sub a3, t4, t3
    srli a3, a3, PAGE_SHIFT
    ld a4, AREA_FLAGS(s1)
    ori a4, a4, KERNEL_FLAGS
    call map_range
    bnez a0, 3f
    addi s1, s1, AREA_SIZE
    la t0, kernel_areas_end
    bne s1, t0, 1b
    mv a0, s2
    call page_table_activate
    LEAVE 2
3:  la a0, message_no_frame
    call panic
END_FUNCTION kernel_space_init

# kernel_space_print(): one line for each area
FUNCTION kernel_space_print
    ENTER 1
    la s1, kernel_areas
1:  la a0, line_area
    ld a1, AREA_NAME(s1)
    ld a2, AREA_START(s1)
    ld a3, AREA_END(s1)
    ld t0, AREA_FLAGS(s1)
    li a4, 'r'                                  # every area is readable
    li a5, '-'
    andi t1, t0, PTE_W
    beqz t1, 2f
    li a5, 'w'
2:  li a6, '-'
    andi t1, t0, PTE_X
    beqz t1, 3f
    li a6, 'x'
3:  call printf
    addi s1, s1, AREA_SIZE
    la t0, kernel_areas_end
    bne s1, t0, 1b
    LEAVE 1
END_FUNCTION kernel_space_print

STRING name_text, ".text"
STRING name_rodata, ".rodata"
STRING name_data, ".data"
STRING name_bss, ".bss"
STRING name_stack, "stack, heap"
STRING name_memory, "memory"
STRING line_area, "  %-12s %p .. %p  %c%c%c\n"
STRING message_no_frame, "no available frame to allocate"
