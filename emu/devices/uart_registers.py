"""The registers of a 16550A and their bits (PC16550D datasheet), and what a device keeps of them."""

from collections import deque

from emu.lateclass import dataclass, field

# Registers (datasheet, table II). RBR, THR and DLL share offset 0, IER and DLM offset 1, IIR and FCR offset 2.
RBR = THR = DLL = 0
IER = DLM = 1
IIR = FCR = 2
LCR = 3
MCR = 4
LSR = 5
MSR = 6
SCR = 7

# Interrupt enable register (8.7)
IER_RDI = 0x01
IER_THRI = 0x02
IER_RLSI = 0x04
IER_MSI = 0x08

# Interrupt identification register (8.6), by falling priority
IIR_RLSI = 0x06
IIR_RDI = 0x04
IIR_CTI = 0x0C
IIR_THRI = 0x02
IIR_MSI = 0x00
IIR_NO_INT = 0x01
IIR_FIFO_ENABLED = 0xC0

# FIFO control register (8.5)
FCR_FIFO_ENABLE = 0x01
FCR_RECEIVER_RESET = 0x02
FCR_TRANSMITTER_RESET = 0x04
FCR_KEPT = 0xC9
TRIGGER_LEVELS = (1, 4, 8, 14)

LCR_DLAB = 0x80
"""Divisor latch access bit (8.1)."""

# Modem control register (8.8)
MCR_DTR = 0x01
MCR_RTS = 0x02
MCR_OUT1 = 0x04
MCR_OUT2 = 0x08
MCR_LOOPBACK = 0x10

# Line status register (8.4)
LSR_DATA_READY = 0x01
LSR_OVERRUN = 0x02
LSR_BREAK = 0x10
LSR_THR_EMPTY = 0x20
LSR_TRANSMITTER_EMPTY = 0x40
LSR_ERRORS = 0x1E

# Modem status register (8.9): the other side is always there
MSR_CTS = 0x10
MSR_DSR = 0x20
MSR_RI = 0x40
MSR_DCD = 0x80
MSR_DELTAS = 0x0F

DIVISOR_AT_RESET = 12


@dataclass(slots=True)
class State:
    """What the guest can observe, as a master reset leaves it (datasheet, table I)."""

    divisor: int = DIVISOR_AT_RESET
    ier: int = 0
    fcr: int = 0
    lcr: int = 0
    mcr: int = MCR_OUT2
    lsr: int = LSR_TRANSMITTER_EMPTY | LSR_THR_EMPTY
    msr: int = MSR_DCD | MSR_DSR | MSR_CTS
    scr: int = 0
    thr_pending: bool = False
    """The holding register became empty, and IIR did not say so yet."""
    received: deque[int] = field(default_factory=deque)
    """The receiver's FIFO; without one, the byte that RBR holds and that nobody read yet."""
    looks: int = 0
    """Reads of LSR since anything else was done, with nothing received."""
    rbr: int = 0
    """What RBR shows without FIFO: the last byte, also after it was read."""
