"""Memory as a debugger sees it: by virtual address, or by physical address when it asks for that as QEMU has it."""

from emu.address import PAGE_SIZE
from emu.errors import AddressError
from emu.machine import Machine

_ALL = (1 << 64) - 1


class DebuggerMemory:
    """Reads and writes a machine's memory without regard to permissions, as gdb expects it of a debugger."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.physical = False
        """Whether addresses are physical: QEMU's `PhyMemMode`."""

    def read(self, address: int, length: int) -> bytes | None:
        """As many bytes as can be read from there on, at most `length`; None when there are none."""
        data = bytearray()
        for physical, size in self._parts(address, length):
            if physical is None:
                break
            data += self._machine.memory.view(physical, size)
        return bytes(data) if data or not length else None

    def write(self, address: int, data: bytes) -> bool:
        """Write all or nothing; translations and translated code follow."""
        parts = self._parts(address, len(data))
        if any(physical is None for physical, _ in parts):
            return False
        at = 0
        for physical, size in parts:
            assert physical is not None
            try:
                self._machine.memory.write(physical, data[at : at + size])
            except AddressError:
                return False
            at += size
        self._machine.core.flush_translations()  # it may have been a page table
        return True

    def _parts(self, address: int, length: int) -> list[tuple[int | None, int]]:
        """Where the pages of a range lie in RAM, and how many of its bytes are in each; up to the first without."""
        parts: list[tuple[int | None, int]] = []
        while length > 0:
            size = min(length, PAGE_SIZE - (address & PAGE_SIZE - 1))
            physical = address if self.physical else self._machine.core.look_up(address).physical
            if physical is None or not self._machine.memory.contains(int(physical), size):
                return [*parts, (None, size)]
            parts.append((int(physical), size))
            address, length = (address + size) & _ALL, length - size
        return parts
