# Frame allocator: a tree of bitmaps (004: BitAlloc4K of 2019), which hands out the highest free frame.
#
# Level 0 has one bit a frame, 1 = free. Each bit of level k + 1 says whether a halfword (16 bits) of level k has any bit
# set. Three levels govern 16^3 = 4096 frames, as BitAlloc4K did; memories of more than 16 MiB get the levels they need
# (128 MiB four, 4 GiB five). Finding the highest free frame takes one step down each level, whatever is free.
#
# The bitmaps lie in the first frames of the range, so nothing here depends on the size of memory; frame_total counts
# what is left behind them. Frames are numbered from there on.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ NODE_SHIFT, 4                              # 16 bits a halfword
.equ NODE_BITS, 16
.equ LEAST_LEVELS, 3
.equ MOST_LEVELS, 6                             # 16^6 frames are 64 GiB

VARIABLE bitmap_levels                          # how many levels there are
VARIABLE bitmap_level, MOST_LEVELS * 8          # address of each level's halfwords, level 0 first
VARIABLE frame_first_ppn                        # the frame of bit 0
VARIABLE frame_count                            # frames that are governed
VARIABLE frame_used                             # frames that are handed out

# HIGHEST_BIT rd, rs, tmp   number of the highest set bit of rs, which is 1 to 0xffff
.macro HIGHEST_BIT rd, rs, tmp
    la \tmp, highest_bit_table
    srli \rd, \rs, 8
    bnez \rd, 88f
    add \tmp, \tmp, \rs
    lbu \rd, 0(\tmp)
    j 89f
88: add \tmp, \tmp, \rd
    lbu \rd, 0(\tmp)
    addi \rd, \rd, 8
89:
.endm

.text

# frame_init(a0 = start ppn, a1 = end ppn)
# All frames from start to end - 1 are free from now on, whatever was before, but for those that hold the bitmaps.
# Panics when the range is empty or has no room for them.
FUNCTION frame_init
    ENTER 5
    bgeu a0, a1, .Lillegal
    mv s1, a0
    sub s2, a1, a0                              # s2: frames in the range
    PPN_TO_VA s3, s1, t0                        # s3: where the next level begins

    # Lay the levels out, each on a multiple of 8 bytes so that it can be filled in doublewords.
    la t0, bitmap_level
    li t1, 0                                    # t1: levels so far
    mv t2, s2                                   # t2: bits of this level
1:  sd s3, 0(t0)
    addi t0, t0, 8
    addi t1, t1, 1
    addi t3, t2, NODE_BITS - 1
    srli t2, t3, NODE_SHIFT                     # halfwords here, bits in the next level
    slli t3, t2, 1
    addi t3, t3, 7
    andi t3, t3, -8
    add s3, s3, t3
    li t4, LEAST_LEVELS
    bltu t1, t4, 1b
    li t4, MOST_LEVELS
    beq t1, t4, 2f
    li t4, 1
    bgtu t2, t4, 1b
2:  li t4, 1
    bgtu t2, t4, .Lillegal                      # more than MOST_LEVELS can govern
    la t0, bitmap_levels
    sd t1, 0(t0)

    # The frames that hold the levels are not handed out.
    PPN_TO_VA s4, s1, t0
    li t0, PAGE_SIZE - 1
    sub t1, s3, s4
    add t1, t1, t0
    srli t1, t1, PAGE_SHIFT
    bgeu t1, s2, .Lillegal
    sub s2, s2, t1
    add s1, s1, t1
    la t0, frame_first_ppn
    sd s1, 0(t0)
    la t0, frame_count
    sd s2, 0(t0)
    la t0, frame_used
    sd zero, 0(t0)
    mv a0, s4
    mv a1, s3
    call fill_zero

    # Set as many bits in each level as it has.
    la s3, bitmap_level
    la t0, bitmap_levels
    ld s4, 0(t0)
3:  ld a0, 0(s3)
    mv a1, s2
    call set_bits
    addi s2, s2, NODE_BITS - 1
    srli s2, s2, NODE_SHIFT
    addi s3, s3, 8
    addi s4, s4, -1
    bnez s4, 3b
    LEAVE 5
.Lillegal:
    la a0, message_range
    call panic
END_FUNCTION frame_init

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

# frame_alloc() -> a0 = ppn of the highest free frame, 0 when there is none
FUNCTION frame_alloc
    la t0, bitmap_levels
    ld t1, 0(t0)
    la t0, bitmap_level
    slli t1, t1, 3
    add t1, t0, t1                              # t1: behind the level to look at
    li a0, 0                                    # a0: number of the halfword, then of the bit in it
1:  addi t1, t1, -8
    ld t2, 0(t1)
    slli t3, a0, 1
    add t2, t2, t3
    lhu t3, 0(t2)
    beqz t3, 2f                                 # only in the highest level: below, a parent's bit promises one
    HIGHEST_BIT t4, t3, t5
    slli a0, a0, NODE_SHIFT
    or a0, a0, t4
    bne t1, t0, 1b

    mv t6, ra                                   # clear_bit leaves t6 and a0 alone
    call clear_bit
    la t0, frame_first_ppn
    ld t1, 0(t0)
    add a0, a0, t1
    la t0, frame_used
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
    jr t6
2:  ret
END_FUNCTION frame_alloc

# clear_bit(a0 = number of a free frame): marks it as used; where a halfword becomes empty, its parent's bit goes too
.type clear_bit, @function
clear_bit:
    la t0, bitmap_level
    la t1, bitmap_levels
    ld t1, 0(t1)
    slli t1, t1, 3
    add t1, t0, t1
    mv a1, a0
1:  ld t2, 0(t0)
    andi t3, a1, NODE_BITS - 1
    srli a1, a1, NODE_SHIFT
    slli t4, a1, 1
    add t2, t2, t4
    lhu t4, 0(t2)
    li t5, 1
    sll t5, t5, t3
    xor t4, t4, t5
    sh t4, 0(t2)
    bnez t4, 2f
    addi t0, t0, 8
    bne t0, t1, 1b
2:  ret
.size clear_bit, . - clear_bit

# set_bit(a0 = number of a used frame): marks it as free; where a halfword was empty, its parent's bit is set too
.type set_bit, @function
set_bit:
    la t0, bitmap_level
    la t1, bitmap_levels
    ld t1, 0(t1)
    slli t1, t1, 3
    add t1, t0, t1
    mv a1, a0
1:  ld t2, 0(t0)
    andi t3, a1, NODE_BITS - 1
    srli a1, a1, NODE_SHIFT
    slli t4, a1, 1
    add t2, t2, t4
    lhu t4, 0(t2)
    li t5, 1
    sll t5, t5, t3
    or t5, t4, t5
    sh t5, 0(t2)
    bnez t4, 2f
    addi t0, t0, 8
    bne t0, t1, 1b
2:  ret
.size set_bit, . - set_bit

# frame_alloc_contiguous(a0 = n) -> a0 = ppn of the first of n consecutive frames, the highest such run; 0 when there is none
# Looks at the frames one by one from the top, whole halfwords where they are all free or all used: O(memory).
FUNCTION frame_alloc_contiguous
    ENTER 3
    mv s1, a0                                   # s1: frames wanted
    la t0, frame_count
    ld a0, 0(t0)                                # a0: the run begins here or below; frames a0 .. a0 + t1 - 1 are free
    beqz s1, .Lnone
    bgtu s1, a0, .Lnone
    li t1, 0
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
    addi t6, t5, -(NODE_BITS - 1)
    bnez t4, 1f
    sub a0, a0, t5                              # nothing free in the rest of this halfword
    li t1, 0
    j .Lrun
1:  bnez t6, 2f
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

    mv s2, a0
    add s3, a0, s1
4:  call clear_bit
    addi a0, a0, 1
    bne a0, s3, 4b
    la t0, frame_used
    ld t1, 0(t0)
    add t1, t1, s1
    sd t1, 0(t0)
    la t0, frame_first_ppn
    ld a0, 0(t0)
    add a0, a0, s2
    LEAVE 3
.Lnone:
    li a0, 0
    LEAVE 3
END_FUNCTION frame_alloc_contiguous

# frame_dealloc(a0 = ppn)
# Panics when the frame is not handed out: freed twice, never allocated, or none of the allocator's.
FUNCTION frame_dealloc
    li a1, 1
    j release_frames
END_FUNCTION frame_dealloc

# frame_dealloc_contiguous(a0 = ppn of the first, a1 = n)
# Panics at the first frame that is not handed out, with the ones before it already free.
FUNCTION frame_dealloc_contiguous
    j release_frames
END_FUNCTION frame_dealloc_contiguous

# release_frames(a0 = ppn of the first, a1 = n): what both have in common, under no public name, so that a tracer that
# watches the public ones sees each release once
.type release_frames, @function
release_frames:
    ENTER 2
    mv s1, a0
    add s2, a0, a1
1:  beq s1, s2, 3f
    la t0, frame_first_ppn
    ld t1, 0(t0)
    sub a0, s1, t1
    la t0, frame_count
    ld t1, 0(t0)
    bgeu a0, t1, 2f
    la t0, bitmap_level
    ld t0, 0(t0)
    srli t1, a0, 3
    add t0, t0, t1
    lbu t0, 0(t0)
    andi t1, a0, 7
    srl t0, t0, t1
    andi t0, t0, 1
    bnez t0, 2f
    call set_bit
    la t0, frame_used
    ld t1, 0(t0)
    addi t1, t1, -1
    sd t1, 0(t0)
    addi s1, s1, 1
    j 1b
2:  la a0, message_not_allocated
    mv a1, s1
    call panic
3:  LEAVE 2
.size release_frames, . - release_frames

# frame_total() -> a0 = frames that the allocator governs
FUNCTION frame_total
    la t0, frame_count
    ld a0, 0(t0)
    ret
END_FUNCTION frame_total

# frame_in_use() -> a0 = frames that are handed out
FUNCTION frame_in_use
    la t0, frame_used
    ld a0, 0(t0)
    ret
END_FUNCTION frame_in_use

.section .rodata
highest_bit_table:
    .byte 0                                     # no bit: never looked up
    .byte 0
    .fill 2, 1, 1
    .fill 4, 1, 2
    .fill 8, 1, 3
    .fill 16, 1, 4
    .fill 32, 1, 5
    .fill 64, 1, 6
    .fill 128, 1, 7

STRING frame_allocator_name, "bitmap"
.globl frame_allocator_name
STRING message_range, "illegal range for frame allocator"
STRING message_not_allocated, "Frame ppn=%p has not been allocated!"
