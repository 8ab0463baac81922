"""The kernel's own space under every profile: where it lies, what it leaves out, and what its tests would notice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emu.errors import GuestPanic
from emu.isa.privilege import Access, Privilege
from emu.machine import Machine, MachineConfig, StopReason
from emu.machine.config import Drive
from emu.mmu import AdUpdate
from emu.walks import Refusal
from kernel.build import PROFILES, BuiltKernel

Build = Callable[..., BuiltKernel]
Boot = Callable[..., Machine]
LIMIT = 100_000_000
STACK_SLOT = 1 << 14


def after_boot(kernel: BuiltKernel, machine: Machine) -> Machine:
    machine.type_text(kernel.profile.typed.encode())
    assert machine.run(LIMIT, until="shutdown").reason is StopReason.REACHED, machine.console.decode()
    return machine


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_kernel_runs_where_it_is_linked_and_nowhere_else(kernel_of: Build, boot: Boot, name: str) -> None:
    kernel = kernel_of(name)
    machine = after_boot(kernel, boot(kernel.elf, memory=kernel.profile.ram_size))
    text, offset = machine.address_of("stext"), kernel.profile.virtual_offset
    assert int(machine.hart.pc) == machine.address_of("shutdown")
    assert machine.walk(text, Access.FETCH).physical == 0x8020_0000
    assert machine.walk(text, Access.LOAD, Privilege.U).refusal is Refusal.SUPERVISOR_PAGE
    assert machine.walk(0x8000_0000 + offset & (1 << 64) - 1, Access.LOAD).refusal is Refusal.INVALID  # the firmware
    assert machine.walk(machine.address_of("boot_stack_guard"), Access.STORE).refusal is Refusal.INVALID
    if offset:  # the low half, from which it came, is gone
        assert machine.walk(0x8020_0000, Access.FETCH).refusal is Refusal.INVALID


def test_four_gigabytes_are_mapped_by_leaves_of_every_size(kernel_of: Build, boot: Boot) -> None:
    kernel = kernel_of("frame-tracker")
    machine = after_boot(kernel, boot(kernel.elf, memory=kernel.profile.ram_size))
    end = 0x8000_0000 + kernel.profile.ram_size
    places = {0: machine.address_of("ekernel"), 1: 0xBFE0_0000, 2: 0xC000_0000}
    for level, address in places.items():
        leaf = machine.walk(address, Access.STORE).leaf
        assert leaf is not None
        assert leaf.level == level
    assert machine.walk(end - 8, Access.STORE).physical == end - 8
    assert machine.walk(end, Access.LOAD).refusal is Refusal.INVALID


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_hart_that_leaves_accessed_and_dirty_to_software_makes_no_difference(kernel_of: Build, name: str) -> None:
    kernel = kernel_of(name)
    machine = Machine(MachineConfig(ram_size=kernel.profile.ram_size, ad_update=AdUpdate.FAULT))
    machine.load(kernel.elf)
    after_boot(kernel, machine)
    assert machine.console.decode() == kernel.expected_console()


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["clock", "lru"])
def test_policies_see_accesses_on_such_a_hart_too(kernel_of: Build, tmp_path: Path, policy: str) -> None:
    (tmp_path / "swap.img").write_bytes(bytes(4 << 20))
    fetched = {}
    for update in AdUpdate:
        drives = (Drive(path=tmp_path / "swap.img", snapshot=True),)
        machine = Machine(MachineConfig(ram_size=5 << 20, drives=drives, ad_update=update))
        machine.load(kernel_of("shell", replacement=policy, store="disk").elf)
        machine.type_text(b"large\rexit\r")
        assert machine.run(LIMIT).exit_code == 0
        assert b"large: 512 pages, written and read twice\n" in machine.console
        fetched[update] = machine.memory.read_int(machine.address_of("pages_fetched"), 8)
    assert fetched[AdUpdate.FAULT] == fetched[AdUpdate.HARDWARE] > 500


@pytest.mark.parametrize(("section", "flag"), [("stext", 4), ("srodata", 4), ("sdata", 8)])
def test_the_remap_test_panics_when_a_section_allows_too_much(
    kernel_of: Build, boot: Boot, section: str, flag: int
) -> None:
    machine = boot(kernel_of("rcore-v3").elf, until="remap_test", memory="8M")
    middle = (machine.address_of(section) + machine.address_of(section.replace("s", "e", 1))) // 2
    leaf = machine.walk(middle, Access.LOAD).leaf
    assert leaf is not None
    machine.memory.write(int(leaf.pte_address), (leaf.pte | flag).to_bytes(8, "little"))
    assert machine.run(LIMIT).exit_code == 1
    assert b"remap_test: the mapping allows too much" in machine.console


def test_every_process_has_a_kernel_stack_with_nothing_mapped_below_it(kernel_of: Build, boot: Boot) -> None:
    machine = boot(kernel_of("rcore-v3").elf, until="sys_waitpid", memory="8M")  # there are two processes
    for slot in range(2):
        top = 0xFFFF_FFFF_FFFF_C000 - slot * STACK_SLOT
        assert machine.walk(top - 8, Access.STORE).refusal is None
        assert machine.walk(top - STACK_SLOT // 2, Access.STORE).refusal is None
        for below in range(top - STACK_SLOT, top - STACK_SLOT // 2, 4096):
            assert machine.walk(below, Access.STORE).refusal is Refusal.INVALID


def test_a_kernel_stack_of_a_process_that_overflows_is_reported(kernel_of: Build, boot: Boot) -> None:
    machine = boot(kernel_of("rcore-v3").elf, until="sys_write", memory="8M")
    shown = len(machine.console)
    machine.hart.x[2] = 0xFFFF_FFFF_FFFF_C000 - STACK_SLOT // 2 + 64
    with pytest.raises(GuestPanic):
        machine.call("printf", machine.address_of("stext"), 0)
    assert b" : kernel stack overflow: sp=0xffffffffffff" in machine.console[shown:]
