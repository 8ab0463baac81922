# The heap test of 000 and 003: a boxed number and a vector that grows; both lie in .bss.
.include "lib/abi.inc"

.equ FIRST_CAPACITY, 4
.equ NUMBERS, 500
.equ NUMBER, 8                                  # bytes and alignment of each
.equ BOXED, 5

.text

# heap_test()
# Panics when a block lies outside of .bss, or does not keep what is put into it.
FUNCTION heap_test
    ENTER 4
    li a0, NUMBER
    li a1, NUMBER
    call heap_alloc
    call check_in_bss
    mv s1, a0                                   # s1: the box
    li t0, BOXED
    sd t0, 0(s1)

    li s3, FIRST_CAPACITY                       # s2: the vector, s3: its capacity, s4: its length
    li a0, FIRST_CAPACITY * NUMBER
    li a1, NUMBER
    call heap_alloc
    call check_in_bss
    mv s2, a0
    li s4, 0
.Lpush:
    bne s4, s3, .Lhas_room
    mv a0, s2                                   # full: twice the capacity
    slli a1, s3, 3
    li a2, NUMBER
    slli a3, s3, 4
    call heap_realloc
    call check_in_bss
    mv s2, a0
    slli s3, s3, 1
.Lhas_room:
    slli t0, s4, 3
    add t0, s2, t0
    sd s4, 0(t0)
    addi s4, s4, 1
    li t0, NUMBERS
    bne s4, t0, .Lpush

.Lpop:
    addi s4, s4, -1
    slli t0, s4, 3
    add t0, s2, t0
    ld t0, 0(t0)
    bne t0, s4, .Lwrong_contents
    bnez s4, .Lpop
    ld t0, 0(s1)
    li t1, BOXED
    bne t0, t1, .Lwrong_contents
    mv a0, s1
    li a1, NUMBER
    li a2, NUMBER
    call heap_dealloc
    mv a0, s2
    slli a1, s3, 3
    li a2, NUMBER
    call heap_dealloc
    LEAVE 4
.Lwrong_contents:
    la a0, message_contents
    call panic
END_FUNCTION heap_test

# check_in_bss(a0 = pointer) -> a0 unchanged
LOCAL_FUNCTION check_in_bss
    la t0, sbss
    bltu a0, t0, .Loutside
    la t0, ebss
    bgeu a0, t0, .Loutside
    ret
.Loutside:
    ENTER
    mv a1, a0
    la a0, message_outside
    call panic
END_FUNCTION check_in_bss

STRING message_outside, "heap test: the block %p is not in .bss"
STRING message_contents, "heap test: a number is not what it was"
