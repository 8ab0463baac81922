# Mergeable sections of each kind: characters, wide characters, constants, aligned strings with padding.
    .section .rodata.str1.1, "aMS", @progbits, 1
a1: .string "hello world"
a2: .string "world"
a3: .string ""
a4: .string "o world"
    .section .rodata.str1.8, "aMS", @progbits, 1
    .balign 8
b1: .string "aligned string"
    .balign 8
b2: .string "string"
    .balign 8
b3: .string "g"
    .section .rodata.str4.4, "aMS", @progbits, 4
    .balign 4
c1: .word 'h', 'i', 0
c2: .word 'i', 0
    .section .rodata.cst8, "aM", @progbits, 8
    .balign 8
d1: .dword 0x1122334455667788
d2: .dword 1
d3: .dword 0x1122334455667788
    .section .rodata.cst4, "aM", @progbits, 4
    .balign 4
e1: .word 7
e2: .word 8
e3: .word 7
    .data
    .globl PREFIX
PREFIX:
    .dword a1, a2, a3, a4, b1, b2, b3, c1, c2, d1, d2, d3, e1, e2, e3
    .dword a1 + 6, .rodata.str1.1 + 3, .rodata.str1.8 + 4, .rodata.cst8 + 16
    .text
    la a0, a2
    la a1, b2
    la a2, d3
