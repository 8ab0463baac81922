"""One instruction a case, for every instruction that the assembler knows: assembled, executed, result compared.

The cases are in `*_cases.py`, with references that are written from the manuals and know nothing of the machine.
"""

from collections import defaultdict
from collections.abc import Iterable

import pytest

from linker.assembler import assemble
from linker.assembler.encoding.table import ALIAS_GROUPS, COMPRESSED_GROUPS, GROUPS, Table
from linker.assembler.instructions import InstructionEncoder
from linker.assembler.pseudo import EXPANSIONS
from tests.emu.isa import control_cases, float_cases, integer_cases, memory_cases, trap_cases
from tests.emu.isa.case import Case, disagreements

MODULES = (integer_cases, memory_cases, control_cases, trap_cases, float_cases)
EXTENSIONS = frozenset(group.extension for group in (*GROUPS, *COMPRESSED_GROUPS, *ALIAS_GROUPS))

BOTH = pytest.mark.parametrize("fidelity", ["exact", "fast"], indirect=True)
"""One right after the other, so that the second executes what was assembled for the first."""


def _by_name(cases: Iterable[Case]) -> dict[str, list[Case]]:
    named: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        named[case.name].append(case)
    return named


INSTRUCTIONS = _by_name(case for module in MODULES for case in module.CASES)
EXPANDED = _by_name(case for module in MODULES for case in module.EXPANSION_CASES)


def _check(execute, bench, cases):
    wrong = [line for case in cases for line in disagreements(execute, case, bench)]
    assert not wrong, f"{len(wrong)} results are not the manual's:\n" + "\n".join(wrong[:10])


@BOTH
@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_does_what_the_manual_says(execute, bench, name):
    _check(execute, bench, INSTRUCTIONS[name])


@BOTH
@pytest.mark.parametrize("name", EXPANDED)
def test_a_pseudo_instruction_of_several_does_what_the_manual_says(execute, bench, name):
    _check(execute, bench, EXPANDED[name])


def test_every_instruction_of_the_table_has_a_case():
    assert sorted(set(Table.of(EXTENSIONS).rows) - set(INSTRUCTIONS)) == []


def test_every_pseudo_instruction_of_several_has_a_case():
    assert sorted(set(EXPANSIONS) - set(EXPANDED)) == []


def test_every_form_of_writing_has_a_case(monkeypatch):
    written = set()
    emit = InstructionEncoder._emit

    def record(encoder, row, word):
        written.add((row.mnemonic, row.signature))
        emit(encoder, row, word)

    monkeypatch.setattr(InstructionEncoder, "_emit", record)
    for source in {case.source for cases in INSTRUCTIONS.values() for case in cases}:
        assemble(f"_start:\n{source}\n", name="test.s")
    forms = {(row.mnemonic, row.signature) for rows in Table.of(EXTENSIONS).rows.values() for row in rows}
    assert sorted(forms - written) == []
