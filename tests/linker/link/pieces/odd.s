    .section .noinit, "aw", @nobits
    .globl scratch
scratch: .space 24
    .section .stack, "aw", @nobits
    .space 64
    .section .heap.region, "aw", @nobits
    .space 8
    .section .init_array.00100, "aw", @init_array
    .dword _start
    .section .init_array, "aw", @init_array
    .dword odd_function
    .section .ctors, "aw"
    .dword odd_function
    .section .fini_array, "aw", @fini_array
    .dword odd_function
    .section .note.one, "a", @note
    .balign 4
    .word 4, 4, 1, 0x00444c45, 7
    .section .note.two, "a", @note
    .balign 4
    .word 4, 4, 2, 0x00444c45, 9
    .section ._device.static.2_b, "aw"
    .dword 2
    .section ._device.static.1_a, "aw"
    .dword 1
    .section __ex_table, "a"
    .word 1, 2, 3
    .section .list_of_commands, "aw"
    .globl command_list
command_list: .dword odd_function
    .section .text.unlikely.odd, "ax"
    .globl odd_function
    .type odd_function, @function
odd_function: ret
    .size odd_function, . - odd_function
    .section .rodata.str1.1, "aMS", @progbits, 1
    .string "ending"
    .string "the same ending"
    .section .rodata.cst8, "aM", @progbits, 8
    .dword 42, 43, 42
    .section .sdata, "aw"
    .globl small
small: .word 3
    .section .sbss, "aw", @nobits
    .space 4
    .section .modinfo, "a"
    .asciz "license=MIT"
    .section .empty, "aw"
    .section .lonely.rodata, "a"
    .byte 1
    .section .lonely.data, "aw"
    .byte 2, 3, 4
    .section .lonely.text, "ax"
    .balign 4
    nop
    .comm shared_buffer, 40, 16
    .comm tiny, 4, 4
