"""The last instructions that a machine has executed: kept by translated code, read when something has gone wrong."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self

from emu.address import VirtAddr
from emu.engine.translated.definitions import Block
from emu.engine.translated.features.blocks import NUMBER, Blocks, decode
from emu.machine import Machine
from emu.shown import Shown

_KEPT = 1 << 12
"""Bytes of the record that are kept: some hundred blocks."""
_BUFFER = 1 << 16
_MOST_WORDS = 1 << 26
"""Bytes of a record that is kept as a whole."""


class ExecutedInstruction(NamedTuple):
    """An instruction that retired."""

    pc: VirtAddr
    code: bytes
    """Two or four bytes."""


class LastInstructions(Shown):
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
        self.machine = machine
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
        return list(_instructions(self._feature.known, self._tail))[-most:] if most else []

    def close(self) -> None:
        """Remember nothing more; not for the machine's own, which others use."""
        self._engine.switch_off(self._feature)

    @classmethod
    @contextmanager
    def paused(cls, machine: Machine) -> Iterator[None]:
        """The machine's own remembers nothing in a `with` block, so that calls need no Python."""
        own = machine.events.observers.get(cls)
        if not isinstance(own, cls):
            yield
            return
        own.close()
        try:
            yield
        finally:
            own._engine.switch_on(own._feature)

    def _drain(self, words: memoryview) -> None:
        size = _KEPT // NUMBER.size * NUMBER.size
        new = bytes(words[-size:])
        self._tail = (self._tail + new)[-size:]


class Everything:
    """Remembers all instructions that a machine executes in a `with` block.

    >>> from ekernel import Image, Machine, MachineConfig
    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("13050500 93088000 73000000"), "off.bin"))
    >>> with Everything(machine) as everything:
    ...     _ = machine.run()
    ...     len(everything.executed(1000))
    3
    """

    def __init__(self, machine: Machine) -> None:
        self._words = bytearray()
        self._feature = Blocks(self._drain)
        self._engine = machine.core.engine

    def __enter__(self) -> Self:
        self._engine.switch_on(self._feature)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._engine.switch_off(self._feature)

    def executed(self, most: int) -> list[ExecutedInstruction]:
        """The first of them, so many at most, in their order. Between runs, before the block ends."""
        self._engine.flush_features()
        return list(islice(_instructions(self._feature.known, self._words), most))

    def _drain(self, words: memoryview) -> None:
        self._words += words[: max(0, _MOST_WORDS - len(self._words))]


def _instructions(known: Mapping[int, Block], words: bytes | bytearray) -> Iterator[ExecutedInstruction]:
    """What a record says, in its order; blocks that are not known are left out."""
    for number, not_retired in decode(memoryview(words)):
        block = known.get(number)
        if block is None:
            continue
        addresses = block.addresses()[: block.length]
        for pc in addresses[: len(addresses) - max(not_retired, 0)]:
            at = pc - block.pc
            size = 4 if block.code[at] & 3 == 3 else 2
            yield ExecutedInstruction(VirtAddr(pc), block.code[at : at + size])
