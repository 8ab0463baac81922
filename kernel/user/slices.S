# slices: two children count for themselves and never yield; both end all the same, because the timer ends their slices.
.include "lib/abi.inc"

.equ CHILDREN, 2
.equ COUNT, 1200000

.text
FUNCTION main
    ENTER 1
    li s1, CHILDREN
.Lfork_child:
    call fork
    bltz a0, .Lno_memory
    beqz a0, .Lchild
    addi s1, s1, -1
    bnez s1, .Lfork_child
    li s1, CHILDREN
.Lwait_child:
    li a0, -1
    li a1, 0
    call waitpid
    bltz a0, .Lno_memory
    addi s1, s1, -1
    bnez s1, .Lwait_child
    la a0, line
    call print_string
    li a0, 0
    LEAVE 1
.Lchild:
    li t0, COUNT
.Lcount:
    addi t0, t0, -1
    bnez t0, .Lcount
    li a0, 0
    call exit
.Lno_memory:
    la a0, line_no_memory
    call print_string
    li a0, 1
    LEAVE 1
END_FUNCTION main

STRING line_no_memory, "slices: no memory left for a process\n"
STRING line, "slices: both children ended, though none of them yielded\n"
