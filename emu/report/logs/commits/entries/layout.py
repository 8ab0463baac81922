"""The native code that makes the entries of a block whose lines say nothing but code, and what it knows of codes.

It gets the address of `CONSTANTS`, where the block's code is, its size, and where to write: a `BLOCK_HEAD`, whose
count of entries it fills in, and behind it the entries. It returns how many of them are `Flag.PYTHON`.
"""

from functools import partial
from importlib import import_module

from emu.engine.native import Probe
from emu.isa.encodings import (
    AUIPC,
    BRANCH,
    JAL,
    JALR,
    LOAD,
    LOAD_FP,
    LUI,
    MISC_MEM,
    OP,
    OP_32,
    OP_IMM,
    OP_IMM_32,
    STORE,
    STORE_FP,
)
from emu.report.logs.commits.layout import DIGITS, Flag

_PLAIN = (OP_IMM, AUIPC, OP_IMM_32, OP, LUI, OP_32, BRANCH, JALR, JAL, MISC_MEM)
_ACCESSING = (LOAD, LOAD_FP, STORE, STORE_FP)
COMPRESSED = 32
"""The place of the first compressed instruction's flags; before them are those of opcodes, less their lowest bits."""
CLASSES = len(DIGITS)
"""Where in `CONSTANTS` the flags are: of each opcode, then of each quadrant and funct3 of a compressed instruction."""
IN_PYTHON = int(Flag.PYTHON)


def _classes() -> bytes:
    """Flags by opcode, where it tells them; `Flag.PYTHON` for all others."""
    classes = bytearray([IN_PYTHON]) * COMPRESSED
    for opcode in _PLAIN:
        classes[opcode >> 2] = 0
    for opcode in _ACCESSING:
        classes[opcode >> 2] = int(Flag.ACCESSES)
    for quadrant in range(3):
        for funct3 in range(8):
            classes.append(int(Flag.ACCESSES) if quadrant != 1 and funct3 not in (0, 4) else 0)
    return bytes(classes)


CONSTANTS = DIGITS + _classes()


def _source(host: str) -> str:
    text: str = import_module(f"emu.report.logs.commits.entries.{host}").CODE
    return text


ENTRIES = Probe("commit_entries", partial(_source, "x86_64"), partial(_source, "aarch64"))
"""See above."""
