import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linker.assembler import AssemblerOptions
from linker.assembler.encoding.csrs import CSRS
from tests.linker.assembler import operand_values as values

HEAD = "target:\n"
TAIL = ["nop"] * 8


def program(lines):
    return HEAD + "\n".join(lines) + "\n"


@pytest.mark.parametrize("march", ["rv64gc", "rv64g"])
def test_every_instruction_with_edge_operands_has_the_bytes_that_gnu_gives_it(reference, march):
    table = values.Table.of(values.InstructionSet.parse(march).extensions)
    lines = list(dict.fromkeys(line for row in values.all_rows(table) for line in values.statements(row)))
    assert len(lines) > 1500
    reference.check(program(lines), AssemblerOptions(march=march))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(lines=st.lists(values.any_statement(), min_size=20, max_size=200))
def test_any_sequence_of_instructions_has_the_bytes_that_gnu_gives_it(reference, lines):
    reference.check(program(lines))


def wrong(row):
    """Statements with one operand just outside its range, or a register that there is not."""
    others = [values.edges(row, slot)[0] for slot in row.slots]
    for index, slot in enumerate(row.slots):
        if isinstance(slot, dict):
            bad = ["x32"]
        elif isinstance(slot, values.ValueSlot) and slot.operand.kind is values.Kind.IMMEDIATE:
            operand = slot.operand
            candidates = sorted({operand.low - operand.step, operand.high + operand.step, 0})
            bad = [str(value) for value in candidates if not operand.accepts(value)]
        else:
            continue
        yield from (f"{row.mnemonic} {', '.join([*others[:index], text, *others[index + 1 :]])}" for text in bad)


def test_operands_outside_their_range_are_rejected_where_gnu_rejects_them(reference):
    lines = [line for row in values.all_rows() if row.mnemonic not in ("li", "la", "lla") for line in wrong(row)]
    lines = [line for line in dict.fromkeys(lines) if not line.startswith(("csrr", "csrw", "csrs", "csrc"))]
    assert len(lines) > 300
    reference.check_rejected(program(lines))


def test_every_csr_has_its_number(reference):
    source = "\n".join(f"csrr x1, {name}" for name in CSRS)
    reference.check(source, AssemblerOptions(march="rv64g"))
