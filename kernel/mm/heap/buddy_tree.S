# Kernel heap: a buddy system whose free lists form a binary tree of ids (002).
#
# The heap is cut into blocks of the largest size, each with the id 1. A block with the id i is halved into one with
# the id 2i and, behind it, one with the id 2i + 1; so the buddy of block i is block i ^ 1, and only id 1 has none.
# Blocks with equal ids, one from each block of the largest size, stand in the list of that id. A heap that is no
# multiple of the largest size ends in smaller blocks, with the ids that they would have in a whole one.
#
# Each block begins with its header: id, address, size, and what is handed out of it or its neighbours in the list.
# Each node of the tree also has a mask: bit d is set when a free block of depth d (size = largest >> d) stands in the
# list of the node or of a node below. The smallest free block that suffices is found by one look at the root's mask
# and d steps down.
#
# The header of a block always lies where the block begins, so the header at the place of a buddy tells whether it is
# free and whole, and walking down the tree to an address tells whether a block begins there. Nothing has to be
# searched or believed, which is why blocks join again after any order of frees (002 could not), and foreign pointers
# are found out.
#
# Space: 32 bytes of header in each block, and 10 bytes for each id: with the largest size of 1 MiB, 320 KiB in all.
# Time: O(log size) to allocate and to free, size being the largest size.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ LEAST_ORDER, 6                             # 64 bytes: a header, and at least as much for the caller
.equ MOST_ORDER, 20                             # 1 MiB, the largest size; smaller where the heap is smaller
.equ LARGEST_ALIGN, PAGE_SIZE                   # the heap itself begins on a page, no more

# A block's header
.equ BLOCK_ID, 0                                # a word
.equ BLOCK_OFFSET, 4                            # from the block to what is handed out, 0 when it is free; a word
.equ BLOCK_ADDRESS, 8
.equ BLOCK_SIZE, 16
.equ BLOCK_REQUESTED, 24                        # bytes that the caller asked for
.equ HEADER_SIZE, 32                            # what is handed out begins here, or further on to be aligned
.equ BLOCK_NEXT, 32                             # of a free block only: its neighbours in the list, 0 = none
.equ BLOCK_PREVIOUS, 40

# Ids are below twice the number of smallest blocks in a largest one, which is no larger than the heap.
.if HEAP_SIZE < 1 << MOST_ORDER
.equ IDS, HEAP_SIZE >> (LEAST_ORDER - 1)
.else
.equ IDS, 1 << (MOST_ORDER - LEAST_ORDER + 1)
.endif

.include "mm/heap/space.inc"

.section .bss.heap
.balign 8
heap_lists:                                     # for each id, its first free block or 0
    .zero IDS * 8
heap_masks:                                     # for each id, its mask: a halfword
    .zero IDS * 2
    .balign 8
heap_masks_end:

VARIABLE heap_root_order                        # the largest size is 1 << this

.text

# heap_init(a0 = start, on a page; a1 = size in bytes, at most HEAP_SIZE)
# Everything is free from now on. Panics when start is not on a page, or the size is above HEAP_SIZE or below 64.
FUNCTION heap_init
    ENTER 4
    andi a1, a1, -(1 << LEAST_ORDER)
    mv s1, a0                                   # s1: where the next block begins
    add s2, a0, a1                              # s2: end of the heap
    call space_init
    la a0, heap_lists
    la a1, heap_masks_end
    call fill_zero

    sub t0, s2, s1
    li s3, MOST_ORDER                           # s3: order of the next block
1:  srl t1, t0, s3
    bnez t1, 2f
    addi s3, s3, -1
    j 1b
2:  la t0, heap_root_order
    sd s3, 0(t0)
    mv s4, s3                                   # s4: order of the root

    # The largest block that fits, then the next: each begins at a multiple of its size, as the larger came first.
3:  li t0, 1
    sll t0, t0, s3
    sub t1, s2, s1
    bltu t1, t0, 4f
    mv a0, s1
    la t2, heap_start
    ld t2, 0(t2)
    sub t2, s1, t2
    srl t2, t2, s3                              # blocks of this size before it, in all
    sub t3, s4, s3
    li t4, 1
    sll t4, t4, t3                              # blocks of this size in a root: their first id
    addi t3, t4, -1
    and t2, t2, t3
    add a1, t4, t2
    add s1, s1, t0
    call insert_free
    j 3b
4:  addi s3, s3, -1
    li t0, LEAST_ORDER
    bgeu s3, t0, 3b
    LEAVE 4
END_FUNCTION heap_init

# depth_of(a0 = id) -> t0 = its depth, 0 for the root; t1 = 1 << depth. Clobbers t2 too.
.type depth_of, @function
depth_of:
    li t0, 0
    li t1, 1
    srli t2, a0, 1
1:  bltu t2, t1, 2f
    addi t0, t0, 1
    slli t1, t1, 1
    j 1b
2:  ret
.size depth_of, . - depth_of

# insert_free(a0 = address, a1 = id): a free block with this id begins there; it heads its list. Clobbers t0 .. t6 only.
.type insert_free, @function
insert_free:
    mv t3, ra
    mv t4, a0
    mv a0, a1
    call depth_of
    mv a0, t4
    la t2, heap_root_order
    ld t2, 0(t2)
    sub t2, t2, t0
    li t0, 1
    sll t0, t0, t2
    sw a1, BLOCK_ID(a0)
    sw zero, BLOCK_OFFSET(a0)
    sd a0, BLOCK_ADDRESS(a0)
    sd t0, BLOCK_SIZE(a0)
    la t0, heap_lists
    slli t2, a1, 3
    add t0, t0, t2
    ld t2, 0(t0)
    sd t2, BLOCK_NEXT(a0)
    sd zero, BLOCK_PREVIOUS(a0)
    sd a0, 0(t0)
    beqz t2, 1f
    sd a0, BLOCK_PREVIOUS(t2)
    jr t3

    # The first in its list: the nodes above learn of it, up to the first one that knows a block of this size already.
1:  la t0, heap_masks
    mv t2, a1
2:  slli t4, t2, 1
    add t4, t0, t4
    lhu t5, 0(t4)
    and t6, t5, t1
    bnez t6, 3f
    or t5, t5, t1
    sh t5, 0(t4)
    srli t2, t2, 1
    bnez t2, 2b
3:  jr t3
.size insert_free, . - insert_free

# remove_free(a0 = a free block): it leaves its list. Clobbers t0 .. t6 and a1 only.
# Panics when its header or its neighbours in the list do not agree: somebody wrote into a free block.
.type remove_free, @function
remove_free:
    mv t3, ra
    ld t0, BLOCK_ADDRESS(a0)
    bne t0, a0, panic_corrupt
    lwu a1, BLOCK_ID(a0)
    li t0, IDS
    bgeu a1, t0, panic_corrupt
    la t4, heap_lists
    slli t0, a1, 3
    add t4, t4, t0                              # t4: what points to the block
    ld t1, BLOCK_PREVIOUS(a0)
    ld t2, BLOCK_NEXT(a0)
    la t5, heap_start
    ld t5, 0(t5)
    la t6, heap_bytes
    ld t6, 0(t6)
    beqz t1, 1f
    sub t0, t1, t5
    bgeu t0, t6, panic_corrupt
    addi t4, t1, BLOCK_NEXT
1:  ld t0, 0(t4)
    bne t0, a0, panic_corrupt
    beqz t2, 2f
    sub t0, t2, t5
    bgeu t0, t6, panic_corrupt
    ld t0, BLOCK_PREVIOUS(t2)
    bne t0, a0, panic_corrupt
    sd t1, BLOCK_PREVIOUS(t2)
2:  sd t2, 0(t4)
    or t1, t1, t2
    bnez t1, 4f

    # The last in its list: the nodes above forget it, up to the first one that has such a block below its other child.
    mv t4, a0
    mv a0, a1
    call depth_of
    mv a0, t4
    la t0, heap_masks
    mv t2, a1
3:  slli t4, t2, 1
    add t4, t0, t4
    lhu t5, 0(t4)
    xor t5, t5, t1
    sh t5, 0(t4)
    xori t4, t2, 1                              # the root's is id 0, which has nothing
    slli t4, t4, 1
    add t4, t0, t4
    lhu t5, 0(t4)
    and t5, t5, t1
    bnez t5, 4f
    srli t2, t2, 1
    bnez t2, 3b
4:  jr t3
.size remove_free, . - remove_free

# order_for(a0 = size, a1 = align) -> a0 = order of a block for it, MOST_ORDER + 1 when there cannot be one;
#                                     a1 = offset of what is handed out in it
# align is a power of two up to a page, or 0 for no wish. Clobbers t0 t1 only.
.type order_for, @function
order_for:
    addi t0, a1, -1
    and t0, t0, a1
    bnez t0, 3f                                 # not a power of two
    li t0, LARGEST_ALIGN
    bgtu a1, t0, 3f
    li t0, HEADER_SIZE
    bgeu a1, t0, 1f
    mv a1, t0
1:  li t0, 1 << MOST_ORDER
    bgtu a0, t0, 3f
    add t0, a0, a1
    addi t0, t0, -1                             # one less, so that 2^order bytes fit into order, not into the next
    li a0, LEAST_ORDER
2:  srl t1, t0, a0
    beqz t1, 4f
    addi a0, a0, 1
    j 2b
3:  li a0, MOST_ORDER + 1
4:  ret
.size order_for, . - order_for

# heap_alloc(a0 = size in bytes, a1 = align) -> a0 = pointer, 0 when no free block is large enough
# align is a power of two up to 4096, or 0; for any other align the answer is 0.
FUNCTION heap_alloc
    ENTER 7
    mv s1, a0                                   # s1: what was asked for
    call order_for
    mv s2, a1                                   # s2: offset of what is handed out
    la t0, heap_root_order
    ld s6, 0(t0)                                # s6: order of the root
    bgtu a0, s6, .Lnone
    sub s3, s6, a0                              # s3: depth wanted

    # The depth of the smallest free block that suffices: the highest bit of the root's mask, up to the depth wanted.
    la t0, heap_masks
    lhu t1, 2(t0)
    li t2, 2
    sll t2, t2, s3
    addi t2, t2, -1
    and t1, t1, t2
    beqz t1, .Lnone
    mv s4, s3                                   # s4: that depth
1:  srl t2, t1, s4
    bnez t2, 2f
    addi s4, s4, -1
    j 1b

    # Down to the lowest id there that has one.
2:  li t1, 1
    sll t1, t1, s4                              # t1: the bit of this depth
    li s5, 1                                    # s5: the id
3:  bgeu s5, t1, 4f                             # the lowest id of depth d is 1 << d
    slli s5, s5, 1
    slli t2, s5, 1
    add t2, t0, t2
    lhu t2, 0(t2)
    and t2, t2, t1
    bnez t2, 3b
    addi s5, s5, 1
    j 3b
4:  la t0, heap_lists
    slli t1, s5, 3
    add t0, t0, t1
    ld a0, 0(t0)
    call remove_free

    # Halve it down to what is wanted: the upper halves become free blocks.
    sub s6, s6, s4
    li t0, 1
    sll s6, t0, s6                              # s6: its size
    mv s7, a0                                   # s7: the block
5:  beq s4, s3, 6f
    addi s4, s4, 1
    slli s5, s5, 1
    srli s6, s6, 1
    add a0, s7, s6
    addi a1, s5, 1
    call insert_free
    j 5b
6:  sw s5, BLOCK_ID(s7)
    sw s2, BLOCK_OFFSET(s7)
    sd s7, BLOCK_ADDRESS(s7)
    sd s6, BLOCK_SIZE(s7)
    sd s1, BLOCK_REQUESTED(s7)
    mv a0, s1
    mv a1, s6
    call count_allocated
    add a0, s7, s2
    LEAVE 7
.Lnone:
    li a0, 0
    LEAVE 7
END_FUNCTION heap_alloc

# find_block(a0 = address) -> a0 = 1 when a block begins there, free or not; else 0. Clobbers t0 .. t6 a1 a2 only.
# Walks down the tree of ids to the block that holds the address. Where a node begins, there lies the header of its
# block: of the node itself, or of the lowest of the blocks that it is halved into.
# Panics when such a header does not make sense: somebody wrote over it.
.type find_block, @function
find_block:
    la t0, heap_start
    ld t0, 0(t0)
    sub t1, a0, t0                              # t1: offset of the address
    la t2, heap_bytes
    ld t2, 0(t2)
    bgeu t1, t2, 3f
    la t2, heap_root_order
    ld t2, 0(t2)                                # t2: order of the node
    srl t3, t1, t2
    sll t3, t3, t2                              # t3: offset of the node
    li t4, 1                                    # t4: id of the node
1:  add t5, t0, t3
    ld t6, BLOCK_ADDRESS(t5)
    bne t6, t5, 4f
    lwu t6, BLOCK_ID(t5)
    li a1, 1
    beq t6, t4, 2f
    slli t4, t4, 1
    bltu t6, t4, 4f                             # not an id below this node
    addi t2, t2, -1
    li a2, LEAST_ORDER
    bltu t2, a2, 4f
    sll a1, a1, t2
    sub a2, t1, t3
    bltu a2, a1, 1b
    add t3, t3, a1
    addi t4, t4, 1
    j 1b
2:  sll a1, a1, t2
    ld t6, BLOCK_SIZE(t5)
    bne t6, a1, 4f
    sub a0, a0, t5
    seqz a0, a0
    ret
3:  li a0, 0
    ret
4:  mv a0, t5
    j panic_corrupt
.size find_block, . - find_block

# heap_dealloc(a0 = pointer, a1 = size, a2 = align), size and align as they were at heap_alloc
# Panics when the pointer is not that of an allocated block, or its size was another.
FUNCTION heap_dealloc
    ENTER 6
    mv s1, a0                                   # s1: pointer
    mv s2, a1                                   # s2: size as the caller says
    li s4, HEADER_SIZE                          # s4: offset in the block
    bleu a2, s4, 1f
    mv s4, a2
1:  sub s3, s1, s4                              # s3: the block
    mv a0, s3
    call find_block
    beqz a0, .Lforeign
    lwu t0, BLOCK_OFFSET(s3)
    bne t0, s4, .Lforeign
    ld a1, BLOCK_REQUESTED(s3)
    bne a1, s2, .Lsize
    lwu s5, BLOCK_ID(s3)                        # s5: its id
    ld s4, BLOCK_SIZE(s3)                       # s4: its size
    neg a0, s2
    neg a1, s4
    call count_allocated

    # Join the buddy as long as it is free and whole. Both lie in one block of twice the size, at a multiple of it.
    la t0, heap_start
    ld s6, 0(t0)                                # s6: start of the heap
2:  li t0, 1
    beq s5, t0, 3f
    sub t1, s3, s6
    xor t1, t1, s4                              # t1: offset of the buddy
    la t2, heap_bytes
    ld t2, 0(t2)
    add t3, t1, s4
    bgtu t3, t2, 3f                             # it would end behind the heap
    add a0, s6, t1
    lwu t0, BLOCK_ID(a0)
    xori t1, s5, 1
    bne t0, t1, 3f
    lwu t0, BLOCK_OFFSET(a0)
    bnez t0, 3f
    call remove_free
    srli s5, s5, 1
    slli s4, s4, 1
    bltu s3, a0, 2b
    mv s3, a0
    j 2b
3:  mv a0, s3
    mv a1, s5
    call insert_free
    LEAVE 6
.Lforeign:
    mv a0, s1
    j panic_foreign
.Lsize:
    mv a0, s1
    mv a2, s2
    j panic_size
END_FUNCTION heap_dealloc

# heap_largest_free() -> a0 = bytes of the largest free block, its header included; 0 when there is none
FUNCTION heap_largest_free
    la t0, heap_masks
    lhu t1, 2(t0)                               # the root's mask
    li a0, 0
    beqz t1, 2f
    la t0, heap_root_order
    ld t0, 0(t0)
    li a0, 1
    sll a0, a0, t0
1:  andi t0, t1, 1
    bnez t0, 2f
    srli t1, t1, 1
    srli a0, a0, 1
    j 1b
2:  ret
END_FUNCTION heap_largest_free

STRING heap_allocator_name, "buddy tree"
