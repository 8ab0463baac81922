"""A case: one instruction in assembly, operands to try it with, and the reference that says what must come out."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emu.hart.view import Hart
from emu.isa.registers import FLOAT_NUMBERS, REGISTER_NUMBERS

CODE, DATA = 0x8020_0000, 0x8021_0000
M32, M64 = (1 << 32) - 1, (1 << 64) - 1

EDGES = (
    0, 1, M64, 1 << 63, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, M32, 31, 32, 63, 64, 0x0123_4567_89AB_CDEF,
)  # fmt: skip
"""The values at which integer instructions go wrong: ends of both widths, shift amounts at and past the width."""

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


def disagreements(execute: Callable[..., Hart], case: Case) -> list[str]:
    """Execute a case with all its inputs, and describe each result that is not the reference's."""
    found = []
    for registers in case.inputs:
        hart = execute(case.source, memory=case.memory, **registers)
        for key, value in case.expect(**registers).items():
            got = read(hart, key)
            if got != value:
                given = ", ".join(f"{name}={number:#x}" for name, number in registers.items())
                found.append(f"{case.source!r} with {given or 'nothing'}: {key} is {got:#x}, not {value:#x}")
    return found


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
