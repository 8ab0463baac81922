"""What the tests of all devices share: a recorded interrupt line, and random register accesses."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

SIZES = (1, 2, 4, 8)


class Line:
    """An interrupt line that remembers its level and every call."""

    def __init__(self) -> None:
        self.level = False
        self.calls: list[bool] = []

    def __call__(self, level: bool) -> None:
        self.level = level
        self.calls.append(level)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture(scope="session")
def exercise() -> Callable:
    """Apply those of a list of accesses that the bus carries; what is read must be unsigned. Returns what was read."""

    def run(device, accesses) -> list[int]:
        seen = []
        for offset, size, value in accesses:
            if offset % size or not device.takes(offset, size):
                continue
            if value is None:
                got = device.read(offset, size)
                assert 0 <= got < 1 << 64
                seen.append(got)
            else:
                device.write(offset, size, value & ((1 << size * 8) - 1))
        return seen

    return run


def accesses_to(*interesting: int, range_size: int = 0x1000) -> st.SearchStrategy:
    """Reads (value None) and writes: any offset of the range, more often one of the interesting ones."""
    value = st.one_of(
        st.none(), st.integers(0, 16), st.integers(0, 0xFF), st.integers(0, (1 << 64) - 1), st.integers(0, 0xFFFF_FFFF)
    )
    offset = st.integers(0, range_size - 1)
    if interesting:
        offset = st.one_of(st.sampled_from(interesting), st.sampled_from(interesting), offset)
    return st.lists(st.tuples(offset, st.sampled_from(SIZES), value), max_size=40)
