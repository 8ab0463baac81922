"""Addresses and page numbers."""

from hypothesis import given
from hypothesis import strategies as st

from emu.address import PAGE_SIZE, PhysAddr, VirtAddr

PHYSICAL = st.integers(0, (1 << 56) - 1)
VIRTUAL = st.integers(0, (1 << 64) - 1)


@given(PHYSICAL)
def test_floor_and_ceil_enclose_an_address(number: int) -> None:
    address = PhysAddr(number)
    low, high = address.floor().address(), address.ceil().address()
    assert low <= address <= high
    assert high - low == (0 if address.is_page_aligned else PAGE_SIZE)


@given(VIRTUAL)
def test_indexes_and_offset_make_up_the_low_39_bits(number: int) -> None:
    address = VirtAddr(number)
    top, middle, low = address.indexes()
    assert (top << 30 | middle << 21 | low << 12 | address.page_offset) == number & ((1 << 39) - 1)


def test_units_survive_arithmetic_with_plain_numbers() -> None:
    assert repr(PhysAddr(0x80200000) + 0x20) == "PA:0x80200020"
    assert repr(PhysAddr(0x80200000).floor() - 1) == "PPN:0x801ff"
