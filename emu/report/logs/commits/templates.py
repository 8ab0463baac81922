"""Templates of the lines of blocks, which native code fills in."""

import ctypes
import struct
from collections.abc import Callable

from emu.buffers import buffer_address
from emu.engine import native
from emu.engine.translated.definitions import Block
from emu.errors import RecordingError
from emu.isa.privilege import Privilege
from emu.report.logs.commits.entries.layout import CONSTANTS, ENTRIES
from emu.report.logs.commits.layout import BLOCK_HEAD, COPIED, ENTRY, ENTRY_SIZE, HEAD_SIZE, Flag
from emu.report.logs.commits.log import CommitLog, flags_of

Chosen = Callable[[int], bool]
_ARENA = 1 << 18
_LONGEST = 1 << 14
"""Characters of the beginning of a line that native code may copy: more is Python's."""
_MOST_IN_TABLE = 1 << 26
_PYTHON, _HIDDEN = int(Flag.PYTHON), int(Flag.HIDDEN)
_HEAD, _ENTRY, _FLAGS = struct.Struct(BLOCK_HEAD), struct.Struct(ENTRY), struct.Struct("<H")
_PLACE_OF_FLAGS = _ENTRY.size - _FLAGS.size


def digit(block: Block) -> int:
    """The character of a block's privilege; 0 for what S stands for at the time."""
    return 0 if block.privilege == Privilege.S else ord("0") + (block.privilege & 3)


class Templates:
    """Makes and keeps them, by the number of the block."""

    def __init__(self, log: CommitLog, chosen: Chosen | None) -> None:
        """Instructions at addresses that are not `chosen` get no line."""
        self._log, self._chosen = log, chosen
        self.table = (ctypes.c_uint64 * 1)()
        """Where they are; 0 for one that was not made."""
        self.arenas = [bytearray(_ARENA)]
        self._used = 0
        self._begin = buffer_address(self.arenas[0])
        self._entries: dict[tuple[int, bytes], bytes] = {}
        self._flags: dict[bytes, int] = {}
        self._constants = ctypes.create_string_buffer(CONSTANTS, len(CONSTANTS))
        function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
        self._native = function(native.load(ENTRIES))

    def has(self, number: int) -> bool:
        """Whether the block's was made."""
        return number < len(self.table) and self.table[number] != 0

    def make(self, block: Block) -> None:
        """Make that of a block."""
        number = block.number
        if number >= _MOST_IN_TABLE:
            raise RecordingError(f"the recording is damaged: it has a block of number {number}")
        if number >= len(self.table):
            table = (ctypes.c_uint64 * max(2 * number, 1 << 12))()
            ctypes.memmove(table, self.table, ctypes.sizeof(self.table))
            self.table = table
        self.table[number] = self._whole(block) if self._log.head is None else self._by_code(block)

    def _by_code(self, block: Block) -> int:
        """A template whose entries are made by native code: lines begin with what all have, and have nothing else."""
        code, chosen = block.code, self._chosen
        place = self._room(HEAD_SIZE + ENTRY_SIZE * (len(code) // 2 + 1))
        arena, address = self.arenas[-1], self._begin + place
        _HEAD.pack_into(arena, place, block.length, 0, digit(block), block.pc)
        in_python = self._native(self._constants, code, len(code), address)
        if in_python or chosen is not None:
            entry = place + HEAD_SIZE + _PLACE_OF_FLAGS
            for pc, word in block.instructions():
                flags = self._flags.get(word)
                if flags is None:
                    flags = self._flags[word] = flags_of(word)
                if chosen is not None and not chosen(pc):
                    flags |= _HIDDEN
                _FLAGS.pack_into(arena, entry, flags)
                entry += ENTRY_SIZE
        self._used = place + HEAD_SIZE + ENTRY_SIZE * _HEAD.unpack_from(arena, place)[1]
        return address

    def _whole(self, block: Block) -> int:
        """A template whose entries have all that the lines begin with."""
        known, entries = block.instructions(), self._entries
        found = b"".join(entries.get(key) or self._entry(key) for key in known)
        return self._kept(_HEAD.pack(block.length, len(known), digit(block), block.pc) + found)

    def _entry(self, key: tuple[int, bytes]) -> bytes:
        text, place = self._log.beginning(*key)
        flags = flags_of(key[1])
        if len(text) > _LONGEST or not text.isascii():
            text, place, flags = b"", 0, flags | _PYTHON
        if self._chosen is not None and not self._chosen(key[0]):
            flags |= _HIDDEN
        entry = self._entries[key] = _ENTRY.pack(self._kept(text), len(text), place, flags).ljust(ENTRY_SIZE, b"\0")
        return entry

    def _kept(self, data: bytes) -> int:
        """Where the data is from now on; `COPIED` bytes behind it can be read."""
        place = self._room(len(data))
        self.arenas[-1][place : place + len(data)] = data
        self._used = place + (len(data) + 7 & ~7)
        return self._begin + place

    def _room(self, size: int) -> int:
        """The place of so many free bytes in the last arena, and `COPIED` more."""
        if self._used + size + COPIED > len(self.arenas[-1]):
            self.arenas.append(bytearray(max(_ARENA, size + COPIED)))
            self._used, self._begin = 0, buffer_address(self.arenas[-1])
        return self._used
