"""Profile `full`: everything the kernel has, on however much memory the device tree names."""

from kernel.choices import PROGRAMS
from kernel.profile import RAM_START, Profile, Symbols
from kernel.profiles import programs
from kernel.profiles.layout import PAGE, kernel_tables, pages_for

_RAM_SIZE = 128 << 20
_OWNERS_BYTES, _NODE_BYTES = 4, 16
"""What the segment tree keeps: a count of owners for each frame, and nodes up to twice the next power of two."""


def _console(symbol: Symbols) -> str:
    end = RAM_START + _RAM_SIZE
    heap = symbol["heap_space"]
    in_range = (end - symbol["ekernel"]) // PAGE
    nodes = 2 << (in_range - 1).bit_length()
    frames = in_range - pages_for(in_range * _OWNERS_BYTES + nodes * _NODE_BYTES)
    first = end // PAGE - frames
    first_lazy = first + kernel_tables(symbol["ekernel"])

    def frame(number: int) -> str:
        return f"{first + number << 12:#x}"

    def lazy(number: int) -> str:
        return f"{(first_lazy + number << 12) + 0x128:#x}"

    areas = [
        (".text", symbol["stext"], symbol["etext"], "r-x"),
        (".rodata", symbol["srodata"], symbol["erodata"], "r--"),
        (".data", symbol["sdata"], symbol["edata"], "rw-"),
        (".bss", symbol["sbss"], symbol["boot_stack_guard"], "rw-"),
        ("stack, heap", symbol["boot_stack"], symbol["ebss"], "rw-"),
        ("memory", symbol["ekernel"], end, "rw-"),
    ]
    blocks = [
        (24, 8, 0x0),
        (100, 4, 0x80),
        (1000, 8, 0x400),
        (5000, 16, 0x2000),
        (64, 4096, 0x1000),
        (8, 8, 0x20),
    ]
    probes = [
        ("store to .text", symbol["stext"], "store"),
        ("store to .rodata", symbol["srodata"], "store"),
        ("execute .rodata", symbol["srodata"], "instruction"),
        ("execute .data", symbol["sdata"], "instruction"),
        ("execute the stack", symbol["boot_stack"], "instruction"),
        ("execute free memory", symbol["ekernel"], "instruction"),
        ("load from the guard page", symbol["boot_stack_guard"], "load"),
        ("load from the firmware", symbol["stext"] - PAGE, "load"),
    ]
    return "\n".join(
        [
            f"ekernel on hart 0: 128 MiB of memory from {RAM_START:#x}",
            "",
            f"frames (segment tree): {frames} free",
            f"  three, one by one           {frame(0)} {frame(1)} {frame(2)}",
            f"  the second freed; the next  {frame(1)}",
            f"  8 in a row                  {frame(3)} .. {frame(11)}",
            "  all freed; still in use     0",
            "",
            "heap (buddy): 1024 KiB, largest free block 1024 KiB",
            *(f"  {size:4} bytes, aligned to {align:4}   {heap + offset:#x}" for size, align, offset in blocks),
            "  requested 6196 bytes, taken by blocks 13504",
            "  freed in another order; largest free block 1024 KiB again",
            "  an array of 64 bytes grown to 4096, before a block of 4096; moves: 0",
            "  an array of 64 bytes grown to 4096, before a block of 24; moves: 6",
            "  full with 16 blocks of 60000 bytes; for one more 67 frames are taken: 1280 KiB",
            "  all freed, the frames given back: 1024 KiB",
            "",
            "paging is on (Sv39)",
            *(f"  {name:12} {start:#x} .. {stop:#x}  {permissions}" for name, start, stop, permissions in areas),
            "",
            "lazy memory: 16 pages at 0x1000000000, none of them with a frame",
            f"  0x1000000128 held 0, lies in frame at {lazy(0)}",
            f"  0x1000005128 held 0, lies in frame at {lazy(3)}",
            f"  0x1000003128 held 0, lies in frame at {lazy(4)}",
            f"  0x1000005128 held 2, lies in frame at {lazy(3)}",
            f"  0x100000f128 held 0, lies in frame at {lazy(5)}",
            f"  0x1000000128 held 1, lies in frame at {lazy(0)}",
            "  page faults served 4, frames given back 4",
            "",
            "forbidden accesses",
            *(f"  {what:24} {address:#x}  {access} page fault" for what, address, access in probes),
            "",
            "programs",
            f"{programs.hello(2)}{programs.faults(3)}{programs.MEMORY}".rstrip(),
            "afterwards as before: 7 frames and 472 bytes of heap in use",
            "",
            "all self-tests passed",
            "",
        ]
    )


FULL = Profile(
    name="full",
    summary="all allocators and address spaces, memory from the device tree",
    main="profiles/full.S",
    frames="segment-tree",
    self_tests=("mm/frames/selftest.S", "mm/heap/selftest.S", "mm/paging/selftest.S", "process/selftest.S"),
    programs=PROGRAMS,
    ram_size=_RAM_SIZE,
    console=_console,
)
