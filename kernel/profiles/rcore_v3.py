"""Profile `rcore-v3`: the kernel of document 003, identity mapped in 8 MiB."""

from kernel.profile import Profile, Symbols
from kernel.profiles.layout import PAGE, kernel_tables, pages_for

_MEMORY_END = 0x8080_0000
_STACK_BYTES_PER_FRAME = 8
"""What the stack keeps for each frame of the range: the owner count, and its place on the stack."""

_APPLICATIONS = """\
hello: I am process 1
[kernel] faults (pid 2) killed: load page fault at 0x103d0, address 0x80200000: nothing is mapped there
[kernel] faults (pid 2) killed: store page fault at 0x103de, address 0x1030a: the page may not be written
[kernel] faults (pid 2) killed: instruction page fault at 0x12000, address 0x12000: the page may not be executed
[kernel] faults (pid 2) killed: illegal instruction at 0x103ee (stval=0x100022f3)
[kernel] faults (pid 2) killed: store page fault at 0x103f4, address 0x0: nothing is mapped there
[kernel] faults (pid 2) killed: store page fault at 0x103fe, address 0x3ffffeee00: that is a guard page
faults: bad pointers in system calls are errors: -1 -1
memory: the child wrote 33 and still sees 22
memory: the parent still sees 11 and 22; the child left with 5
memory: mapped, written over a page boundary: 0x20000ffc, and unmapped
slices: both children ended, though none of them yielded
[kernel] all applications completed
"""


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
            _APPLICATIONS,
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
