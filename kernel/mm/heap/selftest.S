# Self-test of whichever heap was linked: blocks of several sizes, freed in another order, leave one free block; a block
# that gets larger keeps its contents; a heap that is full grows by frames, and gives them back.
.include "lib/abi.inc"

.equ BLOCKS, 6
.equ FILLING, 60000                             # bytes of each block that fills the heap
.equ FIRST_NUMBERS, 8                           # doublewords of an array, at first
.equ LAST_NUMBERS, 512                          # and in the end
.equ SMALL, 24                                  # bytes of a block that is in its way
.equ LARGE, LAST_NUMBERS * 8                    # and of one that is far away where blocks have places by their size

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
.Lallocate:
    la s2, cases
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
    bne s1, t0, .Lallocate

    call heap_requested
    mv s1, a0
    call heap_allocated
    mv a2, a0
    mv a1, s1
    la a0, line_use
    call printf

    li s1, 0
.Lfree:
    la t0, free_order
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
    bne s1, t0, .Lfree

    call heap_largest_free
    bne a0, s4, .Lwrong
    srli a1, a0, 10
    la a0, line_freed
    call printf
    li a0, LARGE
    call array_test
    li a0, SMALL
    call array_test
    call growth_test
    call heap_largest_free
    bne a0, s4, .Lwrong
    LEAVE 4, BLOCKS * 8
.Lwrong:
    la a0, message_wrong
    call panic
END_FUNCTION heap_selftest

# array_test(a0 = bytes of a block that is allocated behind the array)
# Numbers are appended to an array, which is given twice the room whenever it is full.
LOCAL_FUNCTION array_test
    ENTER 6
    mv s6, a0
    li a0, FIRST_NUMBERS * 8
    li a1, 8
    call heap_alloc
    beqz a0, .Lno_frame
    mv s1, a0                                   # s1: the array
    mv a0, s6
    li a1, 8
    call heap_alloc
    beqz a0, .Lno_frame
    mv s5, a0                                   # s5: the block behind it
    li s2, FIRST_NUMBERS                        # s2: numbers that it has room for
    li s3, 0                                    # s3: numbers in it
    li s4, 0                                    # s4: how often it had to move
.Lappend:
    bne s3, s2, .Lhas_room
    mv a0, s1
    slli a1, s2, 3
    li a2, 8
    slli a3, s2, 4
    call heap_realloc
    beqz a0, .Lno_frame
    sub t0, a0, s1
    snez t0, t0
    add s4, s4, t0
    mv s1, a0
    slli s2, s2, 1
.Lhas_room:
    slli t0, s3, 3
    add t0, s1, t0
    sd s3, 0(t0)
    addi s3, s3, 1
    li t0, LAST_NUMBERS
    bne s3, t0, .Lappend
    slli a2, s2, 3
    mv a3, s6
    mv a4, s4
    li a1, FIRST_NUMBERS * 8
    la a0, line_array
    call printf
.Lcheck_number:
    addi s3, s3, -1
    slli t0, s3, 3
    add t0, s1, t0
    ld t0, 0(t0)
    bne t0, s3, .Lwrong
    bnez s3, .Lcheck_number
    mv a0, s1
    slli a1, s2, 3
    li a2, 8
    call heap_dealloc
    mv a0, s5
    mv a1, s6
    li a2, 8
    call heap_dealloc
    LEAVE 6
END_FUNCTION array_test

# growth_test(): fills the heap until it grows, and empties it. The blocks are linked through their first words.
LOCAL_FUNCTION growth_test
    ENTER 5
    call frame_in_use
    mv s1, a0                                   # s1: frames in use before
    call heap_total
    mv s2, a0                                   # s2: bytes of the heap before
    li s3, 0                                    # s3: the last block so far
    li s4, 0                                    # s4: how many
.Lfill:
    li a0, FILLING
    li a1, 8
    call heap_alloc
    beqz a0, .Lno_frame
    sd s3, 0(a0)
    mv s3, a0
    addi s4, s4, 1
    call heap_total
    beq a0, s2, .Lfill
    srli s5, a0, 10
    call frame_in_use
    sub a3, a0, s1
    addi a1, s4, -1
    li a2, FILLING
    mv a4, s5
    la a0, line_grown
    call printf
.Lempty:
    mv a0, s3
    ld s3, 0(s3)
    li a1, FILLING
    li a2, 8
    call heap_dealloc
    bnez s3, .Lempty
    call heap_total
    bne a0, s2, .Lwrong
    call frame_in_use
    bne a0, s1, .Lwrong
    srli a1, s2, 10
    la a0, line_shrunk
    call printf
    LEAVE 5
.Lno_frame:
    la a0, message_no_frame
    call panic
END_FUNCTION growth_test

STRING line_title, "\nheap (%s): %d KiB, largest free block %d KiB\n"
STRING line_block, "  %4d bytes, aligned to %4d   %p\n"
STRING line_use, "  requested %d bytes, taken by blocks %d\n"
STRING line_freed, "  freed in another order; largest free block %d KiB again\n"
STRING line_array, "  an array of %d bytes grown to %d, before a block of %d; moves: %d\n"
STRING line_grown, "  full with %d blocks of %d bytes; for one more %d frames are taken: %d KiB\n"
STRING line_shrunk, "  all freed, the frames given back: %d KiB\n"
STRING message_no_frame, "no available frame to allocate"
STRING message_wrong, "heap self-test: a block is missing, misaligned, or did not come back"
