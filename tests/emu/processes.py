"""Kernels of two processes, each with an address space of its own, and both with the same stack pointer."""

USER = 0x4000_0000
"""How far below its symbols the code of both processes is executed."""
KERNEL_STACK = 0x4000_0000
"""The page of the kernel's stack in both address spaces of `two_kernel_stacks`."""


def two_processes(first: str, second: str, code: str) -> str:
    """Assembly: both begin at a label of `code`, with 1 or 2 in s1; each `ecall` goes on with the other one.

    A switch keeps s1, s2, sp and ra.
    """
    return f"""
    la t0, handler
    csrw stvec, t0
    la s6, first
    la s7, second
    la a0, {first}
    la a1, root1
    mv a2, s6
    li a3, 1
    call process
    la a0, {second}
    la a1, root2
    mv a2, s7
    li a3, 2
    call process
    j leave
process:
    li t0, {USER:#x}
    sub a0, a0, t0
    sd a0, (a2)
    li t0, 0x40300000
    sd t0, 8(a2)
    sd a3, 16(a2)
    li t0, 0x200000CF
    sd t0, 16(a1)
    li t0, 0x200000DF
    sd t0, 8(a1)
    srli a1, a1, 12
    li t0, 8 << 60
    or a1, a1, t0
    sd a1, 40(a2)
    ret
    .balign 4
handler:
    csrr t0, sepc
    addi t0, t0, 4
    sd t0, (s6)
    sd sp, 8(s6)
    sd s1, 16(s6)
    sd s2, 24(s6)
    sd ra, 32(s6)
    mv t0, s6
    mv s6, s7
    mv s7, t0
leave:
    ld t0, 40(s6)
    csrw satp, t0
    sfence.vma
    ld t0, (s6)
    csrw sepc, t0
    ld sp, 8(s6)
    ld s1, 16(s6)
    ld s2, 24(s6)
    ld ra, 32(s6)
    li t0, 0x100
    csrc sstatus, t0
    sret
{code}
    .balign 4096
root1: .zero 4096
root2: .zero 4096
first: .zero 48
second: .zero 48
"""


def two_kernel_stacks(code: str) -> str:
    """Assembly: two processes in S mode, each with its own memory at the same stack pointer.

    They begin at `first` and `second` of `code`, with 1 and 2 in s1; `call switch` goes on with the other one, which
    has called it there, or begins. It keeps s1, s2 and ra.
    """
    return f"""
    la a0, first_stack
    la a1, root1
    call space
    mv s6, a0
    la a0, second_stack
    la a1, root2
    call space
    mv s7, a0
    la t0, second_stack + 4096 - 48
    la t1, second
    sd t1, (t0)
    li t1, 2
    sd t1, 8(t0)
    csrw satp, s6
    sfence.vma
    li sp, {KERNEL_STACK + 4096:#x}
    li s1, 1
    j first
space:
    li t0, 0x200000CF
    sd t0, 16(a1)
    la t1, tables
    lw t2, count
    slli t2, t2, 12
    add t1, t1, t2
    srli t0, t1, 2
    ori t0, t0, 1
    sd t0, 8(a1)
    li t2, 4096
    add t2, t2, t1
    srli t0, t2, 2
    ori t0, t0, 1
    sd t0, (t1)
    srli t0, a0, 2
    ori t0, t0, 0xC7
    sd t0, (t2)
    lw t0, count
    addi t0, t0, 2
    la t1, count
    sw t0, (t1)
    srli a0, a1, 12
    li t0, 8 << 60
    or a0, a0, t0
    ret
switch:
    addi sp, sp, -32
    sd ra, (sp)
    sd s1, 8(sp)
    sd s2, 16(sp)
    csrw satp, s7
    sfence.vma
    mv t0, s6
    mv s6, s7
    mv s7, t0
    ld ra, (sp)
    ld s1, 8(sp)
    ld s2, 16(sp)
    addi sp, sp, 32
    ret
{code}
    .data
count: .word 0
    .balign 4096
root1: .zero 4096
root2: .zero 4096
tables: .zero 4 * 4096
first_stack: .zero 4096
second_stack: .zero 4096
"""
