"""The log that QEMU writes for `-d in_asm,exec,int`: code as it is translated, blocks as they are executed, traps."""

from array import array
from collections import deque

from emu.address import VirtAddr
from emu.engine.translated.definitions import Block
from emu.engine.translated.features.blocks import CUT
from emu.events import StateRestored, TrapTaken
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.record.recorder import BlockFeature, Following
from emu.record.recording import instructions_of, left_by
from emu.report.disassembly import disassemble
from emu.report.logs.traps import line
from emu.report.places import Places
from emu.report.tracefile import Sink
from emu.subscriptions import cancel_all

_LINES_AT_ONCE = 1 << 14


class BlockLog(Following):
    """Writes what a machine executes, from now on until `close`; also a `with` block.

    As with QEMU's `nochain` each block is told. Its number stands for the address of its host code. It comes in pieces,
    some time behind the run.
    """

    def __init__(self, machine: Machine, stream: Sink, *, code: bool, blocks: bool, traps: bool) -> None:
        self._stream, self._places = stream, Places(machine)
        self._code, self._blocks = code, blocks
        self._known: dict[int, Block] = {}
        self._told: set[tuple[int, int, bytes]] = set()
        self._lines: dict[int, str] = {}  # by number, what a block says each time while S stands for the same
        self._text: list[str] = []
        self._traps: deque[TrapTaken] = deque()
        self._count = machine.instret
        self._modes: deque[tuple[int, int, Privilege]] = deque()  # instret, pc, what S stands for there
        self._mode = Privilege.S
        self._subscriptions = [machine.on(TrapTaken, self._traps.append)] if traps else []
        feature = BlockFeature(machine.core, self)
        super().__init__(machine, [feature], feature)
        self._subscriptions.append(machine.on(StateRestored, lambda _event: self._traps.clear()))
        self.start()

    def close(self) -> None:
        """Write what is left, and listen no more."""
        super().close()
        self._write_traps(None)
        self._flush()
        cancel_all(self._subscriptions)

    def define(self, block: Block, /) -> None:
        """See `BlockSink`."""
        self._known[block.number] = block
        self._lines.pop(block.number, None)

    def span(self, instret: int, supervisor: Privilege, /) -> None:
        """See `BlockSink`."""
        self._count = instret
        self._modes.clear()
        self._stands_for(supervisor)

    def mode(self, instret: int, pc: int, supervisor: Privilege, /) -> None:
        """See `BlockSink`."""
        self._modes.append((instret, pc, supervisor))

    def _stands_for(self, mode: Privilege) -> None:
        self._mode = mode
        self._lines.clear()

    def _privilege(self, block: Block) -> int:
        """The privilege of the block that begins now."""
        modes = self._modes
        while modes and modes[0][0] < self._count:
            self._stands_for(modes.popleft()[2])
        # A block of which nothing retires comes before the trap that it takes at the same count.
        begun = [number for number, (count, pc, _) in enumerate(modes, 1) if (count, pc) == (self._count, block.pc)]
        for _ in range(max(begun, default=0)):
            self._stands_for(modes.popleft()[2])
        return self._mode if block.privilege == Privilege.S else block.privilege

    def words(self, words: memoryview, /) -> None:
        """See `BlockSink`."""
        known, lines, text, modes, traps = self._known, self._lines, self._text, self._modes, self._traps
        for word in array("I", bytes(words)):
            if word & CUT:
                self._count -= left_by(word)
                continue
            block = known.get(word)
            if block is None:
                continue
            if traps:
                self._write_traps(block)
            privilege = self._privilege(block) if modes else None
            line = lines.get(word)
            if line is None:
                line = lines[word] = self._block(block, self._privilege(block) if privilege is None else privilege)
            text.append(line)
            self._count += block.length
            if len(text) > _LINES_AT_ONCE:
                self._flush()
        self._flush()

    def _write_traps(self, block: Block | None) -> None:
        """The traps that came before a block: the last of them led to it, if it is a handler."""
        traps = self._traps
        while traps and block is not None and traps[0].instret < self._count:
            self._write(line(traps.popleft()))
        while traps and (block is None or (traps[0].instret == self._count and traps[0].handler == block.pc)):
            self._write(line(traps.popleft()))
            if block is not None:
                return

    def _block(self, block: Block, privilege: int) -> str:
        """What is told each time that a block begins; its code is told now, where it is new."""
        name = self._places.function(VirtAddr(block.pc))
        name = "" if name.startswith("0x") else name
        key = block.pc, privilege, block.code
        if self._code and key not in self._told:
            self._told.add(key)
            lines = ["-" * 16, f"IN: {name}", f"Priv: {privilege}; Virt: 0"]
            for pc, code in instructions_of(block):
                word = f"{int.from_bytes(code, 'little'):0{2 * len(code)}x}"
                lines.append(f"{pc:#018x}:  {word:<8}          {disassemble(code, pc) or 'illegal'}")
            self._write("\n".join(lines) + "\n")
        if not self._blocks:
            return ""
        return f"Trace 0: {block.number:#x} [{0:016x}/{block.pc:016x}/{privilege:08x}/ff000000] {name}\n"

    def _write(self, text: str) -> None:
        self._text.append(f"{text}\n")

    def _flush(self) -> None:
        if self._text:
            text = "".join(self._text).encode()
            self._text.clear()
            self._stream.write(text)
