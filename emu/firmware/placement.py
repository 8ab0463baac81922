"""Where the initial RAM disk and the device tree go in memory, beside what is loaded already."""

from collections.abc import Sequence

from emu.address import PAGE_SIZE
from emu.errors import ConfigError
from emu.firmware.image import Image
from emu.lateclass import dataclass

Range = tuple[int, int]
"""First physical address, and the first one after."""

_MIB = 1 << 20
_DEVICE_TREE_ALIGN = 2 * _MIB
_DEVICE_TREE_LIMIT = 3072 * _MIB
"""QEMU puts the device tree below 3 GiB, where 32-bit firmware reaches it (hw/riscv/boot.c)."""
_INITRD_DISTANCE = 128 * _MIB
"""A kernel may grow behind its image, page tables first: QEMU leaves so much, or half of a smaller RAM."""


@dataclass(frozen=True, slots=True)
class Layout:
    """RAM, and the ranges of it that are taken."""

    ram: Range
    taken: tuple[Range, ...]

    @classmethod
    def of(cls, ram_base: int, ram_size: int, images: Sequence[Image]) -> "Layout":
        """The layout with these images loaded."""
        taken = ((int(segment.physical), int(segment.end)) for image in images for segment in image.segments)
        return cls((ram_base, ram_base + ram_size), tuple(sorted(taken)))

    def with_initrd(self, kernel: Image, size: int) -> tuple["Layout", Range]:
        """Place an initial RAM disk behind the kernel, where QEMU does; raises ConfigError without room."""
        start, end = self.ram
        distance = min((end - start) // 2, _INITRD_DISTANCE)
        wanted = _up(int(kernel.entry_physical) + distance, PAGE_SIZE)
        highest = _down(end - size, PAGE_SIZE)
        for address in (wanted, highest):
            if self._is_free(address, size):
                return self._with(address, size)
        raise ConfigError(self._no_room("the initial RAM disk", size))

    def with_device_tree(self, size: int) -> tuple["Layout", Range]:
        """Place the device tree high in RAM, where QEMU does if that is free; raises ConfigError without room.

        What goes with it for the firmware (`dynamic_info`) is counted in `size` and put behind it.
        """
        top = min(self.ram[1], self.ram[0] + _DEVICE_TREE_LIMIT)
        for address in (_down(top - size, _DEVICE_TREE_ALIGN), _down(top - size, PAGE_SIZE)):
            if self._is_free(address, size):
                return self._with(address, size)
        raise ConfigError(self._no_room("the device tree", size))

    @property
    def largest_gap(self) -> Range:
        """The largest range of RAM between what is taken."""
        start, end = self.ram
        borders = [start, *(address for taken in self.taken for address in taken), end]
        return max(zip(borders[::2], borders[1::2], strict=True), key=lambda gap: gap[1] - gap[0])

    def _is_free(self, address: int, size: int) -> bool:
        inside = self.ram[0] <= address and address + size <= self.ram[1]
        return inside and all(address + size <= start or end <= address for start, end in self.taken)

    def _with(self, address: int, size: int) -> tuple["Layout", Range]:
        place = (address, address + size)
        return Layout(self.ram, tuple(sorted((*self.taken, place)))), place

    def _no_room(self, what: str, size: int) -> str:
        mebibytes = (self.ram[1] - self.ram[0]) // _MIB
        return (
            f"no room for {what} ({size} bytes) in {mebibytes} MiB of RAM beside what is loaded; "
            "give the machine more memory (-m)"
        )


def _down(address: int, step: int) -> int:
    return address // step * step


def _up(address: int, step: int) -> int:
    return -(-address // step) * step
