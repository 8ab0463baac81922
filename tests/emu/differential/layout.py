"""Where everything of a batch of programs lies in memory; harness.s has the same numbers."""

import numpy as np
import numpy.typing as npt

RAM_BASE, RAM_SIZE = 0x8000_0000, 64 << 20
HARNESS = 0x8000_1000
CURRENT = 0x8000_3000
"""A word: the state page of the program that is executed, at the beginning of the first one."""
STRAY = 0x8000_5000
"""A page where wrong jumps end: full of what is no instruction, and never written. All programs share it."""
HANDLER = 0x8000_7000
"""The trap handler of S mode. It calls M mode, and returns from 64 bytes behind its start."""
SCRATCH = 0x8020_0000
"""Two MiB for superpages, shared."""
FIRST_CODE, CODE_SIZE = 0x8080_0000, 0x2000
"""Each program's code has two pages. All code lies together: the machine notes each 64 KiB that have some."""
FIRST_AREA, AREA_SIZE = 0x8100_0000, 0x6000
"""Each program has an area of six pages. The last one is followed by zeros, by which the harness knows."""
MOST_PROGRAMS = 1024

# Pages of an area. Stores beside the data reach neither the state nor the tables.
TABLE_PAGE, STATE_PAGE, DATA_PAGE, DATA_PAGES, PAGES = 0, 1, 3, 2, 6

# Words of the state page.
SAVED, CURSOR, LOG_END, CODE, STATE, FINAL, LOG = 0, 1, 2, 3, 8, 96, 160
RECORD_WORDS = 40
"""64-bit words of a record; there is one for each trap that M mode takes: x0 to x31, and some CSRs."""
MOST_TRAPS = 8

STATE_CSRS = {
    "mcause": 64, "mepc": 65, "mtval": 66, "mstatus": 67, "mip": 68, "mie": 69, "scause": 70, "sepc": 71,
    "stval": 72, "satp": 73, "fcsr": 74, "medeleg": 75, "mideleg": 76, "mcounteren": 77, "scounteren": 78,
    "stvec": 79, "sscratch": 80, "mscratch": 81,
}  # fmt: skip
"""Words of the state in which a program begins, behind x0 to x31 and f0 to f31."""
RECORD_CSRS = {"mcause": 32, "mepc": 33, "mtval": 34, "mstatus": 35, "scause": 36, "sepc": 37, "stval": 38}
FINAL_CSRS = {
    "mip": 32, "mie": 33, "satp": 34, "fcsr": 35, "medeleg": 36, "mideleg": 37, "mcounteren": 38, "scounteren": 39,
    "stvec": 40, "sscratch": 41, "mscratch": 42, "sstatus": 43, "sie": 44, "sip": 45,
}  # fmt: skip
"""Words of what is kept at a program's end, behind f0 to f31."""
FLOATS = 32


def areas(size: int) -> npt.NDArray[np.int64]:
    """The physical address of each program's area."""
    return FIRST_AREA + np.arange(size) * AREA_SIZE


def codes(size: int) -> npt.NDArray[np.int64]:
    """The physical address of each program's code pages."""
    return FIRST_CODE + np.arange(size) * CODE_SIZE
