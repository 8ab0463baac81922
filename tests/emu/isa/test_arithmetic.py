"""What instructions make of their operands, and what compressed ones stand for: against the machine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.isa import encodings as bits
from emu.isa.arithmetic import atomic, binary, immediate, taken
from emu.isa.encodings import signed
from emu.isa.expansion import expanded
from emu.isa.operands import memory_operand, stored_register
from emu.isa.results import registers_written
from emu.machine import Machine, MachineConfig

CODE, DATA = 0x8020_0000, 0x8030_0000
ALL = (1 << 64) - 1
WORDS = st.one_of(st.integers(0, ALL), st.sampled_from([0, 1, ALL, 1 << 63, 1 << 31, 0x7FFF_FFFF, 0xFFFF_FFFF]))
BINARY = [
    opcode | 10 << 7 | funct3 << 12 | 11 << 15 | 12 << 20 | funct7 << 25
    for opcode in (bits.OP, bits.OP_32) for funct3 in range(8) for funct7 in (0, 1, 0x20)
]  # fmt: skip
BRANCHES = [bits.BRANCH | funct3 << 12 | 11 << 15 | 12 << 20 | 8 << 8 for funct3 in (0, 1, 4, 5, 6, 7)]
ATOMIC = [bits.AMO | 10 << 7 | funct3 << 12 | 11 << 15 | 12 << 20 | funct5 << 27
          for funct3 in (2, 3) for funct5 in (0, 1, 4, 8, 12, 16, 20, 24, 28)]  # fmt: skip


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(MachineConfig(ram_size=16 << 20, firmware="none"))


def executed(machine: Machine, instruction: int, a: int, b: int) -> Machine:
    machine.memory.write_int(CODE, 4, instruction)
    machine.hart.pc = CODE
    machine.hart.x[10], machine.hart.x[11], machine.hart.x[12] = 0x55, a, b
    machine.step()
    return machine


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(BINARY), WORDS, WORDS)
def test_of_two_registers(machine, instruction, a, b) -> None:
    make = binary(instruction)
    if make is not None:
        assert immediate(instruction) is None
        assert executed(machine, instruction, a, b).hart.x[10] == make(a, b)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([bits.OP_IMM, bits.OP_IMM_32]), st.integers(0, 7), st.integers(0, 0xFFF), WORDS)
def test_of_a_register_and_a_number(machine, opcode, funct3, number, a) -> None:
    if funct3 in (1, 5):
        number &= (63 if opcode == bits.OP_IMM else 31) | (0x400 if funct3 == 5 else 0)
    instruction = opcode | 10 << 7 | funct3 << 12 | 11 << 15 | number << 20
    make, second = binary(instruction), immediate(instruction)
    if make is not None and second is not None:
        assert executed(machine, instruction, a, 0).hart.x[10] == make(a, second)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(BRANCHES), WORDS, WORDS)
def test_branches(machine, instruction, a, b) -> None:
    decides = taken(instruction)
    assert decides is not None
    for second in b, a:
        assert (executed(machine, instruction, a, second).hart.pc == CODE + 16) == bool(decides(a, second))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ATOMIC), WORDS, WORDS)
def test_atomic_instructions(machine, instruction, old, second) -> None:
    size, make = 1 << (instruction >> 12 & 3), atomic(instruction)
    assert make is not None
    machine.memory.write_int(DATA, 8, old)
    before = signed(old, 8 * size) & ALL
    executed(machine, instruction, DATA, second)
    assert machine.hart.x[10] == before
    assert machine.memory.read_int(DATA, size) == make(before, second) & (1 << 8 * size) - 1


def test_what_is_none_of_these() -> None:
    for instruction in (bits.ECALL, 0x0000_3503, 0x0031_B523, 0x0000_006F, 0x1000_252F):  # ecall, ld, sd, j, lr.w
        assert (binary(instruction), taken(instruction), atomic(instruction)) == (None, None, None)


def is_reserved(c: int) -> bool:
    """Those that would do nothing (unprivileged manual, tables 16.5 and 16.6)."""
    if c & 3 == 0:
        return c >> 13 == 0 and not c >> 5 & 0xFF
    return c & 3 == 1 and ((c >> 13 == 3 and not c & 0x107C) or (c >> 13 == 1 and not c >> 7 & 31))


def test_each_compressed_instruction_does_what_the_one_does_that_it_stands_for(machine) -> None:
    machine.hart.csr["mstatus"] = machine.hart.csr["mstatus"] | 3 << 13
    seen = set()
    for c in range(1, 1 << 16, 7):
        full = expanded(c)
        opcode = full & bits.OPCODE
        if c & 3 == 3 or is_reserved(c) or not full or opcode in (bits.JAL, bits.BRANCH, bits.JALR, bits.SYSTEM):
            continue
        seen.add(opcode)
        assert registers_written(full) == registers_written(c)
        assert memory_operand(full) == memory_operand(c)
        assert stored_register(full) == stored_register(c)
        if opcode in (bits.LOAD, bits.STORE, bits.LOAD_FP, bits.STORE_FP):
            continue
        ends = []
        for code, size in (c, 2), (full, 4):
            machine.memory.write_int(CODE, size, code)
            for register in range(1, 32):
                machine.hart.x[register] = 0x9E37_79B9_7F4A_7C15 * register & ALL
            machine.hart.pc = CODE
            machine.step()
            ends.append(list(machine.hart.x))
            assert machine.hart.pc == CODE + size
        assert ends[0] == ends[1]
    assert len(seen) >= 8


@pytest.mark.parametrize(
    ("compressed", "opcode", "fields"),
    [(0xC119, bits.BRANCH, 10 << 15), (0xE119, bits.BRANCH, 1 << 12 | 10 << 15), (0x8502, bits.JALR, 10 << 15),
     (0x9502, bits.JALR, 1 << 7 | 10 << 15), (0xA001, bits.JAL, 0), (0x9002, bits.EBREAK, 0), (0, 0, 0)],
)  # fmt: skip
def test_jumps_keep_their_registers(compressed, opcode, fields) -> None:
    assert expanded(compressed) == opcode | fields
