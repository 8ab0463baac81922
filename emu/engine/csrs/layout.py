"""What the functions for both hosts, and Python, know of the model's CSRs in memory and of the core's table."""

from enum import IntEnum

from emu.engine.window import Word
from emu.isa.csrs import Csr
from emu.isa.status import Status

NUMBERS = 4096
LINES, FORCED = 0xFFF, 0xFFE
"""Where, among the values, stand the bits of `mip` that devices hold up, and bits that are to stay set in the core's
`mstatus`: no CSR has these numbers."""
KINDS = 8 * NUMBERS
_BLOCKS = (
    0x00, 0x10, 0x14, 0x18, 0x20, 0x24, 0x28, 0x30, 0x32, 0x33, 0x34,
    0x3A, 0x3B, 0x60, 0x64, 0x68, 0xB0, 0xB1, 0xC0, 0xC1, 0xF1,
)  # fmt: skip
NUMBERS_IN_CORE = tuple(16 * block + number for block in _BLOCKS for number in range(16))
"""All numbers that the core's table can have functions for stand among these."""


class Kind(IntEnum):
    """Who carries out the instructions that access a CSR."""

    REFUSED = 0
    """The guest: they arrive as illegal instructions."""
    CORE = 1
    """The core."""
    EVEN_IN_CORE = 2
    """The core, which is never given an odd value."""
    STATUS_IN_CORE = 3
    """`mstatus` or `sstatus` of a core that has the privileges of its guest, with all fields of the manual's."""
    PLAIN = 4
    """They read and write the model's value, and nothing else comes of it."""
    EVEN = 5
    """The same, without bit 0."""
    SSTATUS = 6
    """The model's `sstatus`, as long as MXR stays and no interrupt becomes due; the rest is refused."""
    TIME = 7
    """The core, which has it from the clock, as far as the model's `mcounteren` and `scounteren` allow it."""


SIMPLE = (Csr.SSTATUS, Csr.SSCRATCH, Csr.SEPC, Csr.SCAUSE, Csr.STVAL, Csr.MSTATUS, Csr.MEPC)
"""Those that can be of a kind other than REFUSED and CORE."""

FS, SD, MPP, SIE = int(Status.FS), int(Status.SD), int(Status.MPP), int(Status.SIE)
SUM = int(Status.SUM).bit_length() - 1
"""The bit's number."""
FREE = SIE | FS | int(Status.SPIE | Status.SPP | Status.SUM)
"""What changes in `sstatus` natively."""
TIME_BIT = 2
"""Of `mcounteren` and `scounteren`."""
MOVED = int(Status.TW | Status.TSR)
MOVED_BY = 8
"""The core looks for TW and TSR eight bits further up than the manual has them."""
NOT_OF_GUEST = ~(MOVED << MOVED_BY | SD) & (1 << 64) - 1
"""The bits of the core's `mstatus` that the guest has written or may see; SD follows from FS."""
CLOCK, MSTATUS, PRIVILEGE = 8 * Word.RDTIME_FUNCTION, 8 * Word.MSTATUS, 8 * Word.PRIVILEGE
NUMBER = int(Csr.MSTATUS)
OPERATIONS = 32
"""Bytes of an entry in the core's table: four functions."""
