"""Writes Spike's log of a run while it goes on."""

from array import array

from emu.address import VirtAddr
from emu.engine.translated import accesses, registerwrites
from emu.engine.translated.accesses import Accesses
from emu.engine.translated.blocks import CUT
from emu.engine.translated.definitions import Block
from emu.engine.translated.registerwrites import RegisterWrites
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.record.csrs import Change, CsrFollower
from emu.record.recorder import BlockFeature, Following
from emu.record.recording import Instruction, instructions_of, left_by
from emu.report.commits import CommitLog
from emu.report.tracefile import Sink

_BLOCKS_AT_ONCE = 1 << 14
"""Bytes of the buffer of blocks: so often lines are made of what was collected."""


class CommitWriter(Following):
    r"""Writes what a machine executes, from now on until `close`; also a `with` block. Lines come in pieces.

    >>> import io
    >>> from ekernel import Image, Machine, MachineConfig
    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("9308800073000000"), "off.bin"))  # li a7, 8; ecall
    >>> stream = io.BytesIO()
    >>> with CommitWriter(machine, stream):
    ...     _ = machine.run(1)
    >>> stream.getvalue()
    b'core   0: 1 0x0000000080200000 (0x00800893) x17 0x0000000000000008\n'
    """

    def __init__(
        self, machine: Machine, stream: Sink, *, execution: bool = False, log: CommitLog | None = None,
        start: bool = True,
    ) -> None:  # fmt: skip
        """`execution`: assembly language, symbols and traps, too, as with Spike's `-l`; `log` has another form.

        Without `start` it waits for `start`; between that and `stop`, as often as is wanted, it writes.
        """
        self._machine = machine
        self._core, self._stream = machine.core, stream
        self._log = log or CommitLog(machine.platform.names, execution=execution)
        self._known: dict[int, list[tuple[VirtAddr, bytes]]] = {}
        self._blocks: dict[int, Block] = {}
        self._codes: dict[int, bytes] = {}
        self._needs_codes = execution or log is not None
        self._count = machine.instret
        self._pending: tuple[int, Block] | None = None  # a block, and when it began: a mark may follow
        self._mode = Privilege.S
        self._modes: list[tuple[int, Privilege]] = []
        self._changes = CsrFollower(machine, self._changed)
        self._memory = Accesses(self._accessed)
        self._registers = RegisterWrites(self._written)
        blocks = BlockFeature(self, size=_BLOCKS_AT_ONCE)
        super().__init__(machine, [blocks, self._memory, self._registers], blocks)
        if start:
            self.start()

    def start(self) -> None:
        """See the base."""
        if not self.is_on:
            self._finish()
            self._log.clear()
            self._modes.clear()
            self._count, self._mode = self._machine.instret, self._core.supervisor_stands_for
            self._core.stands_for_changed.append(self._note_mode)
            self._changes.start()
            super().start()

    def stop(self) -> None:
        """See the base; what is left is written."""
        if self.is_on:
            super().stop()
            self._finish()
            self._changes.stop()
            self._core.stands_for_changed.remove(self._note_mode)

    def define(self, block: Block, /) -> None:
        """See `BlockSink`."""
        self._blocks[block.number] = block
        if self._needs_codes:
            self._codes.update(instructions_of(block))

    def span(self, instret: int, /) -> None:
        """See `BlockSink`."""
        self._finish()
        self._log.clear()
        self._count = instret
        self._mode = self._core.supervisor_stands_for
        self._modes.clear()
        self._changes.begin()

    def words(self, words: memoryview, /) -> None:
        """See `BlockSink`."""
        for ring in (*self._memory.rings, *self._registers.rings):
            ring.empty()
        found: list[Instruction] = []
        for word in array("I", bytes(words)):
            left = left_by(word) if word & CUT else 0
            if self._pending is not None:
                self._retire(found, left)
            if not word & CUT:
                block = self._blocks[word]
                self._pending = self._count, block
                self._count += block.length
        self._write(found)

    def _finish(self) -> None:
        """The last block has run to its end: a flush has come before."""
        found: list[Instruction] = []
        if self._pending is not None:
            self._retire(found, 0)
        self._write(found)

    def _retire(self, found: list[Instruction], left: int) -> None:
        """The pending block is over, but for its last instructions."""
        assert self._pending is not None
        (begin, block), self._pending = self._pending, None
        self._count -= left
        known = self._known.get(block.number)
        if known is None:
            known = self._known[block.number] = instructions_of(block)
        retired = known[: block.length - left]
        if not retired:
            return
        while self._modes and self._modes[0][0] <= begin:
            self._mode = self._modes.pop(0)[1]
        privilege = self._mode if block.privilege == Privilege.S else Privilege(block.privilege)
        for instret, (pc, code) in enumerate(retired, start=begin):
            found.append(Instruction(instret, pc, code, privilege))

    def _write(self, found: list[Instruction]) -> None:
        text = "".join(f"{line}\n" for _, _, line in self._log.lines(found, self._codes))
        if text:
            self._stream.write(text.encode())

    def _note_mode(self) -> None:
        self._modes.append((self._core.retired_count, self._core.supervisor_stands_for))

    def _changed(self, change: Change) -> None:
        self._log.changed(change)

    def _accessed(self, records: memoryview) -> None:
        self._log.accesses.feed(list(accesses.decode(records)))

    def _written(self, records: memoryview) -> None:
        self._log.writes.feed(list(registerwrites.decode(records)))
