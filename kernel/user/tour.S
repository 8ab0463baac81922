# tour: runs the other programs one after the other.
.include "lib/abi.inc"

.text
FUNCTION main
    ENTER 1
    la s1, names
.Lprogram:
    ld a0, 0(s1)
    call run
    bnez a0, .Lfailed
    addi s1, s1, 8
    la t0, names_end
    bne s1, t0, .Lprogram
    li a0, 0
    LEAVE 1
.Lfailed:
    mv a2, a0
    ld a1, 0(s1)
    la a0, line_no_memory
    li t0, -1
    beq a2, t0, .Lprint
    la a0, line
.Lprint:
    call printf
    li a0, 1
    LEAVE 1
END_FUNCTION main

.section .rodata
.balign 8
names:
    .quad name_hello, name_faults, name_memory
names_end:

STRING name_hello, "hello"
STRING name_faults, "faults"
STRING name_memory, "memory"
STRING line_no_memory, "tour: no memory left for %s\n"
STRING line, "tour: %s ended with exit code %d\n"
