"""A guest that does all that a machine has events for, run to its end whatever interrupts it."""

import zlib

from emu.machine import Machine, Outcome
from tests.guests import GIGAPAGES

# Pages, faults, the timer, `wfi`, both ways to the console, tables that change, and a reset in the middle of it all.
LIFE = (
    GIGAPAGES
    + """
    csrw satp, s1
    sfence.vma
    li s5, 0x10000000
    li s4, 30
    call set_timer
    li t0, 32
    csrs sie, t0
    csrsi sstatus, 2
1:  li a0, 'a'
    li a7, 1
    ecall
2:  lbu t0, 5(s5)
    andi t0, t0, 32
    beqz t0, 2b
    li t0, 'b'
    sb t0, (s5)
    li t0, 7 << 36
    ld t1, (t0)
    slli t0, s4, 10
    ori t0, t0, 1
    sd t0, 64(s0)
    csrw sscratch, s4
    csrw satp, s1
    andi t0, s4, 7
    bnez t0, 3f
    wfi
3:  addi s4, s4, -1
    bnez s4, 1b
    la t0, resets
    lw t1, (t0)
    bnez t1, 4f
    li t1, 1
    sw t1, (t0)
    sfence.vma
    li a0, 1
    li a1, 0
    li a6, 0
    li a7, 0x53525354
    ecall
4:  li a0, 0
    li a1, 0
    li a6, 0
    li a7, 0x53525354
    ecall
set_timer:
    rdtime a0
    addi a0, a0, 8
    li a7, 0
    ecall
    ret
    .balign 4
trap:
    csrr t2, scause
    bltz t2, 5f
    csrr t2, sepc
    addi t2, t2, 4
    csrw sepc, t2
    sret
5:  addi s6, s6, 1
    csrw sscratch, ra
    mv s7, a0
    mv s8, a7
    call set_timer
    mv a0, s7
    mv a7, s8
    csrr ra, sscratch
    sret
    .balign 4096
    .globl root
root: .zero 4096
    .balign 4096
    .globl _after
_after: .word 0
"""
)
RESETS = 0x8030_0000
"""Where the guest notes that it has asked for a reset: RAM that a reset does not load again."""
LIFE = LIFE.replace("la t0, resets", f"li t0, {RESETS:#x}")


class Interrupted(Exception):
    """What the listeners and handlers of these tests raise."""


def life_of(machine: Machine) -> tuple[Outcome, int, bytes, list[int], int]:
    """Run to the end, again after each exception; all that may not depend on them."""
    while True:
        try:
            outcome = machine.run()
            break
        except (Interrupted, KeyboardInterrupt):
            pass
    return outcome, machine.time, machine.console, list(machine.hart.x), zlib.crc32(machine.memory.ram.view)
