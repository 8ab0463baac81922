# large: fills 2 MiB, page after page, and reads all of it back, twice; the first page again and again in between.
.include "lib/abi.inc"

.equ PAGES, 512
.equ PAGE_SIZE, 4096
.equ ROUNDS, 2

.text
FUNCTION main
    ENTER 5
    li a0, PAGES * PAGE_SIZE
    call sbrk
    bltz a0, .Lno_memory
    mv s1, a0                                   # s1: the memory
    li s2, ROUNDS
.Lround:
    li s3, 0                                    # s3: page
    mv s4, s1
.Lwrite:
    add t0, s3, s2
    sd t0, 8(s4)
    lbu t1, 0(s1)                               # the first page stays in use
    li t1, PAGE_SIZE
    add s4, s4, t1
    addi s3, s3, 1
    li t1, PAGES
    bne s3, t1, .Lwrite
    li s3, 0
    mv s4, s1
.Lcheck:
    ld t0, 8(s4)
    add t1, s3, s2
    bne t0, t1, .Lwrong
    lbu t1, 0(s1)
    li t1, PAGE_SIZE
    add s4, s4, t1
    addi s3, s3, 1
    li t1, PAGES
    bne s3, t1, .Lcheck
    addi s2, s2, -1
    bnez s2, .Lround
    la a0, line
    call print_string
    li a0, 0
    LEAVE 5
.Lno_memory:
    la a0, line_no_memory
    j .Lprint
.Lwrong:
    la a0, line_wrong
.Lprint:
    call print_string
    li a0, 1
    LEAVE 5
END_FUNCTION main

STRING line, "large: 512 pages, written and read twice\n"
STRING line_no_memory, "large: no memory\n"
STRING line_wrong, "large: a page does not hold what was written\n"
