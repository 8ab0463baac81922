"""Sv39 page tables: each function called in the guest, against a Python model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.errors import GuestPanic
from emu.machine import Machine
from emu.testing.console import Console

NOT_MAPPED = (1 << 64) - 1
V, R, W, X, U, A, D = 1, 2, 4, 8, 16, 64, 128
LEVEL_PAGES = (1, 512, 512 * 512)

vpns = st.one_of(
    st.integers(0, 40),
    st.integers(510, 1030),
    st.integers(0, (1 << 26) - 1),
    st.integers((1 << 52) - (1 << 26), (1 << 52) - 1),
)
steps = st.lists(
    st.tuples(st.sampled_from(["map", "unmap", "translate"]), vpns, st.integers(0, (1 << 44) - 1)),
    min_size=20,
    max_size=120,
)


def refusal(machine: Machine, console: Console, function: str, *arguments: int) -> str:
    with pytest.raises(GuestPanic):
        machine.call(function, *arguments)
    return console.text.splitlines()[0].partition(" : ")[2]


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_pages_are_mapped_where_a_dictionary_says(machine: Machine, steps: list[tuple[str, int, int]]) -> None:
    in_use = machine.call("frame_in_use")
    root = machine.call("page_table_new")
    mapped: dict[int, int] = {}
    for action, vpn, ppn in steps:
        if action == "map" and vpn not in mapped:
            assert machine.call("map_page", root, vpn, ppn, R | W | A | D) == 0
            mapped[vpn] = ppn
        elif action == "unmap" and mapped:
            vpn = sorted(mapped)[vpn % len(mapped)]
            assert machine.call("unmap_page", root, vpn) == mapped.pop(vpn)
        expected = mapped[vpn] << 12 | 0x123 if vpn in mapped else NOT_MAPPED
        assert machine.call("translate", root, vpn << 12 | 0x123) == expected
    for vpn, ppn in mapped.items():
        pte = machine.memory.read_int(machine.call("find_pte", root, vpn), 8)
        assert pte == ppn << 10 | V | R | W | A | D
    machine.call("page_table_free", root)
    assert machine.call("frame_in_use") == in_use


@settings(max_examples=40, deadline=None)
@given(vpn=st.integers(0, 1 << 20), ppn=st.integers(0, 1 << 20), pages=st.integers(1, 1 << 19), aligned=st.booleans())
def test_a_range_is_mapped_by_the_largest_leaves_that_fit(
    machine: Machine, vpn: int, ppn: int, pages: int, aligned: bool
) -> None:
    if aligned:
        ppn = (ppn & ~511) | (vpn & 511)
    pages = min(pages, 3000) if (vpn ^ ppn) & 511 else pages
    root = machine.call("page_table_new")
    assert machine.call("map_range", root, vpn, ppn, pages, R | A) == 0
    at = vpn
    while at < vpn + pages:
        offset, left = at - vpn, vpn + pages - at
        level = max(n for n in range(3) if LEVEL_PAGES[n] <= left and (at | ppn + offset) % LEVEL_PAGES[n] == 0)
        pte = machine.memory.read_int(machine.call("find_pte", root, at), 8)
        assert pte == (ppn + offset) << 10 | V | R | A
        last = at + LEVEL_PAGES[level] - 1
        assert machine.call("translate", root, last << 12 | 0xFFF) == (ppn + last - vpn) << 12 | 0xFFF
        at += LEVEL_PAGES[level]
    for outside in (vpn - 1, vpn + pages):
        if outside >= 0:
            assert machine.call("translate", root, outside << 12) == NOT_MAPPED


@pytest.mark.parametrize("level", [0, 1, 2])
def test_mapping_a_page_twice_panics_as_the_document_says(machine: Machine, console: Console, level: int) -> None:
    root = machine.call("page_table_new")
    assert machine.call("map_leaf", root, 0x80000, 0x40000, R, level) == 0
    message = refusal(machine, console, "map_page", root, 0x80000, 0x1234, R)
    assert message == "vpn VPN:0x80000 is mapped before mapping"


def test_unmapping_what_is_not_mapped_panics_as_the_document_says(machine: Machine, console: Console) -> None:
    root = machine.call("page_table_new")
    assert refusal(machine, console, "unmap_page", root, 0x80220) == "vpn VPN:0x80220 is invalid before unmapping"


@pytest.mark.parametrize(("vpn", "ppn", "level"), [(1, 0, 1), (0, 1, 1), (512, 0, 2), (0, 511 * 512, 2)])
def test_a_misaligned_superpage_is_refused(machine: Machine, console: Console, vpn: int, ppn: int, level: int) -> None:
    root = machine.call("page_table_new")
    message = refusal(machine, console, "map_leaf", root, vpn, ppn, R, level)
    assert message == f"vpn VPN:{vpn:#x} or ppn PPN:{ppn:#x} is not aligned for a leaf on level {level}"


def test_running_out_of_frames_for_tables_is_an_error_and_changes_no_mapping(machine: Machine) -> None:
    root = machine.call("page_table_new")
    assert machine.call("map_page", root, 0, 7, R) == 0
    while machine.call("frame_alloc_contiguous", 256):
        pass
    while machine.call("frame_alloc"):
        pass
    assert machine.call("map_page", root, 1, 8, R) == 0
    assert machine.call("map_page", root, 1 << 20, 9, R) == NOT_MAPPED
    assert machine.call("translate", root, 1 << 32) == NOT_MAPPED
    assert machine.call("page_table_new") == 0
