"""`x`, `xp` and `print`: memory and numbers in the formats of QEMU's monitor, character for character."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from emu.errors import ConfigError
from emu.report.disassembly import disassemble

_SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
_REFUSED = "Cannot access memory"
_MOST = 1 << 16
"""Bytes of one dump."""
_PAIR = 3
"""The low bits of an instruction of four bytes."""

Read = Callable[[int, int], bytes | None]
"""So many bytes at an address; None where there is no memory."""


class Format(NamedTuple):
    """How values are shown; what a command leaves out is as in the one before it."""

    letter: str = "x"
    size: int = 4

    def changed(self, text: str) -> tuple["Format", int]:
        """The format with what stands behind the slash, and the count. Raises ConfigError.

        >>> Format().changed("4dg"), Format().changed("")
        ((Format(letter='d', size=8), 4), (Format(letter='x', size=4), 1))
        """
        match = re.fullmatch(r"(\d*)([xduoci]?)([bhwg]?)|(\d*)([bhwg])([xduoci])", text)
        if match is None:
            raise ConfigError(f"'/{text}' is no format: write a count, then one of x d u o c i, then one of b h w g")
        count, letter, size = match[1] or match[4], match[2] or match[6], match[3] or match[5]
        return Format(letter or self.letter, _SIZES[size] if size else self.size), int(count or 1)

    def value(self, number: int) -> str:
        """A number for `print`."""
        if self.letter == "c":
            return _character(number & 0xFF)
        if self.letter in "xo":
            return (hex(number) if self.letter == "x" else f"0{number:o}") if number else "0"
        return str(number - (1 << 64) if self.letter in "di" and number >> 63 else number)


def dump(read: Read, address: int, count: int, form: Format) -> Iterator[str]:
    """The lines of `x` or `xp`."""
    if form.letter == "i":
        yield from _instructions(read, address, count)
        return
    size = 1 if form.letter == "c" else form.size
    left, line = min(form.size * count, _MOST), 8 if form.size == 1 else 16
    while left > 0:
        data = read(address, min(left, line))
        if data is None:
            yield f"{address:016x}: {_REFUSED}"
            return
        cells = (
            _cell(int.from_bytes(data[at : at + size], "little"), size, form.letter) for at in range(0, len(data), size)
        )
        yield f"{address:016x}: {' '.join(cells)}"
        address = (address + len(data)) & (1 << 64) - 1
        left -= len(data)


def _cell(value: int, size: int, letter: str) -> str:
    bits = 8 * size
    if letter == "c":
        return _character(value)
    if letter == "o":
        return (f"0{value:o}" if value else "0").rjust(-(-bits // 3))
    if letter in "ud":
        signed = value - (1 << 64) if letter == "d" and value >> 63 else value
        return f"{signed:>{-(-bits * 10 // 33)}}"
    return f"0x{value:0{bits // 4}x}"


def _character(value: int) -> str:
    named = {0x27: "\\'", 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r"}
    text = named.get(value) or (chr(value) if 0x20 <= value < 0x7F else f"\\x{value:02x}")
    return f"'{text}'"


def _instructions(read: Read, address: int, count: int) -> Iterator[str]:
    for _ in range(min(count, _MOST)):
        half = read(address, 2)
        size = 4 if half is not None and half[0] & _PAIR == _PAIR else 2
        code = read(address, size)
        if code is None:
            yield f"0x{address:016x}:  {_REFUSED}"
            return
        number = int.from_bytes(code, "little")
        yield f"0x{address:016x}:  {f'{number:0{2 * size}x}':<18}{disassemble(code, address) or 'illegal'}"
        address = (address + size) & (1 << 64) - 1
