"""Records a run into a file: every instruction, on request every access and every register that is written."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from emu.engine.slots import Slot
from emu.engine.translated.definitions import Block
from emu.engine.translated.features import Core, Feature
from emu.engine.translated.features.accesses import Accesses
from emu.engine.translated.features.blocks import NUMBER, Blocks
from emu.engine.translated.features.calls import Calls
from emu.engine.translated.features.registerwrites import RegisterWrites
from emu.engine.translated.operations import Operation
from emu.engine.translated.plan import Part
from emu.engine.translated.rings import Drain, Ring
from emu.errors import ConfigError
from emu.events import StateRestored
from emu.hart.core import HartCore
from emu.hart.words import PC
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.patience import Work
from emu.record import formats
from emu.record.container import Writer
from emu.record.csrs import Change, CsrFollower, pack
from emu.record.predicted.records import Packer
from emu.spelling import did_you_mean

WHAT = ("instructions", "calls", "memory", "registers", "csrs")
"""What can be recorded."""
_EVENTS_AT_ONCE = 1 << 16


class BlockSink(Protocol):
    """Takes what `emu.engine.translated.features.blocks` records, in the order in which it happens."""

    def span(self, instret: int, supervisor: Privilege, /) -> None:
        """What follows begins after so many instructions; blocks of privilege 1 are of `supervisor`."""

    def mode(self, instret: int, pc: int, supervisor: Privilege, /) -> None:
        """From there on blocks of privilege 1 are of another one."""

    def define(self, block: Block, /) -> None:
        """A block that will be named by its number from now on."""

    def words(self, words: memoryview, /) -> None:
        """Numbers of blocks, and marks; the memory is used again afterwards."""


class BlockFeature(Blocks):
    """Hands blocks to a sink."""

    def __init__(self, hart: HartCore, sink: BlockSink, *, size: int = 1 << 20) -> None:
        """`size` is that of the buffer in bytes."""
        super().__init__(sink.words, size=size)
        self._hart, self._sink = hart, sink
        self._core: Core | None = None

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        if self._core is None:
            self._core = core
            self._hart.stands_for_changed.append(self._mode_changed)
            self.restored()
        return super().operations(core)

    def switched_off(self) -> None:
        """See `Feature`."""
        super().switched_off()
        if self._core is not None:
            self._core = None
            self._hart.stands_for_changed.remove(self._mode_changed)

    def _mode_changed(self) -> None:
        hart = self._hart
        self._sink.mode(hart.retired_count, hart.words[PC], hart.supervisor_stands_for)

    def block_defined(self, block: Block, /) -> None:
        """See `Feature`."""
        self._sink.define(block)

    def restored(self) -> None:
        """The count of instructions has been set to another value."""
        if self._core is not None:
            self.position_changed()
            self._sink.span(self._core.slots[Slot.COUNT], self._hart.supervisor_stands_for)


class Following:
    """Features of a machine that are on between `start` and `stop`, and in a `with` block."""

    def __init__(self, machine: Machine, features: Iterable[Feature], blocks: BlockFeature | None) -> None:
        self._engine = machine.core.engine
        self._features = tuple(features)
        self._restored = machine.on(StateRestored, lambda _: blocks.restored()) if blocks else None
        self.is_on = False

    def start(self) -> None:
        """Begin, or go on; in a run at the end of the current slice."""
        if not self.is_on:
            self.is_on = True
            for feature in self._features:
                self._engine.switch_on(feature)

    def stop(self) -> None:
        """End for now; in a run at the end of the current slice."""
        if self.is_on:
            self.is_on = False
            for feature in self._features:
                self._engine.switch_off(feature)

    def close(self) -> None:
        """Stop, and forget the machine."""
        self.stop()
        if self._restored is not None:
            self._restored.cancel()
            self._restored = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _FileSink:
    """Writes blocks to a recording."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._count = self._spans = 0
        self._code, self._modes, self._csrs = bytearray(), bytearray(), bytearray()
        self.csrs: CsrFollower | None = None
        self.write_blocks: Callable[[], None] = self.flush
        """Writes what has come."""
        self.others: list[Ring] = []
        """Records of the blocks' instructions: they are written before the blocks, however little they are."""

    def changed(self, change: Change) -> None:
        self._csrs += pack(change, self._spans)
        if len(self._csrs) > _EVENTS_AT_ONCE:
            self.write_blocks()

    def flush(self) -> None:
        for section, data in ((formats.CODE, self._code), (formats.MODES, self._modes), (formats.CSRS, self._csrs)):
            if data:
                self._writer.add(section, data)
                data.clear()

    def span(self, instret: int, supervisor: Privilege, /) -> None:
        self._writer.add(formats.SPANS, formats.SPAN.pack(self._count, instret))
        self._spans += 1
        self.mode(instret, 0, supervisor)
        if self.csrs is not None:
            self.csrs.begin()

    def mode(self, instret: int, _pc: int, supervisor: Privilege, /) -> None:
        self._modes += formats.MODE.pack(self._spans, instret, supervisor)

    def define(self, block: Block, /) -> None:
        code = self._code
        code += formats.DEFINITION.pack(block.number, block.pc, block.length, len(block.code), block.privilege)
        code += block.code

    def words(self, words: memoryview, /) -> None:
        for ring in self.others:
            ring.empty()
        self.flush()
        self._writer.add(formats.BLOCKS, words)
        self._count += len(words) // NUMBER.size


def _packing(writer: Writer, section: str) -> Drain:
    """Appends records to a section, packed."""
    packer = Packer(formats.WIDTHS[section])

    def drain(records: memoryview) -> None:
        for piece in packer.pack(records):
            writer.add(section, piece)

    return drain


class _Lines:
    """The section of events."""

    def __init__(self, writer: Writer) -> None:
        self._writer, self._lines = writer, bytearray()

    def write(self, data: bytes | memoryview, /) -> None:
        self._lines += data
        if len(self._lines) > _EVENTS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            self._writer.add(formats.EVENTS, self._lines)
            self._lines.clear()


class Recorder:
    """Records a machine's run into a file, from now on or from `start` on, until `close`.

    `what` are words of `WHAT`. The instructions are always recorded, and cost nearly nothing, calls little, accesses
    and registers a multiple of the run. A recording
    is complete when `close` has returned; before that it can be read as far as it got (the last 256 Ki blocks at most
    are missing when the process is killed). Raises ConfigError when the file cannot be made; a run raises
    RecordingError when it cannot be written.

    >>> import tempfile
    >>> from ekernel import Image, Machine, MachineConfig, Recording
    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("9308800073000000"), "off.bin"))  # li a7, 8; ecall
    >>> path = Path(tempfile.mkdtemp(), "run.ekrec")
    >>> with Recorder(machine, path):
    ...     _ = machine.run()
    >>> with Recording(path) as recording:
    ...     [instruction.pc for instruction in recording.instructions()]
    [VA:0x80200000, VA:0x80200004]
    """

    def __init__(
        self, machine: Machine, path: str | Path, what: Iterable[str] = ("calls",), *, start: bool = True
    ) -> None:
        wanted = tuple(what)
        for word in wanted:
            if word not in WHAT:
                raise ConfigError(f"'{word}' cannot be recorded: {did_you_mean(word, WHAT)}there are {', '.join(WHAT)}")
        self._writer = writer = Writer(path, open_for=machine.events.signals.open_for)
        self.events = _Lines(writer)
        """Takes events, each a line of JSON."""
        files = [(name, data) for name, data in machine.platform.names.files if len(data) <= formats.LARGEST_FILE]
        files = files[: formats.MOST_FILES]
        recorded = list(dict.fromkeys(("instructions", *wanted)))
        about = {"fidelity": machine.config.fidelity, "what": recorded, "files": [name for name, _ in files]}
        writer.add(formats.RUN, json.dumps(about).encode())
        for number, (_, data) in enumerate(files):
            writer.add(formats.FILE.format(number), data)
        self._sink = _FileSink(writer)
        blocks = BlockFeature(machine.core, self._sink)
        engine = machine.core.engine

        def write_blocks() -> None:
            """A run that is killed leaves the blocks up to there: calls and changes of CSRs take longest to come."""
            engine.tell_blocks()
            blocks.ring.empty()
            self._sink.flush()

        def write_calls(records: memoryview) -> None:
            writer.add(formats.CALLS, records)
            write_blocks()

        others: list[Calls | Accesses | RegisterWrites] = []
        if "calls" in wanted:
            others.append(Calls(write_calls))
        if "memory" in wanted:
            others.append(Accesses(_packing(writer, formats.MEMORY)))
        if "registers" in wanted:
            others.append(RegisterWrites(_packing(writer, formats.REGISTERS)))
        self._sink.others = [feature.ring for feature in others]
        self._sink.write_blocks = write_blocks
        if "csrs" in wanted:
            self._sink.csrs = CsrFollower(machine, self._sink.changed)
        self._following = Following(machine, [blocks, *others], blocks)
        if start:
            self.start()

    def start(self) -> None:
        """Begin, or go on; in a run at the end of the current slice."""
        if self._sink.csrs is not None:
            self._sink.csrs.start()
        self._following.start()

    def stop(self) -> None:
        """Leave out what follows; in a run from the end of the current slice on."""
        self._following.stop()
        if self._sink.csrs is not None:
            self._sink.csrs.stop()

    def section(self, name: str, data: bytes | memoryview) -> None:
        """Add to a section of another kind: what replays the run, say."""
        self._writer.add(name, data)

    def hurry(self, within: Callable[[Work], bool]) -> None:
        """The user wants to leave: a pipe is given up as soon as `within` says that a write was left."""
        self._writer.hurry(within)

    def close(self) -> None:
        """Write what is left, and say that the recording is complete."""
        try:
            self._following.close()
            self.stop()
            self._sink.flush()
            self.events.flush()
            self._writer.close()
        finally:
            self._writer.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
