"""Values that never-written bytes are part of, as what they might be else."""

from collections.abc import Callable, Sequence

from emu.address import VirtAddr
from emu.hints import NamedTuple

OTHERS = 4
"""How many other values stand for all: zeros, ones, the complement, and bytes that depend on the address."""
_MULTIPLIER = 0x9E37_79B9_7F4A_7C15
_ALL = (1 << 64) - 1


class Origin(NamedTuple):
    """Where never-written bytes were loaded, and on which way they came there."""

    physical: int
    """Of the first byte that was never written."""
    address: VirtAddr
    """Of the load that found them."""
    size: int
    first: int
    """Of these bytes, those from `first` to `last` were never written."""
    last: int
    stored: tuple[VirtAddr, ...] = ()
    """The store by which they came there, if they did by one, and the calls that led to it."""


class Value(NamedTuple):
    """What a register might hold else; some of these differ from what it holds."""

    others: tuple[int, ...]
    origin: Origin
    real: int
    """What it holds; nothing is known when the host has put another number there."""


class Cell(NamedTuple):
    """What a byte of memory might be else."""

    others: tuple[int, ...]
    origin: Origin


def other_bytes(octet: int, address: int) -> tuple[int, ...]:
    """What a byte that was never written might be else.

    >>> other_bytes(0x12, 0)[:3]
    (0, 255, 237)
    """
    return 0, 0xFF, octet ^ 0xFF, (address + 1) * _MULTIPLIER >> 56 & 0xFF


def made(real: int, others: Sequence[int], origin: Origin) -> Value | None:
    """A value; None where it is the same in any case.

    >>> made(3, (3, 3, 3, 3), None) is None
    True
    """
    return None if all(other == real for other in others) else Value(tuple(others), origin, real)


def each(value: Value | None, real: int) -> Sequence[int]:
    """What it might be else; what is known is the same in any case."""
    return (real,) * OTHERS if value is None else value.others


def combined(make: Callable[[int, int], int], left: Sequence[int], right: Sequence[int]) -> list[int]:
    """The others of what an instruction makes of two values."""
    return [make(a, b) for a, b in zip(left, right, strict=True)]


def is_open(real: int, others: Sequence[int]) -> bool:
    """Whether a number might be 0, and might be another, if each bit that is not always the same is by itself.

    >>> is_open(6, (4, 6, 6, 6)), is_open(6, (0, 6, 6, 6)), is_open(6, (1, 6, 6, 6))
    (False, True, True)
    """
    unknown = 0
    for other in others:
        unknown |= other ^ real
    return unknown != 0 and not real & ~unknown
