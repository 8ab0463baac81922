"""Which pages are page tables, followed by their entries, beside what the root leads to."""

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.hart.tables import TableMap

entries = st.one_of(
    st.just(0),
    st.integers(0, 5).map(lambda page: page << 10 | 1),
    st.integers(0, 5).map(lambda page: page << 10 | 0xCF),
    st.just(9999 << 10 | 1),
)
indexes = st.sampled_from([0, 1, 255, 256, 511])


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 5), indexes, entries), max_size=40))
def test_what_is_followed_is_what_the_root_leads_to(writes):
    words = [0] * (6 * 512)
    words[0] = 1  # the root is never all zero here
    tables = TableMap(lambda page: words[page >> 3 : (page >> 3) + 512] if page < 6 * 4096 else None)
    words[5 * 512 + 3] = 0xCF
    tables.enter(8 << 60 | 5)
    for page, index, entry in writes:
        place = page * 4096 + index * 8
        old, words[place >> 3] = words[place >> 3], entry
        if page * 4096 in tables.pages and old != entry:
            tables.written(place, old, entry)

    def reached(page, level, found):
        if page > 5 or (page, level) in found:
            return found
        found.add((page, level))
        for entry in words[page * 512 : page * 512 + 512] if level else ():
            if entry & 15 == 1:
                reached(entry >> 10, level - 1, found)
        return found

    everything = {page << 12 for page, _level in reached(5, 2, set())}
    # A page that is a table on several levels is followed on the first one only, and cycles are never forgotten.
    assert 5 << 12 in tables.pages
    if all(entry >> 10 > page for page, _index, entry in writes if entry & 15 == 1 and page != 5):
        levels = {}
        for page, level in reached(5, 2, set()):
            levels.setdefault(page, set()).add(level)
        if all(len(one) == 1 for one in levels.values()):
            assert everything <= set(tables.pages) | {5 << 12}
