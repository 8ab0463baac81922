"""A profile: what one kernel of the kernel's sources is made of, and what it must print."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kernel.given import GivenProgram

Symbols = Mapping[str, int]
"""Addresses by symbol name, as the linked kernel has them."""
RAM_START = 0x8000_0000
"""Where RAM begins on QEMU's `virt`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Memory layout, allocators and self-tests of a kernel, and the console output that it promises."""

    name: str
    summary: str
    """What it is, in one line."""
    main: str
    """The source that defines `profile_main`: what this kernel does after boot, in which order."""
    self_tests: tuple[str, ...] = ()
    """Sources of the self-tests that `main` calls."""
    programs: tuple[str, ...] = ()
    """User programs in the image: each is `user/NAME.S`."""
    given: tuple[GivenProgram, ...] = ()
    """Programs of the user's in the image besides."""
    load_address: int = 0x8020_0000
    """Physical address of the first instruction: where firmware jumps to on QEMU's `virt`."""
    virtual_offset: int = 0
    """Virtual minus physical address, modulo 2^64: 0 when the kernel is identity mapped."""
    memory_end: int | None = None
    """Physical address behind the memory that the kernel uses; None when it reads that from the device tree."""
    frames: str = "bitmap"
    """Which frame allocator, a key of FRAME_ALLOCATORS."""
    heap: str = "buddy"
    """Which heap, a key of HEAPS."""
    replacement: str = "never"
    """Which page gives its frame up when memory is short, a key of REPLACEMENTS; needs programs."""
    store: str = "ram"
    """Where such a page goes, a key of STORES."""
    heap_size: int = 1 << 20
    """Bytes of heap in .bss, a multiple of the page size."""
    ram_size: int = 128 << 20
    """Bytes of RAM of a machine that the kernel is to run on."""
    typed: str = ""
    """What is typed on the console during the boot that `console` describes."""
    console: Callable[[Symbols], str]
    """The whole console output of a boot with `ram_size` bytes of RAM, from the symbols of the linked kernel."""

    @property
    def link_address(self) -> int:
        """Virtual address of the first instruction.

        >>> from kernel.profiles import STEP_BY_STEP
        >>> hex(STEP_BY_STEP.link_address)
        '0xffffffffc0200000'
        """
        return (self.load_address + self.virtual_offset) % (1 << 64)
