# Characters and strings on the console: what printf (kernel/lib) prints with, in a program.
.include "lib/abi.inc"

.equ STDIN, 0
.equ STDOUT, 1

.text

# console_putchar(a0 = character). Leaves the t registers alone.
FUNCTION console_putchar
    addi sp, sp, -16
    sd ra, 8(sp)
    sb a0, 0(sp)
    li a0, STDOUT
    mv a1, sp
    li a2, 1
    call write
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
END_FUNCTION console_putchar

# print_string(a0 = NUL-terminated string)
FUNCTION print_string
    mv a1, a0
    mv t0, a0
.Lmeasure:
    lbu t1, 0(t0)
    addi t0, t0, 1
    bnez t1, .Lmeasure
    sub a2, t0, a1
    addi a2, a2, -1
    li a0, STDOUT
    j write
END_FUNCTION print_string

# getchar() -> a0 = the next character that is typed, -1 when there is no input
FUNCTION getchar
    addi sp, sp, -16
    sd ra, 8(sp)
    li a0, STDIN
    mv a1, sp
    li a2, 1
    call read
    blez a0, .Lend_of_input
    lbu a0, 0(sp)
.Lend_of_input:
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
END_FUNCTION getchar
