"""What user programs print, for profiles to state in the console output that they promise."""

MEMORY = """\
memory: the child wrote 33 and still sees 22
memory: the parent still sees 11 and 22; the child left with 5
memory: mapped, written over a page boundary: 0x20000ffc, and unmapped
"""

SLICES = "slices: both children ended, though none of them yielded\n"

LARGE = "large: 512 pages, written and read twice\n"


def hello(pid: int) -> str:
    """The line of `hello` when it is that process."""
    return f"hello: I am process {pid}\n"


def faults(pid: int) -> str:
    """The lines of `faults` when its children are that process."""
    killed = [
        "load page fault at 0x10016, address 0x80200000: nothing is mapped there",
        "store page fault at 0x10024, address 0x10048: the page may not be written",
        "instruction page fault at 0x12000, address 0x12000: the page may not be executed",
        "illegal instruction at 0x10034 (stval=0x100022f3)",
        "store page fault at 0x1003a, address 0x0: nothing is mapped there",
        "store page fault at 0x10044, address 0x3ffffeee00: that is a guard page",
    ]
    lines = "".join(f"[kernel] faults (pid {pid}) killed: {why}\n" for why in killed)
    return f"{lines}faults: bad pointers in system calls are errors: -1 -1\n"
