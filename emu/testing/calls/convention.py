"""The calling convention of RV64 with doubles in registers (RISC-V psABI, chapter 2: lp64d)."""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from emu.firmware.ctype import CType, Pointer, Wide
from emu.lateclass import dataclass, field

WORD = 8
"""XLEN and FLEN in bytes."""
_REGISTERS = 8
"""a0 to a7, fa0 to fa7."""
_ALL = (1 << 64) - 1
_BOX = 0xFFFF_FFFF << 32
"""Above a single-precision value in a register of doubles (unprivileged manual, section 22.2)."""


class Piece(NamedTuple):
    """A scalar in a flattened type."""

    offset: int
    kind: CType

    @property
    def is_float(self) -> bool:
        """Whether it is a floating-point number."""
        return is_float(self.kind)

    @property
    def size(self) -> int:
        """In bytes."""
        return ctypes.sizeof(self.kind)


def is_float(kind: CType) -> bool:
    """Whether a type is `float` or `double`."""
    return issubclass(kind, ctypes.c_float | ctypes.c_double)


def is_aggregate(kind: CType) -> bool:
    """Whether a type is a structure, a union or an array."""
    return issubclass(kind, ctypes.Structure | ctypes.Union | ctypes.Array) and not issubclass(kind, Wide)


def alignment(kind: CType) -> int:
    """What the address of such an object is a multiple of (psABI, section 5.1)."""
    if issubclass(kind, Wide):
        return 2 * WORD
    if issubclass(kind, ctypes.Array):
        return alignment(element_of(kind)[0])
    if issubclass(kind, ctypes.Structure | ctypes.Union):
        return max([ctypes.alignment(kind), *(alignment(part) for _, part, *_ in getattr(kind, "_fields_", ()))])
    return ctypes.alignment(kind)


def element_of(array: CType) -> tuple[CType, int]:
    """The type of an array's elements, and how many there are."""
    kind: Any = array
    return kind._type_, kind._length_


def is_signed(kind: CType) -> bool:
    """Whether an integer type has a sign."""
    return not issubclass(kind, Pointer | ctypes.c_bool) and kind(-1).value < 0


def passed_by_reference(kind: CType) -> bool:
    """Whether an address is passed instead: of what is larger than two registers."""
    return ctypes.sizeof(kind) > 2 * WORD


@dataclass
class Registers:
    """Where arguments have been put."""

    integers: list[int] = field(default_factory=list)
    """a0 and following."""
    floats: list[int] = field(default_factory=list)
    """fa0 and following."""
    stack: bytearray = field(default_factory=bytearray)
    """From the stack pointer on."""

    def add(self, kind: CType, raw: bytes, *, variadic: bool = False) -> None:
        """Pass one more argument, given as it is in memory; by reference, give the address."""
        if not raw:
            return
        pieces = None if variadic else floating(kind)
        if pieces is not None and self._has_room(pieces):
            for piece in pieces:
                part = raw[piece.offset : piece.offset + piece.size]
                if piece.is_float:
                    self.floats.append(boxed(part))
                else:
                    self.integers.append(extended(part, piece.kind))
            return
        if alignment(kind) > WORD:
            if variadic and len(self.integers) % 2:
                self._word(0)  # an aligned pair
            if len(self.integers) == _REGISTERS:
                self.stack += bytes(-len(self.stack) % (2 * WORD))
        if len(raw) <= WORD and not is_aggregate(kind):
            self._word(extended(raw, kind))
            return
        for offset in range(0, len(raw), WORD):
            self._word(int.from_bytes(raw[offset : offset + WORD], "little"))

    def _has_room(self, pieces: Sequence[Piece]) -> bool:
        floats = sum(piece.is_float for piece in pieces)
        integers = len(pieces) - floats
        return len(self.floats) + floats <= _REGISTERS and len(self.integers) + integers <= _REGISTERS

    def _word(self, value: int) -> None:
        if len(self.integers) < _REGISTERS:
            self.integers.append(value)
        else:
            self.stack += value.to_bytes(WORD, "little")


def floating(kind: CType) -> list[Piece] | None:
    """The scalars of a type that is passed in floating-point registers, all or one of them; None for others."""
    if is_float(kind):
        return [Piece(0, kind)]
    if not issubclass(kind, ctypes.Structure):
        return None
    pieces = list[Piece]()
    for piece in _flattened(kind, 0):
        if piece is None or len(pieces) == 2:
            return None
        pieces.append(piece)
    return pieces if any(piece.is_float for piece in pieces) else None


def _flattened(kind: CType, base: int) -> Iterator[Piece | None]:
    """The scalars of a type in their order; None for a union, which is never passed so."""
    if issubclass(kind, ctypes.Union):
        yield None
    elif issubclass(kind, ctypes.Array):
        element, count = element_of(kind)
        for number in range(count):
            yield from _flattened(element, base + number * ctypes.sizeof(element))
    elif is_aggregate(kind):
        for name, part, *_ in kind._fields_:
            yield from _flattened(part, base + getattr(kind, name).offset)
    else:
        yield Piece(base, kind)


def extended(raw: bytes, kind: CType) -> int:
    """A scalar as a register has it: by its sign to 32 bits, then with bit 31 to 64."""
    value = int.from_bytes(raw, "little")
    bits = 8 * len(raw)
    if bits == 32 or (bits < 32 and not is_float(kind) and is_signed(kind)):
        value -= (value >> bits - 1) << bits
    return value & _ALL


def boxed(raw: bytes) -> int:
    """A float as a register of doubles has it."""
    value = int.from_bytes(raw, "little")
    return value | _BOX if len(raw) < WORD else value


def returned(kind: CType, integers: Sequence[int], floats: Sequence[int]) -> bytes:
    """A result as it would be in memory, from a0 and a1, fa0 and fa1; not for what is returned by reference."""
    pieces = floating(kind)
    size = ctypes.sizeof(kind)
    if pieces is None:
        return b"".join(word.to_bytes(WORD, "little") for word in integers[:2])[:size]
    raw, left = bytearray(size), {True: list(floats), False: list(integers)}
    for piece in pieces:
        word = left[piece.is_float].pop(0).to_bytes(WORD, "little")
        raw[piece.offset : piece.offset + piece.size] = word[: piece.size]
    return bytes(raw)
