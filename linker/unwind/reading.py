"""Reads what unwind tables are made of: LEB128 numbers, encoded pointers, call frame instructions (LSB, chapter 10)."""

from __future__ import annotations

from dataclasses import dataclass

from linker.objects import leb128

OMITTED = 0xFF
"""DW_EH_PE_omit: there is no such pointer."""
ABSOLUTE = 0x00
"""DW_EH_PE_absptr."""
ALIGNED = 0x50
"""DW_EH_PE_aligned."""
_APPLICATION, _RELATIVE, _SIGNED = 0x70, 0x10, 0x08
_WIDTHS = {0: 8, 2: 2, 3: 4, 4: 8}

_ADVANCE, _OFFSET, _RESTORE = 0x40, 0x80, 0xC0
_SET_LOC = 0x01
_BYTES = {0x00: 0, 0x0A: 0, 0x0B: 0, 0x2D: 0, 0x02: 1, 0x03: 2, 0x04: 4, 0x1D: 8}
"""Operands of so many bytes: nop, remember_state, restore_state, window_save, advance_loc1, 2, 4, 8."""
_LEBS = {
    **dict.fromkeys((0x06, 0x07, 0x08, 0x0D, 0x0E, 0x13, 0x2E), 1),
    **dict.fromkeys((0x05, 0x09, 0x0C, 0x11, 0x12, 0x14, 0x15, 0x2F), 2),
}
"""Operands that are so many LEB128 numbers: of registers and the CFA (DWARF 5, section 7.24)."""
_EXPRESSIONS = {0x0F: 0, 0x10: 1, 0x16: 1}
"""Expressions, behind so many numbers: def_cfa_expression, expression, val_expression."""


class Unreadable(Exception):
    """The bytes are no unwind table, or one that is not understood: it stays as it is."""


def pointer_width(encoding: int) -> int:
    """Bytes of a pointer of that encoding; 0 when its size is not fixed."""
    return 0 if encoding & 0x60 == 0x60 else _WIDTHS.get(encoding & 7, 0)


def is_relative(encoding: int) -> bool:
    """Whether the pointer counts from its own place (DW_EH_PE_pcrel)."""
    return encoding != OMITTED and encoding & _APPLICATION == _RELATIVE


def is_signed(encoding: int) -> bool:
    """Whether a short pointer is extended by its sign."""
    return bool(encoding & _SIGNED)


@dataclass(slots=True)
class Reader:
    """A place in the bytes of an entry, which end at `end`."""

    data: bytes | bytearray
    position: int
    end: int

    def skip(self, count: int) -> None:
        """Go on by so many bytes."""
        if count > self.end - self.position:
            raise Unreadable
        self.position += count

    def number(self, width: int) -> int:
        """An unsigned number of so many bytes."""
        start = self.position
        self.skip(width)
        return int.from_bytes(self.data[start : self.position], "little")

    def leb(self) -> int:
        """An unsigned LEB128 number."""
        start = self.position
        value, self.position = leb128.read(self.data, start, self.end)
        if self.position == start or self.data[self.position - 1] >= 0x80:
            raise Unreadable
        return value

    def text(self) -> bytes:
        """A string that ends with 0, without that."""
        stop = self.data.find(b"\0", self.position, self.end)
        if stop < 0:
            raise Unreadable
        start, self.position = self.position, stop + 1
        return bytes(self.data[start:stop])

    def instructions(self, width: int) -> list[int]:
        """Go behind the last instruction that is no nop; returns where set_loc has its pointers, `width` bytes wide."""
        last, places = self.position, []
        while self.position < self.end:
            operation = self.number(1)
            if operation == 0:
                continue
            if operation == _SET_LOC:
                places.append(self.position)
                self.skip(width)
            else:
                self._operands(operation)
            last = self.position
        self.position = last
        return places

    def _operands(self, operation: int) -> None:
        kind = operation & 0xC0
        if kind in (_ADVANCE, _RESTORE):
            return
        if kind == _OFFSET:
            self.leb()
        elif operation in _BYTES:
            self.skip(_BYTES[operation])
        elif operation in _LEBS:
            for _ in range(_LEBS[operation]):
                self.leb()
        elif operation in _EXPRESSIONS:
            for _ in range(_EXPRESSIONS[operation]):
                self.leb()
            self.skip(self.leb())
        else:
            raise Unreadable
