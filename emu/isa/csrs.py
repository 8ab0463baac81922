"""CSR numbers by name (privileged manual, tables 2.2 to 2.5)."""

from enum import IntEnum


class Csr(IntEnum):
    """The CSRs that this machine has; the name in lower case is the manual's.

    >>> Csr.SATP.label, hex(Csr.SATP)
    ('satp', '0x180')
    """

    FFLAGS = 0x001
    FRM = 0x002
    FCSR = 0x003
    CYCLE = 0xC00
    TIME = 0xC01
    INSTRET = 0xC02

    SSTATUS = 0x100
    SIE = 0x104
    STVEC = 0x105
    SCOUNTEREN = 0x106
    SENVCFG = 0x10A
    SSCRATCH = 0x140
    SEPC = 0x141
    SCAUSE = 0x142
    STVAL = 0x143
    SIP = 0x144
    STIMECMP = 0x14D
    SATP = 0x180

    MVENDORID = 0xF11
    MARCHID = 0xF12
    MIMPID = 0xF13
    MHARTID = 0xF14
    MCONFIGPTR = 0xF15
    MSTATUS = 0x300
    MISA = 0x301
    MEDELEG = 0x302
    MIDELEG = 0x303
    MIE = 0x304
    MTVEC = 0x305
    MCOUNTEREN = 0x306
    MENVCFG = 0x30A
    MCOUNTINHIBIT = 0x320
    MSCRATCH = 0x340
    MEPC = 0x341
    MCAUSE = 0x342
    MTVAL = 0x343
    MIP = 0x344
    PMPCFG0 = 0x3A0
    PMPCFG2 = 0x3A2
    PMPADDR0 = 0x3B0
    PMPADDR1 = 0x3B1
    PMPADDR2 = 0x3B2
    PMPADDR3 = 0x3B3
    PMPADDR4 = 0x3B4
    PMPADDR5 = 0x3B5
    PMPADDR6 = 0x3B6
    PMPADDR7 = 0x3B7
    PMPADDR8 = 0x3B8
    PMPADDR9 = 0x3B9
    PMPADDR10 = 0x3BA
    PMPADDR11 = 0x3BB
    PMPADDR12 = 0x3BC
    PMPADDR13 = 0x3BD
    PMPADDR14 = 0x3BE
    PMPADDR15 = 0x3BF
    TSELECT = 0x7A0
    TDATA1 = 0x7A1
    TDATA2 = 0x7A2
    TDATA3 = 0x7A3
    MCYCLE = 0xB00
    MINSTRET = 0xB02

    @property
    def label(self) -> str:
        """The CSR's name as an assembler writes it."""
        return self.name.lower()


HPM_COUNTERS = range(0xC03, 0xC20)
"""`hpmcounter3` to `hpmcounter31`."""
MHPM_COUNTERS = range(0xB03, 0xB20)
"""`mhpmcounter3` to `mhpmcounter31`."""
MHPM_EVENTS = range(0x323, 0x340)
"""`mhpmevent3` to `mhpmevent31`."""
PMP_CONFIGS = range(0x3A0, 0x3A4, 2)
"""`pmpcfg0` and `pmpcfg2`, with eight entries each: RV64 has the even ones only."""
PMP_ADDRESSES = range(0x3B0, 0x3C0)
"""`pmpaddr0` to `pmpaddr15`."""


def csr_name(number: int) -> str:
    """The manual's name of a CSR; its number in hexadecimal where it has none here.

    >>> csr_name(0x300), csr_name(0x3BF), csr_name(0xB03), csr_name(0x5C0)
    ('mstatus', 'pmpaddr15', 'mhpmcounter3', '0x5c0')
    """
    for first, name in ((HPM_COUNTERS, "hpmcounter"), (MHPM_COUNTERS, "mhpmcounter"), (MHPM_EVENTS, "mhpmevent")):
        if number in first:
            return f"{name}{number - first.start + 3}"
    try:
        return Csr(number).label
    except ValueError:
        return f"{number:#x}"


def csr_number(name_or_number: str | int) -> int:
    """The number of a CSR given by name or number; KeyError for a name that is none.

    >>> hex(csr_number("mstatus")), csr_number(0x305) == Csr.MTVEC
    ('0x300', True)
    """
    if isinstance(name_or_number, int):
        return int(name_or_number)
    return int(Csr[name_or_number.upper()])
