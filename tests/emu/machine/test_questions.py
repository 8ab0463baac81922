"""What a machine answers to people at a prompt: by symbol, and clearly where a question makes no sense."""

import pytest

from emu.errors import SymbolError
from emu.machine import Machine

SOURCE = """
    li a7, 8
    ecall
    .data
number: .word 0x12345678
"""


def test_memory_is_read_written_and_walked_by_symbol(boot):
    machine = boot(SOURCE)
    place = machine.address_of("number")
    assert machine.peek("number", 4) == machine.read_virtual("number", 4) == b"\x78\x56\x34\x12"
    machine.write_virtual("number", b"\x01")
    assert machine.peek(place, 1) == b"\x01"
    assert machine.walk("number").address == place
    with pytest.raises(SymbolError, match=r"no symbol .nummber.*did you mean number"):
        machine.peek("nummber", 4)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (lambda machine: machine.peek(None, 4), "a place is a number or the name of a symbol, not None"),
        (lambda machine: machine.run(until=1.5), "a place is a number or the name of a symbol, not 1.5"),
        (lambda machine: machine.on(5, print), "kinds of events, such as TrapTaken, not by 5"),
        (lambda machine: machine.on("TrapTaken", print), "kinds of events, such as TrapTaken, not by 'TrapTaken'"),
        (lambda machine: machine.on(int, print), "not by <class 'int'>"),
        (lambda machine: machine.restore(None), "what its snapshot() has returned, not to None"),
    ],
)
def test_a_question_that_makes_no_sense_is_a_type_error_that_says_so(boot, question, said):
    machine = boot(SOURCE)
    with pytest.raises(TypeError) as caught:
        question(machine)
    assert said in str(caught.value)


def test_a_machine_shows_its_kernel_and_where_it_stands(boot):
    machine: Machine = boot(SOURCE)
    fidelity = machine.config.fidelity
    where = f"at {machine.hart.pc} (_start) in S mode, 0 instructions"
    assert repr(machine) == f"<Machine test.elf: {fidelity}, {where}>"
    machine.run()
    assert repr(machine).endswith(f": {fidelity}, powered off, 2 instructions>")
    machine.close()
    assert repr(machine) == "<Machine: closed>"
