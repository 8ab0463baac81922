    .section .init, "ax"
    .globl _start
_start:
    la sp, _stack_top
    call main
1:  j 1b
    .section .text.entry, "ax"
    .globl entry2
entry2: nop
    .section .vectors, "ax"
    .balign 64
    .globl vector_table
vector_table: j vector_table
    .section .trampoline, "ax"
    .balign 8
    .globl trampoline
trampoline: ret
    .section .head.text, "ax"
    c.nop
    .data
    .globl word_one
word_one: .dword _start
    .bss
    .globl zeros
zeros: .space 20
    .weak maybe
    .section .rodata.table, "a"
    .dword maybe, zeros, word_one
