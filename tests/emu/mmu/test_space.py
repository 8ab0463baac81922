"""Address spaces read as a whole, beside the page walk that asks for one address at a time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.address import VirtAddr
from emu.isa.privilege import Access, Privilege
from emu.mmu import space as space_of_addresses
from emu.mmu import walk
from emu.mmu.space import AddressSpace
from emu.report import pagetables
from emu.walks import Refusal

PAGES = 8
BASE = 0x80000
FLAGS = st.sampled_from([0x01, 0x03, 0x07, 0x0B, 0x0F, 0x17, 0x1B, 0xC7, 0xCF, 0xD7, 0x06, 0x00])
ENTRIES = st.dictionaries(
    st.tuples(st.integers(0, PAGES - 1), st.sampled_from([0, 1, 2, 255, 256, 510, 511])),
    st.tuples(st.integers(0, PAGES - 1), FLAGS),
    max_size=30,
)


def memory(entries: dict[tuple[int, int], tuple[int, int]]) -> dict[int, list[int]]:
    """Tables by physical address; superpages point to aligned memory."""
    tables = {(BASE + page) << 12: [0] * 512 for page in range(PAGES)}
    for (page, index), (target, flags) in entries.items():
        ppn = target << 18 if flags & 0xE else BASE + target
        tables[(BASE + page) << 12][index] = ppn << 10 | flags
    return tables


def read_space(tables: dict[int, list[int]], satp: int) -> AddressSpace:
    def read(page: int) -> memoryview | None:
        return (
            memoryview(b"".join(word.to_bytes(8, "little") for word in tables[page])).cast("Q")
            if page in tables
            else None
        )

    return AddressSpace(read, satp)


@given(ENTRIES, st.sampled_from([8, 9, 10]), st.lists(st.integers(0, (1 << 27) - 1), max_size=20))
def test_every_address_is_mapped_where_the_walk_leads(entries, mode, pages):
    tables = memory(entries)
    satp = mode << 60 | BASE
    space = read_space(tables, satp)
    edges = [int(leaf.first) for leaf in space.leaves] + [leaf.last for leaf in space.leaves]
    width = 12 + 9 * space.levels
    for raw in (*edges, *(page << 12 for page in pages)):
        address = raw | (1 << 64) - (1 << width) if raw >> width - 1 & 1 else raw

        def read_pte(place: int) -> int | None:
            table = tables.get(place & -4096)
            return None if table is None else table[place % 4096 // 8]

        seen = [
            walk(read_pte, satp, address, Access.LOAD, each, sum_bit=True, mxr=True)
            for each in (Privilege.S, Privilege.U)
        ]
        found = space.at(address)
        physical = next((one.physical for one in seen if one.physical is not None), None)
        if physical is not None:
            assert found is not None
            assert int(found.physical) + address - int(found.first) == physical
            assert VirtAddr(address) in space.find(int(physical))
        elif found is not None:
            assert seen[0].refusal not in (Refusal.INVALID, Refusal.NOT_A_LEAF, Refusal.TABLE_OUTSIDE_MEMORY)


@given(ENTRIES)
def test_ranges_cover_what_the_leaves_map_and_nothing_else(entries):
    space = read_space(memory(entries), 8 << 60 | BASE)
    ranges = space.ranges()
    assert sum(each.size for each in ranges) == sum(leaf.size for leaf in space.leaves)
    for one, other in pairwise(ranges):
        assert one.last < other.first
        joins = one.last + 1 == other.first and int(one.physical) + one.size == other.physical
        assert not (joins and (one.flags, one.level) == (other.flags, other.level))
    assert space.diff(space) == []


LEAVES = {(0, 0): (1, 0x01), (1, 1): (2, 0x01), (0, 511): (3, 0xCF)}


def sample() -> AddressSpace:
    tables = memory(LEAVES)
    last = tables[(BASE + 2) << 12]
    last[0], last[1], last[2], last[7] = (
        0x80100 << 10 | 0xD7,
        0x80101 << 10 | 0xD7,
        0x80102 << 10 | 0xC3,
        0x80100 << 10 | 0xDF,
    )
    return read_space(tables, 8 << 60 | BASE)


def test_what_has_become_of_neighbours_is_told_once():
    before, tables = sample(), memory(LEAVES)
    last = tables[(BASE + 2) << 12]
    last[1], last[2], last[3], last[4] = (0x80101 + page << 10 | 0xD3 for page in range(4))
    after = read_space(tables, 8 << 60 | BASE)
    assert list(pagetables.changes(before.diff(after))) == [
        "- 0x200000..0x200fff -> 0x80100000 DA_U_WRV",
        "~ 0x201000..0x201fff -> 0x80101000 DA_U_WRV becomes 0x80101000 DA_U__RV",
        "~ 0x202000..0x202fff -> 0x80102000 DA____RV becomes 0x80102000 DA_U__RV",
        "+ 0x203000..0x204fff -> 0x80103000 DA_U__RV",
        "- 0x207000..0x207fff -> 0x80100000 DA_UXWRV",
    ]
    assert next(pagetables.changes(before.diff(read_space({}, 8 << 60 | BASE)))) == (
        "- 0x200000..0x201fff -> 0x80100000 DA_U_WRV"
    )


def test_the_flat_view_merges_neighbours_and_names_larger_pages():
    assert list(pagetables.flat(sample())) == [
        "0x0000000000200000..0x0000000000201fff 0x000080100000     8 KiB DA_U_WRV",
        "0x0000000000202000..0x0000000000202fff 0x000080102000     4 KiB DA____RV",
        "0x0000000000207000..0x0000000000207fff 0x000080100000     4 KiB DA_UXWRV",
        "0xffffffffc0000000..0xffffffffffffffff 0x0000c0000000     1 GiB DA__XWRV  pages of 1 GiB",
    ]
    assert [line.split("..")[0] for line in pagetables.flat(sample(), "ux")] == ["0x0000000000207000"]
    assert len(list(pagetables.flat(sample(), "", 0x202000, 0x206FFF))) == 1


def test_vmprint_is_as_in_the_exercises_of_xv6():
    assert list(pagetables.vmprint(sample()))[:4] == [
        "page table 0x0000000080000000",
        " ..0: pte 0x0000000020000401 pa 0x0000000080001000",
        " .. ..1: pte 0x0000000020000801 pa 0x0000000080002000",
        " .. .. ..0: pte 0x00000000200400d7 pa 0x0000000080100000",
    ]


@pytest.mark.parametrize("form", pagetables.FORMATS)
def test_while_paging_is_off_there_is_a_line_that_says_so(form):
    assert list(pagetables.FORMATS[form](read_space({}, 0))) == ["paging is off (satp 0x0): every address is physical"]


def test_ptdump_is_as_linux_prints_it():
    assert list(pagetables.ptdump(sample())) == [
        "0x0000000000200000-0x0000000000202000    0x0000000080100000         8K PTE .   ..     ..   D A . U . W R V",
        "0x0000000000202000-0x0000000000203000    0x0000000080102000         4K PTE .   ..     ..   D A . . . . R V",
        "0x0000000000207000-0x0000000000208000    0x0000000080100000         4K PTE .   ..     ..   D A . U X W R V",
        "0xffffffffc0000000-0x0000000000000000    0x00000000c0000000         1G PGD .   ..     ..   D A . . X W R V",
    ]


def test_oddities_are_named():
    said = "\n".join(pagetables.oddities(sample()))
    assert "4 of 4 KiB, 1 of 1 GiB, in 3 tables" in said
    assert "writable and executable: 0x207000..0x207fff DA_UXWRV" in said
    assert "mapped 2 times: frame 0x80100000 at 0x200000, 0x207000" in said
    assert "1 hole between mappings, the largest 16 KiB from 0x203000" in said


def test_the_tree_has_each_table_below_its_entry():
    assert list(pagetables.tree(sample())) == [
        "root table at 0x80000000 (Sv39)",
        "  [  0] 0x0..0x3fffffff table at 0x80001000",
        "    [  1] 0x200000..0x3fffff table at 0x80002000",
        "      [  0..1] 0x200000..0x201fff -> 0x80100000 DA_U_WRV",
        "      [  2] 0x202000..0x202fff -> 0x80102000 DA____RV",
        "      [  7] 0x207000..0x207fff -> 0x80100000 DA_UXWRV",
        "  [511] 0xffffffffc0000000..0xffffffffffffffff -> 0xc0000000 DA__XWRV",
    ]


def test_tables_that_lead_in_a_circle_end(monkeypatch):
    monkeypatch.setattr(space_of_addresses, "MOST", 5000)
    tables = {BASE << 12: [BASE << 10 | 1] * 512}
    space = read_space(tables, 10 << 60 | BASE)
    assert space.is_cut
    assert len(space.entries) == 5000
    assert next(iter(pagetables.oddities(space))).startswith("more entries than are shown")


def test_what_has_changed_between_two_moments_is_told():
    before = sample()
    tables = memory(LEAVES)
    last = tables[(BASE + 2) << 12]
    last[0], last[1], last[3] = 0x80100 << 10 | 0x97, 0x80109 << 10 | 0xD7, 0x80103 << 10 | 0xC7
    after = read_space(tables, 8 << 60 | BASE)
    assert list(pagetables.changes(before.diff(after))) == [
        "~ 0x201000..0x201fff -> 0x80101000 DA_U_WRV becomes 0x80109000 DA_U_WRV",
        "- 0x202000..0x202fff -> 0x80102000 DA____RV",
        "+ 0x203000..0x203fff -> 0x80103000 DA___WRV",
        "- 0x207000..0x207fff -> 0x80100000 DA_UXWRV",
    ]
