"""The CSRs that fidelity `fast` leaves to the core: where they lie in the state window, and what the host may write."""

from emu.engine.window import Word
from emu.hart.csrfile import DELEGABLE_EXCEPTIONS, MISA
from emu.isa.csrs import Csr
from emu.isa.status import ALL_INTERRUPTS, PAGING_LEVELS, S_INTERRUPTS, SATP_BARE, SATP_MODE_SHIFT, Status

_ALL = (1 << 64) - 1

PLAIN: dict[int, tuple[Word, int]] = {
    Csr.STVEC: (Word.STVEC, _ALL & ~2),
    Csr.SEPC: (Word.SEPC, _ALL & ~1),
    Csr.SCAUSE: (Word.SCAUSE, _ALL),
    Csr.STVAL: (Word.STVAL, _ALL),
    Csr.SSCRATCH: (Word.SSCRATCH, _ALL),
    Csr.SCOUNTEREN: (Word.SCOUNTEREN, 0xFFFF_FFFF),
    Csr.MTVEC: (Word.MTVEC, _ALL & ~2),
    Csr.MEPC: (Word.MEPC, _ALL & ~1),
    Csr.MCAUSE: (Word.MCAUSE, _ALL),
    Csr.MTVAL: (Word.MTVAL, _ALL),
    Csr.MSCRATCH: (Word.MSCRATCH, _ALL),
    Csr.MCOUNTEREN: (Word.MCOUNTEREN, 0xFFFF_FFFF),
    Csr.MEDELEG: (Word.MEDELEG, DELEGABLE_EXCEPTIONS),
    Csr.MIDELEG: (Word.MIDELEG, S_INTERRUPTS),
    Csr.MIE: (Word.MIE, ALL_INTERRUPTS),
}
"""The word of each CSR that is nothing but its value, and the bits that can be written."""

CONSTANT = {Csr.MISA: MISA, Csr.MVENDORID: 0, Csr.MARCHID: 0, Csr.MIMPID: 0, Csr.MHARTID: 0}

NATIVE_TVM, NATIVE_TW, NATIVE_TSR = 1 << 20, 1 << 29, 1 << 30
"""Where the core looks for TVM, TW and TSR; the manual has the last two at bits 21 and 22."""
_MANUAL_BITS = _ALL & ~(NATIVE_TVM | NATIVE_TW | NATIVE_TSR)


def status_to_manual(native: int, forced: int) -> int:
    """`mstatus` as the manual has it; `forced` are trapping bits that the host, not the guest, has set."""
    status = native & _MANUAL_BITS & ~int(Status.TW | Status.TSR)
    kept = native & ~forced
    for native_bit, bit in ((NATIVE_TVM, Status.TVM), (NATIVE_TW, Status.TW), (NATIVE_TSR, Status.TSR)):
        if kept & native_bit:
            status |= int(bit)
    return status


def status_to_native(status: int, forced: int) -> int:
    """The core's `mstatus` for the manual's."""
    native = status & _MANUAL_BITS & ~int(Status.TW | Status.TSR)
    for native_bit, bit in ((NATIVE_TVM, Status.TVM), (NATIVE_TW, Status.TW), (NATIVE_TSR, Status.TSR)):
        if status & bit:
            native |= native_bit
    return native | forced


def is_safe_satp(value: int) -> bool:
    """Whether the core survives this `satp`: any other mode aborts the process."""
    mode = value >> SATP_MODE_SHIFT
    return mode == SATP_BARE or mode in PAGING_LEVELS
