"""Constants of the code that an execution went through: what the guest may be looking for in its input."""

import re
from collections.abc import Iterable, Iterator

from emu.isa.operands import instruction_length
from emu.machine import Machine
from emu.report.disassembly import disassemble

_MOST = 64
"""Instructions that are looked at from the beginning of a block."""
_UPPER = re.compile(r"(?:c\.)?lui\s+(\w+), (\w+)")
_ADDED = re.compile(r"(?:c\.)?addiw?\s+(\w+),(?: (\w+),)? (-?\w+)")
_LOADED = re.compile(r"(?:c\.)?li\s+(\w+), (-?\w+)")


def constants(machine: Machine, blocks: Iterable[int]) -> Iterator[bytes]:
    """What `li`, and `lui` with `addi`, load in blocks at these addresses; of more than one byte."""
    for pc in blocks:
        registers: dict[str, int] = {}
        for text in _texts(machine, pc):
            if found := _UPPER.match(text):
                registers[found[1]] = int(found[2], 0) << 12
            elif found := _ADDED.match(text):
                source = found[2] or found[1]
                base = 0 if source == "zero" else registers.get(source)
                if base is not None:
                    registers[found[1]] = base + int(found[3], 0)
            elif found := _LOADED.match(text):
                registers[found[1]] = int(found[2], 0)
            else:
                continue
            value = registers.get(found[1], 0) & 0xFFFF_FFFF
            if value > 0xFF:
                width = 2 if value <= 0xFFFF else 4
                yield value.to_bytes(width, "little")
                yield value.to_bytes(width, "big")


def _texts(machine: Machine, pc: int) -> Iterator[str]:
    for _ in range(_MOST):
        code = machine.peek(pc, 2)
        if code is None:
            return
        size = instruction_length(code[0])
        whole = machine.peek(pc, size) or code
        text = disassemble(whole, pc) or ""
        yield text
        if text.split(" ")[0].removeprefix("c.") in ("j", "jr", "ret", "jal", "jalr"):
            return
        pc += size
