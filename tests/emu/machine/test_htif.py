"""Guests for Spike: exit and console by `tohost` and `fromhost`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig, Outcome, StopReason
from linker.commands import as_, ld
from tests.guests import HTIF_WORDS

SEND = """
send:                           # a0 to the host, which must have taken what came before
    la t0, {name}
1:  ld t1, (t0)
    bnez t1, 1b
    sd a0, (t0)
    ret
"""
Boot = Callable[..., Machine]


@pytest.fixture(params=["exact", "fast"])
def spike(request: pytest.FixtureRequest, tmp_path: Path) -> Boot:
    """`spike(source)`: a machine with an M-mode guest that has the two words."""

    def boot(source: str, words: str = HTIF_WORDS, name: str = "tohost", *, merged: bool = False) -> Machine:
        text, obj, elf = (tmp_path / f"guest{suffix}" for suffix in (".s", ".o", ".elf"))
        text.write_text(f".globl _start\n_start:\n{source}\n{SEND.format(name=name)}\n{words}")
        assert as_.main(["-o", str(obj), str(text)]) == 0
        assert ld.main(["-Ttext=0x80000000", "--section-start=.tohost=0x80001000", "-o", str(elf), str(obj)]) == 0
        if merged:
            assert elf.read_bytes().count(b"\0tohost\0") == 1
            elf.write_bytes(elf.read_bytes().replace(b"\0tohost\0", b"_tohost\0"))
        machine = Machine(MachineConfig(firmware="none", fidelity=request.param, ram_size=16 << 20))
        machine.load(elf)
        return machine

    return boot


@pytest.mark.parametrize(("word", "code"), [(1, 0), (7, 3), (2 * 300 + 1, 300)])
def test_an_odd_word_ends_the_machine_with_its_upper_bits(spike: Boot, word: int, code: int) -> None:
    outcome = spike(f"li a0, {word}\n call send\n j .").run(max_instructions=100_000)
    assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, code)


def test_a_guest_that_sleeps_after_its_word_is_heard(spike: Boot) -> None:
    outcome = spike("li a0, 5\n call send\n 1: wfi\n j 1b").run(max_instructions=100_000)
    assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, 2)


def test_the_name_of_the_word_may_be_the_end_of_another_name_in_the_file(spike: Boot) -> None:
    """As in riscv-tests, whose `write_tohost` GNU's linker lets end with it."""
    outcome = spike("li a0, 7\n call send\n j .", merged=True).run(max_instructions=100_000)
    assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, 3)


PRINT = """
    la s0, 3f
2:  lbu a0, (s0)
    beqz a0, 4f
    li t0, 0x0101000000000000
    or a0, a0, t0
    call send
    addi s0, s0, 1
    j 2b
3:  .asciz "by letters\\n"
    .balign 4
4:  li a0, 1
    call send
    j .
"""


def test_the_console_takes_letters(spike: Boot) -> None:
    machine = spike(PRINT)
    assert machine.run(max_instructions=1_000_000).reason is StopReason.POWERED_OFF
    assert machine.console == b"by letters\n"


def test_a_key_is_answered_when_it_is_typed(spike: Boot) -> None:
    machine = spike("""
        li a0, 0x0100000000000000
        call send
        la t0, fromhost
    2:  ld s0, (t0)
        beqz s0, 2b
        sd zero, (t0)
        andi a0, s0, 0xff
        slli a0, a0, 1
        ori a0, a0, 1
        call send
        j .
    """)
    assert machine.run(max_instructions=100_000).reason is StopReason.INSTRUCTION_LIMIT
    machine.type_text(b"k")
    assert machine.run(max_instructions=5_000_000).exit_code == ord("k")


SYSTEM_CALL = """
    la a0, 3f
    call send
    la t0, fromhost
2:  ld s0, (t0)
    beqz s0, 2b
    la t0, 3f
    ld a0, (t0)
    andi a0, a0, 0x7f
    slli a0, a0, 1
    ori a0, a0, 1
    call send
    j .
    .balign 64
3:  .dword {number}, 1, 4f, 5, 0, 0, 0, 0
4:  .ascii "whole"
    .balign 4
"""


def test_a_system_call_writes_and_says_how_much(spike: Boot) -> None:
    machine = spike(SYSTEM_CALL.format(number=64))
    assert machine.run(max_instructions=1_000_000).exit_code == 5
    assert machine.console == b"whole"


def test_other_system_calls_do_not_exist(spike: Boot) -> None:
    outcome = spike(SYSTEM_CALL.format(number=56)).run(max_instructions=1_000_000)
    assert outcome.exit_code == -38 & 0x7F


def test_two_runs_are_identical_and_a_snapshot_returns_to_the_same_life(spike: Boot) -> None:
    def life(machine: Machine) -> tuple[Outcome, bytes]:
        return machine.run(max_instructions=1_000_000), machine.console

    first = life(spike(PRINT))
    machine = spike(PRINT)
    machine.run(max_instructions=12_345)
    snapshot = machine.snapshot()
    assert life(machine)[1] == first[1]
    ended = machine.instret
    machine.restore(snapshot)
    assert life(machine)[1] == first[1]
    assert machine.instret == ended == first[0].instructions


def test_a_guest_without_the_words_is_left_alone(spike: Boot) -> None:
    machine = spike("li a0, 1\n call send\n j .", HTIF_WORDS.replace("tohost", "other"), "other")
    assert machine.run(max_instructions=50_000).reason is StopReason.INSTRUCTION_LIMIT
