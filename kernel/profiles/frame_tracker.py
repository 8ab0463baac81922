"""Profile `frame-tracker`: the kernel of document 002, with 4 GiB of memory."""

from kernel.profile import RAM_START, Profile, Symbols
from kernel.profiles.layout import PAGE, kernel_tables, pages_for

_RAM_SIZE = 4 << 30
_TRACKER_BYTES = 16
_ROW_FIRST, _ROW, _OTHER = 4, 5, 12
_VA = 0x3000_0000
_TABLES_OF_VA = 2
_GROWN_KIB = 1024 + 256 + 320 + 400 + 500
"""With its header, each block has 8 KiB; the heap grows by a quarter each time, in whole frames."""


def _console(symbol: Symbols) -> str:
    end = symbol["ekernel"]
    frames = (RAM_START + _RAM_SIZE - end) // PAGE
    books = pages_for(frames * _TRACKER_BYTES)
    first = end // PAGE + books + kernel_tables(end) + _TABLES_OF_VA
    again = [*range(first + _ROW_FIRST, first + _ROW_FIRST + _ROW), first + _OTHER]
    mapped = [f"la2pa({_VA + number * PAGE:#x}) = {ppn << 12:#x}: PPN={ppn:#x}\n" for number, ppn in enumerate(again)]
    filled = f"heap filled with 300 blocks of 4096 bytes ({_GROWN_KIB} KiB)"
    heap = f"{filled} and emptied: largest free block 512 KiB again\n"
    return "".join(
        [
            f"frame tracker: {frames - books} frames, {_RAM_SIZE >> 20} MiB of memory\n",
            f"allocated 16 frames from PPN={first:#x}\n",
            f"freed {_ROW} from PPN={first + _ROW_FIRST:#x}, and PPN={first + _OTHER:#x}\n",
            *mapped,
            "unmapped, all freed; still in use: 0\n",
            3 * heap,
        ]
    )


FRAME_TRACKER = Profile(
    name="frame-tracker",
    summary="frames from an array of trackers over 4 GiB, heap as a binary tree of ids (document 002)",
    main="profiles/frame_tracker.S",
    frames="tracker",
    heap="buddy-tree",
    ram_size=_RAM_SIZE,
    console=_console,
)
