"""Reads a recording: every instruction that retired, with its names; accesses and writes of registers."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from emu.address import VirtAddr
from emu.engine.translated.definitions import Block
from emu.engine.translated.features import Access, Write, accesses, calls, registerwrites
from emu.engine.translated.features.blocks import CUT
from emu.engine.translated.features.calls import Transfer
from emu.errors import ImageError, RecordingError
from emu.firmware.names import Names, SymbolFile
from emu.isa.privilege import Privilege
from emu.record import formats
from emu.record.container import Reader
from emu.record.csrs import Change, unpack
from emu.record.plaindata import plain_data, shown_data
from emu.record.predicted.records import Unpacker
from emu.shown import Shown

if TYPE_CHECKING:
    import numpy as np

_MOST_CODE = 1 << 28
"""Bytes of the table of blocks that are read at most."""
_LONGEST_EVENT = 1 << 22
"""Bytes of a line of the section `events`, more than any has."""
_MARK = CUT - 1
_END = (1 << 64) - 1
_SELDOM = (1 << 14) - 1
"""One of so many records, and one more, is told to who shows progress."""
_PRIVILEGES = (Privilege.U, Privilege.S, Privilege.S, Privilege.M)
"""By number; a file may have the one that does not exist."""


class Instruction(NamedTuple):
    """An instruction that has retired."""

    instret: int
    """Instructions that had retired before it."""
    pc: VirtAddr
    code: bytes
    """Its 2 or 4 bytes, as they were when it was executed."""
    privilege: Privilege


class Executed(NamedTuple):
    """A block of code that was executed, or its beginning."""

    instret: int
    """Instructions that had retired before it."""
    block: Block
    retired: int
    """How many of its instructions retired: less than it has where a trap has ended it."""
    privilege: Privilege


class _Mode(NamedTuple):
    """What blocks of privilege 1 were executed as, in a span."""

    times: "array[int]"
    """Instructions that had retired when it began, in order."""
    privileges: "array[int]"

    def of(self, block: Block, instret: int) -> Privilege:
        """The privilege of a block that began then."""
        place = bisect_right(self.times, instret) if block.privilege == Privilege.S else 0
        return _PRIVILEGES[(self.privileges[place - 1] if place else block.privilege) & 3]


class Lengths(dict[int, int]):
    """Instructions by the words of a recording: what marks take off, too."""

    def __missing__(self, word: int) -> int:
        if word & CUT:
            return -left_by(word)
        raise unknown_block(word)


def unknown_block(number: int) -> RecordingError:
    """What is said of a recording that names a block without its code."""
    return RecordingError(f"the recording is damaged: it names block {number}, which it does not define")


def left_by(word: int) -> int:
    """How many instructions a mark says did not retire: a signed number of 31 bits."""
    return (word & _MARK) - ((word & _MARK) >> 30 << 31)


class Recording(Shown):
    """A recorded run, read from its file; also a `with` block. Nothing in the file is executed.

    Raises RecordingError for a file that is no recording, and when a damaged part of it is read.
    """

    def __init__(self, path: str | Path) -> None:
        self._reader = Reader(path)
        self.path = self._reader.path
        self.on_reached: Callable[[int], None] = lambda _instret: None
        """Told now and then how far reading has come: what shows progress."""
        self.names = Names()
        """Symbols and source lines: of the files in the recording, and of those that are added."""
        try:
            self._read_about()
        except BaseException:
            self._reader.close()
            raise

    def _read_about(self) -> None:
        try:
            about = shown_data(self._reader.whole(formats.RUN, most=1 << 20) or b"{}")
            self.fidelity = str(about.get("fidelity", "fast"))
            self.what = tuple(str(word) for word in about.get("what", ()))
            """What was recorded."""
            files = [str(name) for name in about.get("files", ())][: formats.MOST_FILES]
            self.program = PurePath(files[0]).name if files else ""
            """The file name of the kernel; empty when the recording does not say."""
        except (ValueError, AttributeError, TypeError):
            raise RecordingError(f"{self.path} does not say what it is a recording of: it is damaged") from None
        for number, name in enumerate(files):
            data = self._reader.whole(formats.FILE.format(number), most=formats.LARGEST_FILE)
            try:
                file = SymbolFile(data, f"{name} in {self.path}")
            except ImageError:
                continue  # a stripped file names nothing
            file.names_in = name, data
            self.names.add(file)

    @property
    def missing(self) -> str | None:
        """What keeps the file from being complete, in words; None for a complete one."""
        return self._reader.missing

    @cached_property
    def obstacle(self) -> str | None:
        """Why the run cannot be lived again, in words; None if it can be."""
        try:
            about = plain_data(self._reader.whole(formats.REPLAY, most=1 << 20) or b"null")
        except ValueError:
            return "it is damaged"
        if not isinstance(about, dict):
            return "it lacks what the guest was given (what was typed, disks, time)"
        return str(about["obstacle"]) if "obstacle" in about else None

    @property
    def container(self) -> Reader:
        """The file's sections."""
        return self._reader

    @cached_property
    def blocks(self) -> dict[int, Block]:
        """The blocks of code that were executed, by number."""
        found: dict[int, Block] = {}
        size = 0
        head = formats.DEFINITION
        for chunk in self._reader.chunks(formats.CODE):
            size += len(chunk)
            if size > _MOST_CODE:
                raise RecordingError(f"{self.path} has more than {_MOST_CODE >> 20} MiB of code: it is damaged")
            place = 0
            while place + head.size <= len(chunk):
                number, pc, length, code, privilege = head.unpack_from(chunk, place)
                place += head.size + code
                if not length:
                    raise RecordingError(f"{self.path} is damaged: block {number} has no instructions")
                found[number] = Block(number, pc, length, privilege, chunk[place - code : place])
        return found

    @cached_property
    def lengths(self) -> dict[int, int]:
        """How many instructions each word of the section `blocks` stands for; of marks a negative number."""
        return Lengths({number: block.length for number, block in self.blocks.items()})

    def words(self) -> Iterator[tuple[int | None, "array[int]"]]:
        """The section `blocks`, in pieces; first comes the instret at which a piece begins that does not go on."""
        for _, begin, words in self.pieces():
            yield begin, words

    def pieces(self) -> Iterator[tuple[int, int | None, "array[int]"]]:
        """The same, and before it how many spans have begun."""
        spans = iter(self._spans)
        upcoming = next(spans, None)
        position = begun = 0
        for chunk in self._reader.chunks(formats.BLOCKS):
            if len(chunk) % 4:
                raise RecordingError(f"{self.path} is damaged: a chunk of '{formats.BLOCKS}' holds half a word")
            words = array("I", chunk)
            begin: int | None = None
            while upcoming is not None and upcoming[0] < position + len(words):
                cut = upcoming[0] - position
                if cut:
                    yield begun, begin, words[:cut]
                words, position, begun = words[cut:], position + cut, begun + 1
                begin, upcoming = upcoming[1], next(spans, None)
            yield begun, begin, words
            position += len(words)

    @cached_property
    def _spans(self) -> list[tuple[int, ...]]:
        """Where `blocks` does not go on by itself."""
        data = self._reader.whole(formats.SPANS)
        spans = [] if len(data) % formats.SPAN.size else list(formats.SPAN.iter_unpack(data))
        if len(spans) * formats.SPAN.size != len(data) or any(one[0] > other[0] for one, other in pairwise(spans)):
            raise RecordingError(f"{self.path} is damaged: its section '{formats.SPANS}' tells no places in order")
        return spans

    def executed(self, first: int = 0, last: int = _END) -> Iterator[Executed]:
        """The blocks that were executed while `instret` was in a range, in order; blocks that begin in it are whole."""
        lengths, blocks = self.lengths, self.blocks
        instret = pending = 0  # pending: a block whose mark may follow
        mode = _Mode(array("Q"), array("Q"))
        for begun, begin, words in self.pieces():
            if begin is not None:
                if pending:
                    yield Executed(instret, blocks[pending], lengths[pending], mode.of(blocks[pending], instret))
                instret, pending = begin, 0
                mode = self._modes.get(begun, mode)
            total = sum(map(lengths.__getitem__, words))
            after = instret + (lengths[pending] if pending else 0) + total
            self.on_reached(instret)
            if after < 0:
                raise self._taken_back()
            if after <= first and len(words) > 1:
                pending = words[-1] if not words[-1] & CUT else 0
                instret = after - (lengths[pending] if pending else 0)
                continue
            for word in words:
                retired = lengths[pending] if pending else 0
                if word & CUT:
                    retired -= left_by(word)
                if pending and instret + retired > first and retired > 0:
                    yield Executed(instret, blocks[pending], retired, mode.of(blocks[pending], instret))
                instret += retired
                if instret < 0:
                    raise self._taken_back()
                pending = 0 if word & CUT else word
                if instret > last:
                    return
        if pending:
            yield Executed(instret, blocks[pending], lengths[pending], mode.of(blocks[pending], instret))

    def _taken_back(self) -> RecordingError:
        return RecordingError(f"{self.path} is damaged: its section '{formats.BLOCKS}' takes back more than retired")

    @property
    def goes_back(self) -> bool:
        """Whether the count of instructions was ever set to another value."""
        return len(self._spans) > 1

    def modes(self, span: int) -> list[tuple[int, Privilege]]:
        """What privilege 1 stands for, from which `instret` on, in a span; nothing where it is as before."""
        mode = self._modes.get(span)
        return [(at, _PRIVILEGES[number & 3]) for at, number in zip(*mode, strict=True)] if mode else []

    def records(self, section: str) -> Iterator[bytes]:
        """Whole records of the section `memory` or `registers`, many at once."""
        self._check(section)
        return self._unpacked(section)

    def _unpacked(self, section: str) -> Iterator[bytes]:
        unpacker = Unpacker(formats.WIDTHS[section])
        for chunk in self._reader.chunks(section):
            try:
                yield unpacker.unpack(chunk)
            except ValueError as error:
                raise RecordingError(f"{self.path} is damaged: in its section '{section}' {error}") from None

    @cached_property
    def _modes(self) -> "dict[int, _Mode]":
        """What privilege 1 stands for, by span."""
        found: dict[int, _Mode] = {}
        for chunk in self._reader.chunks(formats.MODES):
            for span, instret, privilege in formats.MODE.iter_unpack(chunk[: len(chunk) // 24 * 24]):
                mode = found.setdefault(span, _Mode(array("Q"), array("Q")))
                mode.times.append(instret)
                mode.privileges.append(privilege)
        return found

    def extent(self) -> tuple[int, int, int]:
        """Instructions retired when the recording begins, and at its end; the pc of the last block."""
        first, last, pc = -1, 0, 0
        for begin, words in self.words():
            if begin is not None:
                last = begin
                first = begin if first < 0 else min(first, begin)
            last += sum(map(self.lengths.__getitem__, words))
            pc = next((self.blocks[word].pc for word in reversed(words) if not word & CUT), pc)
        return max(first, 0), last, pc

    def instructions(self, first: int = 0, last: int = _END) -> Iterator[Instruction]:
        """Each instruction that retired, in order, from the one before which `first` had retired to that of `last`."""
        parts: dict[int, list[tuple[VirtAddr, bytes]]] = {}
        for instret, block, retired, privilege in self.executed(first, last):
            known = parts.get(block.number)
            if known is None:
                known = parts[block.number] = instructions_of(block)
            for number, (pc, code) in enumerate(known[:retired], start=instret):
                if first <= number <= last:
                    yield Instruction(number, pc, code, privilege)

    def accesses(self, first: int = 0, last: int = _END) -> Iterator[Access]:
        """Loads and stores, where they were recorded, in the same range."""
        for chunk in self.records(formats.MEMORY):
            for number, access in enumerate(accesses.decode(chunk)):
                if not number & _SELDOM:
                    self.on_reached(access.instret)
                if first <= access.instret <= last:
                    yield access

    def writes(self, first: int = 0, last: int = _END) -> Iterator[Write]:
        """Writes of registers, where they were recorded, in the same range."""
        for number, write in enumerate(registerwrites.decode_all(self.records(formats.REGISTERS))):
            if not number & _SELDOM:
                self.on_reached(write.instret)
            if first <= write.instret <= last:
                yield write

    def changes(self) -> Iterator[tuple[int, Change]]:
        """The hart's state at each start, CSRs written, and traps, where they were recorded; with the span of each."""
        self._check("csrs")
        for chunk in self._reader.chunks(formats.CSRS):
            found = unpack(chunk, 0)
            while found is not None:
                yield found[:2]
                found = unpack(chunk, found[2])

    def transfers(self) -> Iterator[Transfer]:
        """Calls, returns and traps, where they were recorded; `emu.observe.calls.stacks` makes stacks of them."""
        for records in self.transfer_records():
            for number, transfer in enumerate(calls.decode(records)):
                if not number & _SELDOM:
                    self.on_reached(transfer.instret)
                yield transfer

    def transfer_records(self) -> Iterator[bytes]:
        """The same as `emu.engine.translated.features.calls` hands them over, many at once."""
        self._check("calls")
        size = calls.RECORD.size
        for chunk in self._reader.chunks(formats.CALLS):
            yield chunk[: len(chunk) // size * size]

    def events(self) -> Iterator[dict[str, object]]:
        """The events that were recorded, as the files of `--trace-out` have them."""
        rest = b""
        for chunk in self._reader.chunks(formats.EVENTS):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_EVENT:
                raise RecordingError(f"{self.path} is damaged: an event has more than {_LONGEST_EVENT:,} bytes")
            for line in lines:
                try:
                    event = shown_data(line)
                except ValueError:
                    raise RecordingError(f"{self.path} is damaged: an event is no JSON") from None
                if isinstance(event, dict):
                    yield event

    def _check(self, what: str) -> None:
        if what not in self.what:
            why = f"; it cannot be lived again to see them: {self.obstacle}" if self.obstacle else ""
            raise RecordingError(
                f"{self.path} has no {what}: record them with `ekernel run --record FILE --record-what {what}`{why}"
            )

    def columns(self, first: int = 0, last: int = _END) -> "dict[str, np.ndarray]":
        """The same instructions as NumPy columns: `instret`, `pc` and `privilege`.

        Raises ConfigError where the package numpy is not installed (`pip install 'ekernel[numpy]'`).
        """
        from emu.record.columns import columns

        return columns(self.executed(first, last), first, last)

    def close(self) -> None:
        """Read no more."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def instructions_of(block: Block) -> list[tuple[VirtAddr, bytes]]:
    """Address and code of each instruction."""
    return [(VirtAddr(pc), code) for pc, code in block.instructions()]
