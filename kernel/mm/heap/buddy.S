# Kernel heap: a buddy system with one list of free blocks for each order.
#
# A block of order k has 2^k bytes and lies at a multiple of 2^k from the start of the heap. Splitting halves a block;
# a freed block joins its buddy (the neighbour at offset XOR 2^k) whenever that is free and whole, and so on upwards.
#
# One state byte for each 32 bytes of heap stands apart from the blocks. It is the truth about the block that begins
# there: which order, and whether it is free. Freed twice, never allocated, and freed with another size than allocated
# are all seen in it, and because joining asks the same bytes, any order of frees brings the first blocks back.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ LEAST_ORDER, 5                             # 32 bytes: a free block holds two pointers
.equ MOST_ORDER, 31
.equ LARGEST_ALIGN, PAGE_SIZE                   # the heap itself begins on a page, no more

.equ STATE_FREE, 0x40                           # | order: a free block begins here
.equ STATE_USED, 0x80                           # | order: an allocated block begins here; 0: inside of a block

# A free block's first words
.equ LINK_NEXT, 0
.equ LINK_PREVIOUS, 8

.section .bss.heap, "aw", @nobits
.balign PAGE_SIZE
.globl heap_space
.type heap_space, @object
.size heap_space, HEAP_SIZE
heap_space:
    .zero HEAP_SIZE
.globl heap_space_end
heap_space_end:
heap_states:
    .zero HEAP_SIZE >> LEAST_ORDER

VARIABLE heap_start
VARIABLE heap_bytes
VARIABLE heap_free_lists, (MOST_ORDER + 1) * 16 # a ring for each order, headed by these two words
VARIABLE heap_requested_bytes
VARIABLE heap_allocated_bytes

.text

# heap_init(a0 = start, on a page; a1 = size in bytes, at most HEAP_SIZE)
# Everything is free from now on. A size that is no power of two becomes several first blocks, the largest first.
# Panics when start is not on a page, or the size is above HEAP_SIZE or below the smallest block.
FUNCTION heap_init
    ENTER 4
    slli t0, a0, 64 - PAGE_SHIFT
    bnez t0, .Lillegal
    li t0, HEAP_SIZE
    bgtu a1, t0, .Lillegal
    andi s2, a1, -(1 << LEAST_ORDER)
    beqz s2, .Lillegal
    mv s1, a0
    la t0, heap_start
    sd s1, 0(t0)
    la t0, heap_bytes
    sd s2, 0(t0)
    la t0, heap_requested_bytes
    sd zero, 0(t0)
    la t0, heap_allocated_bytes
    sd zero, 0(t0)

    la t0, heap_free_lists
    li t1, MOST_ORDER + 1
1:  sd t0, LINK_NEXT(t0)
    sd t0, LINK_PREVIOUS(t0)
    addi t0, t0, 16
    addi t1, t1, -1
    bnez t1, 1b

    la a0, heap_states
    srli a1, s2, LEAST_ORDER
    addi a1, a1, 7
    andi a1, a1, -8
    add a1, a0, a1
    call fill_zero

    # The largest block that fits, then the next: each begins at a multiple of its size, as the larger came first.
    li s3, MOST_ORDER
    li s4, 0                                    # s4: offset of the next block
2:  li t0, 1
    sll t0, t0, s3
    sub t1, s2, s4
    bltu t1, t0, 3f
    mv a0, s4
    mv a1, s3
    add s4, s4, t0
    call insert_free
    j 2b
3:  addi s3, s3, -1
    li t0, LEAST_ORDER
    bgeu s3, t0, 2b
    LEAVE 4
.Lillegal:
    mv a2, a1
    mv a1, a0
    la a0, message_area
    call panic
END_FUNCTION heap_init

# insert_free(a0 = offset, a1 = order): a free block begins there; it heads its order's list. Clobbers t0 t1 t2 only.
.type insert_free, @function
insert_free:
    la t0, heap_states
    srli t1, a0, LEAST_ORDER
    add t0, t0, t1
    ori t1, a1, STATE_FREE
    sb t1, 0(t0)
    la t0, heap_start
    ld t0, 0(t0)
    add t0, t0, a0                              # t0: the block
    la t1, heap_free_lists
    slli t2, a1, 4
    add t1, t1, t2                              # t1: head of the ring
    ld t2, LINK_NEXT(t1)
    sd t2, LINK_NEXT(t0)
    sd t1, LINK_PREVIOUS(t0)
    sd t0, LINK_PREVIOUS(t2)
    sd t0, LINK_NEXT(t1)
    ret
.size insert_free, . - insert_free

# remove_free(a0 = offset): the free block there leaves its list, and no block begins there. Clobbers t0 t1 t2 only.
# Panics when its neighbours in the list do not point back at it: somebody wrote into a free block.
.type remove_free, @function
remove_free:
    la t0, heap_states
    srli t1, a0, LEAST_ORDER
    add t0, t0, t1
    sb zero, 0(t0)
    la t0, heap_start
    ld t0, 0(t0)
    add t0, t0, a0
    ld t1, LINK_NEXT(t0)
    ld t2, LINK_PREVIOUS(t0)
    ld a6, LINK_PREVIOUS(t1)
    bne a6, t0, 1f
    ld a6, LINK_NEXT(t2)
    bne a6, t0, 1f
    sd t1, LINK_NEXT(t2)
    sd t2, LINK_PREVIOUS(t1)
    ret
1:  ENTER                                       # for the backtrace
    mv a1, t0
    la a0, message_corrupt
    call panic
.size remove_free, . - remove_free

# order_for(a0 = size, a1 = align) -> a0 = the order of a block for it, MOST_ORDER + 1 when there cannot be one
# align is a power of two up to a page, or 0 for no wish. Clobbers t0 t1 only.
.type order_for, @function
order_for:
    addi t0, a1, -1
    and t0, t0, a1
    bnez t0, 3f                                 # not a power of two
    li t0, LARGEST_ALIGN
    bgtu a1, t0, 3f
    bgeu a0, a1, 1f
    mv a0, a1                                   # a block is aligned to its size, so it must be as large as its alignment
1:  mv t0, a0
    li a0, LEAST_ORDER
    li t1, 1 << LEAST_ORDER
2:  bgeu t1, t0, 4f
    slli t1, t1, 1
    addi a0, a0, 1
    li a6, MOST_ORDER
    bleu a0, a6, 2b
3:  li a0, MOST_ORDER + 1
4:  ret
.size order_for, . - order_for

# heap_alloc(a0 = size in bytes, a1 = align) -> a0 = pointer, 0 when no free block is large enough
# align is a power of two up to 4096, or 0; for any other align the answer is 0.
FUNCTION heap_alloc
    ENTER 4
    mv s4, a0                                   # s4: what was asked for
    call order_for
    mv s1, a0                                   # s1: order wanted

    # The smallest order with a free block.
    mv s2, s1
    li t1, MOST_ORDER
    la t2, heap_free_lists
1:  bgtu s2, t1, .Lnone
    slli t3, s2, 4
    add t3, t2, t3
    ld t4, LINK_NEXT(t3)
    bne t4, t3, 2f
    addi s2, s2, 1
    j 1b
2:  la t0, heap_start
    ld t0, 0(t0)
    sub s3, t4, t0                              # s3: its offset
    mv a0, s3
    call remove_free

    # Split it down to what is wanted: the upper halves become free blocks.
3:  beq s2, s1, 4f
    addi s2, s2, -1
    li t0, 1
    sll t0, t0, s2
    add a0, s3, t0
    mv a1, s2
    call insert_free
    j 3b
4:  la t0, heap_states
    srli t1, s3, LEAST_ORDER
    add t0, t0, t1
    ori t1, s1, STATE_USED
    sb t1, 0(t0)

    la t0, heap_requested_bytes
    ld t1, 0(t0)
    add t1, t1, s4
    sd t1, 0(t0)
    la t0, heap_allocated_bytes
    ld t1, 0(t0)
    li t2, 1
    sll t2, t2, s1
    add t1, t1, t2
    sd t1, 0(t0)
    la t0, heap_start
    ld a0, 0(t0)
    add a0, a0, s3
    LEAVE 4
.Lnone:
    li a0, 0
    LEAVE 4
END_FUNCTION heap_alloc

# heap_dealloc(a0 = pointer, a1 = size, a2 = align), size and align as they were at heap_alloc
# Panics when the pointer is none of the heap's, no allocated block begins there, or its size was another.
FUNCTION heap_dealloc
    ENTER 4
    mv s4, a1
    la t0, heap_start
    ld t0, 0(t0)
    sub s1, a0, t0                              # s1: offset of the block
    la t0, heap_bytes
    ld s3, 0(t0)                                # s3: size of the heap
    bgeu s1, s3, .Lforeign
    andi t0, s1, (1 << LEAST_ORDER) - 1
    bnez t0, .Lforeign
    la t0, heap_states
    srli t1, s1, LEAST_ORDER
    add t3, t0, t1                              # t3: its state
    lbu s2, 0(t3)
    andi t1, s2, STATE_USED
    beqz t1, .Lforeign
    andi s2, s2, STATE_FREE - 1                 # s2: its order
    mv t2, a0
    mv a0, a1
    mv a1, a2
    call order_for                              # leaves t2 and t3 alone
    bne a0, s2, .Lsize
    sb zero, 0(t3)

    la t0, heap_requested_bytes
    ld t1, 0(t0)
    sub t1, t1, s4
    sd t1, 0(t0)
    la t0, heap_allocated_bytes
    ld t1, 0(t0)
    li t2, 1
    sll t2, t2, s2
    sub t1, t1, t2
    sd t1, 0(t0)

    # Join the buddy as long as it is free and of the same order.
1:  li t0, 1
    sll t0, t0, s2
    xor a0, s1, t0                              # a0: offset of the buddy
    add t1, a0, t0
    bgtu t1, s3, 2f                             # it would end behind the heap
    la t1, heap_states
    srli t2, a0, LEAST_ORDER
    add t1, t1, t2
    lbu t1, 0(t1)
    ori t2, s2, STATE_FREE
    bne t1, t2, 2f
    call remove_free
    and s1, s1, a0                              # the lower of the two: they differ in one bit
    addi s2, s2, 1
    j 1b
2:  mv a0, s1
    mv a1, s2
    call insert_free
    LEAVE 4

.Lforeign:
    mv a1, a0
    la a0, message_foreign
    call panic
.Lsize:
    mv a1, t2
    mv a2, s2
    mv a3, s4
    la a0, message_size
    call panic
END_FUNCTION heap_dealloc

# heap_total() -> a0 = bytes of the heap
FUNCTION heap_total
    la t0, heap_bytes
    ld a0, 0(t0)
    ret
END_FUNCTION heap_total

# heap_requested() -> a0 = bytes that the callers asked for and have not freed
FUNCTION heap_requested
    la t0, heap_requested_bytes
    ld a0, 0(t0)
    ret
END_FUNCTION heap_requested

# heap_allocated() -> a0 = bytes in the blocks that they got: the difference is internal fragmentation
FUNCTION heap_allocated
    la t0, heap_allocated_bytes
    ld a0, 0(t0)
    ret
END_FUNCTION heap_allocated

# heap_largest_free() -> a0 = bytes of the largest free block, 0 when there is none
FUNCTION heap_largest_free
    la t0, heap_free_lists
    li t1, MOST_ORDER
1:  slli t2, t1, 4
    add t2, t0, t2
    ld t3, LINK_NEXT(t2)
    bne t3, t2, 2f
    addi t1, t1, -1
    bnez t1, 1b
    li a0, 0
    ret
2:  li a0, 1
    sll a0, a0, t1
    ret
END_FUNCTION heap_largest_free

STRING heap_allocator_name, "buddy"
.globl heap_allocator_name
STRING message_area, "illegal area for the heap: start=%p, size=%d"
STRING message_foreign, "Heap block ptr=%p has not been allocated!"
STRING message_size, "Heap block ptr=%p of order %d is freed with another size: %d bytes"
STRING message_corrupt, "Heap block ptr=%p is free, but was written to"
