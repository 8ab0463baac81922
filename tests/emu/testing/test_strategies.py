"""What hypothesis makes for tests of kernels: the two fidelities are each other's model."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings

from emu.isa.privilege import Access, Privilege
from emu.testing.execute import Executor
from emu.testing.strategies import allocations, page_tables, programs, registers, words
from emu.walks import Refusal

pytest_plugins = ["pytester"]
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


def test_what_fails_is_shown_as_text_to_paste_with_the_guest_of_its_last_example_alone(pytester):
    pytester.makepyfile("""
        from hypothesis import Phase, given, settings
        from emu.testing.strategies import instructions, page_tables, programs

        shrunk = settings(database=None, derandomize=True, phases=[Phase.generate, Phase.shrink])
        machines = []

        @shrunk
        @given(instructions(["zero", "a0"]))
        def test_instruction(text):
            assert "zero, zero" not in text

        @shrunk
        @given(programs(most=4, names=["zero", "a0"]))
        def test_program(exec, text):
            assert exec(text).get("a0", 0) < 1 << 63

        @shrunk
        @given(page_tables())
        def test_tables(assemble, tables):
            assert all(each.is_closed for each in machines)
            machines.append(assemble("nop", firmware="none"))
            assert not tables.leaves

        def test_no_instruction(exec):
            exec("frob a0", a0=1)

        def test_no_register(exec):
            exec("add a0, a1, a2", a1=1 << 64)
    """)
    result = pytester.runpytest_inprocess("-q")
    result.assert_outcomes(failed=5)
    text = result.stdout.str()
    assert "text='add zero, zero, zero'" in text
    assert re.search(r"text='\w+ a0, [-\w, ]+'", text)  # one instruction
    assert "PageTables(leaves=(Leaf(" in text
    assert "or any other generated value" not in text
    assert text.count(" guest ---") == 1
    assert "no such instruction: 'frob'" in text
    assert "execute.py" not in text
    assert "assembler.py" not in text
    assert "exec: a1=0x10000000000000000: a register has 64 bits" in text
