"""Traps in S mode: registers survive, stacks that overflow are reported, panics tell how the kernel got there."""

import random

import pytest

from emu.errors import GuestPanic
from emu.events import PageFault, TrapReturned, TrapTaken
from emu.machine import Machine, StopReason

LAZY = 0x10_0000_0000
SHUTDOWN_FAILURE = 1


def last_words(machine: Machine, before: int) -> list[str]:
    return machine.console[before:].decode().splitlines()


def reserve(machine: Machine, pages: int) -> None:
    """A lazy area in the kernel's space."""
    space = machine.memory.read_int(machine.address_of("kernel_space"), 8)
    assert machine.call("area_add", space, LAZY >> 12, (LAZY >> 12) + pages, 0x6, 2)


@pytest.mark.parametrize("seed", range(5))
def test_every_register_survives_a_trap(paging: Machine, seed: int) -> None:
    reserve(paging, 4)
    values = random.Random(seed)
    x = paging.hart.x
    sp = x[2]
    expected = {number: values.getrandbits(64) for number in range(1, 32)}
    expected[2] = sp
    expected[10] = LAZY + 8 * values.randrange(512)
    for number, value in expected.items():
        x[number] = value
    load = paging.address_of("probe_load")
    while paging.memory.read_int(load, 4) != 0x0005_3383:  # ld t2, 0(a0)
        load += 2
    paging.hart.pc = load
    returned: list[dict[int, int]] = []
    traps: list[TrapTaken] = []

    def keep(_event: TrapReturned) -> None:
        returned.append({number: x[number] for number in expected})

    with paging.on(TrapTaken, traps.append), paging.on(TrapReturned, keep):
        paging.run(2_000)
    assert (traps[0].cause, traps[0].pc) == (13, load)
    assert returned[0] == expected


def test_a_lazy_page_faults_once_and_keeps_what_is_stored(paging: Machine) -> None:
    reserve(paging, 2)
    faults: list[PageFault] = []
    with paging.on(PageFault, faults.append):
        assert paging.call("copy_bytes", LAZY + 4092, paging.address_of("stext"), 8) is not None
        assert paging.call("copy_bytes", LAZY + 4092, paging.address_of("stext"), 8) is not None
    assert [int(fault.address) for fault in faults] == [LAZY + 4092, LAZY + 4096]
    assert paging.read_virtual(LAZY + 4092, 8) == paging.read_virtual(paging.address_of("stext"), 8)


def test_a_stack_that_overflows_is_reported_from_another_stack(paging: Machine) -> None:
    before = len(paging.console)
    paging.hart.x[2] = paging.address_of("boot_stack") + 64
    with pytest.raises(GuestPanic):
        paging.call("printf", paging.address_of("stext"), 0)
    lines = last_words(paging, before)
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
    paging: Machine, function: str, arguments: tuple[int, ...], message: str
) -> None:
    before = len(paging.console)
    with pytest.raises(GuestPanic):
        paging.call(function, *arguments)
    first = last_words(paging, before)[0]
    assert message in first
    assert first.endswith(": nothing is mapped there")


def test_a_panic_prints_the_chain_of_callers_and_fails(paging: Machine) -> None:
    machine = paging
    before = len(machine.console)
    root = machine.call("page_table_new")
    machine.hart.x[1], machine.hart.x[8] = machine.address_of("stext"), 0
    machine.hart.x[10], machine.hart.x[11] = root, 0x80200
    machine.hart.pc = machine.address_of("unmap_page")
    outcome = machine.run(200_000)
    assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, SHUTDOWN_FAILURE)
    lines = last_words(machine, before)
    assert lines[0].endswith(" : vpn VPN:0x80200 is invalid before unmapping")
    addresses = [int(line, 16) for line in lines[2:]]
    innermost = machine.symbols.at(addresses[0] - 1)  # the call is its last instruction
    assert innermost is not None
    assert innermost[0].name == "unmap_page"
    assert addresses[-1] == machine.address_of("stext")


def test_an_unexpected_exception_panics_by_name(paging: Machine) -> None:
    before = len(paging.console)
    frame_pa = paging.call("frame_alloc") << 12
    space = paging.memory.read_int(paging.address_of("kernel_space"), 8)
    assert paging.call("area_add", space, LAZY >> 12, (LAZY >> 12) + 1, 0xA, 0, frame_pa >> 12)  # linear, r-x
    paging.memory.write(frame_pa, bytes(64))
    with pytest.raises(GuestPanic):
        paging.call(LAZY + 32)
    assert "illegal instruction in the kernel at 0x1000000020" in last_words(paging, before)[0]
