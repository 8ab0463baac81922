"""The physical memory map: which range of addresses is what, and the host's access to it."""

from bisect import bisect_right
from collections.abc import Callable, Iterable

from emu.address import PAGE_SIZE, PhysAddr
from emu.counted import counted
from emu.errors import AddressError, ConfigError
from emu.hints import Protocol
from emu.lateclass import dataclass
from emu.memory.ram import Ram
from emu.shown import Shown


@dataclass(frozen=True, slots=True)
class Region:
    """A named range of physical addresses.

    >>> region = Region("uart", PhysAddr(0x10000000), 0x1000)
    >>> print(region, 0x10000fff in region, 0x10001000 in region)
    uart 0x10000000 .. 0x10000fff True False
    """

    name: str
    base: PhysAddr
    size: int

    @property
    def end(self) -> PhysAddr:
        """The first address after it."""
        return self.base + self.size

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self.base <= address < self.end

    def __str__(self) -> str:
        return f"{self.name} {self.base} .. {self.end - 1}"


class Placed(Protocol):
    """What takes a range of physical addresses."""

    name: str
    base: int
    size: int


class PhysicalMemory(Shown):
    """RAM and everything beside it, as the guest's physical addresses see it.

    >>> memory = PhysicalMemory(Ram(1 << 20))
    >>> memory.write(0x80000010, b"hello")
    >>> memory.read(0x80000010, 5)
    b'hello'
    >>> memory.add("uart", 0x10000000, 0x1000)
    Region(name='uart', base=PA:0x10000000, size=4096)
    >>> memory.at(0x10000004).name, memory.at(0x20000000)
    ('uart', None)
    """

    def __init__(self, ram: Ram) -> None:
        self.ram = ram
        self.noted: Callable[[int, bytes], bool] = lambda _address, _data: True
        """Asked before a write by whoever holds the machine: False means that it is not to be done."""
        self.written: Callable[[int, int], None] = lambda _address, _length: None
        """Called after a write by the host, with address and length: translated code must not survive it."""
        self.changed: tuple[Callable[[int, int], None], ...] = ()
        """Called behind that, and behind a transfer by a device."""
        self._regions: list[Region] = []
        self._bases: list[int] = []
        self._announced: list[tuple[str, int, int]] = []
        self.add("ram", ram.base, ram.size)

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions, by address."""
        self._add_announced()
        return tuple(self._regions)

    def announce(self, devices: Iterable[Placed]) -> None:
        """Have the ranges of devices reserved before anybody looks for one: few machines are asked."""
        self._announced.extend((device.name, device.base, device.size) for device in devices)

    def _add_announced(self) -> None:
        while self._announced:
            self._add(*self._announced.pop())

    def add(self, name: str, base: int, size: int) -> Region:
        """Reserve a range; raises ConfigError when it overlaps another or is not made of whole pages."""
        self._add_announced()
        return self._add(name, base, size)

    def _add(self, name: str, base: int, size: int) -> Region:
        region = Region(name, PhysAddr(base), size)
        if base % PAGE_SIZE or size % PAGE_SIZE or size <= 0 or base < 0 or base + size > 1 << 56:
            raise ConfigError(f"{region}: a region consists of whole pages of {PAGE_SIZE} bytes below 2**56")
        index = bisect_right(self._bases, base)
        for other in self._regions[max(index - 1, 0) : index + 1]:
            if base < other.end and other.base < base + size:
                raise ConfigError(f"{region} overlaps {other}; move one of them")
        self._regions.insert(index, region)
        self._bases.insert(index, base)
        return region

    def at(self, address: int) -> Region | None:
        """The region that holds an address."""
        self._add_announced()
        index = bisect_right(self._bases, address) - 1
        if index < 0 or address not in self._regions[index]:
            return None
        return self._regions[index]

    def contains(self, address: int, length: int = 1) -> bool:
        """Whether a range of physical addresses is RAM."""
        return self.ram.contains(int(address), length)

    def view(self, address: int, length: int) -> memoryview:
        """A window on RAM that shows what the guest writes; writing through it does not reach translated code."""
        self._check(address, length)
        start = int(address) - self.ram.base
        return self.ram.view[start : start + length]

    def read(self, address: int, length: int) -> bytes:
        """Bytes of RAM; raises AddressError outside it."""
        return bytes(self.view(address, length))

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Put bytes into RAM from outside the machine, which its history remembers; raises AddressError outside RAM."""
        address, length = int(address), len(data)
        self._check(address, length)
        if self.noted(address, bytes(data)):
            start = address - self.ram.base
            self.ram.view[start : start + length] = data
            self._tell_written(address, length)

    def transfer(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Put bytes into RAM as a part of the machine, as a DMA transfer does; raises AddressError outside RAM."""
        self.view(address, len(data))[:] = data
        self._tell_written(int(address), len(data))

    def _tell_written(self, address: int, length: int) -> None:
        self.written(address, length)
        for tell in self.changed:
            tell(address, length)

    def read_int(self, address: int, size: int) -> int:
        """An unsigned little-endian integer of `size` bytes."""
        return int.from_bytes(self.read(address, size), "little")

    def write_int(self, address: int, size: int, value: int) -> None:
        """Store the low `size` bytes of an integer, little-endian."""
        self.write(address, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))

    def _check(self, address: int, length: int) -> None:
        if length < 0 or not self.ram.contains(address, length):
            where = self.at(address)
            raise AddressError(
                f"{counted(length, 'byte')} at physical address {int(address):#x} "
                f"{'is' if length == 1 else 'are'} not in RAM "
                f"({self._regions_of_ram()}{'' if where is None or where.name == 'ram' else f'; there is {where}'})"
            )

    def _regions_of_ram(self) -> str:
        return str(self.at(self.ram.base))
