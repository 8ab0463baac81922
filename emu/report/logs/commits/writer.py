"""Writes a log of a run while it goes on."""

from emu.engine.translated.definitions import Block
from emu.engine.translated.features.accesses import Accesses
from emu.engine.translated.features.registerwrites import RegisterWrites
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.record.csrs import CsrFollower
from emu.record.recorder import BlockFeature, Following
from emu.report.logs.commits.log import CommitLog
from emu.report.logs.commits.text import LogText
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
        self._log = log or CommitLog(machine.platform.names, execution=execution)
        self._text = LogText(self._log, stream, keeps_codes=execution or log is not None)
        self._changes = CsrFollower(machine, self._log.changed, status=not self._log.is_native)
        self._memory, self._registers = Accesses(self._log.accesses.feed), RegisterWrites(self._log.writes.feed)
        blocks = BlockFeature(machine.core, self, size=_BLOCKS_AT_ONCE)
        super().__init__(machine, [blocks, self._memory, self._registers], blocks)
        if start:
            self.start()

    def start(self) -> None:
        """See the base."""
        if not self.is_on:
            self._changes.start()
            super().start()

    def stop(self) -> None:
        """See the base; what is left is written."""
        if self.is_on:
            super().stop()
            self._text.finish()
            self._changes.stop()

    def define(self, block: Block, /) -> None:
        """See `BlockSink`."""
        self._text.define(block)

    def span(self, instret: int, supervisor: Privilege, /) -> None:
        """See `BlockSink`."""
        self._text.finish()
        self._log.clear()
        self._text.begin(instret, supervisor)
        self._changes.begin()

    def words(self, words: memoryview, /) -> None:
        """See `BlockSink`."""
        for ring in (*self._memory.rings, *self._registers.rings):
            ring.empty()
        self._text.words(words)

    def mode(self, instret: int, _pc: int, supervisor: Privilege, /) -> None:
        """See `BlockSink`."""
        self._text.mode(instret, supervisor)
