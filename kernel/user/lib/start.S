# The first instructions of every program.
.include "lib/abi.inc"

.section .text.entry, "ax", @progbits

# _start(): the kernel has set sp, all other registers are 0. What main returns is the exit code.
FUNCTION _start
    call main
    call exit
END_FUNCTION _start
