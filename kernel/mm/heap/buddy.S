# Kernel heap: a buddy system with one list of free blocks for each order.
#
# A block of order k has 2^k bytes and lies at a multiple of 2^k from the start of its region. Splitting halves a block;
# a freed block joins its buddy (the neighbour at offset XOR 2^k) whenever that is free and whole, and so on upwards.
#
# One state byte for each 32 bytes of heap stands apart from the blocks. It is the truth about the block that begins
# there: which order, and whether it is free. Freed twice, never allocated, and freed with another size than allocated
# are all seen in it, and because joining asks the same bytes, any order of frees brings the first blocks back.
#
# A region begins on a page, no more. What is to be aligned to more than a page lies further inside of a block that is so
# much larger, and a state says where.
#
# Space: 1/32 of the heap. Time: O(log size) to allocate, to free and for another size.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ LEAST_ORDER, 5                             # 32 bytes: a free block holds two pointers
.equ MOST_ORDER, 31

.equ STATES_SHIFT, LEAST_ORDER                  # a byte for each of the smallest blocks

.include "mm/heap/space.inc"
.include "mm/heap/order_lists.inc"

.text

# heap_init(a0 = start, on a page; a1 = size in bytes, at most HEAP_SIZE)
# Everything is free from now on. A size that is no power of two becomes several first blocks, the largest first.
# Panics when start is not on a page, or the size is above HEAP_SIZE or below the smallest block.
FUNCTION heap_init
    ENTER
    andi a1, a1, -(1 << LEAST_ORDER)
    call space_init
    la t0, heap_free_lists                      # t0: the ring
    li t1, MOST_ORDER + 1                       # t1: rings that are left
.Lempty_ring:
    sd t0, LINK_NEXT(t0)                        # an empty ring
    sd t0, LINK_PREVIOUS(t0)
    addi t0, t0, 16
    addi t1, t1, -1
    bnez t1, .Lempty_ring
    call open_region
    LEAVE
END_FUNCTION heap_init

# order_for(a0 = size, a1 = align) -> a0 = the order of a block for it, MOST_ORDER + 1 when there cannot be one
# align is a power of two, or 0 for no wish. Clobbers t0 t1 only.
LOCAL_FUNCTION order_for
    addi t0, a1, -1
    and t0, t0, a1
    bnez t0, .Ltoo_large                        # not a power of two
    srli t0, a0, MOST_ORDER + 1
    srli t1, a1, MOST_ORDER + 1
    or t0, t0, t1
    bnez t0, .Ltoo_large
    li t1, PAGE_SIZE
    bgtu a1, t1, .Lbeyond_page
    bgeu a0, a1, .Lraise
    mv a0, a1                                   # a block is aligned to its size, so it must be as large as its alignment
    j .Lraise
.Lbeyond_page:
    seqz t0, a0                                 # nothing is a byte, so that the pointer lies in the block
    add a0, a0, t0
    add a0, a0, a1                              # a block of two pages or more begins on a page, so that at most
    sub a0, a0, t1                              # align less a page lie before the bytes that are handed out
.Lraise:
    mv t0, a0                                   # t0: bytes wanted
    li a0, LEAST_ORDER                          # a0: the order from here on
    li t1, 1 << LEAST_ORDER                     # t1: its bytes
.Lraise_order:
    bgeu t1, t0, .Lorder_known
    slli t1, t1, 1
    addi a0, a0, 1
    j .Lraise_order
.Ltoo_large:
    li a0, MOST_ORDER + 1
.Lorder_known:
    ret
END_FUNCTION order_for

# heap_alloc(a0 = size in bytes, a1 = align) -> a0 = pointer, 0 when no free block is large enough and no frames are left
# align is a power of two, or 0 for no wish; for any other align the answer is 0.
FUNCTION heap_alloc
    ENTER 5
    mv s4, a0                                   # s4: what was asked for
    mv s5, a1                                   # s5: align
    call order_for
    mv s1, a0                                   # s1: order wanted

    # The smallest order with a free block.
.Lsearch:
    mv a1, s1                                   # a1: order of the list
    li t1, MOST_ORDER
    la t2, heap_free_lists                      # t2: the first list's head
.Llook_in_list:
    bgtu a1, t1, .Lfull
    slli t3, a1, 4
    add t3, t2, t3                              # t3: the list's head
    ld a0, LINK_NEXT(t3)                        # a0: its first block, the head itself when it is empty
    bne a0, t3, .Ltake_block
    addi a1, a1, 1
    j .Llook_in_list
.Ltake_block:
    call find_region
    beqz a2, panic_corrupt                      # the block before it in the list was written to
    call remove_free
    mv s2, a0                                   # s2: the block
    mv s3, a1                                   # s3: its order

    # Split it down to what is wanted: the upper halves become free blocks.
.Lsplit:
    beq s3, s1, .Lsplit_done
    addi s3, s3, -1
    li t0, 1
    sll t0, t0, s3                              # t0: bytes of a half
    add a0, s2, t0
    mv a1, s3
    call insert_free
    j .Lsplit
.Lsplit_done:
    LOAD_STATE_ADDRESS t0, s2, a2, t1
    ori t1, s1, STATE_USED
    sb t1, 0(t0)
    mv a0, s4
    li a1, 1
    sll a1, a1, s1                              # a1: bytes of the block
    call count_allocated
    mv a0, s2
    li t0, PAGE_SIZE
    bleu s5, t0, .Lhanded_out
    addi t0, s5, -1                             # aligned to more than a page
    add a0, s2, t0
    neg t0, s5
    and a0, a0, t0                              # a0: the pointer
    beq a0, s2, .Lhanded_out
    LOAD_STATE_ADDRESS t0, a0, a2, t1
    li t1, STATE_POINTER
    sb t1, 0(t0)
.Lhanded_out:
    LEAVE 5

.Lfull:
    li a0, 0
    bgtu s1, t1, .Lhanded_out                   # no block can have that order
    li a0, 1
    sll a0, a0, s1
    call heap_grow
    bnez a0, .Lsearch
    LEAVE 5
END_FUNCTION heap_alloc

# find_allocated(a0 = pointer, a1 = size, a2 = align)
#   -> a0 = its block, a1 = order, a2 = region, a3 = pointer, a4 = size, a5 = align
# Clobbers a6 t0 .. t4 only. Panics when the pointer was not handed out, or its size was another.
LOCAL_FUNCTION find_allocated
    mv a6, ra                                   # a6: where to return to
    mv a3, a0
    mv a4, a1
    mv a5, a2
    andi t0, a0, (1 << LEAST_ORDER) - 1
    bnez t0, .Lforeign
    call find_region
    beqz a2, .Lforeign
    LOAD_STATE_ADDRESS t0, a0, a2, t1
    lbu t2, 0(t0)                               # t2: its state
    li t3, STATE_POINTER
    bne t2, t3, .Lblock_found

    # Inside of an allocated block: of the places where one that holds it may begin, the first one where one does.
    ld t4, REGION_START(a2)                     # t4: start of the region
    li t3, -(1 << LEAST_ORDER)                  # t3: mask of offsets where blocks of an order may begin
.Lenclosing:
    slli t3, t3, 1
    sub a0, a3, t4
    and a0, a0, t3
    add a0, t4, a0
    LOAD_STATE_ADDRESS t0, a0, a2, t1
    lbu t2, 0(t0)
    andi t0, t2, STATE_USED | STATE_FREE
    beqz t0, .Lenclosing

.Lblock_found:
    andi t0, t2, STATE_USED
    beqz t0, .Lforeign
    andi t2, t2, STATE_ORDER                    # t2: its order
    mv t3, a0                                   # t3: the block
    mv a0, a4
    mv a1, a5
    call order_for
    mv a1, t2
    bne a0, t2, .Lsize
    mv a0, t3
    jr a6
.Lforeign:
    mv a0, a3
    j panic_foreign
.Lsize:
    mv a0, a3
    li t0, 1
    sll a1, t0, a1                              # a1: bytes of the block
    mv a2, a4
    j panic_size
END_FUNCTION find_allocated

# heap_dealloc(a0 = pointer, a1 = size, a2 = align), size and align as they were at heap_alloc
# Panics when the pointer was not handed out, or its size was another.
FUNCTION heap_dealloc
    ENTER 2
    call find_allocated
    mv s1, a0                                   # s1: the block
    mv s2, a1                                   # s2: its order
    LOAD_STATE_ADDRESS t0, s1, a2, t1
    sb zero, 0(t0)
    beq a3, s1, .Lpointer_cleared
    LOAD_STATE_ADDRESS t0, a3, a2, t1           # the pointer lies further inside
    sb zero, 0(t0)
.Lpointer_cleared:
    neg a0, a4
    li a1, -1
    sll a1, a1, s2                              # a1: the block's bytes, negative
    call count_allocated

    # Join the buddy as long as it is free and of the same order.
.Ljoin:
    mv a0, s1
    mv a1, s2
    call free_buddy
    beqz a0, .Ljoined
    call remove_free
    addi s2, s2, 1
    bltu s1, a0, .Ljoin
    mv s1, a0
    j .Ljoin
.Ljoined:
    mv a0, s1
    mv a1, s2
    call insert_free
    ld t0, REGION_ALLOCATED(a2)
    bnez t0, .Lregion_stays
    mv a0, a2
    call release_region
.Lregion_stays:
    LEAVE 2
END_FUNCTION heap_dealloc

# free_buddy(a0 = block, a1 = order, a2 = region) -> a0 = its buddy, 0 when that is not free and whole
# Clobbers t0 t1 t2 only.
LOCAL_FUNCTION free_buddy
    li t0, 1
    sll t0, t0, a1                              # t0: bytes of the block
    ld t1, REGION_START(a2)                     # t1: start of the region
    sub a0, a0, t1
    xor a0, a0, t0
    add a0, t1, a0                              # a0: the buddy
    add t0, a0, t0                              # t0: its end
    ld t1, REGION_END(a2)
    bgtu t0, t1, .Lno_buddy                     # it would end behind the region
    LOAD_STATE_ADDRESS t0, a0, a2, t1
    lbu t0, 0(t0)
    ori t1, a1, STATE_FREE                      # t1: the state of a free block of this order
    bne t0, t1, .Lno_buddy
    ret
.Lno_buddy:
    li a0, 0
    ret
END_FUNCTION free_buddy

# heap_resize(a0 = pointer, a1 = size, a2 = align, a3 = new size) -> a0 = 1: it has the new size where it is; 0: it cannot
# size and align as they were at heap_alloc. Panics as heap_dealloc does.
FUNCTION heap_resize
    ENTER 4
    mv s3, a3                                   # s3: new size
    call find_allocated
    mv s1, a0                                   # s1: the block
    mv s2, a1                                   # s2: its order
    mv a0, s3
    mv a1, a5
    call order_for
    mv s4, a0                                   # s4: the new order
    li t0, MOST_ORDER
    bgtu s4, t0, .Lcannot

    # Larger: up to the new order, each buddy must be the upper one, and free.
    mv a1, s2                                   # a1: order so far
.Llarger:
    bgeu a1, s4, .Lgrow_possible
    mv a0, s1
    call free_buddy
    bltu a0, s1, .Lcannot
    addi a1, a1, 1
    j .Llarger
.Lgrow_possible:
    sub a0, s3, a4
    li t0, 1
    sll a1, t0, s4
    sll t0, t0, s2
    sub a1, a1, t0                              # a1: bytes that the block gains, or loses
    call count_allocated
.Ljoin_upper:
    bgeu s2, s4, .Lshrink
    li a0, 1
    sll a0, a0, s2
    add a0, s1, a0
    mv a1, s2
    call remove_free
    addi s2, s2, 1
    j .Ljoin_upper

    # Smaller: the upper halves become free blocks. Their buddies are not free.
.Lshrink:
    beq s2, s4, .Lresized
    addi s2, s2, -1
    li a0, 1
    sll a0, a0, s2
    add a0, s1, a0
    mv a1, s2
    call insert_free
    j .Lshrink
.Lresized:
    LOAD_STATE_ADDRESS t0, s1, a2, t1
    ori t1, s4, STATE_USED
    sb t1, 0(t0)
    li a0, 1
    LEAVE 4
.Lcannot:
    li a0, 0
    LEAVE 4
END_FUNCTION heap_resize

# heap_largest_free() -> a0 = bytes of the largest free block, 0 when there is none
FUNCTION heap_largest_free
    la t0, heap_free_lists                      # t0: the first list's head
    li t1, MOST_ORDER                           # t1: order of the list
.Lnext_order:
    slli t2, t1, 4
    add t2, t0, t2                              # t2: its head
    ld t3, LINK_NEXT(t2)
    bne t3, t2, .Lfound_order
    addi t1, t1, -1
    bnez t1, .Lnext_order
    li a0, 0
    ret
.Lfound_order:
    li a0, 1
    sll a0, a0, t1
    ret
END_FUNCTION heap_largest_free

STRING heap_allocator_name, "buddy"
.include "mm/heap/growth.inc"
.include "mm/heap/first_blocks.inc"
