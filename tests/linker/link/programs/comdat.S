# A template function as C++ compilers emit it: the linker keeps one of each group.
    .section .text._Z3maxIiET_S0_S0_, "axG", @progbits, _Z3maxIiET_S0_S0_, comdat
    .weak _Z3maxIiET_S0_S0_
    .type _Z3maxIiET_S0_S0_, @function
_Z3maxIiET_S0_S0_:
    bge a0, a1, 1f
    mv a0, a1
1:  ret
    .size _Z3maxIiET_S0_S0_, . - _Z3maxIiET_S0_S0_
    .section .rodata._Z3maxIiET_S0_S0_, "aG", @progbits, _Z3maxIiET_S0_S0_, comdat
    .dword _Z3maxIiET_S0_S0_

    .text
    .globl FUNCTION
FUNCTION:
    li a0, 1
    li a1, 2
    tail _Z3maxIiET_S0_S0_
