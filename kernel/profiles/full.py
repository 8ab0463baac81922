"""Profile `full`: everything the kernel has, on however much memory the device tree names."""

from kernel.profile import Profile, Symbols
from kernel.profiles import programs

_PAGE = 0x1000
_RAM_START = 0x8000_0000
_RAM_SIZE = 128 << 20
_BOOKKEEPING_FRAMES = 33
"""What the bitmap allocator takes of 128 MiB for itself: for each frame 4 bytes for its owners, and a bit or two."""


def _console(symbol: Symbols) -> str:
    end = _RAM_START + _RAM_SIZE
    heap = symbol["heap_space"]
    frames = (end - symbol["ekernel"]) // _PAGE - _BOOKKEEPING_FRAMES
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
        ("load from the firmware", symbol["stext"] - _PAGE, "load"),
    ]
    return "\n".join(
        [
            f"ekernel on hart 0: 128 MiB of memory from {_RAM_START:#x}",
            "",
            f"frames (bitmap): {frames} free",
            "  three, one by one           0x87fff000 0x87ffe000 0x87ffd000",
            "  the second freed; the next  0x87ffe000",
            "  8 in a row                  0x87ff5000 .. 0x87ffd000",
            "  all freed; still in use     0",
            "",
            "heap (buddy): 1024 KiB, largest free block 1024 KiB",
            *(f"  {size:4} bytes, aligned to {align:4}   {heap + offset:#x}" for size, align, offset in blocks),
            "  requested 6196 bytes, taken by blocks 13504",
            "  freed in another order; largest free block 1024 KiB again",
            "",
            "paging is on (Sv39)",
            *(f"  {name:12} {start:#x} .. {stop:#x}  {permissions}" for name, start, stop, permissions in areas),
            "",
            "lazy memory: 16 pages at 0x1000000000, none of them with a frame",
            "  0x1000000128 held 0, lies in frame at 0x87ffc128",
            "  0x1000005128 held 0, lies in frame at 0x87ff9128",
            "  0x1000003128 held 0, lies in frame at 0x87ff8128",
            "  0x1000005128 held 2, lies in frame at 0x87ff9128",
            "  0x100000f128 held 0, lies in frame at 0x87ff7128",
            "  0x1000000128 held 1, lies in frame at 0x87ffc128",
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
    self_tests=("mm/frames/selftest.S", "mm/heap/selftest.S", "mm/paging/selftest.S", "process/selftest.S"),
    programs=("tour", "hello", "faults", "memory", "slices", "large", "shell"),
    ram_size=_RAM_SIZE,
    console=_console,
)
