# Frame allocator: a tree of bitmaps (004: BitAlloc4K of 2019), which hands out the highest free frame.
#
# Level 0 has one bit a frame, 1 = free. Bit 0 stands for the last frame, bit 1 for the one before it: so the highest free
# frame is the lowest set bit, which is quickly found. Each bit of level k + 1 says whether a word (64 bits) of level k has
# any bit set. BitAlloc4K had three levels of 16 bits a word, for 16^3 = 4096 frames; here are always four levels, for 64^4.
#
# The lowest set bit of x is x AND -x, a power of two. Times a de Bruijn sequence, 64 bits in which each number of six bits
# occurs once, it brings one of these numbers to the top, and a table of 64 bytes says which bit that was.
#
# Space: a bit a frame and a 63rd of that for the levels above, and 4 bytes a frame for its owners. Time: O(1), four steps
# down to find the highest free frame, whatever is free and however large memory is, and up to four to change it.
# Contiguous frames are O(memory): the highest run, found by looking at the bits from the top, and O(n) to change.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ ENTRY_SHIFT, 2
.equ ENTRY_OWNERS, 0

.equ WORD_SHIFT, 6                              # 64 bits a word
.equ WORD_BITS, 1 << WORD_SHIFT
.equ LEVELS, 4                                  # 64^4 frames are 64 GiB
.equ SEQUENCE, 64                               # where the de Bruijn sequence stands, from lowest_bit_table on

VARIABLE bitmap_level, LEVELS * 8 + 8           # address of each level's words, level 0 first; then bitmap_count
.equ BITMAP_COUNT, LEVELS * 8                   # frames that are governed

.text

# lay_out(a0 = frames, a1 = memory) -> a0 = end of the books; fills in bitmap_level
LOCAL_FUNCTION lay_out
    la t0, bitmap_level                         # t0: the level
    addi t1, t0, LEVELS * 8
.Lplace_level:
    sd a1, 0(t0)
    addi a0, a0, WORD_BITS - 1
    srli a0, a0, WORD_SHIFT                     # words here, bits in the next level
    slli t2, a0, 3
    add a1, a1, t2
    addi t0, t0, 8
    bne t0, t1, .Lplace_level
    mv a0, a1
    ret
END_FUNCTION lay_out

# Panics when there are more frames than four levels can govern.
LOCAL_FUNCTION policy_bytes
    srli t0, a0, WORD_SHIFT * LEVELS
    bnez t0, .Ltoo_large
    li a1, 0
    j lay_out
.Ltoo_large:
    ENTER
    la a0, message_large
    call panic
END_FUNCTION policy_bytes

LOCAL_FUNCTION policy_init
    ENTER 3
    mv s2, a1                                   # s2: bits of the level
    la s1, bitmap_level                         # s1: the level
    sd s2, BITMAP_COUNT(s1)
    mv s3, a0                                   # s3: the books
    mv a1, a0
    mv a0, s2
    call lay_out
    mv a1, a0
    mv a0, s3
    call fill_zero
    addi s3, s1, LEVELS * 8                     # s3: behind the last level
.Lfill_level:
    ld a0, 0(s1)                                # set as many bits in each level as it has
    mv a1, s2
    call set_bits
    addi s2, s2, WORD_BITS - 1
    srli s2, s2, WORD_SHIFT
    addi s1, s1, 8
    bne s1, s3, .Lfill_level
    LEAVE 3
END_FUNCTION policy_init

# set_bits(a0 = address, a1 = how many): sets the first bits of a cleared area
LOCAL_FUNCTION set_bits
    srli t0, a1, WORD_SHIFT                     # t0: whole words
    li t1, -1
.Lwhole_word:
    beqz t0, .Lrest_of_word
    sd t1, 0(a0)
    addi a0, a0, 8
    addi t0, t0, -1
    j .Lwhole_word
.Lrest_of_word:
    andi t0, a1, WORD_BITS - 1                  # t0: bits in the last one
    beqz t0, .Lbits_set
    sll t1, t1, t0
    not t1, t1
    sd t1, 0(a0)
.Lbits_set:
    ret
END_FUNCTION set_bits

# TAKE_LOWEST_BIT word, number, sequence, table   clears the lowest set bit of word and tells its number
.macro TAKE_LOWEST_BIT word, number, sequence, table
    neg \number, \word
    and \number, \word, \number
    xor \word, \word, \number
    mul \number, \number, \sequence
    srli \number, \number, 64 - WORD_SHIFT
    add \number, \table, \number
    lbu \number, 0(\number)
.endm

# STEP_DOWN level, address, word   from bit a0 of the level above to the lowest set bit in its word of this level: a0
# Word is that word without the bit, and has to be stored at address. t0 = bitmap_level, t1 = sequence, t2 = table.
# Clobbers t3.
.macro STEP_DOWN level, address, word
    ld \address, 8 * \level(t0)
    slli t3, a0, 3
    add \address, \address, t3
    ld \word, 0(\address)
    TAKE_LOWEST_BIT \word, t3, t1, t2
    slli a0, a0, WORD_SHIFT
    or a0, a0, t3
.endm

LOCAL_FUNCTION policy_take
    li t0, 1
    bne a0, t0, take_run
    la t0, bitmap_level
    la t2, lowest_bit_table
    ld t1, SEQUENCE(t2)
    ld a7, 8 * 3(t0)                            # the only word of the highest level
    ld t6, 0(a7)
    TAKE_LOWEST_BIT t6, a0, t1, t2
    STEP_DOWN 2, a6, t5
    STEP_DOWN 1, a5, t4
    STEP_DOWN 0, a4, a3

    # Where a word becomes empty, its parent's bit goes, too.
    sd a3, 0(a4)
    bnez a3, .Ltaken
    sd t4, 0(a5)
    bnez t4, .Ltaken
    sd t5, 0(a6)
    bnez t5, .Ltaken
    sd t6, 0(a7)
.Ltaken:
    ld t1, BITMAP_COUNT(t0)
    sub a0, t1, a0
    addi a0, a0, -1                             # the frame of that bit
    ret
END_FUNCTION policy_take

LOCAL_FUNCTION policy_give
    la a2, bitmap_level
    ld t0, BITMAP_COUNT(a2)
    sub a0, t0, a0                              # a0: behind the bit of the next frame
    sub a1, a0, a1                              # a1: bit of the last one
    addi a3, a2, LEVELS * 8                     # a3: behind the last level
    li t6, 1
.Lgive_frame:
    addi a0, a0, -1
    mv t0, a2                                   # t0: the level, t1: the bit in it
    mv t1, a0
.Lset_in_level:
    sll t5, t6, t1                              # by the lowest six bits of its number: the bit in its word
    srli t1, t1, WORD_SHIFT
    slli t4, t1, 3
    ld t2, 0(t0)
    add t2, t2, t4
    ld t4, 0(t2)
    or t5, t4, t5
    sd t5, 0(t2)
    bnez t4, .Lframe_given                      # where a word was empty, its parent's bit is set, too
    addi t0, t0, 8
    bne t0, a3, .Lset_in_level
.Lframe_given:
    bne a0, a1, .Lgive_frame
    ret
END_FUNCTION policy_give

# clear_bit(a0 = bit of a free frame): marks it as used, on all levels. Clobbers t0 .. t5 only.
LOCAL_FUNCTION clear_bit
    la t0, bitmap_level                         # t0: the level, t1: the bit in it
    addi t5, t0, LEVELS * 8                     # t5: behind the last level
    mv t1, a0
.Lclear_in_level:
    li t4, 1
    sll t4, t4, t1                              # t4: the bit in its word
    srli t1, t1, WORD_SHIFT
    slli t3, t1, 3
    ld t2, 0(t0)
    add t2, t2, t3                              # t2: the word
    ld t3, 0(t2)
    xor t3, t3, t4
    sd t3, 0(t2)
    bnez t3, .Lbit_cleared                      # where a word becomes empty, its parent's bit goes, too
    addi t0, t0, 8
    bne t0, t5, .Lclear_in_level
.Lbit_cleared:
    ret
END_FUNCTION clear_bit

# take_run(a0 = n) -> a0 = number of the first of n consecutive free frames, the highest such run; -1 when there is none
# Looks at the frames one by one from the top, whole words where they are all free or all used.
LOCAL_FUNCTION take_run
    ENTER 2
    mv s1, a0                                   # s1: frames wanted
    la t0, bitmap_level
    ld t2, 0(t0)                                # t2: level 0
    ld t3, BITMAP_COUNT(t0)                     # t3: its bits
    li a0, 0                                    # a0: the bit to look at
    li t1, 0                                    # t1: length of the run before it
.Lrun:
    beq t1, s1, .Lfound
    bgeu a0, t3, .Lnone
    srli t4, a0, WORD_SHIFT
    slli t4, t4, 3
    add t4, t2, t4
    ld t4, 0(t4)                                # t4: the bit's word
    andi t5, a0, WORD_BITS - 1                  # t5: number of the bit in it
    bnez t4, .Lword_has_free
    ori a0, a0, WORD_BITS - 1                   # nothing free in the rest of this word
    addi a0, a0, 1
    li t1, 0
    j .Lrun
.Lword_has_free:
    bnez t5, .Lone_bit
    not t6, t4
    bnez t6, .Lone_bit
    addi t6, t1, WORD_BITS                      # t6: the run with all of this word
    bgtu t6, s1, .Lone_bit                      # the run ends inside of this word
    mv t1, t6
    addi a0, a0, WORD_BITS
    j .Lrun
.Lone_bit:
    srl t4, t4, t5
    andi t4, t4, 1                              # t4: whether the frame is free
    addi a0, a0, 1
    addi t1, t1, 1
    bnez t4, .Lrun
    li t1, 0
    j .Lrun

.Lfound:
    sub s2, t3, a0                              # s2: number of the first frame
    sub s1, a0, s1                              # s1: bit of the last one
.Lclear_run:
    addi a0, a0, -1
    call clear_bit
    bne a0, s1, .Lclear_run
    mv a0, s2
    LEAVE 2
.Lnone:
    li a0, -1
    LEAVE 2
END_FUNCTION take_run

.section .rodata
.balign 8
# By the top six bits of (1 << i) times the sequence: i.
lowest_bit_table:
    .byte 0, 1, 2, 7, 3, 13, 8, 19, 4, 25, 14, 28, 9, 34, 20, 40
    .byte 5, 17, 26, 38, 15, 46, 29, 48, 10, 31, 35, 54, 21, 50, 41, 57
    .byte 63, 6, 12, 18, 24, 27, 33, 39, 16, 37, 45, 47, 30, 53, 49, 56
    .byte 62, 11, 23, 32, 36, 44, 52, 55, 61, 22, 43, 51, 60, 42, 59, 58
    .quad 0x0218a392cd3d5dbf

STRING frame_allocator_name, "bitmap"
STRING message_large, "illegal range for frame allocator: the bitmap governs up to 64^4 - 1 frames"
.include "mm/frames/allocator.inc"
