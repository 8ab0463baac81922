"""What hypothesis makes for tests of kernels: the two fidelities are each other's model."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from emu.isa.privilege import Access, Privilege
from emu.testing.execute import Executor
from emu.testing.strategies import allocations, page_tables, programs, registers, words
from emu.walks import Refusal

_ALL = (1 << 64) - 1


@pytest.fixture(scope="module")
def executors():
    made = Executor("exact"), Executor("fast")
    yield made
    for each in made:
        each.close()


@settings(max_examples=8)
@given(source=programs(), given_registers=registers())
def test_generated_programs_do_the_same_in_both_fidelities(executors, source, given_registers):
    exact, fast = (run(source, **given_registers) for run in executors)
    assert exact == dict(fast)
    assert exact.trap is None


@settings(max_examples=25)
@given(a=words(), b=words())
def test_instructions_do_what_the_manual_says(executors, a, b):
    def signed(value: int, bits: int = 64) -> int:
        value &= (1 << bits) - 1
        return value - (value >> bits - 1 << bits)

    models: dict[str, Callable[[], int]] = {
        "sub": lambda: a - b, "sltu": lambda: a < b, "slt": lambda: signed(a) < signed(b), "mulhu": lambda: a * b >> 64,
        "sra": lambda: signed(a) >> (b & 63), "addw": lambda: signed(a + b, 32),
        "divu": lambda: a // b if b else _ALL, "remu": lambda: a % b if b else a,
    }  # fmt: skip
    for name, model in models.items():
        assert executors[0](f"{name} a0, a1, a2", a1=a, a2=b) == {"a0": int(model())}


@pytest.fixture
def machine(assemble):
    return assemble("j .", ram_size=128 << 20)


@settings(max_examples=25)
@given(tables=page_tables(modes=["Sv39", "Sv48", "Sv57"]))
def test_generated_page_tables_map_what_they_say_and_nothing_else(machine, tables):
    machine.hart.csr["satp"] = tables.write(machine, 0x8700_0000)
    for leaf in tables.leaves:
        asked = {"r": Access.LOAD, "w": Access.STORE, "x": Access.FETCH}
        privilege = Privilege.U if "u" in leaf.flags else Privilege.S
        for letter, access in asked.items():
            place = leaf.size - 8
            found = machine.walk(leaf.address + place, access, privilege).physical
            assert found == (leaf.physical + place if letter in leaf.flags else None)
    mapped = {page for leaf in tables.leaves for page in range(leaf.address >> 12, leaf.address + leaf.size >> 12)}
    for page in (0, 1, 511, 2 << 9, 5 << 9, 509 << 9, 515 << 9):
        assert (machine.walk(page << 12).refusal is Refusal.INVALID) == (page not in mapped)


@given(sequence=allocations())
def test_a_sequence_frees_only_what_is_held(sequence):
    held = 0
    for what, number in sequence:
        assert what == "alloc" or 0 <= number < held
        held += 1 if what == "alloc" else -1
