"""Where two recordings part: the first instruction that differs, and the first access whose value does."""

from itertools import zip_longest
from typing import NamedTuple

from emu.engine.translated.features import Access
from emu.record.recording import Instruction, Recording


class Difference(NamedTuple):
    """The first instruction that only one of two runs has executed, or that they have executed differently."""

    before: list[Instruction]
    """The last instructions that both have executed."""
    one: Instruction | None
    """None where the first recording ends."""
    other: Instruction | None


def first_difference(one: Recording, other: Recording, *, before: int = 4) -> Difference | None:
    """The first difference between the instructions of two recordings; None when they are the same."""
    start = max(0, _first_unlike_block(one, other) - before)
    common: list[Instruction] = []
    for left, right in zip_longest(one.instructions(start), other.instructions(start)):
        if left != right:
            return Difference(common, left, right)
        common = [*common[-before + 1 :], left]
    return None


def _first_unlike_block(one: Recording, other: Recording) -> int:
    """Instructions retired before the first blocks that are not the same; the runs may differ later only."""
    instret = 0
    for left, right in zip(one.executed(), other.executed(), strict=False):
        same = left.retired == right.retired and left.block.pc == right.block.pc and left.block.code == right.block.code
        if left.instret != right.instret or not same:
            return min(left.instret, right.instret)
        instret = left.instret
    return instret


def first_unlike_access(one: Recording, other: Recording, last: int) -> tuple[Access | None, Access | None] | None:
    """The first access up to a moment that differs in address or value: what the runs parted for, if it came so far."""
    for left, right in zip_longest(one.accesses(0, last), other.accesses(0, last)):
        if left != right:
            return left, right
    return None
