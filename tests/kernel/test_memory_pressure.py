"""Memory that is just too small for a program: it ends in order, nothing of others' memory changes, nothing leaks."""

from collections.abc import Callable

import pytest

from emu.machine import Machine
from kernel.build import BuiltKernel
from tests.kernel.running import ERROR, text_at, use

pytestmark = pytest.mark.slow

LIMIT = 100_000_000
RAM = 8 << 20
PAGE = 4096
TYPED = {"shell": "hello\rmemory\rfaults\rexit\r"}
NOT_ENOUGH = ("no available frame to allocate", "no memory", "ended with exit code", "no such program")


@pytest.fixture
def machine(boot: Callable[..., Machine], kernel_of: Callable[..., BuiltKernel]) -> Machine:
    """The kernel of `full` in little memory, before its first process."""
    return boot(kernel_of("full").elf, until="process_selftest", memory=RAM)


@pytest.fixture
def taken(machine: Machine) -> dict[int, bytes]:
    """Each frame of the machine, all of them taken, and the pattern that it is filled with."""
    taken = {}
    while frame := machine.call("frame_alloc"):
        taken[frame] = (frame * 0x9E37_79B9_7F4A_7C15 & ERROR | 1).to_bytes(8, "little") * (PAGE // 8)
        machine.memory.write(frame << 12, taken[frame])
    return taken


def release(machine: Machine, taken: dict[int, bytes], count: int) -> None:
    for _ in range(count):
        machine.call("frame_dealloc", taken.popitem()[0])


@pytest.mark.parametrize("program", ["hello", "faults", "memory", "slices", "large", "shell"])
def test_a_program_for_which_memory_is_short_ends_in_order_and_harms_nobody(
    machine: Machine, taken: dict[int, bytes], program: str
) -> None:
    full, frames, codes = machine.snapshot(), taken, []
    for free in (*range(32), 40, 80, 600):
        machine.restore(full)
        taken = dict(frames)
        name = text_at(machine, program)
        release(machine, taken, free)
        before, start = use(machine), len(machine.console)
        machine.type_text(TYPED.get(program, "").encode())
        codes.append(machine.call("process_run", name, max_instructions=LIMIT))
        text = machine.console[start:].decode()
        assert use(machine) == before, (free, text)
        if codes[-1] == ERROR:
            assert text == ""
        elif codes[-1]:
            assert any(words in text for words in NOT_ENOUGH), (free, text)
        assert all(machine.memory.read(frame << 12, PAGE) == pattern for frame, pattern in taken.items()), free
        release(machine, taken, max(40 - free, 0))
        machine.memory.write(name, b"hello\0")
        assert machine.call("process_run", name, max_instructions=LIMIT) == 0
        assert machine.console.endswith(b"hello: I am process 1\n")
    assert codes[0] == ERROR
    enough = codes.index(0)
    assert not any(codes[enough:]), "with more memory it fails again"
