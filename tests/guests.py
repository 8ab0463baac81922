"""Pieces of assembly that the guests of several tests are made of."""

LOWER_TABLES = """
    la t0, root
    li t1, 0x200000cf           # a gigapage: 0x80000000 onto itself
    sd t1, 16(t0)
    la t1, table1
    srli t1, t1, 2
    ori t1, t1, 1
    sd t1, 0(t0)
    la t1, table0
    srli t1, t1, 2
    ori t1, t1, 1
    la t0, table1
    sd t1, 0(t0)
    la t0, table0
"""
"""Memory is mapped onto itself, and addresses below 2 MiB by `table0`, whose address t0 has afterwards."""

PAGING_ON = """
    la t0, root
    srli t0, t0, 12
    li t1, 8
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
"""
"""Sv39 with the table `root`."""

TO_SUPERVISOR = """
    li t0, -1
    csrw pmpaddr0, t0
    csrwi pmpcfg0, 31
    la t0, supervisor
    csrw mepc, t0
    li t0, 0x800
    csrw mstatus, t0
    mret
supervisor:
"""
"""From M mode to S mode, which may access all of memory."""

BEHIND_IT = """
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
"""
"""The end of a handler in M mode: execution goes on behind the instruction of 4 bytes that trapped."""

HTIF_WORDS = """
    .section .tohost, "aw", @progbits
    .balign 64
    .globl tohost, fromhost
tohost: .dword 0
    .balign 64
fromhost: .dword 0
"""
"""What a guest exchanges with Spike's host."""

TO_USER = """
    la t0, trap
    csrw stvec, t0
    la t0, root
    li t1, 0x200000cf               # for S mode: the first GiB of RAM where it is
    sd t1, 16(t0)
    li t1, 0x200000df               # for U mode: the same from 0xc0000000 on
    sd t1, 24(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    la t0, user
    li t1, 0x40000000
    add t0, t0, t1
    csrw sepc, t0
    sret
    .balign 4
"""
"""Goes to `user` in U mode, under Sv39; traps come to `trap`. `root` has room for a table. What follows is aligned."""

THREE_TABLES = """
    la s0, root
    li t1, 0x80000 << 10 | 0xcf
    sd t1, 16(s0)
    la t1, middle
    srli t1, t1, 2
    ori t1, t1, 1
    sd t1, 0(s0)
    la s1, middle
    la t1, last
    srli t1, t1, 2
    ori t1, t1, 1
    sd t1, 0(s1)
    la s1, last
"""
"""RAM is mapped onto itself by `root`, and addresses below 2 MiB by `middle` and `last`, whose address s1 has then."""

GIGAPAGES = """
    la t0, trap
    csrw stvec, t0
    la s0, root
    li t1, 0xcf
    sd t1, (s0)
    li t1, 0x200000cf
    sd t1, 16(s0)
    srli t0, s0, 12
    li t1, 8 << 60
    or s1, t0, t1
"""
"""Traps come to `trap`; `root` maps devices and RAM onto themselves, and s1 is the `satp` for it."""

PRINT_DIGITS = """
    li t0, 0x10000000
    li t1, 60
1:  srl t2, a0, t1
    andi t2, t2, 15
    addi t2, t2, '0'
    sb t2, (t0)
    addi t1, t1, -4
    bgez t1, 1b
    li t1, 10
    sb t1, (t0)
"""
"""The 16 digits of a0, and a line break, to the UART; the digits above 9 are the characters behind it."""

BUSY = """
    la sp, stack
    li s1, {rounds}
.Lagain:
    li a0, 1
    call frame_alloc
    call frame_dealloc
    addi s1, s1, -1
    bnez s1, .Lagain
    li a0, 3
    call frame_alloc
    li a7, 8
    ecall

    .globl frame_alloc, frame_dealloc
    .type frame_alloc, @function
frame_alloc:
    la t0, next
    ld t1, 0(t0)
    add t2, t1, a0
    sd t2, 0(t0)
    mv a0, t1
    ret
    .size frame_alloc, . - frame_alloc
    .type frame_dealloc, @function
frame_dealloc:
    la t0, next
    sd a0, 0(t0)
    ret
    .size frame_dealloc, . - frame_dealloc
    .data
    .balign 8
next: .dword 0x80400
    .bss
    .zero 256
stack:
"""
"""Takes a frame and gives it back, many times; then keeps one."""

RANDOM = r"""
    la sp, stack
    li s1, {rounds}
    li s2, 1                # a random number
    la s3, slots
    li s5, 0x80500000
    li s6, 1103515245
    li s7, 0x80800
.Lagain:
    mul s2, s2, s6
    addiw s2, s2, 1013
    srliw t0, s2, 13
    andi t0, t0, 1023
    slli t1, t0, 3
    add s4, s3, t1
    slli s8, t0, 11
    add s8, s8, s5          # where a block of this slot is
    add s9, t0, s7          # and its frame
    srliw t0, s2, 8
    andi t0, t0, 7
    slli t0, t0, 3
    la t1, ways
    add t0, t0, t1
    ld t0, (t0)             # who asks
    srliw s0, s2, 17
    andi s0, s0, 1023
    jalr t0
    addi s1, s1, -1
    bnez s1, .Lagain
    li a7, 8
    ecall
    .irp name, a, b, c, d, e, f, g, h
    .type way_\name, @function
way_\name:
    addi sp, sp, -16
    sd ra, (sp)
    call change
    ld ra, (sp)
    addi sp, sp, 16
    ret
    .size way_\name, . - way_\name
    .endr
    .globl malloc, free, frame_alloc, frame_dealloc
    .type change, @function
change:
    addi sp, sp, -16
    sd ra, (sp)
    ld a0, (s4)
    andi t0, s9, 1
    beqz a0, .Ltake
    sd zero, (s4)
    bnez t0, .Lframe
    call free
    j .Lend
.Lframe:
    call frame_dealloc
    j .Lend
.Ltake:
    bnez t0, .Ltakeframe
    mv a0, s0
    call malloc
    j .Ltaken
.Ltakeframe:
    call frame_alloc
.Ltaken:
    sd a0, (s4)
.Lend:
    ld ra, (sp)
    addi sp, sp, 16
    ret
    .size change, . - change
    .type malloc, @function
malloc:
    mv a0, s8
    ret
    .size malloc, . - malloc
    .type free, @function
free: ret
    .size free, . - free
    .type frame_alloc, @function
frame_alloc:
    andi t0, s2, 31         # takes longer or less long
1:  addi t0, t0, -1
    bgtz t0, 1b
    mv a0, s9
    ret
    .size frame_alloc, . - frame_alloc
    .type frame_dealloc, @function
frame_dealloc: ret
    .size frame_dealloc, . - frame_dealloc
    .data
    .balign 8
ways:
    .irp name, a, b, c, d, e, f, g, h
    .dword way_\name
    .endr
    .bss
    .balign 8
slots: .zero 8192
    .zero 256
stack:
"""
"""Blocks and frames come and go at random, by eight ways, of any size and for any time: nothing shortens that."""
