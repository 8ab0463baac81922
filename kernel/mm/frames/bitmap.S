# Frame allocator: a tree of bitmaps (004: BitAlloc4K of 2019), which hands out the highest free frame.
#
# Level 0 has one bit a frame, 1 = free. Each bit of level k + 1 says whether a halfword (16 bits) of level k has any bit
# set. Three levels govern 16^3 = 4096 frames, as BitAlloc4K did; memories of more than 16 MiB get the levels they need
# (128 MiB four, 4 GiB five).
#
# Space: a bit a frame and a fifteenth of that for the levels above, and 4 bytes a frame for its owners. Time: one step down
# each level to find the highest free frame, whatever is free, and as many up to change it. Contiguous frames are
# O(memory): the highest run, found by looking at the bits from the top.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ ENTRY_SHIFT, 2
.equ ENTRY_OWNERS, 0

.equ NODE_SHIFT, 4                              # 16 bits a halfword
.equ NODE_BITS, 16
.equ LEAST_LEVELS, 3
.equ MOST_LEVELS, 6                             # 16^6 frames are 64 GiB

.equ LEVEL_END, MOST_LEVELS * 8
VARIABLE bitmap_level, LEVEL_END + 8            # address of each level's halfwords, level 0 first; and at LEVEL_END the
                                                # address of the entry behind the highest level's
VARIABLE bitmap_count                           # frames that are governed

.text

# lay_out(a0 = frames, a1 = memory) -> a0 = end of the books; fills in bitmap_level
# Each level begins at a multiple of 8 bytes, so that it can be filled in doublewords.
.type lay_out, @function
lay_out:
    la t0, bitmap_level
    li t1, 0                                    # t1: levels so far
1:  sd a1, 0(t0)
    addi t0, t0, 8
    addi t1, t1, 1
    addi a0, a0, NODE_BITS - 1
    srli a0, a0, NODE_SHIFT                     # halfwords here, bits in the next level
    slli t2, a0, 1
    addi t2, t2, 7
    andi t2, t2, -8
    add a1, a1, t2
    li t2, LEAST_LEVELS
    bltu t1, t2, 1b
    li t2, 1
    bgtu a0, t2, 1b
    la t1, bitmap_level
    sd t0, LEVEL_END(t1)
    mv a0, a1
    ret
.size lay_out, . - lay_out

# Panics when there are more frames than MOST_LEVELS can govern.
.type policy_bytes, @function
policy_bytes:
    srli t0, a0, NODE_SHIFT * MOST_LEVELS
    bnez t0, 1f
    li a1, 0
    j lay_out
1:  ENTER
    la a0, message_large
    call panic
.size policy_bytes, . - policy_bytes

.type policy_init, @function
policy_init:
    ENTER 3
    mv s2, a1
    la t0, bitmap_count
    sd a1, 0(t0)
    mv s1, a0
    mv a1, a0
    mv a0, s2
    call lay_out
    mv a1, a0
    mv a0, s1
    call fill_zero
    la s1, bitmap_level
    ld s3, LEVEL_END(s1)
1:  ld a0, 0(s1)                                # set as many bits in each level as it has
    mv a1, s2
    call set_bits
    addi s2, s2, NODE_BITS - 1
    srli s2, s2, NODE_SHIFT
    addi s1, s1, 8
    bne s1, s3, 1b
    LEAVE 3
.size policy_init, . - policy_init

# set_bits(a0 = address, a1 = how many): sets the first bits of a cleared area, in doublewords
.type set_bits, @function
set_bits:
    srli t0, a1, 6
    li t1, -1
1:  beqz t0, 2f
    sd t1, 0(a0)
    addi a0, a0, 8
    addi t0, t0, -1
    j 1b
2:  andi t0, a1, 63
    beqz t0, 3f
    sll t1, t1, t0
    not t1, t1
    sd t1, 0(a0)
3:  ret
.size set_bits, . - set_bits

.type policy_take, @function
policy_take:
    li t0, 1
    bne a0, t0, take_run
    la t0, bitmap_level
    ld t1, LEVEL_END(t0)                        # t1: behind the level to look at
    la t6, highest_bit_table
    li a0, 0                                    # a0: offset of the halfword in its level: its number times 2
1:  addi t1, t1, -8
    ld t2, 0(t1)
    add t2, t2, a0
    lhu t3, 0(t2)
    slli a0, a0, NODE_SHIFT
    srli t4, t3, 8
    beqz t4, 2f
    add t4, t6, t4
    lbu t4, 256(t4)                             # t4: number of the highest set bit, times 2
    or a0, a0, t4
    bne t1, t0, 1b
    j 3f
2:  add t4, t6, t3
    lbu t4, 0(t4)
    or a0, a0, t4
    bne t1, t0, 1b
3:  srli a0, a0, 1
    srli t4, t4, 1
    li t5, 1
    sll t5, t5, t4
    xor t3, t3, t5
    sh t3, 0(t2)
    beqz t3, clear_parents
    ret
.size policy_take, . - policy_take

# clear_bit(a0 = number of a free frame) -> a0 unchanged: marks it as used, on all levels. Clobbers a1 t0 .. t5.
# clear_parents(a0 = number of a frame whose halfword has just become empty) -> a0 unchanged: the levels above level 0
.type clear_bit, @function
clear_bit:
    mv a1, a0                                   # a1: number of the bit
    la t0, bitmap_level                         # t0: its level
    j 1f
clear_parents:
    srli a1, a0, NODE_SHIFT
    la t0, bitmap_level + 8
1:  la t1, bitmap_level
    ld t1, LEVEL_END(t1)
2:  ld t2, 0(t0)
    andi t3, a1, NODE_BITS - 1
    srli a1, a1, NODE_SHIFT
    slli t4, a1, 1
    add t2, t2, t4
    lhu t4, 0(t2)
    li t5, 1
    sll t5, t5, t3
    xor t4, t4, t5
    sh t4, 0(t2)
    bnez t4, 3f                                 # where a halfword becomes empty, its parent's bit goes, too
    addi t0, t0, 8
    bne t0, t1, 2b
3:  ret
.size clear_bit, . - clear_bit

.type policy_give, @function
policy_give:
    la a2, bitmap_level
    ld a3, LEVEL_END(a2)
    add a1, a0, a1                              # a1: behind the last frame
1:  mv t0, a2                                   # t0: the level, t1: the bit in it
    mv t1, a0
2:  ld t2, 0(t0)
    andi t3, t1, NODE_BITS - 1
    srli t1, t1, NODE_SHIFT
    slli t4, t1, 1
    add t2, t2, t4
    lhu t4, 0(t2)
    li t5, 1
    sll t5, t5, t3
    or t5, t4, t5
    sh t5, 0(t2)
    bnez t4, 3f                                 # where a halfword was empty, its parent's bit is set, too
    addi t0, t0, 8
    bne t0, a3, 2b
3:  addi a0, a0, 1
    bne a0, a1, 1b
    ret
.size policy_give, . - policy_give

# take_run(a0 = n) -> a0 = index of the first of n consecutive free frames, the highest such run; -1 when there is none
# Looks at the frames one by one from the top, whole halfwords where they are all free or all used.
.type take_run, @function
take_run:
    ENTER 2
    mv s1, a0                                   # s1: frames wanted
    la t0, bitmap_count
    ld a0, 0(t0)                                # a0: where the run begins, so far
    li t1, 0                                    # t1: its length, so far
    la t0, bitmap_level
    ld t2, 0(t0)
.Lrun:
    beqz a0, .Lnone
    addi a0, a0, -1
    srli t3, a0, NODE_SHIFT
    slli t3, t3, 1
    add t3, t2, t3
    lhu t4, 0(t3)
    andi t5, a0, NODE_BITS - 1
    bnez t4, 1f
    sub a0, a0, t5                              # nothing free in the rest of this halfword
    li t1, 0
    j .Lrun
1:  li t6, NODE_BITS - 1
    bne t5, t6, 2f
    li t6, 0xffff
    bne t4, t6, 2f
    addi t6, t1, NODE_BITS
    bgtu t6, s1, 2f                             # the run begins inside of this halfword
    mv t1, t6
    addi a0, a0, -(NODE_BITS - 1)
    j 3f
2:  srl t4, t4, t5
    andi t4, t4, 1
    addi t1, t1, 1
    bnez t4, 3f
    li t1, 0
3:  bne t1, s1, .Lrun

    add s2, a0, s1
4:  addi s2, s2, -1
    mv t6, a0                                   # clear_bit leaves t6 alone
    mv a0, s2
    call clear_bit
    mv a0, t6
    bne s2, a0, 4b
    LEAVE 2
.Lnone:
    li a0, -1
    LEAVE 2
.size take_run, . - take_run

.section .rodata
# The number of the highest set bit, times 2, of a byte; then the same for a byte that is the upper half of a halfword.
highest_bit_table:
    .byte 0                                     # no bit set: not looked up
    .byte 0
    .fill 2, 1, 2
    .fill 4, 1, 4
    .fill 8, 1, 6
    .fill 16, 1, 8
    .fill 32, 1, 10
    .fill 64, 1, 12
    .fill 128, 1, 14
    .byte 0                                     # cannot be: an upper byte without a bit is not looked up
    .byte 16
    .fill 2, 1, 18
    .fill 4, 1, 20
    .fill 8, 1, 22
    .fill 16, 1, 24
    .fill 32, 1, 26
    .fill 64, 1, 28
    .fill 128, 1, 30

STRING frame_allocator_name, "bitmap"
STRING message_large, "illegal range for frame allocator: the bitmap governs up to 16^6 - 1 frames"
.include "mm/frames/allocator.inc"
