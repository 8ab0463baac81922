"""Lines of a log in bulk: by the record of blocks, from templates that native code fills in."""

import ctypes
import struct
from array import array
from collections.abc import Sequence

from emu.address import VirtAddr
from emu.engine import native
from emu.engine.translated.definitions import Block
from emu.engine.translated.features.blocks import CUT
from emu.isa.privilege import Privilege
from emu.record.recording import Instruction, instructions_of, left_by, unknown_block
from emu.report.logs.commits.layout import DIGITS, ENTRY_SIZE, HEAD_SIZE, LINES, WORDS, Answer, Shared
from emu.report.logs.commits.log import CommitLog
from emu.report.logs.commits.templates import Chosen, Templates, digit
from emu.report.tracefile import Sink

_NEVER = (1 << 64) - 1
_OUTPUT = 1 << 18
"""Bytes that are written at once: they stay in the host's cache, beside records and templates."""
_SLACK = 1 << 16
"""Bytes behind the limit of the output: what a line has at most, and more."""
_MADE_AHEAD = 64
_PRIVILEGES = {ord("0") + privilege: privilege for privilege in Privilege}
_LABELS = b"".join(f" {'xf'[number >> 5]}{number & 31:<2} 0x\0".encode() for number in range(64))
_STATUS_NAME = struct.unpack("<2Q", b" c768_mstatus 0x")


class LogText:
    """Writes the lines of blocks that were executed; records and changes are fed to its `log`."""

    def __init__(
        self, log: CommitLog, sink: Sink, *, shown: tuple[int, int] = (0, _NEVER), chosen: Chosen | None = None,
        keeps_codes: bool = False,
    ) -> None:  # fmt: skip
        """Lines of instructions from the first to the second of `shown`, and of those at addresses that are `chosen`.

        `keeps_codes` tells the log what stands at each address, for instructions that trap.
        """
        self._log, self._sink, self._chosen = log, sink, chosen
        self._last, self._first = shown[1], shown[0]
        self._end = min(self._last + 1, _NEVER)
        self.is_over = False
        """Whether the last instruction that is shown has come."""
        self._keeps_codes = keeps_codes
        self._codes: dict[int, bytes] = {}
        self._blocks: dict[int, Block] = {}
        self._known: dict[int, list[tuple[VirtAddr, bytes]]] = {}
        self._modes: list[tuple[int, Privilege]] = []
        self._rest = array("I")
        is_native = log.is_native and native.wanted()
        self._native = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(native.load(LINES)) if is_native else None
        self._output = ctypes.create_string_buffer(_OUTPUT + _SLACK)
        self._begin, self._written = ctypes.addressof(self._output), memoryview(self._output).cast("B")
        self._labels = ctypes.create_string_buffer(_LABELS)
        self._templates = Templates(log, chosen) if is_native else None
        self._shared = (ctypes.c_uint64 * WORDS)()
        self._shared_address = ctypes.addressof(self._shared)
        ctypes.memmove(ctypes.addressof(self._shared) + 8 * Shared.CONSTANTS, DIGITS, len(DIGITS))
        head = log.head
        ctypes.memmove(ctypes.addressof(self._shared) + 8 * Shared.HEAD, head or b"", len(head or b""))
        for word, value in (
            (Shared.OUTPUT, self._begin), (Shared.OUTPUT_LIMIT, self._begin + _OUTPUT), (Shared.SHOW_FROM, shown[0]),
            (Shared.REGISTERS, log.registers.buffer_info()[0]), (Shared.NAMES, ctypes.addressof(self._labels)),
            (Shared.MEMORY, int.from_bytes(b" mem 0x\0", "little")), (Shared.MODE_AT, _NEVER),
            (Shared.WRITES_PC, head is not None), (Shared.STATUS_NAME, _STATUS_NAME[0]),
            (Shared.STATUS_NAME + 1, _STATUS_NAME[1]),
        ):  # fmt: skip
            self._shared[word] = value
        self.begin(0, Privilege.S)

    def define(self, block: Block) -> None:
        """A block that will be named by its number from now on."""
        self._blocks[block.number] = block
        if self._keeps_codes:
            self._codes.update(block.instructions())

    def begin(self, instret: int, supervisor: Privilege, modes: Sequence[tuple[int, Privilege]] = ()) -> None:
        """What follows begins after so many instructions, and blocks of privilege 1 are of that one, until `modes`."""
        shared = self._shared
        shared[Shared.LEFT] = 0
        shared[Shared.INSTRET] = shared[Shared.BLOCK_END] = instret
        shared[Shared.SUPERVISOR] = ord("0") + supervisor
        self._modes = list(modes)
        shared[Shared.MODE_AT] = self._modes[0][0] if self._modes else _NEVER

    def mode(self, instret: int, supervisor: Privilege) -> None:
        """From there on blocks of privilege 1 are of another one."""
        self._modes.append((instret, supervisor))
        self._shared[Shared.MODE_AT] = self._modes[0][0]

    def words(self, words: bytes | memoryview, *, is_last: bool = False) -> None:
        """Write the lines of these words of the record of blocks; the last block waits for the word behind it.

        All records of the blocks but the last must have been fed.
        """
        data = self._rest
        data.frombytes(words)
        shared = self._shared
        begin = data.buffer_info()[0]
        shared[Shared.WORDS], shared[Shared.WORDS_END] = begin, begin + 4 * len(data)
        shared[Shared.IS_LAST] = is_last
        self._go(data, begin)
        self._rest = data[(shared[Shared.WORDS] - begin) // 4 :]
        self._flush()

    def finish(self) -> None:
        """The last block has run to its end."""
        self.words(b"", is_last=True)

    def _go(self, data: "array[int]", begin: int) -> None:
        shared = self._shared
        self._plan()
        while True:
            answer = self._filled() if self._native is not None else self._next(data, begin)
            if answer == Answer.DONE:
                self._take_back()
                return
            if answer == Answer.FULL:
                self._flush()
            elif answer == Answer.MODE:
                self._change_mode()
            elif answer == Answer.BLOCK:
                self._make(data[(shared[Shared.WORDS] - begin) // 4])
            else:
                self._take_back()
                if shared[Shared.INSTRET] > self._last:
                    self.is_over = True
                    return
                self._tell(_NEVER if self._native is None else 1)
                self._plan()

    def _plan(self) -> None:
        """Until where the native code may go, and which registers it may write; the records are its own until then."""
        log, shared = self._log, self._shared
        change = log.next_change
        end = self._end
        shared[Shared.STOP_AT] = end if change is None or change > end else change
        shared[Shared.PLAIN], shared[Shared.KNOWS_STATUS] = log.plain, log.knows_status
        shared[Shared.WRITES], shared[Shared.WRITES_END] = log.writes.span()
        shared[Shared.ACCESSES], shared[Shared.ACCESSES_END] = log.accesses.span()

    def _take_back(self) -> None:
        """Know what the native code has taken of the records."""
        self._log.writes.taken_until(self._shared[Shared.WRITES])
        self._log.accesses.taken_until(self._shared[Shared.ACCESSES])

    def _filled(self) -> int:
        """Have native code write lines as far as it can."""
        assert self._native is not None
        answer: int = self._native(self._shared_address)
        return answer

    def _next(self, data: "array[int]", begin: int) -> int:
        """What the native code does where each instruction is Python's."""
        shared = self._shared
        while not shared[Shared.LEFT]:
            instret = shared[Shared.INSTRET] = shared[Shared.BLOCK_END]
            place = (shared[Shared.WORDS] - begin) // 4
            if place >= len(data):
                return Answer.DONE
            word = data[place]
            if word & CUT:
                shared[Shared.WORDS] += 4
                continue
            following = data[place + 1] if place + 1 < len(data) else None
            if following is None and not shared[Shared.IS_LAST]:
                return Answer.DONE
            if instret >= shared[Shared.MODE_AT]:
                return Answer.MODE
            known, block = self._parts(word), self._block(word)
            is_marked = following is not None and bool(following & CUT)
            retired = block.length - (left_by(following) if is_marked and following is not None else 0)
            shared[Shared.WORDS] += 8 if is_marked else 4
            shared[Shared.BLOCK], shared[Shared.PRIVILEGE] = word, digit(block) or shared[Shared.SUPERVISOR]
            shared[Shared.BLOCK_END] = (instret + retired) & _NEVER
            shared[Shared.LEFT] = max(min(retired, len(known)), 0)
            shared[Shared.ENTRY] = HEAD_SIZE
        return Answer.INSTRUCTION

    def _tell(self, most: int) -> None:
        """Write the lines of the next instructions of the block, at most so many."""
        shared, log, codes = self._shared, self._log, self._codes
        number = shared[Shared.BLOCK]
        begin = self._templates.table[number] if self._templates is not None else 0
        place, instret = (shared[Shared.ENTRY] - begin - HEAD_SIZE) // ENTRY_SIZE, shared[Shared.INSTRET]
        count = min(shared[Shared.LEFT], most, self._last + 1 - instret)
        privilege = _PRIVILEGES[shared[Shared.PRIVILEGE]]
        chosen, told = self._chosen, []
        for pc, code in self._parts(number)[place : place + count]:
            lines = log.text(Instruction(instret, pc, code, privilege), codes)
            is_shown = instret >= self._first
            told += [f"{line}\n" for at, line in lines if is_shown and (chosen is None or chosen(at))]
            shared[Shared.PC] += len(code)
            instret += 1
        text = "".join(told).encode()
        if shared[Shared.OUTPUT] + len(text) > shared[Shared.OUTPUT_LIMIT]:
            self._flush()
        if len(text) > _OUTPUT:
            self._sink.write(text)
        else:
            ctypes.memmove(shared[Shared.OUTPUT], text, len(text))
            shared[Shared.OUTPUT] += len(text)
        shared[Shared.INSTRET] = instret
        shared[Shared.ENTRY] += ENTRY_SIZE * count
        shared[Shared.LEFT] -= count

    def _flush(self) -> None:
        length = self._shared[Shared.OUTPUT] - self._begin
        if length:
            self._shared[Shared.OUTPUT] = self._begin
            self._sink.write(self._written[:length])

    def _change_mode(self) -> None:
        shared = self._shared
        while self._modes and self._modes[0][0] <= shared[Shared.INSTRET]:
            shared[Shared.SUPERVISOR] = ord("0") + self._modes.pop(0)[1]
        shared[Shared.MODE_AT] = self._modes[0][0] if self._modes else _NEVER

    def _parts(self, number: int) -> list[tuple[VirtAddr, bytes]]:
        """The instructions of a block."""
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = instructions_of(self._block(number))
        return known

    def _block(self, number: int) -> Block:
        block = self._blocks.get(number)
        if block is None:
            raise unknown_block(number)
        return block

    def _make(self, number: int) -> None:
        """Make the template of a block, and of those that were translated behind it: they will be executed soon."""
        templates, shared = self._templates, self._shared
        assert templates is not None
        templates.make(self._block(number))
        for following in range(number + 1, number + _MADE_AHEAD):
            block = self._blocks.get(following)
            if block is None or templates.has(following):
                break
            templates.make(block)
        shared[Shared.TABLE], shared[Shared.TABLE_SIZE] = ctypes.addressof(templates.table), len(templates.table)
