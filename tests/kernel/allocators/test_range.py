"""Which frames are handed out: from the first behind the kernel to the last whole one, ceil(ekernel)..floor(end)."""

import pytest

from kernel.choices import allocator_pairs
from tests.kernel.allocators.guest import Guest

PAGE = 4096


@pytest.fixture(scope="session")
def ranged() -> Guest:
    """The allocator of a stack, and an end of the kernel that can be set."""
    return Guest("mm/frames/range.S", "mm/frames/stack.S", ram_size=4 << 20, ekernel=0x80300001)


def test_a_frame_that_the_kernel_ends_in_is_not_free(ranged: Guest) -> None:
    assert ranged.call("kernel_end_ppn") == 0x80301, "rounded up"


@pytest.mark.parametrize("odd", [0, 1, 0x123, 0xFFF])
def test_half_a_frame_at_the_end_of_memory_is_none(ranged: Guest, odd: int) -> None:
    ranged.call("frames_start", 0x80301, 0x803A_0000 + odd)
    assert ranged.variable("memory_end_pa") == 0x803A_0000 + odd
    frames = [ranged.call("frame_alloc") for _ in range(ranged.call("frame_total"))]
    assert max(frames) == 0x8039F, "rounded down"
    assert ranged.call("frame_alloc") == 0


@pytest.mark.parametrize(("frames", "heap"), allocator_pairs())
def test_the_last_frame_of_the_memory_that_the_device_tree_names_is_handed_out(kernel_of, boot, frames, heap):
    for megabytes in (17, 33, 100):
        machine = boot(kernel_of("full", frames, heap).elf, memory=megabytes << 20, until="frame_selftest")
        total = machine.call("frame_total")
        first = machine.call("frame_alloc_contiguous", total)
        assert first + total == 0x80000 + (megabytes << 20 >> 12)
        assert first > machine.call("kernel_end_ppn"), "the books come first"
