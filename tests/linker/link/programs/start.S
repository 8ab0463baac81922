# Entry code with each kind of reference that assemblers make.
    .section .text.entry, "ax"
    .globl _start
    .type _start, @function
_start:
    la sp, stack_top
    la t0, __bss_start
    la t1, __bss_end
    j 2f
1:  sd zero, (t0)
    addi t0, t0, 8
2:  bltu t0, t1, 1b
    lla a0, words
    call main
    beqz a0, 3f
    bnez a0, forward
3:  jal ra, forward
    tail halt
forward:
    lui t0, %hi(low_absolute)
    addi t0, t0, %lo(low_absolute)
    sw t0, %lo(low_absolute)(zero)
4:  auipc t1, %pcrel_hi(words)
    ld t2, %pcrel_lo(4b)(t1)
    sd t2, %pcrel_lo(4b)(t1)
    ret
    .size _start, . - _start

    .text
    .globl halt
halt:
    wfi
    .p2align 4
    j halt
    .p2align 3
aligned_label:
    nop
    .p2align 5
    ret
    .globl low_absolute
    .equ low_absolute, 0x7f8

    .section .rodata
    .balign 8
words:
    .dword halt, words + 4, main
    .word aligned_label - halt
    .half end_of_words - words
    .byte end_of_words - words
    .word halt - .
end_of_words:

    .bss
    .balign 16
stack:
    .space 4096
    .globl stack_top
stack_top:
