"""How a place in the guest is named: symbol+offset, source line, instruction."""

import os
from functools import lru_cache

from emu.address import VirtAddr
from emu.firmware.names import Names
from emu.isa.privilege import Access, Privilege
from emu.machine import Machine
from emu.observe.code import HOST


class PlaceNames:
    """Names addresses by files that are known; each address is looked up once."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.name = lru_cache(maxsize=65536)(self._name)
        """`touch+0x8 (lazy.S:12)`, as much of it as the files know; else the bare address."""

    def _name(self, address: VirtAddr) -> str:
        if address == HOST:
            return "the host"
        found = self._names.symbols.at(address)
        if found is None:
            return f"{address:#x}"
        symbol, offset = found
        name = f"{symbol.label}+{offset:#x}" if offset else symbol.label
        line = self._names.lines.at(address)
        return name if line is None else f"{name} ({os.path.basename(line.file)}:{line.line})"  # noqa: PTH119

    def function(self, address: VirtAddr) -> str:
        """The function that the address is in, without offset and line; the bare address where no symbol is there."""
        return self.symbol(address) or f"{address:#x}"

    def symbol(self, address: VirtAddr) -> str:
        """The function that the address is in, empty where no symbol is there."""
        if address == HOST:
            return "the host"
        found = self._names.symbols.at(address)
        return "" if found is None else found[0].label


class Places(PlaceNames):
    """Names addresses of one machine's image."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.platform.names)
        self.machine = machine

    def instruction(self, address: int, privilege: Privilege | None = None) -> str | None:
        """The instruction at an address in assembly language, None where memory cannot be read.

        `privilege` is the mode that executes it, the current one unless told.
        """
        code = self.code(address, privilege)
        if code is None:
            return None
        from emu.report.disassembly import disassemble

        return disassemble(code, address)

    def code(self, address: int, privilege: Privilege | None = None) -> bytes | None:
        """The bytes of the instruction at an address; None where memory cannot be read."""
        low = self._half(address, privilege)
        if low is None or low[0] & 3 != 3:
            return low
        high = self._half(address + 2, privilege)
        return None if high is None else low + high

    def _half(self, address: int, privilege: Privilege | None) -> bytes | None:
        machine = self.machine
        if privilege is None:
            return machine.peek(address, 2)
        physical = machine.walk(address, Access.FETCH, privilege).physical
        if physical is None or not machine.memory.contains(physical, 2):
            return machine.peek(address, 2)
        return bytes(machine.memory.view(physical, 2))
