"""Linux's own allocators, followed over a whole boot: all fits together, and agrees with the kernel's counters."""

import re
from collections import Counter
from functools import cache

import pytest

from emu.engine import native
from emu.engine.translated.features.callrecords import CallRecords
from emu.engine.translated.features.callrecords.layout import RECORD_SIZE
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Drive, Machine, MachineConfig
from emu.observe.allocations.catalogue import shipped
from emu.observe.allocations.collected import kept_kinds
from emu.observe.allocations.freelists import FreeMemory
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.allocations.reach import unreachable
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import Bug, MemoryBug, Use
from emu.observe.sanitizer.uninit.sanitizer import UninitSanitizer
from tests.linux.build import Linux
from tests.linux.conftest import SERIAL

pytestmark = pytest.mark.slow

_PAGES_ASIDE = 1024
"""Free pages that the kernel keeps aside for its CPU, and does not count as free."""


_GFP_KERNEL, _GFP_ZERO = 0xCC0, 0x100
"""What an allocation may do, and that it is to be zeros (include/linux/gfp_types.h)."""
_BUGS: list[MemoryBug] = []
"""What the sanitizer has found."""


@cache
def booted(linux: Linux) -> tuple[Machine, AllocationLedger, Counter[str]]:
    """A boot to power-off with everything followed and sanitized, and how often each slab cache was asked."""
    drive = Drive(path=linux.disk, snapshot=True)
    machine = Machine(MachineConfig(fidelity="fast", bootargs=SERIAL, drives=(drive,)))
    machine.load(linux.kernel, initrd=linux.initrd)
    machine.add_symbols(linux.vmlinux)
    frames, heap = FrameObserver(machine), HeapObserver(machine)
    assert {one.name for one in frames.allocators} == {"linux-buddy"}
    assert {one.name for one in heap.allocators} == {"linux-slab", "linux-vmalloc", "linux-percpu"}
    ledger, kinds = AllocationLedger(machine), Counter[str]()
    machine.on(HeapAllocated, lambda event: kinds.update([event.kind]))
    AddressSanitizer(machine)
    machine.on(MemoryBug, _BUGS.append)
    machine.run()
    return machine, ledger, kinds


def test_what_is_collected_in_a_boot_is_what_a_listener_is_told_with_the_same_callers(built: Linux) -> None:
    told: list[list[Event]] = [[], []]
    for collects, events in enumerate(told):
        drive = Drive(path=built.disk, snapshot=True)
        machine = Machine(MachineConfig(fidelity="fast", bootargs=SERIAL, drives=(drive,)))
        machine.load(built.kernel, initrd=built.initrd)
        machine.add_symbols(built.vmlinux)
        FrameObserver(machine)
        HeapObserver(machine)
        for observer, kinds in (
            (FrameObserver, (FrameAllocated, FrameFreed)),
            (HeapObserver, (HeapAllocated, HeapFreed)),
        ):
            if collects:
                observer.collect(machine, events.append, at_once=False)
            else:
                for kind in kinds:
                    machine.on(kind, events.append)
        machine.run(20_000_000)
    assert told[0] == told[1]
    assert len(told[0]) > 4000


def counter(machine: Machine, name: str) -> int:
    return int.from_bytes(machine.read_virtual(machine.address_of(name), 8), "little")


def test_no_call_of_linux_is_accused(built: Linux) -> None:
    _, ledger, _ = booted(built)
    assert ledger.frames.mistakes == ledger.blocks.mistakes == []
    assert ledger.frames.allocated > 1000
    assert ledger.blocks.allocated > 5000
    assert ledger.frames.freed > 500
    assert ledger.blocks.freed > 2000


def test_the_sanitizer_accuses_linux_of_nothing_and_a_reader_of_freed_memory_of_that(built: Linux) -> None:
    machine, ledger, _ = booted(built)
    assert _BUGS == []
    freed = [address for address, event in ledger.blocks.frees.items() if event.size == 64][-1]
    held = next(address for address, event in ledger.blocks.held.items() if event.size == 64)
    machine.call("strnlen", held, 8)
    assert _BUGS == []
    machine.call("strnlen", freed, 8)
    assert [(bug.bug, int(bug.address)) for bug in _BUGS] == [(Bug.USE_AFTER_FREE, freed)]
    _BUGS.clear()


@pytest.mark.skipif(not native.can_replace_functions(), reason="this host has no native probes")
def test_what_native_code_has_done_for_the_sanitizer_waits_through_a_boot_until_somebody_asks(
    built: Linux, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, tell = list[int](), CallRecords.tell
    monkeypatch.setattr(CallRecords, "tell", lambda self, data: told.append(len(data)) or tell(self, data))
    drive = Drive(path=built.disk, snapshot=True)
    machine = Machine(MachineConfig(fidelity="fast", bootargs=SERIAL, drives=(drive,)))
    machine.load(built.kernel, initrd=built.initrd)
    machine.add_symbols(built.vmlinux)
    sanitizer = AddressSanitizer(machine)
    machine.run()
    assert told == []
    assert len(sanitizer.contents.frames) > 500
    assert sum(told) > 20_000 * RECORD_SIZE


@pytest.mark.parametrize("fidelity", ["fast", pytest.param("exact", marks=pytest.mark.slow)])
def test_linux_uses_nothing_that_was_never_written_and_a_reader_of_it_is_named(built: Linux, fidelity: str) -> None:
    drive, found = Drive(path=built.disk, snapshot=True), list[MemoryBug]()
    machine = Machine(MachineConfig(fidelity=fidelity, bootargs=SERIAL, drives=(drive,)))
    machine.load(built.kernel, initrd=built.initrd)
    machine.add_symbols(built.vmlinux)
    uninit = UninitSanitizer(machine, AddressSanitizer(machine))
    machine.on(MemoryBug, found.append)
    machine.run()
    assert found == []
    assert uninit.loads > 10
    assert uninit.following.given_up == 0
    assert {"inode_cache", "sighand_cache", "anon_vma"} <= kept_kinds(machine)
    assert not {"dentry", "filp", "task_struct"} & kept_kinds(machine)
    zeroed, plain = (machine.call("__kmalloc", 64, flags) for flags in (_GFP_KERNEL | _GFP_ZERO, _GFP_KERNEL))
    copy = machine.call("__kmalloc", 64, _GFP_KERNEL)
    machine.call("strnlen", zeroed, 8)
    machine.call("memcpy", copy, plain, 64)
    assert found == []
    machine.call("strnlen", copy, 8)
    assert [(bug.bug, bug.use, int(bug.address)) for bug in found] == [(Bug.UNINIT, Use.BRANCH, plain)]
    stored, place = machine.symbols.at(found[0].stored[0]), machine.symbols.at(found[0].pc)
    assert stored is not None
    assert place is not None
    assert (stored[0].name, place[0].name) == ("__memcpy", "strnlen")


def test_the_memory_that_the_buddy_allocator_got_is_what_linux_says(built: Linux) -> None:
    machine, ledger, _ = booted(built)
    assert ledger.frames.given == counter(machine, "_totalram_pages")
    available = re.search(rb"Memory: (\d+)K/(\d+)K available", machine.console)
    assert available
    # The line comes before the memory of the kernel's initialisation and of the initial RAM disk is given.
    assert int(available[1]) <= ledger.frames.given * 4 <= int(available[2])


def test_free_pages_are_those_that_linux_counts(built: Linux) -> None:
    machine, ledger, _ = booted(built)
    free = ledger.frames.given - len(ledger.frames.held)
    assert 0 <= free - counter(machine, "vm_zone_stat") < _PAGES_ASIDE
    lists = FreeMemory(machine, [one for one in shipped() if one.name == "linux-buddy"], blocks=False)
    assert sum(block.size >> 12 for block in lists) == counter(machine, "vm_zone_stat")
    assert not {block.address >> 12 for block in lists} & set(ledger.frames.held)


def test_slab_caches_are_told_by_their_names(built: Linux) -> None:
    _, ledger, kinds = booted(built)
    assert {"dentry", "kernfs_node_cache", "task_struct", "vm_area_struct", "filp"} <= set(kinds)
    sizes = {event.size for event in ledger.blocks.held.values() if event.kind == "dentry"}
    assert len(sizes) == 1


def test_nothing_is_unreachable_but_what_linux_tells_kmemleak_not_to_name(built: Linux) -> None:
    machine, ledger, _ = booted(built)
    found = unreachable(machine, ledger, [one for one in shipped() if one.name == "linux-buddy"])
    assert found.frames == ()
    # Tables that are registered for good are dropped by their callers: `register_sysctl_init` marks them for kmemleak.
    places = [machine.symbols.at(event.pc) for event in found.blocks]
    assert {place[0].name for place in places if place is not None} <= {
        "__register_sysctl_table",
        "__register_sysctl_paths",
    }
    assert len(found.blocks) < 8


def test_each_page_has_a_chain_of_callers_up_to_the_trap_or_the_threads_beginning(built: Linux) -> None:
    machine, ledger, _ = booted(built)
    ends = Counter(
        found[0].name
        for event in ledger.frames.held.values()
        if event.callers and len(event.callers) < 16 and (found := machine.symbols.at(event.callers[-1])) is not None
    )
    assert {"start_kernel", "handle_exception"} & set(ends)
    assert sum(len(event.callers) >= 2 for event in ledger.frames.held.values()) > 0.95 * len(ledger.frames.held)
