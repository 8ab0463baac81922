"""Instructions whose effect is a trap: environment calls, breakpoints, and what this machine does not implement."""

from collections.abc import Iterator

from tests.emu.isa.case import Case

ILLEGAL, BREAKPOINT, CALL_FROM_M = 2, 3, 11
"""Causes (privileged manual, table 3.6)."""

OF_OTHER_VERSIONS = ("uret", "hret", "dret", "sfence.vm", "sfence.vm a3", "unimp", "c.unimp")
"""User interrupts, the hypervisor mode and the fence of older versions, debug mode, and no instruction at all."""
SVINVAL = (
    "sinval.vma a3, a4", "sfence.w.inval", "sfence.inval.ir", "hinval.vvma a3, a4", "hinval.gvma a3, a4",
)  # fmt: skip
HYPERVISOR = (
    "hfence.vvma", "hfence.vvma a3", "hfence.vvma a3, a4", "hfence.gvma", "hfence.gvma a3", "hfence.gvma a3, a4",
    "hlv.b a3, (a4)", "hlv.bu a3, (a4)", "hlv.h a3, (a4)", "hlv.hu a3, (a4)", "hlvx.hu a3, (a4)", "hlv.w a3, (a4)",
    "hlvx.wu a3, (a4)", "hlv.wu a3, (a4)", "hlv.d a3, (a4)",
    "hsv.b a3, (a4)", "hsv.h a3, (a4)", "hsv.w a3, (a4)", "hsv.d a3, (a4)",
)  # fmt: skip


OWN_BITS, OWN_HALF, OWN_PC, NOTHING = "lwu a3, (t1)", "lhu a3, (t1)", "mv a3, t1", "li a3, 0"
"""What `mtval` is to hold (privileged manual, section 3.1.16), computed from the address of the instruction in t1."""


def trap(instruction: str, cause: int, tval: str = OWN_BITS, *, setup: str = "", arch: str = "rv64gc") -> Case:
    """An instruction that traps: afterwards a0 is the cause, and `mtval` and `mepc` differ by 0 from what they should.

    One that does not trap comes to the handler too, but finds the cause that was there before, which is 0.
    """
    source = f"""
        lla t0, 9f
        csrw mtvec, t0
        lla t1, 1f
        {tval}
        {setup}
        .option arch, {arch}
     1: {instruction}
        .option arch, rv64gc
        .balign 4
     9: csrr a0, mcause
        csrr a1, mtval
        sub a1, a1, a3
        csrr a2, mepc
        sub a2, a2, t1
     2: j 2b"""
    return Case(instruction.split()[0], source, lambda: {"a0": cause, "a1": 0, "a2": 0})


def _cases() -> Iterator[Case]:
    for name in ("ecall", "scall"):
        yield trap(name, CALL_FROM_M, NOTHING)
    for name in ("ebreak", "sbreak", "c.ebreak"):
        yield trap(name, BREAKPOINT, OWN_PC)
    for name in OF_OTHER_VERSIONS:
        yield trap(name, ILLEGAL, OWN_HALF if name.endswith("unimp") else OWN_BITS)
    for instruction in SVINVAL:
        yield trap(instruction, ILLEGAL, arch="+svinval")
    for instruction in HYPERVISOR:
        yield trap(instruction, ILLEGAL, arch="+h")


CASES = tuple(_cases())
EXPANSION_CASES: tuple[Case, ...] = ()
