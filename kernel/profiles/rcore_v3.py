"""Profile `rcore-v3`: the kernel of document 003, identity mapped in 8 MiB."""

from kernel.profile import Profile, Symbols
from kernel.profiles import programs
from kernel.profiles.layout import PAGE, kernel_tables, pages_for

_MEMORY_END = 0x8080_0000
_STACK_BYTES_PER_FRAME = 8
"""What the stack keeps for each frame of the range: the owner count, and its place on the stack."""


def _console(symbol: Symbols) -> str:
    sections = [(f".{name}", symbol[f"s{name}"], symbol[f"e{name}"]) for name in ("text", "rodata", "data", "bss")]
    end = symbol["ekernel"]
    frames = (_MEMORY_END - end) // PAGE
    first = end // PAGE + pages_for(frames * _STACK_BYTES_PER_FRAME) + kernel_tables(end)
    trackers = [f"FrameTracker:PPN={first + number:#x}\n" for number in range(5)]
    return "".join(
        [
            "[kernel] Hello, world!\n",
            *(f"{name} [{start:#x}, {end:#x})\n" for name, start, end in sections),
            *(f"mapping {name} section\n" for name, _, _ in sections),
            "mapping physical memory\n",
            "heap_test passed!\n",
            *trackers,
            *reversed(trackers),
            "frame_allocator_test passed!\n",
            "remap_test passed!\n",
            programs.hello(1),
            programs.faults(2),
            programs.MEMORY,
            programs.SLICES,
            "[kernel] all applications completed\n",
        ]
    )


RCORE_V3 = Profile(
    name="rcore-v3",
    summary="frames from a stack, heap in .bss, address spaces and applications in 8 MiB (document 003)",
    main="profiles/rcore_v3.S",
    self_tests=("mm/heap/heap_test.S",),
    programs=("hello", "faults", "memory", "slices"),
    memory_end=_MEMORY_END,
    frames="stack",
    heap_size=0x30_0000,
    ram_size=8 << 20,
    console=_console,
)
