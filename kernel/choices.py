"""What a kernel can be made of: its parts by name, found by their files where one file is one part."""

from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

KERNEL_DIRECTORY = Path(__file__).resolve().parent
"""Where the kernel's sources lie; includes are named from here."""

_SHARED = frozenset({"mm/frames/range.S", "mm/heap/realloc.S"})
"""What stands beside the allocators and serves all of them."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where pages go that lose their frames."""

    sources: tuple[str, ...]
    pages: int
    """How many it holds at most."""


def _parts(folder: str) -> dict[str, str]:
    """The sources of a folder by the names that users give them, without what is shared and the self-tests."""
    paths = (path.relative_to(KERNEL_DIRECTORY).as_posix() for path in sorted((KERNEL_DIRECTORY / folder).glob("*.S")))
    return {
        Path(path).stem.replace("_", "-"): path for path in paths if path not in _SHARED and not path.endswith("test.S")
    }


FRAME_ALLOCATORS = _parts("mm/frames")
"""Frame allocators by name, and the source that implements each; all define the same functions.

>>> FRAME_ALLOCATORS["segment-tree"]
'mm/frames/segment_tree.S'
"""

HEAPS = _parts("mm/heap")
"""Heaps by name, and the source that implements each; all define the same functions.

>>> HEAPS["first-fit"]
'mm/heap/first_fit.S'
"""

PROGRAMS = tuple(Path(path).stem for path in _parts("user").values())
"""User programs by name: each is `user/NAME.S`.

>>> "hello" in PROGRAMS
True
"""

REPLACEMENTS: dict[str, int] = {"never": 0, "fifo": 1, "clock": 2, "lru": 3}
"""Policies of page replacement by name, and their numbers in `mm/paging/replacement.inc`."""

STORES: dict[str, Store] = {
    "ram": Store(("mm/paging/store_ram.S",), 512),
    "disk": Store(("mm/paging/store_disk.S", "drivers/disk.S", "drivers/virtio_mmio.S"), 16384),
}
"""Stores by name; all define the same functions."""


def allocator_pairs() -> list[tuple[str, str]]:
    """Each frame allocator with a heap, so that all of both kinds occur: as few kernels as serve all.

    >>> {frames for frames, _ in allocator_pairs()} == set(FRAME_ALLOCATORS)
    True
    >>> {heap for _, heap in allocator_pairs()} == set(HEAPS)
    True
    """
    count = max(len(FRAME_ALLOCATORS), len(HEAPS))
    return list(islice(zip(cycle(sorted(FRAME_ALLOCATORS)), cycle(sorted(HEAPS)), strict=False), count))
