"""Pieces of a kernel, assembled once: they follow each other in any order, and each meets one hazard."""

from functools import lru_cache

from emu.firmware.image import Image
from linker import link
from linker.assembler import assemble

_SOURCES = (
    # The handler: it goes on behind what trapped, in M or S mode.
    """
    csrr t5, mcause
    bltz t5, 1f
    csrr t5, mepc
    addi t5, t5, 4
    csrw mepc, t5
1:  csrw mie, zero
    mret
    .balign 32
    csrr t5, sepc
    addi t5, t5, 4
    csrw sepc, t5
    csrw sie, zero
    sret
    """,
    # Paging on and off, with and without a fence.
    """
    li t0, 0x80010
    li t1, 8 << 60
    or t0, t0, t1
    csrrw t2, satp, t0
    sfence.vma
    ld t3, (a0)
    sd t3, (a1)
    csrw satp, t2
    """,
    # A page table that changes itself.
    """
    li t0, 0x80010000
    ld t1, 16(t0)
    xori t1, t1, 0x1f
    sd t1, 16(t0)
    sfence.vma
    sd t1, 8(t0)
    sfence.vma t0
    """,
    # A disk request: the legacy layout, then the modern one.
    """
    li t0, 0x10001000
    li t1, 4096
    sw t1, 0x28(t0)
    sw zero, 0x30(t0)
    li t1, 16
    sw t1, 0x38(t0)
    li t1, 0x80018
    sw t1, 0x40(t0)
    sw zero, 0x50(t0)
    """,
    """
    li t0, 0x10001000
    li t1, 11
    sw t1, 0x70(t0)
    sw zero, 0x30(t0)
    li t1, 16
    sw t1, 0x38(t0)
    li t2, 0x80018000
    sw t2, 0x80(t0)
    sw zero, 0x84(t0)
    addi t2, t2, 256
    sw t2, 0x90(t0)
    addi t2, t2, 256
    sw t2, 0xa0(t0)
    li t1, 1
    sw t1, 0x44(t0)
    sw zero, 0x50(t0)
    lw t1, 0x60(t0)
    sw t1, 0x64(t0)
    """,
    # The same on each other slot.
    """
    li t0, 0x10002000
    li t3, 7
1:  li t1, 15
    sw t1, 0x70(t0)
    li t1, 8
    sw t1, 0x38(t0)
    li t1, 0x80018
    sw t1, 0x40(t0)
    sw zero, 0x50(t0)
    li t1, 4096
    add t0, t0, t1
    addi t3, t3, -1
    bnez t3, 1b
    """,
    # Code that writes code, with and without fence.i.
    """
    auipc t0, 0
    lw t1, (t0)
    sw t1, 24(t0)
    fence.i
    nop
    nop
    li t1, 0x13
    sw t1, 8(t0)
    nop
    """,
    # PMP.
    """
    csrw pmpaddr0, a0
    csrw pmpaddr1, a1
    csrw pmpcfg0, a2
    csrs pmpcfg0, a3
    li t0, 0x0f1f
    csrw pmpcfg0, t0
    """,
    # Timers and waiting.
    """
    li t0, 0x0200bff8
    ld t1, (t0)
    addi t1, t1, 20
    li t0, 0x02004000
    sd t1, (t0)
    li t0, 0x80
    csrs mie, t0
    wfi
    csrsi mstatus, 8
    """,
    """
    li a7, 0x54494d45
    li a6, 0
    rdtime a0
    addi a0, a0, 10
    ecall
    li t0, 0x20
    csrs sie, t0
    wfi
    """,
    # The SBI, asked for anything.
    """
    mv a7, a2
    mv a6, a3
    ecall
    li a7, 0x4442434e
    li a6, 0
    ecall
    li a7, 1
    ecall
    """,
    # Down to S and U mode.
    """
    auipc t0, 0
    addi t0, t0, 24
    csrw mepc, t0
    li t1, 0x1800
    csrc mstatus, t1
    mret
    """,
    """
    auipc t0, 0
    addi t0, t0, 24
    csrw sepc, t0
    li t1, 0x100
    csrs sstatus, t1
    sret
    """,
    # Devices: UART, CLINT, PLIC, RTC, by each size.
    """
    li t0, 0x10000000
    sb a0, 1(t0)
    lb a1, 5(t0)
    sb a2, (t0)
    lw a3, (t0)
    li t0, 0x02000000
    sw a0, (t0)
    sd a0, (t0)
    li t0, 0x0c000000
    sw a0, 40(t0)
    li t1, 0x2000
    add t0, t0, t1
    sw a1, (t0)
    li t0, 0x0c200000
    lw a0, 4(t0)
    sw a0, 4(t0)
    li t0, 0x101000
    sw a0, 8(t0)
    sw a1, 12(t0)
    """,
    # Atomics and misaligned accesses over the end of a page.
    """
    li t0, 0x80010ffc
    lr.w t1, (t0)
    sc.w t2, t1, (t0)
    amoadd.d t1, t2, (a0)
    ld t1, (t0)
    sd t1, 1(t0)
    lr.d t1, (a1)
    sc.d t2, t1, (a1)
    """,
    # Floating point.
    """
    li t0, 0x6000
    csrs mstatus, t0
    fld ft0, (a0)
    fmadd.s ft1, ft0, ft0, ft0
    fcvt.l.d a4, ft1
    fsd ft1, 8(a0)
    csrw fcsr, a1
    fdiv.d ft2, ft1, ft0
    """,
    # Loads and stores with MPRV.
    """
    li t0, 0x20800
    csrs mstatus, t0
    lb t1, (a0)
    sb t1, (a1)
    lw t1, (zero)
    csrc mstatus, t0
    """,
    # A loop, and a jump to what a register holds.
    """
    li t0, 50
1:  addi t0, t0, -1
    bnez t0, 1b
    jalr a0
    """,
    # Off.
    """
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 1(t0)
    sw t1, (a0)
    """,
)


@lru_cache(maxsize=1)
def blocks() -> tuple[bytes, ...]:
    """The code of all blocks; the first is a trap handler."""
    return tuple(_assembled(source) for source in _SOURCES)


def _assembled(source: str) -> bytes:
    code = assemble(f".text\n.globl _start\n_start:\n{source}\n", name="block.s")
    script = "ENTRY(_start) SECTIONS { . = 0x80000000; .text : { *(.text) } }"
    (segment,) = Image.from_bytes(link([code], script=script).elf, "block.elf").segments
    return segment.data
