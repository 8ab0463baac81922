# Self-tests of the kernel's address space: lazy pages get their frames, and forbidden accesses are refused.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"

.equ LAZY_PAGES, 16
.equ LAZY_VA, 0x1000000000                      # 64 GiB: far from everything that is mapped
.equ TOUCHES, 6

.section .rodata
touched_pages:
    .byte 0, 5, 3, 5, 15, 0                     # four different ones
.equ TOUCHED, 4

# Probes: address, function, what it is called
.equ PROBE_ADDRESS, 0
.equ PROBE_FUNCTION, 8
.equ PROBE_WHAT, 16
.equ PROBE_SIZE, 24
.section .data
.balign 8
probes:
    .quad stext, probe_store, name_store_text
    .quad srodata, probe_store, name_store_rodata
    .quad srodata, probe_execute, name_execute_rodata
    .quad sdata, probe_execute, name_execute_data
    .quad boot_stack, probe_execute, name_execute_stack
    .quad ekernel, probe_execute, name_execute_memory
    .quad boot_stack_guard, probe_load, name_load_guard
    .quad stext - PAGE_SIZE, probe_load, name_load_firmware
probes_end:

.text

# lazy_selftest()
# Stores to pages of a lazy area and loads back. Panics when something else comes back, or frames are lost.
FUNCTION lazy_selftest
    ENTER 6
    la t0, kernel_space
    ld s5, 0(t0)                                # s5: the space
    la t0, lazy_pages_served
    sd zero, 0(t0)
    mv a0, s5
    li a1, LAZY_VA >> PAGE_SHIFT
    addi a2, a1, LAZY_PAGES
    li a3, PTE_R | PTE_W
    li a4, AREA_LAZY
    call area_add
    beqz a0, .Lwrong_number
    mv s6, a0                                   # s6: the area
    la a0, line_reserved
    li a1, LAZY_PAGES
    li a2, LAZY_VA
    call printf

    li s1, 0
.Ltouch:
    la t0, touched_pages
    add t0, t0, s1
    lbu s2, 0(t0)
    slli s3, s2, PAGE_SHIFT
    li t0, LAZY_VA
    add s3, s3, t0
    addi s3, s3, 0x128
    ld s4, 0(s3)                                # the first access to a page faults, and goes on
    addi t0, s1, 1
    sd t0, 0(s3)

    ld a0, SPACE_ROOT(s5)
    mv a1, s3
    call translate
    mv a3, a0
    mv a1, s3
    mv a2, s4
    la a0, line_touch
    call printf
    addi s1, s1, 1
    li t0, TOUCHES
    bne s1, t0, .Ltouch

    call frame_in_use
    mv s2, a0
    mv a0, s5
    mv a1, s6
    call area_remove
    call frame_in_use
    sub a2, s2, a0
    la t0, lazy_pages_served
    ld a1, 0(t0)
    bne a1, a2, .Lwrong_number
    li t0, TOUCHED
    bne a1, t0, .Lwrong_number
    la a0, line_released
    call printf
    LEAVE 6
.Lwrong_number:
    la a0, message_frames
    call panic
END_FUNCTION lazy_selftest

# permission_selftest()
# Tries accesses that the mapping must refuse. Panics at the first one that succeeds.
FUNCTION permission_selftest
    ENTER 1
    la a0, line_permissions
    call print_string
    la s1, probes
.Lprobe:
    ld a0, PROBE_ADDRESS(s1)
    ld t0, PROBE_FUNCTION(s1)
    jalr t0
    ld a1, PROBE_WHAT(s1)
    ld a2, PROBE_ADDRESS(s1)
    beqz a0, .Lwas_allowed
    call cause_name
    mv a3, a0
    la a0, line_refused
    call printf
    addi s1, s1, PROBE_SIZE
    la t0, probes_end
    bne s1, t0, .Lprobe
    LEAVE 1
.Lwas_allowed:
    la a0, message_allowed
    call panic
END_FUNCTION permission_selftest

STRING line_reserved, "\nlazy memory: %d pages at %p, none of them with a frame\n"
STRING line_touch, "  %p held %d, lies in frame at %p\n"
STRING line_released, "  page faults served %d, frames given back %d\n"
STRING message_frames, "lazy self-test: wrong number of frames"
STRING line_permissions, "\nforbidden accesses\n"
STRING line_refused, "  %-24s %p  %s\n"
STRING message_allowed, "permission self-test: the mapping allows to %s at %p"
STRING name_store_text, "store to .text"
STRING name_store_rodata, "store to .rodata"
STRING name_execute_rodata, "execute .rodata"
STRING name_execute_data, "execute .data"
STRING name_execute_stack, "execute the stack"
STRING name_execute_memory, "execute free memory"
STRING name_load_guard, "load from the guard page"
STRING name_load_firmware, "load from the firmware"
