"""Both ways to find the pages that were written tell what was written, and nothing else."""

import os
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.memory import Ram
from emu.memory.baseline import RamHistory
from emu.memory.pagescan import read, scan, written_pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's pagemap")
PAGES = (4 << 20) >> 12


@pytest.mark.parametrize("shows_file", [False, True])
@given(written=st.sets(st.integers(0, PAGES - 1)), touched=st.sets(st.integers(0, PAGES - 1)), most=st.integers(1, 9))
def test_what_was_written_is_found(shows_file, written, touched, most):
    ram = Ram(PAGES << 12)
    if shows_file:
        ram.show_file()
    for page in touched:  # reading a page makes it present, and no more
        _ = ram.view[page << 12]
    for page in written:
        ram.view[page << 12] = 1
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        found = read(pagemap, ram.host_address, ram.size)
        # An older kernel does not tell the page of zeros, which anonymous memory shows, from a page of its own.
        assert pages_of(found) == (written if shows_file else written | touched)
        assert all(first + count < following for (first, count), (following, _) in pairwise(found))
        try:
            runs = scan(pagemap, ram.host_address, ram.size, most=most)
        except OSError:
            pytest.skip("this kernel is older than PAGEMAP_SCAN (Linux 6.7)")
    finally:
        os.close(pagemap)
    assert pages_of(runs) == written
    assert all(first + count < following for (first, count), (following, _) in pairwise(runs))
    assert written_pages(ram.host_address, ram.size) == runs


@pytest.mark.parametrize("saves", [RamHistory.take_empty, RamHistory.take])
def test_the_file_takes_nothing_until_a_state_is_kept_in_it(saves):
    ram = Ram(PAGES << 12)
    history = RamHistory(ram)
    empty = saves(history)
    for page in range(0, PAGES - 1, 3):
        ram.view[page << 12] = 1
        assert ram.view[(page + 1) << 12] == 0
    assert os.fstat(ram.file).st_blocks == 0
    full = history.take()
    ram.view[0] = ram.view[1 << 12] = 9
    history.restore(empty)
    assert not any(ram.words)
    history.restore(full)
    assert [ram.view[page << 12] for page in range(4)] == [1, 0, 0, 1]


def pages_of(runs):
    return {page for first, count in runs for page in range(first, first + count)}
