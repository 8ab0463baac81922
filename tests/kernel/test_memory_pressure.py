"""Memory that is just too small for a program: it ends in order, nothing of others' memory changes, nothing leaks."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from emu.machine import Machine, Snapshot, StopReason
from kernel.build import BuiltKernel

pytestmark = pytest.mark.slow

ERROR = (1 << 64) - 1
LIMIT = 100_000_000
RAM = 8 << 20
PAGE = 4096
TYPED = {"shell": "hello\rmemory\rfaults\rexit\r"}
NOT_ENOUGH = ("no available frame to allocate", "no memory", "ended with exit code", "no such program")


@dataclass(frozen=True)
class Full:
    """The kernel of `full` before its first process, all its frames taken."""

    machine: Machine
    snapshot: Snapshot
    taken: dict[int, bytes]
    """Each frame, and the pattern that it is filled with."""


@pytest.fixture(scope="module")
def full(kernel_of: Callable[..., BuiltKernel], machine_with: Callable[..., Machine]) -> Full:
    machine = machine_with(kernel_of("full").elf, RAM)
    assert machine.run(LIMIT, until="process_selftest").reason is StopReason.REACHED
    taken = {}
    while frame := machine.call("frame_alloc"):
        taken[frame] = (frame * 0x9E37_79B9_7F4A_7C15 & ERROR | 1).to_bytes(8, "little") * (PAGE // 8)
        machine.memory.write(frame << 12, taken[frame])
    return Full(machine, machine.snapshot(), taken)


def release(machine: Machine, taken: dict[int, bytes], count: int) -> None:
    for _ in range(count):
        machine.call("frame_dealloc", taken.popitem()[0])


def use(machine: Machine) -> tuple[int, int]:
    return machine.call("frame_in_use"), machine.call("heap_requested")


@pytest.mark.parametrize("program", ["hello", "faults", "memory", "slices", "large", "shell"])
def test_a_program_for_which_memory_is_short_ends_in_order_and_harms_nobody(full: Full, program: str) -> None:
    machine, codes = full.machine, []
    for free in (*range(32), 40, 80, 600):
        machine.restore(full.snapshot)
        taken = dict(full.taken)
        name = machine.call("heap_alloc", 8, 8)
        machine.memory.write(name, program.encode() + b"\0")
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
