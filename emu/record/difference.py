"""Where two recordings part: the first instruction that differs, and the first access whose value does."""

from itertools import zip_longest
from typing import NamedTuple

from emu.engine.translated.features import Access
from emu.record.parting import first_parting
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
    parting = first_parting(one, other)
    if parting is None:
        return None
    start = max(0, parting.instret - before)
    common: list[Instruction] = []
    for left, right in zip_longest(one.instructions(start), other.instructions(start)):
        if left != right:
            return Difference(common, left, right)
        common = [*common[-before + 1 :], left]
    return None


def first_unlike_access(one: Recording, other: Recording, last: int) -> tuple[Access | None, Access | None] | None:
    """The first access up to a moment that differs in address or value: what the runs parted for, if it came so far."""
    for left, right in zip_longest(one.accesses(0, last), other.accesses(0, last)):
        if left != right:
            return left, right
    return None
