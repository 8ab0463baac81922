"""How to find a function's caller, from the call frame information of an ELF: `.debug_frame` and `.eh_frame`.

Read without pyelftools, which makes objects of all: a Linux has 11,000 functions, of which few are asked for.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from struct import Struct

from emu.firmware.framerows import Factors, FrameRule, Row, rows
from emu.firmware.leb128 import signed, unsigned
from emu.firmware.sections import Section, unpacked
from emu.hints import NamedTuple

_WORD, _LONG_WORD, _HEAD = Struct("<I"), Struct("<Q"), Struct("<II")
_PLAIN, _PLAIN_FORM = Struct("<IIQ"), "<QQ"
"""The head of an entry, and its function's start, as most have them."""
_TO_START = 64
_LONG = 0xFFFFFFFF
"""In place of a length: it follows, in 64 bits. In `.debug_frame` it says CIE, too."""
_LONG_LINK = 0xFFFFFFFFFFFFFFFF
_ABSOLUTE, _RELATIVE, _OMITTED = 0, 0x10, 0xFF
_FORMATS = {0: "Q", 2: "H", 3: "I", 4: "Q", 10: "h", 11: "i", 12: "q"}
"""DW_EH_PE: in the lower half of an encoding the size; in the upper half whether a place is relative."""
_SEGMENTED = 4
"""The version from which on a CIE says how large addresses and segments are."""


class FrameTable(NamedTuple):
    """The functions of one section."""

    functions: list[int]
    """The start of each, and a number by which its rules are asked for, `packed`."""
    read: Callable[[int], tuple[int, list[Row]]]
    """How many bytes a function has, and where each rule begins to hold; None where the file's rule is more than a
    register and an offset."""


def packed(start: int, number: int) -> int:
    """A function as one integer: the garbage collector need not look at it, as it would at a tuple.

    >>> hex(packed(0x80200000, 3))
    '0x802000000000000000000003'
    """
    return start << _TO_START | number


class CallFrames:
    """The rules of an image; those of a function are decoded when one of them is first asked for.

    >>> rule = FrameRule(2, 16, {1: -8})
    >>> table = FrameTable([packed(0x80200000, 0)], lambda number: (16, [(0x80200004, rule)]))
    >>> frames = CallFrames(lambda: [table])
    >>> frames.at(0x80200008) is rule, frames.at(0x80200000)
    (True, None)
    """

    def __init__(self, read: Callable[[], Iterable[FrameTable]]) -> None:
        self._read = read
        self._rows: dict[tuple[int, int], tuple[int, list[Row]]] = {}

    def at(self, address: int) -> FrameRule | None:
        """The rule for the instruction at an address, None where the file has none."""
        start, nearest, number = -1, 0, 0
        for index, table in enumerate(self._tables):
            place = bisect_right(table.functions, packed(address + 1, 0)) - 1
            if place >= 0 and table.functions[place] >> _TO_START >= start:
                start, number = divmod(table.functions[place], 1 << _TO_START)
                nearest = index
        if start < 0:
            return None
        known = self._rows.get((nearest, number))
        if known is None:
            known = self._rows[nearest, number] = self._tables[nearest].read(number)
        size, rows = known
        if address >= start + size:
            return None
        at = bisect_right(rows, address, key=lambda row: row[0]) - 1
        return rows[at][1] if at >= 0 else None

    @cached_property
    def _tables(self) -> list[FrameTable]:
        return [FrameTable(sorted(table.functions), table.read) for table in self._read()]


def read_frames(data: bytes, sections: Iterable[Section]) -> Iterator[FrameTable]:
    """The rules of a file; what cannot be decoded is left out."""
    for section in sections:
        is_eh = section.name == ".eh_frame"
        if is_eh or section.name in (".debug_frame", ".zdebug_frame"):
            try:
                entries = _Entries(unpacked(data, section), section.address, is_eh=is_eh)
                yield FrameTable(entries.functions(), entries.read)
            except Exception:  # noqa: BLE001, S112  # damaged sections trip it anywhere; callers are then told otherwise
                continue


class _Common(NamedTuple):
    """A CIE."""

    factors: Factors
    instructions: bytes
    form: Struct
    """Of start and size in its FDEs."""
    is_relative: bool
    """Whether the start counts from its own place."""
    is_augmented: bool


class _Entries:
    """The entries of a section (DWARF 5, section 6.4.1; LSB, section 10.6.1)."""

    def __init__(self, data: bytes, address: int, *, is_eh: bool) -> None:
        self._data, self._address, self._is_eh = data, address, is_eh
        self._common: dict[int, _Common] = {}
        """By their places."""
        self._alike: dict[bytes, _Common] = {}
        """By their octets: each object file has brought its own."""

    def functions(self) -> list[int]:
        """Start and place of each FDE, `packed`."""
        at, data, is_eh = 0, self._data, self._is_eh
        found: list[int] = []
        add, unpack, plain = found.append, _PLAIN.unpack_from, set[int]()
        last = len(data) - _PLAIN.size
        while at < len(data):
            if at <= last:  # most are like this one: short, and of a CIE that is known
                length, link, start = unpack(data, at)
                if link in plain and length != _LONG and length:
                    add(start << _TO_START | at)
                    at += _WORD.size + length
                    continue
            body, link, end = self._head(at)
            if end == body and is_eh:  # what ends a list
                at = end
                continue
            common = self._common_of(at, body, link)
            if common is not None:
                start, _ = common.form.unpack_from(data, body)
                add(packed(start + (self._address + body if common.is_relative else 0), at))
                if not is_eh and common.form.format == _PLAIN_FORM and not common.is_relative:
                    plain.add(link)
            at = end
        return found

    def read(self, at: int) -> tuple[int, list[Row]]:
        """The size of the function of the FDE at a place, and where each rule begins to hold."""
        size = 0
        try:
            body, link, end = self._head(at)
            common = self._common_of(at, body, link)
            if common is None:
                return 0, []
            start, size = common.form.unpack_from(self._data, body)
            start += self._address + body if common.is_relative else 0
            code = body + common.form.size
            if common.is_augmented:
                skipped, code = unsigned(self._data, code)
                code += skipped
            return size, rows(common.instructions, self._data[code:end], start, common.factors)
        except Exception:  # noqa: BLE001  # as above
            return size, []

    def _head(self, at: int) -> tuple[int, int, int]:
        """Where what follows an entry's head begins, the word that says which CIE is its, and where it ends."""
        data = self._data
        (length,) = _WORD.unpack_from(data, at)
        if length != _LONG:
            at += _WORD.size
            if not length:
                return at, 0, at
            return at + _WORD.size, *_WORD.unpack_from(data, at), at + length
        (length,) = _LONG_WORD.unpack_from(data, at + _WORD.size)
        at += _WORD.size + _LONG_WORD.size
        return at + _LONG_WORD.size, *_LONG_WORD.unpack_from(data, at), at + length

    def _common_of(self, at: int, body: int, link: int) -> _Common | None:
        """The CIE of an FDE; None of what is a CIE itself."""
        if self._is_eh:
            if not link:
                return None
            place = at + _WORD.size - link
        else:
            is_long = body - at > 2 * _WORD.size
            if link == (_LONG_LINK if is_long else _LONG):
                return None
            place = link
        if place not in self._common:
            at, _, end = self._head(place)
            octets = self._data[at:end]
            if octets not in self._alike:
                self._alike[octets] = self._read_common(at, end)
            self._common[place] = self._alike[octets]
        return self._common[place]

    def _read_common(self, at: int, end: int) -> _Common:
        data = self._data
        version, behind = data[at], data.index(b"\0", at)
        augmentation, at = data[at + 1 : behind], behind + 1
        if version >= _SEGMENTED and not self._is_eh:
            at += 2
        code, at = unsigned(data, at)
        factor, at = signed(data, at)
        _, at = (data[at], at + 1) if version == 1 else unsigned(data, at)
        encoding = _ABSOLUTE
        is_augmented = augmentation.startswith(b"z")
        if is_augmented:
            size, at = unsigned(data, at)
            encoding, at = self._encoding(augmentation[1:], at), at + size
        elif augmentation:
            raise ValueError(augmentation)
        if encoding & ~0xF not in (_ABSOLUTE, _RELATIVE):
            raise ValueError(encoding)
        form = Struct("<" + 2 * _FORMATS[encoding & 0xF])
        return _Common(Factors(code, factor), data[at:end], form, bool(encoding & _RELATIVE), is_augmented)

    def _encoding(self, augmentation: bytes, at: int) -> int:
        """How FDEs have their places, by the augmentation of their CIE and its data."""
        data = self._data
        for letter in augmentation.decode("latin-1"):
            if letter == "R":
                return data[at]
            if letter == "L":
                at += 1
            elif letter == "P":
                at += 1 + (0 if data[at] == _OMITTED else Struct("<" + _FORMATS[data[at] & 0xF]).size)
            elif letter != "S":
                break
        return _ABSOLUTE
