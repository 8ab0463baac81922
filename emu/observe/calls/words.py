"""Words of the guest's memory at one moment: each page is looked up once."""

from emu.address import PAGE_SIZE
from emu.machine import Machine

_WORD = 8
_ALL = (1 << 64) - 1


class Words:
    """Memory of the current address space, as long as the guest executes nothing."""

    __slots__ = ("_machine", "_pages", "_ram")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ram = machine.memory.ram.words
        self._pages: dict[int, int | None] = {}
        """By page of virtual addresses: which word of RAM its first one is; None where no RAM is."""

    def at(self, address: int, size: int = _WORD) -> int | None:
        """The unsigned number of so many bytes, at most eight; None where none can be read, or none but by a device."""
        within = address & (_WORD - 1)
        if within + size > _WORD:
            data = self._machine.peek(address, size)
            return None if data is None else int.from_bytes(data, "little")
        page = address & -PAGE_SIZE
        first = self._pages[page] if page in self._pages else self._first_word(page)
        if first is None:
            return None
        word: int = self._ram[first + ((address & PAGE_SIZE - 1) >> 3)]
        return word if size == _WORD else word >> 8 * within & (1 << 8 * size) - 1

    def octets(self, address: int, size: int) -> bytes | None:
        """Bytes of one page; None where no RAM is."""
        page = address & -PAGE_SIZE
        first = self._pages[page] if page in self._pages else self._first_word(page)
        if first is None:
            return None
        start = _WORD * first + (address & PAGE_SIZE - 1)
        return bytes(self._machine.memory.ram.view[start : start + size])

    def _first_word(self, page: int) -> int | None:
        machine, first = self._machine, None
        physical, ram = machine.core.physical_of(page & _ALL), machine.memory.ram
        if physical is not None and 0 <= physical - ram.base < ram.size:
            first = physical - ram.base >> 3
        self._pages[page] = first
        return first
