"""The part of a machine that knows addresses: symbols, page walks, and memory as the guest's address space has it."""

from collections.abc import Iterator
from itertools import pairwise
from operator import index

from emu.address import PAGE_SIZE, VirtAddr
from emu.counted import counted
from emu.errors import AddressError
from emu.firmware.symbols import Symbols
from emu.hart.core import HartCore
from emu.hart.view import Hart
from emu.hints import TYPE_CHECKING
from emu.isa.privilege import Access, Privilege
from emu.machine.platform import Platform
from emu.memory.map import PhysicalMemory
from emu.walks import Walk

if TYPE_CHECKING:
    from emu.firmware.lines import SourceLines
    from emu.firmware.unwind import CallFrames
    from emu.mmu.space import AddressSpace


def ram_of(platform: Platform, address: int, length: int) -> Iterator[tuple[int | None, int]]:
    """Where a range of virtual addresses lies in RAM now, page by page: the physical address, and how many bytes.

    The address is None where nothing, or no RAM, is mapped.
    """
    address &= (1 << 64) - 1
    while length > 0:
        size = min(length, PAGE_SIZE - (address & PAGE_SIZE - 1))
        physical = platform.core.physical_of(address)
        is_ram = physical is not None and platform.memory.contains(physical, size)
        yield physical if is_ram else None, size
        address, length = (address + size) & (1 << 64) - 1, length - size


class Addressing:
    """Reads, writes and explains virtual addresses, of the address space that the hart is in."""

    platform: Platform
    memory: PhysicalMemory
    core: HartCore
    hart: Hart

    @property
    def symbols(self) -> Symbols:
        """The symbols of the loaded image and of the files added to it; none before `load`."""
        return self.platform.names.symbols

    @property
    def lines(self) -> "SourceLines":
        """The source lines of the same files."""
        return self.platform.names.lines

    @property
    def call_frames(self) -> "CallFrames":
        """How to find the callers of functions, by the same files."""
        return self.platform.names.frames

    def structure_size(self, name: str) -> int | None:
        """Bytes of a C structure, by the debug information of the same files; None when they do not have it."""
        return self.platform.names.structure_size(name)

    def address_of(self, place: int | str) -> int:
        """A virtual address given as a number or by symbol.

        Raises SymbolError for an unknown name, TypeError for what is neither.
        """
        if isinstance(place, str):
            return int(self.symbols.lookup(place).address)
        try:
            return index(place)
        except TypeError:
            raise TypeError(f"a place is a number or the name of a symbol, not {place!r}") from None

    def locate(self, address: int) -> str:
        """An address as a person reads it: with symbol and offset where the image has them."""
        return self.platform.locate(address)

    def walk(self, address: int | str, access: Access = Access.LOAD, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access would make now, in the current privilege unless told; changes nothing."""
        return self.core.walk(self.address_of(address), access, privilege)

    def address_space(self, satp: int | None = None) -> "AddressSpace":
        """All that page tables map now: those of the present `satp`, or of a value that it had or will have.

        Later changes do not change what was returned, so two moments can be compared with `AddressSpace.diff`.
        """
        from emu.mmu.space import AddressSpace

        return AddressSpace(self._table_at, self.hart.csr["satp"] if satp is None else satp)

    def _table_at(self, address: int) -> memoryview | None:
        memory = self.memory
        return memory.view(address, PAGE_SIZE).cast("Q") if memory.contains(address, PAGE_SIZE) else None

    def read_virtual(self, address: int | str, length: int) -> bytes:
        """Bytes of the current address space from a number or symbol on; raises AddressError where nothing is mapped.

        Permissions don't matter: what S mode has mapped for U mode is read too.
        """
        address = self.address_of(address)
        data = self.peek(address, length)
        if data is None:
            walk = self.core.look_up(address)
            why = f": the PTE {walk.refusal.value}" if walk.refusal else ""
            raise AddressError(
                f"{counted(length, 'byte')} at {VirtAddr(address)} cannot be read in this address space{why}"
            )
        return data

    def peek(self, address: int | str, length: int) -> bytes | None:
        """As `read_virtual`, but None where nothing is mapped."""
        first = self.address_of(address)
        if 0 < length <= PAGE_SIZE - (first & PAGE_SIZE - 1):
            physical = self.core.physical_of(first & (1 << 64) - 1)
            if physical is None:
                return None
            ram = self.memory.ram
            offset = physical - ram.base
            if 0 <= offset <= ram.size - length:
                return bytes(ram.view[offset : offset + length])
            return self.memory.read(physical, length) if self.memory.contains(physical, length) else None
        data = bytearray()
        for place, size in ram_of(self.platform, first, length):
            if place is None:
                return None
            data += self.memory.view(place, size)
        return bytes(data)

    def write_virtual(self, address: int | str, data: bytes | bytearray) -> None:
        """Put bytes into the current address space, all or nothing, whatever the pages' permissions are.

        Raises AddressError where the kernel has mapped nothing, or no RAM.
        """
        first = self.address_of(address)
        if 0 < len(data) <= PAGE_SIZE - (first & PAGE_SIZE - 1):
            place = self.core.physical_of(first & (1 << 64) - 1)
            if place is not None and self.memory.contains(place, len(data)):
                self.memory.write(place, data)
                return
        parts, at = list[tuple[int, int]](), 0
        for physical, size in ram_of(self.platform, first, len(data)):
            if physical is None:
                raise AddressError(
                    f"{counted(len(data), 'byte')} at {VirtAddr(first)} cannot be written in this address space"
                )
            parts.append((physical, at))
            at += size
        for (place, start), (_, end) in pairwise([*parts, (0, len(data))]):
            self.memory.write(place, data[start:end])
