"""Where everything of a batch of streams lies in memory; harness.s has the same numbers."""

RAM_BASE, RAM_SIZE = 0x8000_0000, 64 << 20
HARNESS = 0x8370_0000
"""Behind everything else: the addresses that streams happen to compute are low ones."""
CONTROL = 0x8378_0000
"""Number of streams, the current one, its traps, the end of the log."""
FIRST_AREA, AREA_SIZE = 0x8010_0000, 0x1_0000
"""Each stream has an area of 16 pages."""
MOST_STREAMS = 256
SCRATCH = FIRST_AREA + MOST_STREAMS * AREA_SIZE + 0x10_0000
"""Two MiB, aligned, for superpages."""
LOG = SCRATCH + 0x20_0000

# Pages of an area. Stores beside the data reach neither what follows the handler's instructions nor the tables.
STATE_PAGE, CODE_PAGE, CODE_PAGES, HANDLER_PAGE, DATA_PAGE, DATA_PAGES, STRAY_PAGE, TABLE_PAGE = 0, 1, 2, 3, 4, 3, 8, 9
"""The stray page is where wrong jumps end: full of what is no instruction, and never written."""

RECORD_WORDS = 88
"""64-bit words of a log record; a stream's state at its start has the same form."""
STREAM = 0
"""Word of a record that has the number of its stream, in the place of x0."""
FLOATS = 32
CSR_WORDS = {
    "mcause": 64, "mepc": 65, "mtval": 66, "mstatus": 67, "mip": 68, "mie": 69, "scause": 70, "sepc": 71,
    "stval": 72, "satp": 73, "fcsr": 74, "medeleg": 75, "mideleg": 76, "mcounteren": 77, "scounteren": 78,
    "stvec": 79, "sscratch": 80, "sstatus": 81, "sie": 82, "sip": 83,
}  # fmt: skip
WORD_NAMES = {
    **{number: f"x{number}" for number in range(1, 32)},
    **{FLOATS + number: f"f{number}" for number in range(32)},
    **{word: name for name, word in CSR_WORDS.items()},
}


def area(stream: int) -> int:
    """The physical address of a stream's area."""
    return FIRST_AREA + stream * AREA_SIZE


def page(stream: int, number: int) -> int:
    """The physical address of a page of a stream's area."""
    return area(stream) + number * 4096
