"""Fields of `mstatus`, `satp` and `mip` (privileged manual, sections 3.1.6, 3.1.9 and 4.1.11)."""

from enum import IntFlag

from emu.isa.privilege import Privilege


class Status(IntFlag):
    """Bits and fields of `mstatus`."""

    SIE = 1 << 1
    MIE = 1 << 3
    SPIE = 1 << 5
    MPIE = 1 << 7
    SPP = 1 << 8
    MPP = 3 << 11
    FS = 3 << 13
    MPRV = 1 << 17
    SUM = 1 << 18
    MXR = 1 << 19
    TVM = 1 << 20
    TW = 1 << 21
    TSR = 1 << 22
    UXL = 3 << 32
    SXL = 3 << 34
    SD = 1 << 63


MPP_SHIFT = 11
FS_SHIFT = 13
FS_INITIAL, FS_DIRTY = 1 << FS_SHIFT, 3 << FS_SHIFT
XLEN_64 = (2 << 32) | (2 << 34)
"""UXL and SXL read 2: both modes have 64 bits."""

SSTATUS_READ = int(Status.SIE | Status.SPIE | Status.SPP | Status.FS | Status.SUM | Status.MXR | Status.UXL | Status.SD)
"""What `sstatus` shows of `mstatus` (section 4.1.1)."""
SSTATUS_WRITE = int(Status.SIE | Status.SPIE | Status.SPP | Status.FS | Status.SUM | Status.MXR)
MSTATUS_WRITE = SSTATUS_WRITE | int(
    Status.MIE | Status.MPIE | Status.MPP | Status.MPRV | Status.TVM | Status.TW | Status.TSR
)

SSIP, MSIP, STIP, MTIP, SEIP, MEIP = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 9, 1 << 11
S_INTERRUPTS = SSIP | STIP | SEIP
"""The interrupts that can be delegated."""
ALL_INTERRUPTS = S_INTERRUPTS | MSIP | MTIP | MEIP

SATP_PPN = (1 << 44) - 1
SATP_ASID_SHIFT = 44
SATP_MODE_SHIFT = 60
SATP_BARE, SATP_SV39, SATP_SV48, SATP_SV57 = 0, 8, 9, 10
PAGING_LEVELS = {SATP_SV39: 3, SATP_SV48: 4, SATP_SV57: 5}
"""Levels of the page table by `satp` mode."""


def process_space(privilege: int, satp: int) -> int:
    """A number for the address space that addresses of stacks belong to: user programs have the same ones in several.

    It is the root's page number, as one address space may have several ASIDs in time; 0 for S and M mode, whose stacks
    are taken to be mapped alike in all of them.
    """
    return satp & SATP_PPN if privilege == Privilege.U else 0


_MPRV = int(Status.MPRV)


def effective_privilege(status: int, privilege: int) -> int:
    """The privilege that loads and stores are checked with: MPRV lets M mode use MPP's (section 3.1.6.3).

    >>> effective_privilege(int(Status.MPRV) | (1 << MPP_SHIFT), 3)
    1
    """
    if privilege == Privilege.M and status & _MPRV:
        return (status >> MPP_SHIFT) & 3
    return privilege
