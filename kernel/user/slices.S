# slices: two children count for themselves and never yield; both end all the same, because the timer ends their slices.
.include "lib/abi.inc"

.equ CHILDREN, 2
.equ COUNT, 1200000

.text
FUNCTION main
    ENTER 1
    li s1, CHILDREN
1:  call fork
    bltz a0, 4f
    beqz a0, 3f
    addi s1, s1, -1
    bnez s1, 1b
    li s1, CHILDREN
2:  li a0, -1
    li a1, 0
    call waitpid
    bltz a0, 4f
    addi s1, s1, -1
    bnez s1, 2b
    la a0, line
    call print_string
    li a0, 0
    LEAVE 1
3:  li t0, COUNT
5:  addi t0, t0, -1
    bnez t0, 5b
    li a0, 0
    call exit
4:  la a0, line_no_memory
    call print_string
    li a0, 1
    LEAVE 1
END_FUNCTION main

STRING line_no_memory, "slices: no memory left for a process\n"
STRING line, "slices: both children ended, though none of them yielded\n"
