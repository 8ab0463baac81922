"""Processes: programs run, misbehave, fork and end, and nothing of them is left."""

import struct
from itertools import pairwise

import pytest

from emu.events import AddressSpaceSwitched, TrapTaken
from emu.machine import Machine
from tests.kernel.running import ERROR, run, text_at

TIMER = 5


def test_a_program_prints_and_ends(machine: Machine) -> None:
    assert run(machine, "hello") == (0, "hello: I am process 1\n")


def test_programs_can_run_one_after_the_other(machine: Machine) -> None:
    for _ in range(5):
        assert run(machine, "hello") == (0, "hello: I am process 1\n")


def test_an_unknown_program_is_an_error(machine: Machine) -> None:
    assert run(machine, "nonsense") == (ERROR, "")


def test_a_program_that_misbehaves_is_killed_with_one_line_and_the_others_go_on(machine: Machine) -> None:
    code, text = run(machine, "faults")
    lines = text.splitlines()
    assert code == 0
    killed = [line.partition(" killed: ")[2] for line in lines[:-1]]
    assert [(line.split(" at ")[0], line.rpartition(": ")[2]) for line in killed if "stval" not in line] == [
        ("load page fault", "nothing is mapped there"),
        ("store page fault", "the page may not be written"),
        ("instruction page fault", "the page may not be executed"),
        ("store page fault", "nothing is mapped there"),
        ("store page fault", "that is a guard page"),
    ]
    assert any(line.startswith("illegal instruction at ") for line in killed)
    assert lines[-1] == "faults: bad pointers in system calls are errors: -1 -1"


def test_the_shell_runs_programs_by_name(machine: Machine) -> None:
    code, text = run(machine, "shell", "hello\rnope\r\rhellx\x7fo\rfaults\rexit\r")
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == "$ hello"
    assert lines[1] == "hello: I am process 2"
    assert "shell: nope: no such program" in lines
    assert "$ hellx\b \bo" in lines
    assert lines[-1] == "$ exit"
    assert text.count("hello: I am process 2\n") == 2


def test_the_timer_ends_the_slice_of_a_program(machine: Machine) -> None:
    timers: list[TrapTaken] = []

    def note(trap: TrapTaken) -> None:
        if trap.interrupt and trap.cause == TIMER:
            timers.append(trap)

    with machine.on(TrapTaken, note):
        code, text = run(machine, "slices")
    assert code == 0
    assert text == "slices: both children ended, though none of them yielded\n"
    assert len(timers) >= 4
    gaps = [later.instret - earlier.instret for earlier, later in pairwise(timers)]
    assert min(gaps) >= 1_000_000  # 10 ms of 10 MHz, ten instructions a tick


def test_processes_get_their_turns_one_after_the_other(machine: Machine) -> None:
    turns: list[int] = []

    def note(switch: AddressSpaceSwitched) -> None:
        asid = switch.new >> 44 & 0xFFFF
        if asid and turns[-1:] != [asid]:
            turns.append(asid)

    with machine.on(AddressSpaceSwitched, note):
        assert run(machine, "slices")[0] == 0
    assert turns == [1, *[2, 3] * 3, 1], "the parent waits in the kernel while its children count in turns"


def damaged_program(machine: Machine, offset: int, data: bytes) -> tuple[int, str]:
    """What becomes of `hello` when bytes of its image are other ones."""
    entry = machine.call("program_find", text_at(machine, "hello"))
    machine.memory.write(machine.memory.read_int(entry + 8, 8) + offset, data)
    return run(machine, "hello")


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (0, b"\x7fELG"),
        (4, b"\x01"),
        (5, b"\x02"),
        (16, b"\x03\0"),
        (18, b"\x3e\0"),
        (54, b"\x20\0"),
        (56, b"\xff\xff"),
        (24, bytes(8)),
        (32, struct.pack("<Q", ERROR)),
        (32, struct.pack("<Q", 1 << 40)),
        (64 + 8, struct.pack("<Q", 1 << 30)),
        (64 + 16, struct.pack("<Q", 0x8000_0000_0000)),
        (64 + 16, struct.pack("<Q", ERROR - 4095)),
        (64 + 32, struct.pack("<Q", 1 << 30)),
        (64 + 40, struct.pack("<Q", ERROR)),
        (64 + 40, struct.pack("<Q", 1)),
    ],
)
def test_a_damaged_program_is_refused_and_nothing_leaks(machine: Machine, offset: int, data: bytes) -> None:
    assert damaged_program(machine, offset, data)[0] == ERROR


@pytest.mark.parametrize("entry", [0x10001, 0x8020_0000, 0xFFFF_FFFF_FFFF_F000, 1 << 50])
def test_a_program_that_starts_nowhere_is_killed(machine: Machine, entry: int) -> None:
    code, text = damaged_program(machine, 24, struct.pack("<Q", entry))
    assert code == ERROR - 1 or entry == 0x10001
    assert text.count("\n") == 1
