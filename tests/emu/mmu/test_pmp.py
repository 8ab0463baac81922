"""Physical memory protection against a model that looks at one byte at a time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.address import PAGE_SIZE
from emu.isa.privilege import Access, Privilege
from emu.mmu.pmp import (
    LOCKED,
    NA4,
    NAPOT,
    OFF,
    TOR,
    allows,
    decode,
    granted,
    is_address_locked,
    legal_config,
    open_range,
    page_permissions,
)

BASE = 0x8000_0000
BITS = {Access.LOAD: 1, Access.STORE: 2, Access.FETCH: 4}


def matches(configs, addresses, index, byte):
    """Table 3.10 and figure 3.34 of the privileged manual, for one byte."""
    address, mode = addresses[index], configs[index] >> 3 & 3
    if mode == TOR:
        bottom = addresses[index - 1] if index else 0
        return bottom <= byte >> 2 < address
    if mode == NA4:
        return byte >> 2 == address
    if mode == NAPOT:
        ones = 0
        while address >> ones & 1:
            ones += 1
        return byte >> (ones + 3) == address >> (ones + 1)
    return False


def may(configs, addresses, first, size, access, privilege):
    for index in range(len(configs)):
        hits = [matches(configs, addresses, index, byte) for byte in range(first, first + size)]
        if any(hits):
            if not all(hits):
                return False
            return bool(configs[index] & BITS[access]) or (privilege == Privilege.M and not configs[index] & LOCKED)
    return privilege == Privilege.M


near = st.one_of(
    st.builds(lambda offset: BASE + offset, st.integers(-16, 3 * PAGE_SIZE)),
    st.sampled_from([BASE + page * PAGE_SIZE + edge for page in range(4) for edge in (-8, -4, -2, 0, 2, 4, 8)]),
)
naturally_aligned = st.builds(
    lambda place, ones: (place >> 2 & ~((1 << (ones + 1)) - 1)) | ((1 << ones) - 1), near, st.integers(0, 12)
)
addresses_of_entries = st.one_of(near.map(lambda place: place >> 2), naturally_aligned, st.just((1 << 54) - 1))
entries = st.lists(
    st.tuples(st.builds(legal_config, st.integers(0, 255)), addresses_of_entries), min_size=1, max_size=6
)
privileges = st.sampled_from(list(Privilege))


@settings(max_examples=500)
@given(entries, near, st.sampled_from([1, 2, 4, 8]), st.sampled_from(list(Access)), privileges)
def test_an_access_is_allowed_as_its_bytes_say(pairs, place, size, access, privilege):
    configs, addresses = zip(*pairs, strict=True)
    expected = may(configs, addresses, place, size, access, privilege)
    assert allows(decode(configs, addresses), place, size, access, privilege) == expected


@settings(max_examples=300)
@given(entries, st.integers(0, 3), st.integers(0, PAGE_SIZE - 8), st.sampled_from([1, 2, 4, 8]), privileges)
def test_what_holds_for_a_page_holds_for_each_access_in_it(pairs, number, offset, size, privilege):
    regions = decode(*zip(*pairs, strict=True))
    page = BASE + number * PAGE_SIZE
    whole = page_permissions(regions, page, privilege)
    if whole is not None:
        assert granted(regions, page + offset, size, privilege) == whole


@settings(max_examples=300)
@given(entries, privileges)
def test_a_page_is_cut_where_an_entry_begins_or_ends_in_it(pairs, privilege):
    regions = decode(*zip(*pairs, strict=True))
    for number in range(-1, 4):
        page = BASE + number * PAGE_SIZE
        first = next((one for one in regions if page < one.end and one.start < page + PAGE_SIZE), None)
        cut = first is not None and not (first.start <= page and page + PAGE_SIZE <= first.end)
        assert (page_permissions(regions, page, privilege) is None) == cut


@settings(max_examples=300)
@given(entries, st.integers(1, 4), privileges)
def test_the_open_range_is_the_largest_run_of_pages_that_are_all_open(pairs, pages, privilege):
    regions = decode(*zip(*pairs, strict=True))
    start, end = open_range(regions, BASE, BASE + pages * PAGE_SIZE, privilege)
    is_open = [page_permissions(regions, BASE + n * PAGE_SIZE, privilege) == 7 for n in range(pages)]
    assert start % PAGE_SIZE == end % PAGE_SIZE == 0
    assert all(is_open[(start - BASE) // PAGE_SIZE : (end - BASE) // PAGE_SIZE])
    longest = max(len(run) for run in "".join("#" if one else " " for one in is_open).split(" "))
    assert end - start == longest * PAGE_SIZE


@given(st.integers(0, 255))
def test_a_configuration_never_holds_a_reserved_value(value):
    held = legal_config(value)
    assert held & ~0x9F == 0
    assert not (held & 2 and not held & 1)
    assert held & 0x9D == value & 0x9D
    assert legal_config(held) == held


def test_a_locked_entry_locks_its_address_and_the_bottom_of_its_range():
    for mode, below in ((OFF, False), (TOR, True), (NA4, False), (NAPOT, False)):
        configs = [0, LOCKED | mode << 3, 0]
        assert [is_address_locked(configs, index) for index in range(3)] == [below, True, False]
