"""How a place in the guest is named: symbol+offset, source line, instruction."""

import re
from functools import lru_cache
from pathlib import PurePath

from emu.address import VirtAddr
from emu.machine import Machine
from emu.observe.code import HOST

_LONGEST_INSTRUCTION = 4
_COMPRESSED_ACCESS = re.compile(r"^c\.(f?[ls][wd])(?:sp)?$")
"""Compressed loads and stores, which read better by the name that the programmer wrote."""


class Places:
    """Names addresses of one machine's image; each address is looked up once."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.name = lru_cache(maxsize=65536)(self._name)
        """`touch+0x8 (lazy.S:12)`, as much of it as the image knows; else the bare address."""

    def _name(self, address: VirtAddr) -> str:
        if address == HOST:
            return "the host"
        found = self._machine.symbols.at(address)
        if found is None:
            return f"{address:#x}"
        symbol, offset = found
        name = f"{symbol.label}+{offset:#x}" if offset else symbol.label
        line = self._machine.lines.at(address)
        return name if line is None else f"{name} ({PurePath(line.file).name}:{line.line})"

    def function(self, address: VirtAddr) -> str:
        """The function that the address is in, without offset and line."""
        if address == HOST:
            return "the host"
        found = self._machine.symbols.at(address)
        return f"{address:#x}" if found is None else found[0].label

    def instruction(self, address: VirtAddr) -> str | None:
        """The instruction at the address in assembly language, None where memory cannot be read."""
        code = self._machine.peek(address, _LONGEST_INSTRUCTION) or self._machine.peek(address, 2)
        return None if code is None else disassemble(code, address)


def disassemble(code: bytes, address: int) -> str | None:
    """The first instruction of `code` in assembly language; None when there is none.

    >>> disassemble(bytes.fromhex("23300500"), 0x80200000)
    'sd zero, 0(a0)'
    """
    instruction = next(_disassembler().disasm(code, address, count=1), None)
    if instruction is None:
        return None
    mnemonic = _COMPRESSED_ACCESS.sub(r"\1", instruction.mnemonic)
    return f"{mnemonic} {instruction.op_str}".rstrip()


@lru_cache(maxsize=1)
def _disassembler():  # type: ignore[no-untyped-def]  # capstone has no annotations
    import capstone

    return capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
