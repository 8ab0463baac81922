"""Bit patterns in the manual's notation: which bits are fixed, and where each field's bits go."""

import re
from dataclasses import dataclass
from functools import cache

_WIDTHS = {
    "rd": 5, "rs1": 5, "rs2": 5, "rs3": 5, "rd'": 3, "rs1'": 3, "rs2'": 3,
    "rm": 3, "aq": 1, "rl": 1, "pred": 4, "succ": 4, "csr": 12, "zimm": 5,
    "opcode": 7, "opcode2": 2, "funct2": 2, "funct3": 3, "funct4": 4, "funct6": 6, "funct7": 7,
}  # fmt: skip
"""Widths of the fields that the manual writes without a range of bits."""

_RANGED = re.compile(r"(\w+)\[([\d:|]+)\]")


@dataclass(frozen=True, slots=True)
class Piece:
    """Bits `source` .. `source + width - 1` of a value, placed at bit `target` of the instruction."""

    source: int
    width: int
    target: int


@dataclass(frozen=True)
class Field:
    """All pieces of one value in an instruction.

    >>> pattern = parse_pattern("imm[12|10:5] rs2 rs1 000 imm[4:1|11] 1100011")
    >>> hex(pattern.fields["imm"].place(-2))
    '0xfe000f80'
    >>> pattern.fields["imm"].extract(0xFE000F80)
    8190
    """

    pieces: tuple[Piece, ...]

    def place(self, value: int) -> int:
        """The value's bits where the instruction has them; bits outside the field are dropped."""
        word = 0
        for piece in self.pieces:
            word |= ((value >> piece.source) & ((1 << piece.width) - 1)) << piece.target
        return word

    def extract(self, word: int) -> int:
        """The value, without sign, that an instruction holds in this field."""
        value = 0
        for piece in self.pieces:
            value |= ((word >> piece.target) & ((1 << piece.width) - 1)) << piece.source
        return value

    @property
    def mask(self) -> int:
        """The instruction's bits that belong to this field."""
        return self.place(-1)


@dataclass(frozen=True)
class Pattern:
    """The bits of one instruction."""

    size: int
    """In bytes, 2 or 4."""
    match: int
    """The fixed bits."""
    fields: dict[str, Field]


@cache
def parse_pattern(text: str) -> Pattern:
    """Read bits written as in the manual, from the highest to the lowest.

    Raises:
        ValueError: the pattern does not have 16 or 32 bits.

    """
    pieces: list[tuple[str, int, int]] = []  # field or fixed bits, source, width: highest first
    for token in text.split():
        ranged = _RANGED.fullmatch(token)
        if ranged:
            for part in ranged[2].split("|"):
                high, _, low = part.partition(":")
                bottom = int(low or high)
                pieces.append((ranged[1], bottom, int(high) - bottom + 1))
        elif token in _WIDTHS:
            pieces.append((token, 0, _WIDTHS[token]))
        else:
            pieces.append((token, -1, len(token)))
    position = sum(width for _, _, width in pieces)
    if position not in (16, 32):
        raise ValueError(f"{text!r} has {position} bits")
    size = position // 8
    match = 0
    fields: dict[str, list[Piece]] = {}
    for name, source, width in pieces:
        position -= width
        if source < 0:
            match |= int(name, 2) << position
        else:
            fields.setdefault(name, []).append(Piece(source, width, position))
    return Pattern(size, match, {name: Field(tuple(parts)) for name, parts in fields.items()})
