# What a relocatable output has to move: each kind of symbol, group and relocation; SELF is the name of the object.
    .text
    .globl SELF
SELF:
    la a0, behind
1:  auipc a1, %pcrel_hi(last)
    addi a1, a1, %pcrel_lo(1b)
    call absent
    .section .text.aligned, "ax"
    .balign 8
away: j SELF
    .option push
    .option relax
    .balign 16
    .option pop
    tail away
    .weak absent
    .data
    .equ fixed, 77
behind: .dword block, away + 4, .text.aligned + 2, elsewhere - 3, fixed
last: .byte 1
    .balign 8
    .section .rodata.cst8, "aM", @progbits, 8
    .dword 1, 2, 1
    .section .rodata.str1.1, "aMS", @progbits, 1
text: .string "a tail"
    .string "tail"
    .data
    .dword text + 2, .rodata.str1.1 + 7
    .section .init_array, "aw", @init_array
    .dword SELF
    .section .note.joined, "a", @note
    .word 4, 0, 1, 0x00444c45
    .section .text.once, "axG", @progbits, once, comdat
    .weak once
once: ret
inside: nop
    .section .data.once, "awG", @progbits, once, comdat
    .dword once, inside
    .section .debug_info
    .dword inside, once
    .section .debug_ranges
    .dword inside, .text.once, away
    .section .excluded, "e"
    .word 3
    .comm block, 12, 64
    .hidden block
    .lcomm own_block, 4
    .section .tbss, "awT", @nobits
    .balign 32
thread_zero: .space 8
    .section .tdata, "awT"
    .word 3
    .globl elsewhere_too
    .type elsewhere_too, @object
    .hidden elsewhere_too
    .section .empty, "aw"
elsewhere_too:
    .size elsewhere_too, 24
# What has a meaning in objects only.
    .section .members, "awG", @progbits, alone
    .dword away
    .section .follower, "ao", @progbits, .text.aligned
    .dword 9
