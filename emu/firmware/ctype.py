"""C types of the guest, as ctypes has them, and the signature of a function: RV64's sizes are those of an LP64 host."""

import ctypes
from typing import Any, ClassVar, NamedTuple

CType = type[Any]
"""A class of ctypes; `Pointer` for every pointer."""
_WORD = (1 << 64) - 1


class Wide(ctypes.Structure):
    """An integer of 128 bits without a sign, for which ctypes has no class of its own.

    >>> Wide(1 << 64).high, Wide(1 << 64).value == 1 << 64
    (1, True)
    """

    _fields_ = (("low", ctypes.c_uint64), ("high", ctypes.c_uint64))

    def __init__(self, value: int = 0) -> None:
        super().__init__(value & _WORD, value >> 64 & _WORD)

    @property
    def value(self) -> int:
        """As Python has it."""
        number: int = self.high << 64 | self.low
        return number

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value})"


class SignedWide(Wide):
    """An integer of 128 bits with a sign.

    >>> SignedWide(-1).value
    -1
    """

    @property
    def value(self) -> int:
        """As Python has it."""
        number = super().value
        return number - (number >> 127 << 128)


INTEGERS: dict[tuple[int, bool], CType] = {
    (1, False): ctypes.c_uint8, (2, False): ctypes.c_uint16, (4, False): ctypes.c_uint32, (8, False): ctypes.c_uint64,
    (1, True): ctypes.c_int8, (2, True): ctypes.c_int16, (4, True): ctypes.c_int32, (8, True): ctypes.c_int64,
    (16, False): Wide, (16, True): SignedWide,
}  # fmt: skip
"""By bytes, and whether it has a sign."""
FLOATS: dict[int, CType] = {4: ctypes.c_float, 8: ctypes.c_double}


class Pointer(ctypes.c_uint64):
    """A guest's pointer: a number here, so that nobody follows it into the host's memory."""

    target: ClassVar[CType | None] = None
    """What it points to; None for `void` and what is not known."""
    is_const: ClassVar[bool] = False
    """Whether what it points to is only read."""


class Parameter(NamedTuple):
    """A parameter of a function."""

    name: str
    """Empty where the prototype does not name it."""
    type: CType
    spelling: str
    """The type as its source has it."""


class Signature(NamedTuple):
    """What a function takes and gives."""

    name: str
    result: CType | None
    """None for `void`."""
    parameters: tuple[Parameter, ...]
    variadic: bool = False
    """Whether further arguments may follow."""


def pointer_to(target: CType | None, *, is_const: bool = False) -> CType:
    """A type of pointer.

    >>> pointer_to(ctypes.c_int32).target.__name__
    'c_int'
    """
    return type("Pointer", (Pointer,), {"target": target, "is_const": is_const})


def in_memory(kind: CType | None) -> CType:
    """A type as a field or an element has it: a pointer is read as a number."""
    if kind is None:
        return ctypes.c_uint8
    if issubclass(kind, Pointer):
        return ctypes.c_uint64
    return kind
