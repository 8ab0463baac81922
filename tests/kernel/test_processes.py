"""Processes: programs run, misbehave, fork and end, and nothing of them is left."""

import struct
from itertools import pairwise

import pytest

from emu.events import AddressSpaceSwitched, TrapTaken
from emu.machine import Machine

ERROR = (1 << 64) - 1
TIMER = 5
LIMIT = 50_000_000


def text_at(machine: Machine, text: str) -> int:
    """A string in the guest."""
    address = machine.call("heap_alloc", len(text) + 1, 8)
    machine.memory.write(address, text.encode() + b"\0")
    return address


def run(machine: Machine, name: str, typed: str = "") -> tuple[int, str]:
    """A program's exit code and what it and its children printed; nothing may leak."""
    string = text_at(machine, name)
    use = machine.call("frame_in_use"), machine.call("heap_requested")
    before = len(machine.console)
    machine.type_text(typed.encode())
    code = machine.call("process_run", string, max_instructions=LIMIT)
    assert (machine.call("frame_in_use"), machine.call("heap_requested")) == use
    machine.call("heap_dealloc", string, len(name) + 1, 8)
    return code, machine.console[before:].decode()


@pytest.fixture
def kernel(paging: Machine) -> Machine:
    """A kernel that can run programs."""
    return paging


def test_a_program_prints_and_ends(kernel: Machine) -> None:
    assert run(kernel, "hello") == (0, "hello: I am process 1\n")


def test_programs_can_run_one_after_the_other(kernel: Machine) -> None:
    for _ in range(5):
        assert run(kernel, "hello") == (0, "hello: I am process 1\n")


def test_an_unknown_program_is_an_error(kernel: Machine) -> None:
    assert run(kernel, "nonsense") == (ERROR, "")


def test_a_program_that_misbehaves_is_killed_with_one_line_and_the_others_go_on(kernel: Machine) -> None:
    code, text = run(kernel, "faults")
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


def test_the_shell_runs_programs_by_name(kernel: Machine) -> None:
    code, text = run(kernel, "shell", "hello\rnope\r\rhellx\x7fo\rfaults\rexit\r")
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == "$ hello"
    assert lines[1] == "hello: I am process 2"
    assert "shell: nope: no such program" in lines
    assert "$ hellx\b \bo" in lines
    assert lines[-1] == "$ exit"
    assert text.count("hello: I am process 2\n") == 2


def test_the_timer_ends_the_slice_of_a_program(kernel: Machine) -> None:
    timers: list[TrapTaken] = []

    def note(trap: TrapTaken) -> None:
        if trap.interrupt and trap.cause == TIMER:
            timers.append(trap)

    with kernel.on(TrapTaken, note):
        code, text = run(kernel, "slices")
    assert code == 0
    assert text == "slices: both children ended, though none of them yielded\n"
    assert len(timers) >= 4
    gaps = [later.instret - earlier.instret for earlier, later in pairwise(timers)]
    assert min(gaps) >= 1_000_000  # 10 ms of 10 MHz, ten instructions a tick


def test_processes_get_their_turns_one_after_the_other(kernel: Machine) -> None:
    turns: list[int] = []

    def note(switch: AddressSpaceSwitched) -> None:
        asid = switch.new >> 44 & 0xFFFF
        if asid and turns[-1:] != [asid]:
            turns.append(asid)

    with kernel.on(AddressSpaceSwitched, note):
        assert run(kernel, "slices")[0] == 0
    assert turns == [1, *[2, 3] * 3, 1], "the parent waits in the kernel while its children count in turns"


def damaged_program(machine: Machine, offset: int, data: bytes) -> int:
    """What becomes of `hello` when bytes of its image are other ones."""
    string = text_at(machine, "hello")
    entry = machine.call("program_find", string)
    image = machine.memory.read_int(entry + 8, 8)
    machine.memory.write(image + offset, data)
    use = machine.call("frame_in_use"), machine.call("heap_requested")
    code = machine.call("process_run", string, max_instructions=LIMIT)
    assert (machine.call("frame_in_use"), machine.call("heap_requested")) == use
    return code


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
def test_a_damaged_program_is_refused_and_nothing_leaks(kernel: Machine, offset: int, data: bytes) -> None:
    assert damaged_program(kernel, offset, data) == ERROR


@pytest.mark.parametrize("entry", [0x10001, 0x8020_0000, 0xFFFF_FFFF_FFFF_F000, 1 << 50])
def test_a_program_that_starts_nowhere_is_killed(kernel: Machine, entry: int) -> None:
    before = len(kernel.console)
    code = damaged_program(kernel, 24, struct.pack("<Q", entry))
    text = kernel.console[before:].decode()
    assert code == ERROR - 1 or entry == 0x10001
    assert text.count("\n") == 1
