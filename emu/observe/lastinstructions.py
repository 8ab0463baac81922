"""The last instructions that a machine has executed: kept by translated code, read when something has gone wrong."""

from typing import NamedTuple, Self

from emu.address import VirtAddr
from emu.engine.translated.blocks import NUMBER, Blocks, decode
from emu.machine import Machine

_KEPT = 1 << 12
"""Bytes of the record that are kept: some hundred blocks."""
_BUFFER = 1 << 16


class ExecutedInstruction(NamedTuple):
    """An instruction that retired."""

    pc: VirtAddr
    code: bytes
    """Two or four bytes."""


class LastInstructions:
    """Remembers what was executed last from now on; there is one for a machine, see `of`.

    >>> from ekernel import Image, Machine, MachineConfig
    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("13050500 93088000 73000000"), "off.bin"))
    >>> last = LastInstructions.of(machine)
    >>> _ = machine.run()
    >>> [str(each.pc) for each in last.tail(2)]
    ['0x80200004', '0x80200008']
    """

    def __init__(self, machine: Machine) -> None:
        self._tail = b""
        self._feature = Blocks(self._drain, size=_BUFFER)
        self._engine = machine.core.engine
        self._engine.switch_on(self._feature)

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """The machine's; made with the first call."""
        made = machine.events.observers.get(cls)
        if not isinstance(made, cls):
            made = machine.events.observers[cls] = cls(machine)
        return made

    def tail(self, most: int) -> list[ExecutedInstruction]:
        """At most so many, oldest first. Between runs only."""
        self._engine.flush_features()
        found = list[ExecutedInstruction]()
        for number, not_retired in reversed(list(decode(self._tail))):
            block = self._feature.known.get(number)
            if block is None:
                break
            addresses = block.addresses()[: block.length]
            for pc in reversed(addresses[: len(addresses) - max(not_retired, 0)]):
                at = pc - block.pc
                size = 4 if block.code[at] & 3 == 3 else 2
                found.append(ExecutedInstruction(VirtAddr(pc), block.code[at : at + size]))
            if len(found) >= most:
                break
        return found[:most][::-1]

    def _drain(self, words: memoryview) -> None:
        size = _KEPT // NUMBER.size * NUMBER.size
        new = bytes(words[-size:])
        self._tail = (self._tail + new)[-size:]
