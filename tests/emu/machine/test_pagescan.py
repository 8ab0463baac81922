"""Both ways to find the pages that were written tell what was written, and nothing else."""

import os
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.memory import Ram
from emu.memory.pagescan import read, scan, written_pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's pagemap")
PAGES = (4 << 20) >> 12


@given(written=st.sets(st.integers(0, PAGES - 1)), touched=st.sets(st.integers(0, PAGES - 1)), most=st.integers(1, 9))
def test_what_was_written_is_found(written, touched, most):
    ram = Ram(PAGES << 12)
    for page in touched:  # reading a page makes it present, and no more
        _ = ram.view[page << 12]
    for page in written:
        ram.view[page << 12] = 1
    runs = written_pages(ram.host_address, ram.size)
    assert {page for first, count in runs for page in range(first, first + count)} == written
    assert all(first + count < following for (first, count), (following, _) in pairwise(runs))
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        assert read(pagemap, ram.host_address, ram.size) == runs
        try:
            assert scan(pagemap, ram.host_address, ram.size, most=most) == runs
        except OSError:
            pytest.skip("this kernel is older than PAGEMAP_SCAN (Linux 6.7)")
    finally:
        os.close(pagemap)
