"""The bytes of a fill pattern (GNU ld manual, "Output Section Fill")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from linker.script.syntax import Number

if TYPE_CHECKING:
    from linker.script.syntax import Expression

_HEX = re.compile(r"0[xX]([0-9A-Fa-f]+)")


def fill_bytes(expression: Expression, value: int | None) -> bytes:
    r"""A hexadecimal number fills as long as it is written, another value as four bytes, big-endian.

    >>> fill_bytes(Number(0x90, "0x0090"), 0x90), fill_bytes(Number(144, "144"), 144)
    (b'\x00\x90', b'\x00\x00\x00\x90')
    """
    if isinstance(expression, Number):
        digits = _HEX.fullmatch(expression.text)
        if digits is not None:
            return bytes.fromhex("0" * (len(digits[1]) % 2) + digits[1])
    return (0 if value is None else value & 0xFFFF_FFFF).to_bytes(4, "big")
