"""Each allocator in C whose description ships: what is seen is what the program says, and its leak and double free."""

from contextlib import suppress
from typing import Any

import pytest

from emu.errors import LimitExceeded
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Machine
from emu.observe.allocations.accounts import Account, Wrong
from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.freelists import free_blocks
from tests.emu.observe.allocations.conftest import Build, loaded

_SAID = 24
_FREERTOS, _UCORE, _LIBC = {"freertos"}, {"ucore"}, {"malloc"}
_PROGRAMS = [
    pytest.param("freertos", ("-DHEAP=1",), "", _FREERTOS, "", id="heap_1"),
    pytest.param("freertos", ("-DHEAP=2",), "", _FREERTOS, "xFreeBytesRemaining", id="heap_2"),
    pytest.param("freertos", ("-DHEAP=3",), "picolibc", _FREERTOS | _LIBC, "", id="heap_3"),
    pytest.param("freertos", ("-DHEAP=4",), "", _FREERTOS, "xFreeBytesRemaining", id="heap_4"),
    pytest.param("freertos", ("-DHEAP=5",), "", _FREERTOS, "xFreeBytesRemaining", id="heap_5"),
    pytest.param("freertos", ("-DHEAP=4", "-DPROTECTED"), "", _FREERTOS, "xFreeBytesRemaining", id="heap_4, protected"),
    pytest.param("ucore", (), "", _UCORE, "free_area", id="uCore's pages"),
    pytest.param("ucore", ("-DBLOCKS",), "", _UCORE, "free_area", id="uCore's kmalloc"),
    pytest.param("libc", (), "picolibc", _LIBC, "", id="picolibc"),
    pytest.param("libc", ("-DNEWLIB",), "newlib", _LIBC, "", id="newlib", marks=pytest.mark.slow),
    pytest.param("libc", ("-DNEWLIB",), "newlib-nano", _LIBC, "", id="newlib-nano", marks=pytest.mark.slow),
]


def said(machine: Machine, *, frames: bool) -> list[tuple[str, int, int]]:
    """What the program says of its allocations, by address or page number; the size of a freed block is 0."""
    count = int.from_bytes(machine.read_virtual("lines", 8), "little")
    raw = machine.read_virtual("said", count * _SAID)
    words = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]
    if frames:
        pages, size = int.from_bytes(machine.read_virtual("pages", 8), "little"), machine.structure_size("Page") or 0
        words[1::3] = [0x80400 + (address - pages) // size for address in words[1::3]]
    return [(chr(sign), address, size if frames or chr(sign) == "+" else 0)
            for sign, address, size in zip(words[::3], words[1::3], words[2::3], strict=True)]  # fmt: skip


def bytes_said_to_be_free(machine: Machine, symbol: str) -> int:
    """What the allocator's own counter has."""
    if symbol == "free_area":
        return int.from_bytes(machine.read_virtual("free_area", 20)[16:], "little") << 12
    return int.from_bytes(machine.read_virtual(symbol, 8), "little")


def bytes_in_lists(machine: Machine) -> int:
    """What is found free by the description."""
    lists = [one for allocator in Catalogue(machine.symbols).fitting() for one in allocator.free_lists]
    blocks = [block for one in lists for block in free_blocks(machine, one)]
    assert not any(block.broken for block in blocks)
    return sum(block.size for block in blocks)


@pytest.mark.parametrize(("source", "options", "library", "described", "free"), _PROGRAMS)
def test_what_is_seen_is_what_the_program_says(
    built: Build, source: str, options: tuple[str, ...], library: str, described: set[str], free: str
) -> None:
    machine, ledger = loaded(built(source, *options, library=library))
    frames, frees = (source, options) == ("ucore", ()), options != ("-DHEAP=1",)
    account: Account[Any, Any] = ledger.frames if frames else ledger.blocks
    seen: list[tuple[str, int, int]] = []
    if frames:
        machine.on(FrameAllocated, lambda event: seen.append(("+", int(event.ppn), event.count)))
        machine.on(FrameFreed, lambda event: seen.append(("-", int(event.ppn), event.count)))
    else:
        machine.on(HeapAllocated, lambda event: seen.append(("+", int(event.address), event.size)))
        machine.on(HeapFreed, lambda event: seen.append(("-", int(event.address), 0)))
    assert {one.name for one in Catalogue(machine.symbols).fitting()} == described
    machine.call("works")
    assert seen == said(machine, frames=frames)
    assert len(seen) >= 120
    assert account.wrong.total() == 0
    assert bool(account.held) is not frees

    machine.call("forgets")
    left = list(account.held.values())[-(6 if frames else 3) :]
    assert {name(machine, event) for event in left} == {"forgets"}
    if free:
        assert bytes_in_lists(machine) == bytes_said_to_be_free(machine, free) > 0
    if frees:
        with suppress(LimitExceeded):  # some lists run in a circle then
            machine.call("frees_twice", max_instructions=50_000)
        assert account.wrong[Wrong.FREED_TWICE] == (2 if frames else 1) == account.wrong.total()
        assert name(machine, account.mistakes[-1].event) == name(machine, account.mistakes[-1].other) == "frees_twice"


def name(machine: Machine, event: Event) -> str:
    """The function that made a call."""
    place = machine.symbols.at(event.pc)
    assert place is not None
    return place[0].name
