"""RAM: host memory that the engine executes from and Python reads without a call."""

import ctypes
import errno
import gc
import mmap
import os
from contextlib import suppress

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.buffers import buffer_address
from emu.errors import ConfigError, no_descriptors

RAM_BASE = 0x8000_0000
"""Where RAM starts on QEMU's `virt`."""
SMALLEST, LARGEST = 1 << 20, 8 << 30
"""Bytes of RAM that a machine can have."""
_MAP_FIXED = 0x10
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # the module names it from Python 3.13 on


_MADV_NOHUGEPAGE = 15
_MADV_POPULATE_READ = 22
"""Maps what there is of a file, many pages at a time."""

_libc = ctypes.CDLL(None, use_errno=True) if hasattr(os, "memfd_create") else None


class _Forks:
    """How often this process, or one that it comes from, has forked since this module was loaded."""

    count = 0

    @classmethod
    def another(cls) -> None:
        """Count one more, on both sides."""
        cls.count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_Forks.another, after_in_child=_Forks.another)


class Ram:
    """`size` bytes from physical address `base` on, zero at the start; pages take host memory once touched.

    A file without a name is the state to return to (`emu.memory.baseline`), and RAM a private mapping of it: what the
    guest made of it. Until the file is first written RAM is anonymous memory, for which the host needs one page where a
    mapping of a file, even of a hole, costs it two.

    >>> ram = Ram(1 << 20)
    >>> ram.view[8] = 1
    >>> ram.words[1], hex(ram.base), ram.size
    (1, '0x80000000', 1048576)
    """

    _kept: mmap.mmap
    """The file once more, mapped for all."""
    _at_hand: bytearray
    """Which of its pages the host has been asked to map there."""
    _close = staticmethod(os.close)  # when an object goes at the interpreter's end, the module's `os` may be gone

    def __init__(self, size: int, base: int = RAM_BASE) -> None:
        """Raises ConfigError for a size that is not a multiple of a page or not between 1 MiB and 8 GiB."""
        if size % PAGE_SIZE or not SMALLEST <= size <= LARGEST:
            raise ConfigError(
                f"RAM of {size:#x} bytes: the size must be a multiple of {PAGE_SIZE} from 1 MiB "
                "to 8 GiB, for example 128M"
            )
        self.base = base
        self.size = size
        self.file: int | None = None
        self._forks = _Forks.count
        self._saved: memoryview | None = None
        self._shows_file = False
        """Whether RAM is a mapping of the file, which holds nothing but zeros before."""
        try:
            try:
                self.mapping = self._map(size)
            except OSError:
                gc.collect()  # machines that are part of a cycle are closed by this
                self.mapping = self._map(size)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                raise no_descriptors(error) from error
            raise ConfigError(
                f"the host has no {size >> 20} MiB of address space for RAM ({error}); ask for less"
            ) from error
        self.view = memoryview(self.mapping)
        """All of RAM, by byte offset from `base`."""
        self.words = self.view.cast("Q")
        """All of RAM, by 64-bit little-endian word."""
        self.host_address = buffer_address(self.mapping)

    @property
    def end(self) -> int:
        """The first physical address after RAM."""
        return self.base + self.size

    def contains(self, address: int, length: int = 1) -> bool:
        """Whether `length` bytes from a physical address on are all in RAM."""
        return self.base <= address and address + length <= self.end

    def read_word(self, address: int) -> int | None:
        """The 64-bit word at a physical address that is a multiple of 8, or None outside RAM."""
        offset = address - self.base
        return self.words[offset >> 3] if 0 <= offset < self.size else None

    def _map(self, size: int) -> mmap.mmap:
        if hasattr(os, "memfd_create"):
            if self.file is None:
                self.file = os.memfd_create("ekernel-ram")
            os.ftruncate(self.file, size)
            mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
            with suppress(OSError):  # a kernel without large pages
                mapping.madvise(_MADV_NOHUGEPAGE)  # what was written is known by the page
            return mapping
        return mmap.mmap(-1, size)

    def show_file(self) -> None:
        """Let RAM show the file, which was, or is about to be, written; what RAM holds, the file holds by then."""
        if self.file is not None and not self._shows_file:
            self._map_file(self.file)

    def _map_file(self, file: int) -> None:
        flags = mmap.MAP_PRIVATE | _MAP_NORESERVE | _MAP_FIXED
        place = _map_at(self.host_address, self.size, mmap.PROT_READ | mmap.PROT_WRITE, flags, file)
        if place != self.host_address:
            raise ConfigError(f"the host does not map the file that RAM is kept in ({os.strerror(ctypes.get_errno())})")
        self._shows_file = True

    def saved(self) -> memoryview | None:
        """What the file holds, by byte offset from `base`; None without a file, or without room to map it once more.

        Looking at a hole in the file fills it with zeros.
        """
        if self._saved is None and self.file is not None:
            try:
                self._kept = mmap.mmap(self.file, self.size, flags=mmap.MAP_SHARED)
            except (OSError, ValueError):
                return None
            self._at_hand = bytearray(self.size >> PAGE_BITS)
            self._saved = memoryview(self._kept).toreadonly()
        return self._saved

    def kept(self, start: int, end: int) -> memoryview | None:
        """Whole pages of the file, to be written; None where that takes longer than a call of the host's kernel.

        That is so in a hole, and where the host does not map many pages at once.
        """
        if self.file is None or self.saved() is None:
            return None
        first, behind = start >> PAGE_BITS, end >> PAGE_BITS
        if self._at_hand.find(0, first, behind) >= 0:
            try:
                if os.lseek(self.file, start, os.SEEK_HOLE) < end:
                    return None
                self._kept.madvise(_MADV_POPULATE_READ, start, end - start)
            except OSError:  # Linux before 5.14
                return None
            self._at_hand[first:behind] = b"\1" * (behind - first)
        return memoryview(self._kept)[start:end]

    @property
    def has_own_file(self) -> bool:
        """Whether there is a file that no other process, from a fork, reads as well."""
        return self.file is not None and self._forks == _Forks.count

    def own_file(self) -> None:
        """Before the file is written: leave the one that was there before a fork to the other processes.

        The new one has the same content, and the mapping shows it: what was written to RAM since must be kept before.
        """
        if self.file is None or self.has_own_file:
            return
        new = os.memfd_create("ekernel-ram")
        os.ftruncate(new, self.size)
        for start, end in extents(self.file, self.size):
            os.lseek(new, start, os.SEEK_SET)
            at = start
            while at < end:
                at += os.sendfile(new, self.file, at, end - at)
        try:
            self._map_file(new)
        except ConfigError:
            os.close(new)
            raise
        os.close(self.file)
        self.file, self._forks, self._saved = new, _Forks.count, None

    def __del__(self) -> None:
        file = getattr(self, "file", None)
        if file is not None:
            self._close(file)
            self.file = None


def _map_at(address: int, size: int, protection: int, flags: int, file: int) -> int:
    assert _libc is not None
    function = _libc.mmap
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    return int(function(address, size, protection, flags, file, 0) or 0)


def extents(file: int, size: int) -> list[tuple[int, int]]:
    """The parts of a file that are not holes, as (start, end)."""
    found, at = [], 0
    while at < size:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole
            break
        at = os.lseek(file, start, os.SEEK_HOLE)
        found.append((start, at))
    return found
