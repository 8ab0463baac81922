"""A case: one instruction in assembly, operands to try it with, and the reference that says what must come out."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from emu.hart.view import Hart
from emu.isa.registers import FLOAT_NUMBERS, REGISTER_NUMBERS
from emu.machine import Machine
from tests.emu.isa.batches import fits, outcomes

CODE, DATA = 0x8020_0000, 0x8021_0000
M32, M64 = (1 << 32) - 1, (1 << 64) - 1

EDGES = (
    0, 1, M64, 1 << 63, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, M32, 31, 32, 63, 64, 0x0123_4567_89AB_CDEF,
)  # fmt: skip
"""The values at which integer instructions go wrong: ends of both widths, shift amounts at and past the width."""

_MANY = 8

Outcome = Mapping[str, int]
"""Registers, CSRs, `pc` (from the start of the code) or `privilege` by name; `name&0xff` is the part under a mask."""


@dataclass(frozen=True)
class Case:
    """`source` executed once for each of `inputs` must leave what `expect` makes of the same registers."""

    name: str
    """The mnemonic that the case is for."""
    source: str
    expect: Callable[..., Outcome]
    inputs: Sequence[Mapping[str, int]] = ({},)
    memory: bytes = b""

    def __post_init__(self) -> None:
        if self.name not in re.split(r"[\s;:]+", self.source):
            raise ValueError(f"the case of {self.name!r} does not contain it: {self.source!r}")

    @cached_property
    def expected(self) -> list[Outcome]:
        """What must come out of each of the inputs; the same for every machine."""
        return [self.expect(**registers) for registers in self.inputs]


def read(hart: Hart, key: str) -> int:
    """What the hart has under a key of an `Outcome`."""
    name, _, mask = key.partition("&")
    value: Any
    if name == "pc":
        value = hart.pc - CODE
    elif name == "privilege":
        value = hart.privilege
    elif name in REGISTER_NUMBERS:
        value = hart.x[name]
    elif name in FLOAT_NUMBERS:
        value = hart.f[name]
    else:
        value = hart.csr[name]
    return int(value) & int(mask, 0) if mask else int(value)


def disagreements(execute: Callable[..., Hart], case: Case, bench: Machine | None = None) -> list[str]:
    """Execute a case with all its inputs, and describe each result that is not the reference's.

    Many inputs are executed in a loop of the `bench`, but for the first, where the instruction lets that be.
    """
    expected = case.expected
    alone, keys = len(case.inputs), list(expected[0])
    if bench is not None and alone >= _MANY and not case.memory and fits(set(keys), set(case.inputs[0]), case.source):
        alone = 1
    found = []
    for registers, outcome in zip(case.inputs[:alone], expected, strict=False):
        hart = execute(case.source, memory=case.memory, **registers)
        found += _differences(case, registers, outcome, {key: read(hart, key) for key in outcome})
    if bench is not None and alone < len(case.inputs):
        results = outcomes(bench, case.source, keys, case.inputs[alone:])
        for registers, outcome, values in zip(case.inputs[alone:], expected[alone:], results, strict=True):
            found += _differences(case, registers, outcome, dict(zip(keys, values, strict=True)))
    return found


def _differences(case: Case, registers: Mapping[str, int], outcome: Outcome, got: Outcome) -> list[str]:
    given = ", ".join(f"{name}={number:#x}" for name, number in registers.items()) or "nothing"
    return [
        f"{case.source!r} with {given}: {key} is {got[key]:#x}, not {value:#x}"
        for key, value in outcome.items()
        if got[key] != value
    ]


def signed(value: int, bits: int = 64) -> int:
    """The low bits as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def extended(value: int, bits: int = 32) -> int:
    """The low bits sign-extended to a 64-bit register."""
    return signed(value, bits) & M64


def pairs(first: str, second: str, values: Sequence[int] = EDGES) -> tuple[dict[str, int], ...]:
    """Every pair of the values in two registers."""
    return tuple({first: a, second: b} for a in values for b in values)


def each(register: str, values: Sequence[int] = EDGES) -> tuple[dict[str, int], ...]:
    """Every value in one register."""
    return tuple({register: value} for value in values)
