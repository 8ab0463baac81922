# Self-test of whichever heap was linked: blocks of several sizes, freed in another order, leave one free block.
.include "lib/abi.inc"

.equ BLOCKS, 6

.section .rodata
.balign 4
cases:
    .word 24, 8
    .word 100, 4
    .word 1000, 8
    .word 5000, 16
    .word 64, 4096
    .word 8, 8
free_order:
    .byte 3, 0, 5, 1, 4, 2

.text

# heap_selftest()
# Prints what it does. Panics when a block is not aligned, or when the heap is not afterwards what it was before.
FUNCTION heap_selftest
    ENTER 4, BLOCKS * 8
    call heap_largest_free
    mv s4, a0                                   # s4: the largest free block, before
    call heap_total
    srli a2, a0, 10
    srli a3, s4, 10
    la a1, heap_allocator_name
    la a0, line_title
    call printf

    li s1, 0
1:  la s2, cases
    slli t0, s1, 3
    add s2, s2, t0
    lwu a0, 0(s2)
    lwu a1, 4(s2)
    call heap_alloc
    slli t0, s1, 3
    add t0, sp, t0
    sd a0, 0(t0)
    beqz a0, .Lwrong
    lwu a2, 4(s2)
    addi t0, a2, -1
    and t0, t0, a0
    bnez t0, .Lwrong
    mv a3, a0
    lwu a1, 0(s2)
    la a0, line_block
    call printf
    addi s1, s1, 1
    li t0, BLOCKS
    bne s1, t0, 1b

    call heap_requested
    mv s1, a0
    call heap_allocated
    mv a2, a0
    mv a1, s1
    la a0, line_use
    call printf

    li s1, 0
2:  la t0, free_order
    add t0, t0, s1
    lbu t0, 0(t0)
    slli t0, t0, 3
    add t1, sp, t0
    ld a0, 0(t1)
    la t1, cases
    add t1, t1, t0
    lwu a1, 0(t1)
    lwu a2, 4(t1)
    call heap_dealloc
    addi s1, s1, 1
    li t0, BLOCKS
    bne s1, t0, 2b

    call heap_largest_free
    bne a0, s4, .Lwrong
    srli a1, a0, 10
    la a0, line_freed
    call printf
    LEAVE 4, BLOCKS * 8
.Lwrong:
    la a0, message_wrong
    call panic
END_FUNCTION heap_selftest

STRING line_title, "\nheap (%s): %d KiB, largest free block %d KiB\n"
STRING line_block, "  %4d bytes, aligned to %4d   %p\n"
STRING line_use, "  requested %d bytes, taken by blocks %d\n"
STRING line_freed, "  freed in another order; largest free block %d KiB again\n"
STRING message_wrong, "heap self-test: a block is missing, misaligned, or did not come back"
