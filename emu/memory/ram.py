"""RAM: host memory that the engine executes from and Python reads without a call."""

import ctypes
import errno
import gc
import mmap
import os

from emu.address import PAGE_SIZE
from emu.errors import ConfigError

RAM_BASE = 0x8000_0000
"""Where RAM starts on QEMU's `virt`."""
SMALLEST, LARGEST = 1 << 20, 8 << 30
"""Bytes of RAM that a machine can have."""
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # the module names it from Python 3.13 on


class Ram:
    """`size` bytes from physical address `base` on, zero at the start; pages take host memory once touched.

    A private mapping of an anonymous file: the file is the state to return to (`emu.memory.baseline`), the mapping what
    the guest made of it.

    >>> ram = Ram(1 << 20)
    >>> ram.view[8] = 1
    >>> ram.words[1], hex(ram.base), ram.size
    (1, '0x80000000', 1048576)
    """

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
        try:
            try:
                self.mapping = self._map(size)
            except OSError:
                gc.collect()  # machines that are part of a cycle are closed by this
                self.mapping = self._map(size)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                raise ConfigError(
                    f"the host gives this process no more descriptors of files ({error.strerror}); "
                    "close other machines, or raise the limit (ulimit -n)"
                ) from error
            raise ConfigError(
                f"the host has no {size >> 20} MiB of address space for RAM ({error}); ask for less"
            ) from error
        self.view = memoryview(self.mapping)
        """All of RAM, by byte offset from `base`."""
        self.words = self.view.cast("Q")
        """All of RAM, by 64-bit little-endian word."""
        self.host_address = ctypes.addressof(ctypes.c_char.from_buffer(self.mapping))

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
            return mmap.mmap(self.file, size, flags=mmap.MAP_PRIVATE | _MAP_NORESERVE)
        return mmap.mmap(-1, size)

    def __del__(self) -> None:
        if getattr(self, "file", None) is not None:
            os.close(self.file)  # type: ignore[arg-type]  # checked on the line before
            self.file = None
