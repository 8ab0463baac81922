# Kernel heap: a buddy system whose free lists form a binary tree of ids (002).
#
# The heap is cut into blocks of the largest size, each with the id 1. A block with the id i is halved into one with
# the id 2i and, behind it, one with the id 2i + 1; so the buddy of block i is block i ^ 1, and only id 1 has none.
# Blocks with equal ids, one from each block of the largest size, stand in the list of that id (id_lists.inc). A region
# that is no multiple of the largest size ends in smaller blocks, with the ids that they would have in a whole one.
#
# Each block begins with its header: id, address, size, and what is handed out of it or its neighbours in the list. The
# header of a block always lies where the block begins, so the header at the place of a buddy tells whether it is free and
# whole, and walking down the tree to an address tells which block holds it. Nothing has to be searched or believed, which
# is why blocks join again after any order of frees (002 could not), and foreign pointers are found out.
#
# Space: 32 bytes of header in each block, and 10 bytes for each id: with the largest size of 1 MiB, 320 KiB in all.
# Time: O(log size) to allocate, to free and for another size, size being the largest size.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ LEAST_ORDER, 6                             # 64 bytes: a header, and at least as much for the caller
.equ MOST_ORDER, 20                             # 1 MiB, the largest size; smaller where the heap is smaller at first
.equ STATES_SHIFT, 63                           # all that is known of blocks stands in their headers

.include "mm/heap/space.inc"
.include "mm/heap/id_lists.inc"

.text

# heap_init(a0 = start, on a page; a1 = size in bytes, at most HEAP_SIZE)
# Everything is free from now on. Panics when start is not on a page, or the size is above HEAP_SIZE or below 64.
FUNCTION heap_init
    ENTER
    andi a1, a1, -(1 << LEAST_ORDER)
    call space_init
    ld t0, REGION_START(a0)
    ld t1, REGION_END(a0)
    sub t0, t1, t0                              # t0: bytes of the region
    li t1, MOST_ORDER                           # t1: order of the root
.Ltry_order:
    srl t2, t0, t1
    bnez t2, .Lroot_found
    addi t1, t1, -1
    j .Ltry_order
.Lroot_found:
    la t0, heap_root_order
    sd t1, 0(t0)
    la a0, heap_lists
    la a1, heap_masks_end
    call fill_zero
    la a0, heap_region
    call open_region
    LEAVE
END_FUNCTION heap_init

# order_for(a0 = size, a1 = align) -> a0 = order of a block for it, MOST_ORDER + 1 when there cannot be one;
#                                     a1 = to what the bytes that are handed out are aligned, and most that lies before them
# align is a power of two, or 0 for no wish. Clobbers t0 t1 only.
LOCAL_FUNCTION order_for
    addi t0, a1, -1
    and t0, t0, a1
    bnez t0, .Ltoo_large                        # not a power of two
    li t0, 1 << MOST_ORDER
    bgtu a0, t0, .Ltoo_large
    bgtu a1, t0, .Ltoo_large
    li t0, HEADER_SIZE
    bgeu a1, t0, .Lheader_fits                  # at least a header lies before the bytes
    mv a1, t0
.Lheader_fits:
    seqz t0, a0                                 # nothing is a byte, so that the pointer lies in the block
    add t0, t0, a0
    add t0, t0, a1
    addi t0, t0, -1                             # one less, so that 2^order bytes fit into order, not into the next
    li a0, LEAST_ORDER
.Ltry_order_for:
    srl t1, t0, a0
    beqz t1, .Lorder_known
    addi a0, a0, 1
    j .Ltry_order_for
.Ltoo_large:
    li a0, MOST_ORDER + 1
.Lorder_known:
    ret
END_FUNCTION order_for

# heap_alloc(a0 = size in bytes, a1 = align) -> a0 = pointer, 0 when no free block is large enough and no frames are left
# align is a power of two, or 0; for any other align, and more than the largest size, the answer is 0.
FUNCTION heap_alloc
    ENTER 7
    mv s1, a0                                   # s1: what was asked for
    call order_for
    mv s2, a1                                   # s2: alignment
    la t0, heap_root_order
    ld s6, 0(t0)                                # s6: order of the root
    bgtu a0, s6, .Lnone
    mv s7, a0                                   # s7: order wanted
    sub s3, s6, a0                              # s3: depth wanted
.Lsearch:
    mv a0, s3
    call find_free
    beqz a0, .Lfull
    mv s5, a1                                   # s5: the id
    mv s4, a2                                   # s4: its depth
    call remove_free

    # Halve it down to what is wanted: the upper halves become free blocks.
    sub s6, s6, s4                              # s6: order of the block
    li t0, 1
    sll s6, t0, s6                              # s6: its size
    mv s7, a0                                   # s7: the block
.Lhalve:
    beq s4, s3, .Lhalved
    addi s4, s4, 1
    slli s5, s5, 1
    srli s6, s6, 1
    add a0, s7, s6
    addi a1, s5, 1
    call insert_free
    j .Lhalve

    # The first aligned address behind the header. A region begins on a page, so this may lie before s7 + s2.
.Lhalved:
    addi t0, s2, HEADER_SIZE - 1
    add t0, s7, t0
    neg t1, s2
    and s2, t0, t1                              # s2: the pointer
    sub t0, s2, s7                              # t0: its offset in the block
    sw s5, BLOCK_ID(s7)
    sw t0, BLOCK_OFFSET(s7)
    sd s7, BLOCK_ADDRESS(s7)
    sd s6, BLOCK_SIZE(s7)
    sd s1, BLOCK_REQUESTED(s7)
    mv a0, s7
    call find_region
    beqz a2, panic_corrupt
    mv a0, s1
    mv a1, s6
    call count_allocated
    mv a0, s2
    LEAVE 7
.Lfull:
    li a0, 1
    sll a0, a0, s7                              # s7 is still the order wanted
    call heap_grow
    bnez a0, .Lsearch
.Lnone:
    li a0, 0
    LEAVE 7
END_FUNCTION heap_alloc

# find_block(a0 = address) -> a0 = the block that holds it, free or not; 0 when the heap does not; a2 = its region
# Clobbers t0 .. t6 a1 only.
# Walks down the tree of ids to the block. Where a node begins, there lies the header of its block: of the node itself, or
# of the lowest of the blocks that it is halved into. Panics when such a header does not make sense: somebody wrote over it.
LOCAL_FUNCTION find_block
    mv t1, ra                                   # t1: where to return to
    call find_region
    beqz a2, .Loutside
    ld t0, REGION_START(a2)                     # t0: start of the region
    sub t3, a0, t0                              # t3: offset of the address
    la t2, heap_root_order
    ld t2, 0(t2)                                # t2: order of the node
    srl t5, t3, t2
    sll t5, t5, t2
    sub t3, t3, t5                              # t3: offset of the address in the node
    add t5, t0, t5                              # t5: the node
    li t4, 1                                    # t4: its id
.Lnode:
    ld t6, BLOCK_ADDRESS(t5)
    bne t6, t5, .Ldamaged
    lwu t6, BLOCK_ID(t5)                        # t6: id in the header
    li a1, 1
    beq t6, t4, .Lblock_found
    slli t4, t4, 1
    bltu t6, t4, .Ldamaged                      # not an id below this node
    addi t2, t2, -1
    li t0, LEAST_ORDER
    bltu t2, t0, .Ldamaged
    sll a1, a1, t2                              # a1: bytes of the lower half
    bltu t3, a1, .Lnode
    sub t3, t3, a1
    add t5, t5, a1
    addi t4, t4, 1
    j .Lnode
.Lblock_found:
    sll a1, a1, t2                              # a1: bytes of the node
    ld t6, BLOCK_SIZE(t5)
    bne t6, a1, .Ldamaged
    mv a0, t5
    jr t1
.Loutside:
    li a0, 0
    jr t1
.Ldamaged:
    mv a0, t5
    mv ra, t1
    j panic_corrupt
END_FUNCTION find_block

# find_allocated(a0 = pointer, a1 = size) -> a0 = its block, a2 = region
# Clobbers t0 .. t6 a1 a3 .. a5 only. Panics when the pointer was not handed out, or its size was another.
LOCAL_FUNCTION find_allocated
    mv a5, ra                                   # a5: where to return to
    mv a3, a0
    mv a4, a1
    call find_block
    beqz a0, .Lforeign
    lwu t0, BLOCK_OFFSET(a0)                    # 0: the block is free
    beqz t0, .Lforeign
    add t0, a0, t0
    bne t0, a3, .Lforeign
    ld a1, BLOCK_REQUESTED(a0)
    bne a1, a4, .Lwrong_size
    jr a5
.Lforeign:
    mv a0, a3
    j panic_foreign
.Lwrong_size:
    mv a0, a3
    mv a2, a4
    j panic_size
END_FUNCTION find_allocated

# heap_dealloc(a0 = pointer, a1 = size, a2 = align), size and align as they were at heap_alloc
# Panics when the pointer was not handed out, or its size was another.
FUNCTION heap_dealloc
    ENTER 4
    call find_allocated
    mv s1, a0                                   # s1: the block
    lwu s2, BLOCK_ID(s1)                        # s2: its id
    ld s3, BLOCK_SIZE(s1)                       # s3: its size
    mv s4, a2                                   # s4: its region
    ld a0, BLOCK_REQUESTED(s1)
    neg a0, a0
    neg a1, s3
    call count_allocated

    # Join the buddy as long as it is free and whole.
.Ljoin:
    mv a0, s1
    mv a1, s2
    mv a2, s4
    mv a3, s3
    call free_buddy
    beqz a0, .Ljoined
    call remove_free
    srli s2, s2, 1
    slli s3, s3, 1
    bltu s1, a0, .Ljoin
    mv s1, a0
    j .Ljoin
.Ljoined:
    mv a0, s1
    mv a1, s2
    call insert_free
    ld t0, REGION_ALLOCATED(s4)
    bnez t0, .Lregion_stays
    mv a0, s4
    call release_region
.Lregion_stays:
    LEAVE 4
END_FUNCTION heap_dealloc

# free_buddy(a0 = block, a1 = id, a2 = region, a3 = size) -> a0 = its buddy, 0 when that is not free and whole
# Both lie in one block of twice the size, at a multiple of it. Clobbers t0 t1 only.
LOCAL_FUNCTION free_buddy
    li t0, 1
    beq a1, t0, .Lno_buddy
    ld t0, REGION_START(a2)                     # t0: start of the region
    sub a0, a0, t0
    xor a0, a0, a3
    add a0, t0, a0                              # a0: the buddy
    add t0, a0, a3                              # t0: its end
    ld t1, REGION_END(a2)
    bgtu t0, t1, .Lno_buddy                     # it would end behind the region
    lwu t0, BLOCK_ID(a0)
    xori t1, a1, 1                              # t1: id of the buddy
    bne t0, t1, .Lno_buddy
    lwu t0, BLOCK_OFFSET(a0)
    bnez t0, .Lno_buddy
    ret
.Lno_buddy:
    li a0, 0
    ret
END_FUNCTION free_buddy

# heap_resize(a0 = pointer, a1 = size, a2 = align, a3 = new size) -> a0 = 1: it has the new size where it is; 0: it cannot
# size and align as they were at heap_alloc. Panics as heap_dealloc does.
FUNCTION heap_resize
    ENTER 5
    mv s4, a3                                   # s4: new size
    mv s5, a2                                   # s5: align
    call find_allocated
    mv s1, a0                                   # s1: the block
    lwu s2, BLOCK_ID(s1)                        # s2: its id
    ld s3, BLOCK_SIZE(s1)                       # s3: its size
    mv a0, s4
    mv a1, s5
    call order_for
    la t0, heap_root_order
    ld t0, 0(t0)
    bgtu a0, t0, .Lcannot
    li s5, 1
    sll s5, s5, a0                              # s5: size of the block then

    # Larger: up to the new size, each buddy must be the upper one, and free.
    mv a1, s2                                   # a1: id so far
    mv a3, s3                                   # a3: size so far
.Llarger:
    bgeu a3, s5, .Lgrow_possible
    mv a0, s1
    call free_buddy
    bltu a0, s1, .Lcannot
    srli a1, a1, 1
    slli a3, a3, 1
    j .Llarger
.Lgrow_possible:
    ld t0, BLOCK_REQUESTED(s1)
    sub a0, s4, t0
    sub a1, s5, s3
    call count_allocated
.Ljoin_upper:
    bgeu s3, s5, .Lshrink
    add a0, s1, s3
    call remove_free
    srli s2, s2, 1
    slli s3, s3, 1
    j .Ljoin_upper

    # Smaller: the upper halves become free blocks. Their buddies are not free.
.Lshrink:
    beq s3, s5, .Lresized
    slli s2, s2, 1
    srli s3, s3, 1
    add a0, s1, s3
    addi a1, s2, 1
    call insert_free
    j .Lshrink
.Lresized:
    sw s2, BLOCK_ID(s1)
    sd s3, BLOCK_SIZE(s1)
    sd s4, BLOCK_REQUESTED(s1)
    li a0, 1
    LEAVE 5
.Lcannot:
    li a0, 0
    LEAVE 5
END_FUNCTION heap_resize

# heap_largest_free() -> a0 = bytes of the largest free block, its header included; 0 when there is none
FUNCTION heap_largest_free
    la t0, heap_masks
    lhu t1, 2(t0)                               # the root's mask
    li a0, 0
    beqz t1, .Ldepth_found
    la t0, heap_root_order
    ld t0, 0(t0)
    li a0, 1
    sll a0, a0, t0                              # a0: bytes of a block at this depth
.Ltry_depth:
    andi t0, t1, 1
    bnez t0, .Ldepth_found
    srli t1, t1, 1
    srli a0, a0, 1
    j .Ltry_depth
.Ldepth_found:
    ret
END_FUNCTION heap_largest_free

STRING heap_allocator_name, "buddy tree"
.include "mm/heap/growth.inc"
.include "mm/heap/first_blocks.inc"
