"""Floating-point instructions that are illegal in the state that the hart is in (unprivileged manual, chapter 11)."""

import re

from linker.assembler.encoding.table import Table
from tests.emu.isa.case import Case, disagreements
from tests.emu.isa.trap_cases import ILLEGAL, OWN_BITS, OWN_HALF, trap

OPERANDS = {
    "frd": "fa0", "frs1": "fa1", "frs2": "fa2", "frs3": "fa3", "rd": "a0", "rs1": "a1",
    "imm12": "0", "simm12": "0", "rm": "dyn", "rm0": "rne",
}  # fmt: skip
ROWS = [
    row
    for rows in Table.of(frozenset(("i", "zicsr", "f", "d"))).rows.values()
    for row in rows
    if row.extension in ("f", "d") and not row.alias
]


def written(row, operands: dict[str, str] = OPERANDS) -> str:
    """A row of the table as an instruction."""
    return f"{row.mnemonic} " + re.sub(r"\w+", lambda name: operands[name[0]], row.signature)


def test_every_instruction_that_rounds_traps_when_the_dynamic_mode_is_reserved(execute):
    rounding = [written(row) for row in ROWS if row.signature.endswith(" rm")]
    assert len(rounding) == 33
    for mode in (5, 6, 7):
        cases = [trap(instruction, ILLEGAL, setup=f"fsrmi {mode}") for instruction in rounding]
        assert [line for case in cases for line in disagreements(execute, case)] == []


def test_a_reserved_static_mode_traps(build, execute):
    rounding = [written(row, OPERANDS | {"rm": "rne"}) for row in ROWS if row.signature.endswith((" rm", " rm0"))]
    (segment,) = build("\n".join(rounding)).segments
    words = [int.from_bytes(segment.data[n : n + 4], "little") for n in range(0, 4 * len(rounding), 4)]
    cases = [trap(f".word {word | mode << 12:#x}", ILLEGAL) for word in words for mode in (5, 6)]
    assert len(cases) == 2 * 36
    assert [line for case in cases for line in disagreements(execute, case)] == []


COMPRESSED = ("c.fld fa0, 0(a1)", "c.fsd fa0, 0(a1)", "c.fldsp fa0, 0(sp)", "c.fsdsp fa0, 0(sp)")


def _while_off(instruction: str, tval: str = OWN_BITS) -> Case:
    return trap(instruction, ILLEGAL, tval, setup="csrw mstatus, zero", arch="rv64g" if tval == OWN_BITS else "rv64gc")


def test_instructions_trap_while_floating_point_is_off(execute):
    cases = [_while_off(written(row)) for row in ROWS]
    assert [line for case in cases for line in disagreements(execute, case)] == []


def test_compressed_loads_and_stores_trap_while_floating_point_is_off(execute):
    cases = [_while_off(instruction, OWN_HALF) for instruction in COMPRESSED]
    assert [line for case in cases for line in disagreements(execute, case)] == []
