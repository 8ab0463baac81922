# hello: the smallest program that says something.
.include "lib/abi.inc"

.text
FUNCTION main
    ENTER
    call getpid
    mv a1, a0
    la a0, line
    call printf
    li a0, 0
    LEAVE
END_FUNCTION main

STRING line, "hello: I am process %d\n"
