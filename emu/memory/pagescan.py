"""Which pages of private memory were written: asked of Linux at once, or found in /proc/self/pagemap."""

import array
import fcntl
import os
import struct

from emu.address import PAGE_BITS
from emu.buffers import buffer_address
from emu.hints import NamedTuple

_PAGEMAP = "/proc/self/pagemap"
# Documentation/admin-guide/mm/pagemap.rst
_SCAN = 0xC060_6610
"""The ioctl PAGEMAP_SCAN, from Linux 6.7 on."""
_FILE, _PRESENT, _SWAPPED, _ZERO = 1 << 2, 1 << 3, 1 << 4, 1 << 5
_OWN = _FILE | _ZERO
"""Of a page that is the process's own: of no file, and not the one of zeros that all share who have only read."""
_ARGUMENT = struct.Struct("<12Q")
_MOST, _FEW = 1024, 64
"""Regions that one call tells of, and the first one: memory for more takes longer to get than the answer."""
_WRITTEN = bytes(bool(octet & 0xC0) and not octet & 0x20 for octet in range(256))
"""By the highest byte of an entry: present or swapped, and no page of the file."""

Run = tuple[int, int]
"""Number of the first page, and how many follow each other."""


class Question(NamedTuple):
    """A call of the C library that asks the kernel about pages, and the answer that it had."""

    function: str
    words: tuple[int, int, int, int]
    """Its arguments."""
    number: int
    """What it returned."""
    answer: memoryview
    """Where it writes the answer."""
    known: bytes
    """What it wrote there."""
    keep: object
    """Memory that the arguments point to."""


def written_pages(address: int, size: int) -> list[Run]:
    """The pages of a mapping at `address` that are the process's own by now; in order, none touching the next."""
    file = os.open(_PAGEMAP, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return scan(file, address, size)
    except OSError:  # an older kernel
        return read(file, address, size)
    finally:
        os.close(file)


def scan(pagemap: int, address: int, size: int, *, most: int = _MOST) -> list[Run]:
    """By PAGEMAP_SCAN; raises OSError where the kernel lacks it."""
    found: list[Run] = []
    start, end = address, address + size
    room = min(most, _FEW)
    while start < end:
        regions = array.array("Q", bytes(24 * room))
        place, _ = regions.buffer_info()
        argument = bytearray(
            _ARGUMENT.pack(_ARGUMENT.size, 0, start, end, 0, place, room, 0, _OWN, _OWN, _PRESENT | _SWAPPED, _FILE)
        )
        count = fcntl.ioctl(pagemap, _SCAN, argument)
        for number in range(0, 3 * count, 3):
            _add(found, (regions[number] - address) >> PAGE_BITS, (regions[number + 1] - address) >> PAGE_BITS)
        if count < room:  # what the kernel says of where it ended is not to be relied on
            break
        start, room = regions[3 * count - 2], most
    return found


class Scanner:
    """Looks at one mapping again and again, and tells what it was told before without looking closer."""

    def __init__(self, address: int, size: int) -> None:
        self._address, self._size = address, size
        self._file = open(_PAGEMAP, "rb", buffering=0)  # noqa: PTH123, SIM115
        self._regions = array.array("Q", bytes(24 * _MOST))
        place, _ = self._regions.buffer_info()
        self._argument = _ARGUMENT.pack(
            _ARGUMENT.size, 0, address, address + size, 0, place, _MOST, 0, _OWN, _OWN, _PRESENT | _SWAPPED, _FILE
        )
        self._view, self._seen = memoryview(self._regions), b""
        self._entries: memoryview | None = None
        """Those of all pages, where the kernel is an older one."""
        self._runs: list[Run] = []

    def runs(self) -> list[Run]:
        """As `written_pages`; the very same list while nothing has changed."""
        if self._entries is None:
            try:
                count = fcntl.ioctl(self._file, _SCAN, bytearray(self._argument))
            except OSError:
                self._entries = memoryview(bytearray(self._size >> PAGE_BITS << 3))
        if self._entries is not None:
            _read(self._file.fileno(), self._address, self._entries)
            if (seen := self._entries.tobytes()) != self._seen:
                self._seen, self._runs = seen, _runs(seen)
        elif count >= _MOST:
            self._seen = b""
            self._runs = scan(self._file.fileno(), self._address, self._size)
        elif (seen := self._view[: 3 * count].tobytes()) != self._seen or not seen:
            self._seen, self._runs = seen, []
            for number in range(0, 3 * count, 3):
                start, end = self._regions[number], self._regions[number + 1]
                _add(self._runs, (start - self._address) >> PAGE_BITS, (end - self._address) >> PAGE_BITS)
        return self._runs

    @property
    def question(self) -> Question | None:
        """What tells whether `runs` is still so; None where one call does not, or none is written yet."""
        if not self._runs or not self._seen:
            return None
        file = self._file.fileno()
        if self._entries is not None:
            offset, size = self._address >> PAGE_BITS << 3, len(self._entries)
            words = file, buffer_address(self._entries), size, offset
            return Question("pread", words, size, self._entries, self._seen, None)
        argument = bytearray(self._argument)
        words = file, _SCAN, buffer_address(argument), 0
        return Question("ioctl", words, len(self._seen) // 24, self._view, self._seen, argument)

    def close(self) -> None:
        """Look no more."""
        self._file.close()


def read(pagemap: int, address: int, size: int) -> list[Run]:
    """By reading the entry of each page."""
    entries = memoryview(bytearray(size >> PAGE_BITS << 3))
    _read(pagemap, address, entries)
    return _runs(entries.tobytes())


def _read(pagemap: int, address: int, entries: memoryview) -> None:
    at = 0
    while at < len(entries):
        at += os.preadv(pagemap, [entries[at:]], (address >> PAGE_BITS << 3) + at)


def _runs(entries: bytes) -> list[Run]:
    flags = entries[7::8].translate(_WRITTEN)
    found: list[Run] = []
    start = flags.find(1)
    while start >= 0:
        end = flags.find(0, start)
        end = len(flags) if end < 0 else end
        found.append((start, end - start))
        start = flags.find(1, end)
    return found


def _add(runs: list[Run], start: int, end: int) -> None:
    if runs and sum(runs[-1]) == start:
        runs[-1] = (runs[-1][0], end - runs[-1][0])
    else:
        runs.append((start, end - start))
