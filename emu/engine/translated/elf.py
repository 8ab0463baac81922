"""A loaded shared library as its file describes it: who built it, its functions, and the words that calls go through.

Only what is asked for is looked up: a whole reading takes a hundred times longer, and every start would pay for it.
"""

import mmap
import struct

from emu.errors import MachineError

_SYMBOL, _RELOCATION = 24, 24
"""Bytes of an entry in the symbol table, and in a table of relocations (ELF-64)."""
_DYNAMIC_SEGMENT, _NOTE_SEGMENT = 2, 4
_STRINGS, _SYMBOLS = 5, 6
_RELOCATIONS, _RELOCATIONS_SIZE, _CALLS, _CALLS_SIZE = 7, 8, 23, 2
_HASHES = 0x6FFFFEF5
"""Tags of the dynamic section: DT_STRTAB, DT_SYMTAB; DT_RELA, DT_RELASZ, DT_JMPREL, DT_PLTRELSZ; DT_GNU_HASH."""
_BUILD_ID = 3
_MACHINES = {62: (7, 1), 183: (1026, 257)}
"""By `e_machine` (x86-64, AArch64): the types of the relocation of a call's word, and of a plain 64-bit address."""


class SharedLibrary:
    """The file of a library. Its first segment begins at address 0: up to the code, file offsets are addresses."""

    def __init__(self, path: str) -> None:
        """`path` names an ELF-64 file, little-endian; MachineError for another one."""
        with open(path, "rb") as file:  # noqa: PTH123  # pathlib would be loaded for this
            self._data = data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        machine = struct.unpack_from("<H", data, 18)[0] if len(data) > 64 else 0
        if data[:6] != b"\x7fELF\2\1" or machine not in _MACHINES:
            raise MachineError(f"{path} is not a library for x86-64 or AArch64 in the ELF format")
        self._call_type, self._address_type = _MACHINES[machine]
        start, size, count = (*struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54))
        segments = [struct.unpack_from("<IIQQQQQ", data, start + size * n) for n in range(count)]
        self._tags = {}
        self._notes = b""
        for kind, _, offset, _, _, length, _ in segments:
            if kind == _DYNAMIC_SEGMENT:
                self._tags = dict(struct.iter_unpack("<QQ", data[offset : offset + length]))
            elif kind == _NOTE_SEGMENT:
                self._notes = data[offset : offset + length]

    @property
    def build_id(self) -> str:
        """What the linker has computed from all of the file, in hexadecimal; empty when it was not asked to."""
        notes = self._notes
        if len(notes) < 16:
            return ""
        name, size, kind = struct.unpack_from("<III", notes)
        begin = 12 + (name + 3 & ~3)
        return notes[begin : begin + size].hex() if kind == _BUILD_ID else ""

    def _index(self, name: str) -> int:
        """A symbol's place in the table of symbols, by GNU's table of hashes, as the dynamic linker finds it."""
        if _HASHES not in self._tags:
            raise MachineError("the library has no table of GNU's hashes")
        wanted, begin = name.encode(), self._tags[_HASHES]
        code = 5381
        for byte in wanted:
            code = code * 33 + byte & 0xFFFFFFFF
        buckets, first, words, _ = struct.unpack_from("<4I", self._data, begin)
        table = begin + 16 + 8 * words  # behind a filter for names that are not here
        index = self._number(table + 4 * (code % buckets))
        while index:
            found = self._number(table + 4 * (buckets + index - first))
            if found | 1 == code | 1 and self._name(index) == wanted:
                return index
            index = 0 if found & 1 else index + 1  # the last one of a chain is odd
        raise MachineError(f"the library has no symbol {name}")

    def _name(self, index: int) -> bytes:
        begin = self._tags[_STRINGS] + self._number(self._tags[_SYMBOLS] + _SYMBOL * index)
        return self._data[begin : self._data.find(b"\0", begin)]

    def _number(self, place: int) -> int:
        value: int = struct.unpack_from("<I", self._data, place)[0]
        return value

    def _aligned(self, pattern: bytes, begin: int, end: int, size: int, inside: int = 0) -> int | None:
        """Where an entry of `size` bytes has a pattern `inside` bytes behind its begin."""
        place = begin
        while (place := self._data.find(pattern, place, end)) >= 0:
            if (place - begin) % size == inside:
                return int(place - inside)
            place += 1
        return None

    def symbol(self, name: str) -> int:
        """The address of a symbol, from the library's own begin."""
        value: int = struct.unpack_from("<Q", self._data, self._tags[_SYMBOLS] + _SYMBOL * self._index(name) + 8)[0]
        return value

    def call_word(self, name: str) -> int:
        """Where the library keeps the address of a function of its own that it calls (a word of its `.got.plt`)."""
        return self._relocation(name, self._call_type, self._tags[_CALLS], self._tags[_CALLS_SIZE])

    def table_word(self, name: str) -> int:
        """Where a table of the library has the address of a function of its own."""
        return self._relocation(name, self._address_type, self._tags[_RELOCATIONS], self._tags[_RELOCATIONS_SIZE])

    def _relocation(self, name: str, kind: int, begin: int, size: int) -> int:
        wanted = struct.pack("<II", kind, self._index(name))
        place = self._aligned(wanted, begin, begin + size, _RELOCATION, 8)
        if place is None:
            raise MachineError(f"the library does not refer to {name} in the way that is expected")
        offset: int = struct.unpack_from("<Q", self._data, place)[0]
        return offset
