"""Traps in S mode: registers survive, stacks that overflow are reported, panics tell how the kernel got there."""

import random

import pytest

from emu.errors import GuestPanic
from emu.events import TrapReturned, TrapTaken
from emu.machine import Machine, StopReason
from emu.testing.accounts import Faults
from emu.testing.console import Console
from tests.kernel.running import doubleword

LAZY = 0x10_0000_0000
SHUTDOWN_FAILURE = 1


def reserve(machine: Machine, pages: int) -> None:
    """A lazy area in the kernel's space."""
    space = doubleword(machine, "kernel_space")
    assert machine.call("area_add", space, LAZY >> 12, (LAZY >> 12) + pages, 0x6, 2)


@pytest.mark.parametrize("seed", range(5))
def test_every_register_survives_a_trap(machine: Machine, seed: int) -> None:
    reserve(machine, 4)
    values = random.Random(seed)
    x = machine.hart.x
    sp = x[2]
    expected = {number: values.getrandbits(64) for number in range(1, 32)}
    expected[2] = sp
    expected[10] = LAZY + 8 * values.randrange(512)
    for number, value in expected.items():
        x[number] = value
    load = machine.address_of("probe_load")
    while machine.memory.read_int(load, 4) != 0x0005_3383:  # ld t2, 0(a0)
        load += 2
    machine.hart.pc = load
    returned: list[dict[int, int]] = []
    traps: list[TrapTaken] = []

    def keep(_event: TrapReturned) -> None:
        returned.append({number: x[number] for number in expected})

    with machine.on(TrapTaken, traps.append), machine.on(TrapReturned, keep):
        machine.run(2_000)
    assert (traps[0].cause, traps[0].pc) == (13, load)
    assert returned[0] == expected


def test_a_lazy_page_faults_once_and_keeps_what_is_stored(machine: Machine, faults: Faults) -> None:
    reserve(machine, 2)
    for _ in range(2):
        machine.call("copy_bytes", LAZY + 4092, machine.address_of("stext"), 8)
    assert [int(fault.address) for fault in faults.all] == [LAZY + 4092, LAZY + 4096]
    assert machine.read_virtual(LAZY + 4092, 8) == machine.read_virtual(machine.address_of("stext"), 8)


def test_a_stack_that_overflows_is_reported_from_another_stack(machine: Machine, console: Console) -> None:
    machine.hart.x[2] = machine.address_of("boot_stack") + 64
    with pytest.raises(GuestPanic):
        machine.call("printf", machine.address_of("stext"), 0)
    lines = console.text.splitlines()
    assert " : kernel stack overflow: sp=" in lines[0]
    assert lines[1] == "backtrace:"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("fill_zero", (0x123456000, 0x123457000), "store page fault: address 0x123456000"),
        ("load_be32", (0x77000,), "load page fault: address 0x77000"),
    ],
)
def test_a_fault_of_the_kernel_says_what_was_touched_and_why(
    machine: Machine, console: Console, function: str, arguments: tuple[int, ...], message: str
) -> None:
    with pytest.raises(GuestPanic):
        machine.call(function, *arguments)
    first = console.text.splitlines()[0]
    assert message in first
    assert first.endswith(": nothing is mapped there")


def test_a_panic_prints_the_chain_of_callers_and_fails(machine: Machine, console: Console) -> None:
    root = machine.call("page_table_new")
    machine.hart.x[1], machine.hart.x[8] = machine.address_of("stext"), 0
    machine.hart.x[10], machine.hart.x[11] = root, 0x80200
    machine.hart.pc = machine.address_of("unmap_page")
    outcome = machine.run(200_000)
    assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, SHUTDOWN_FAILURE)
    lines = console.text.splitlines()
    assert lines[0].endswith(" : vpn VPN:0x80200 is invalid before unmapping")
    addresses = [int(line, 16) for line in lines[2:]]
    innermost = machine.symbols.at(addresses[0] - 1)  # the call is its last instruction
    assert innermost is not None
    assert innermost[0].name == "unmap_page"
    assert addresses[-1] == machine.address_of("stext")


def test_an_unexpected_exception_panics_by_name(machine: Machine, console: Console) -> None:
    frame_pa = machine.call("frame_alloc") << 12
    space = doubleword(machine, "kernel_space")
    assert machine.call("area_add", space, LAZY >> 12, (LAZY >> 12) + 1, 0xA, 0, frame_pa >> 12)  # linear, r-x
    machine.memory.write(frame_pa, bytes(64))
    with pytest.raises(GuestPanic):
        machine.call(LAZY + 32)
    assert "illegal instruction in the kernel at 0x1000000020" in console.text.splitlines()[0]
