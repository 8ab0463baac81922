"""Kernels in Rust, with the names and conventions of well-known ones: whose allocations are found unasked.

Each kernel says itself which frames it took and gave back; what ekernel says must be the same.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Machine, MachineConfig
from emu.observe.allocations.accounts import Wrong
from emu.observe.allocations.freelists import FreeMemory
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.allocations.signatures import frame_allocator
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import Bug, MemoryBug
from emu.observe.sanitizer.uninit.sanitizer import UninitSanitizer
from emu.report.memory.blocktypes import BlockTypes
from emu.report.page.story import Story
from emu.report.places import Places
from tests.pages import Followed, goes_through, opened
from tests.rust.build import HERE, kernel

pytestmark = pytest.mark.slow

Build = Callable[[str, str, str], Path]
CASES = [
    (name, heap, optimise)
    for name, heap in (
        ("rcore_v1", "buddy_system_allocator"),
        ("rcore_v2", "linked_list_allocator"),
        ("rcore_v3", "buddy_system_allocator"),
    )
    for optimise in ("0", "2")
]
_TOLD = re.compile(rb"^([+-]) ([0-9a-f]{16})$", re.MULTILINE)


@pytest.fixture(scope="session")
def built(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`built("rcore_v3", "buddy_system_allocator", "2")`: a kernel with a heap, optimised so much."""
    oracle("riscv64-unknown-elf-ld")

    @cache
    def make(name: str, heap: str, optimise: str) -> Path:
        folder = tmp_path_factory.mktemp("rust")
        crates = [HERE / "crates" / f"{crate}.rs" for crate in ("support", heap)]
        return kernel(HERE / "kernels" / f"{name}.rs", crates, folder, optimise=optimise)

    return make


def booted(elf: Path) -> Machine:
    machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
    machine.load(elf)
    return machine


def told(machine: Machine) -> list[tuple[str, int]]:
    """What the kernel printed of its frames."""
    return [(sign.decode(), int(number, 16)) for sign, number in _TOLD.findall(machine.console)]


def seen(events: list[Event]) -> list[tuple[str, int]]:
    return [
        ("+" if isinstance(event, FrameAllocated) else "-", int(event.ppn))
        for event in events
        if isinstance(event, FrameAllocated | FrameFreed)
    ]


def listen(machine: Machine, *kinds: type[Event]) -> list[Event]:
    events: list[Event] = []
    for kind in kinds:
        machine.on(kind, events.append)
    return events


@pytest.mark.parametrize(("name", "heap", "optimise"), CASES)
def test_frames_are_followed_as_the_kernel_itself_tells(built: Build, name: str, heap: str, optimise: str) -> None:
    machine = booted(built(name, heap, optimise))
    observer = FrameObserver(machine)
    HeapObserver(machine)
    ledger = AllocationLedger(machine)
    events = listen(machine, FrameAllocated, FrameFreed)
    machine.run(10_000_000)
    assert seen(events) == told(machine)
    assert len(events) > 12
    assert [allocator.name for allocator in observer.allocators] == [name.replace("_", "-")]
    assert ledger.frames.wrong.total() == ledger.blocks.wrong.total() == 0


@pytest.mark.parametrize(("name", "heap", "optimise"), CASES)
def test_heap_blocks_have_the_sizes_of_their_layouts(built: Build, name: str, heap: str, optimise: str) -> None:
    machine = booted(built(name, heap, optimise))
    observer = HeapObserver(machine)
    events = listen(machine, HeapAllocated, HeapFreed)
    machine.run(10_000_000)
    lost = [event for event in events if isinstance(event, HeapAllocated) and event.size == event.align]
    boxed = {"rcore_v1": "u64", "rcore_v2": "i32", "rcore_v3": "FrameTracker"}[name]  # in the Box that is forgotten
    assert [event.size for event in lost][-1:] == [4 if boxed == "i32" else 8]
    assert all(event.align in (1, 2, 4, 8) for event in events if isinstance(event, HeapAllocated))
    types = BlockTypes(Places(machine))
    named = {types.name((event.pc, *event.callers), ()) for event in lost}
    assert named - {""} == {f"Box<{boxed}>"}
    found = {allocator.name for allocator in observer.allocators}
    assert found == {heap, "rust"} or (optimise, found) == ("2", {"rust"})  # the crate may be inlined
    if heap in found:  # what came back and was not handed out again is on its lists
        free = FreeMemory(machine, observer.allocators, blocks=True)
        assert not any(block.broken for block in free)
        last = {event.address: type(event) for event in events if isinstance(event, HeapAllocated | HeapFreed)}
        returned = {int(address) for address, kind in last.items() if kind is HeapFreed}
        assert returned <= {block.address for block in free}


def test_a_plain_name_stands_for_the_path_that_ends_with_it(built: Build) -> None:
    machine = booted(built("rcore_v3", "buddy_system_allocator", "2"))
    FrameObserver(machine, [frame_allocator("frame_alloc=a1 if a0,frame_dealloc")])
    events = listen(machine, FrameAllocated, FrameFreed)
    machine.run(10_000_000)
    assert seen(events) == told(machine)


def test_a_tracker_can_be_given_by_reference(built: Build) -> None:
    machine = booted(built("rcore_v3", "buddy_system_allocator", "0"))
    names = "*::frame_alloc=a1 if a0, *FrameTracker as core::ops::drop::Drop>::drop([a0])"
    FrameObserver(machine, [frame_allocator(names)])
    events = listen(machine, FrameAllocated, FrameFreed)
    machine.run(10_000_000)
    assert seen(events) == told(machine)[:-1]  # the last one comes back by hand


def test_runs_of_frames_of_the_crate_are_counted(built: Build) -> None:
    machine = booted(built("frames_of_the_buddy_crate", "buddy_system_allocator", "2"))
    FrameObserver(machine)
    ledger = AllocationLedger(machine)
    machine.run(10_000_000)
    assert told(machine) == [("+", 0x80400), ("+", 0x80404), ("-", 0x80400)]
    assert (ledger.frames.allocated, ledger.frames.freed, list(ledger.frames.held)) == (5, 4, [0x80404])
    assert ledger.frames.wrong.total() == 0


def test_the_command_line_says_which_allocators_it_has_found(built: Build) -> None:
    elf = built("rcore_v3", "buddy_system_allocator", "0")
    ekernel = Path(sys.executable).with_name("ekernel")
    result = subprocess.run(
        [ekernel, "run", "--trace", "frames", elf], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert "┃" in result.stdout
    assert "rCore-Tutorial-v3's frame_allocator.rs; the crate buddy_system_allocator; Rust's global" in result.stderr
    assert "handed out while held" not in result.stderr


def test_a_page_of_a_kernel_in_rust_tells_at_each_moment_what_was_so(
    built: Build, browser: Any, tmp_path: Path
) -> None:
    machine = booted(built("rcore_v3", "buddy_system_allocator", "0"))
    observers = FrameObserver(machine), HeapObserver(machine)
    followed = Followed(machine)
    story = Story(machine, [one for observer in observers for one in observer.allocators])
    machine.run()
    opened(browser, story, tmp_path / "page.html")
    goes_through(browser, followed, tmp_path)


@pytest.mark.parametrize(("name", "heap", "optimise"), CASES)
def test_correct_kernels_use_nothing_that_was_never_written(built: Build, name: str, heap: str, optimise: str) -> None:
    machine, found = booted(built(name, heap, optimise)), list[MemoryBug]()
    uninit = UninitSanitizer(machine, AddressSanitizer(machine))
    machine.on(MemoryBug, found.append)
    machine.run()
    assert found == []
    assert uninit.marked > 100


@pytest.mark.parametrize("optimise", ["0", "2"])
def test_a_realloc_with_another_layout_is_a_free_with_another_size(built: Build, optimise: str) -> None:
    machine, found = booted(built("told_sizes", "linked_list_allocator", optimise)), list[MemoryBug]()
    sanitizer, ledger = AddressSanitizer(machine), AllocationLedger(machine)
    machine.on(MemoryBug, lambda bug: found.append(bug) or sanitizer.tell_again())
    machine.run()
    assert [(bug.bug, bug.size, bug.region and bug.region.size) for bug in found] == [
        (Bug.WRONG_SIZE_FREE, size, 32) for size in (24, 16)
    ]
    assert ledger.blocks.wrong == {Wrong.WRONG_SIZE: 2}
