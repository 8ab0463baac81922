"""Whatever is written into free blocks: a heap goes on as if nothing had happened, or says so; it never runs wild."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emu.errors import GuestPanic
from tests.kernel.allocators.guest import Guest
from tests.kernel.allocators.heap_model import PAGE
from tests.kernel.allocators.heap_models import HEAP_MODELS

pytestmark = pytest.mark.slow

HEAP = 8 * 1024
COMPLAINTS = ("was written to from outside!", "has not been allocated!")
WORDS = st.one_of(
    st.sampled_from([0, 1, 8, 16, 64, HEAP, (1 << 64) - 16, (1 << 64) - 1, 1 << 63]),
    st.builds(
        lambda place, odd: 0x8020_0000 + 16 * place + odd, st.integers(0, 1 << 15), st.sampled_from([0, 0, 8, 1])
    ),
    st.integers(0, (1 << 64) - 1),
)


def filled(guest: Guest) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """A heap of two regions or more, every third block of it free again: the blocks in use, and those that are free."""
    guest.call("heap_init", guest.symbol("heap_space"), HEAP)
    guest.call("frame_init", guest.free_ppn, guest.free_ppn + 1 + 8)
    blocks = []
    for number in range(27):
        size = (40, 700, 300)[number % 3]
        blocks.append((guest.call("heap_alloc", size, 8), size))
    for block, size in blocks[::3]:
        guest.call("heap_dealloc", block, size, 8)
    assert guest.call("heap_total") > HEAP
    return [block for number, block in enumerate(blocks) if number % 3], blocks[::3]


def use_all(guest: Guest, used: list[tuple[int, int]]) -> None:
    """Allocate until there is no more room, resize and free: a heap that is whole takes it all."""
    for block, size in used[::2]:
        guest.call("heap_resize", block, size, 8, size + 1)
        guest.call("heap_resize", block, size + 1, 8, size)
    for size in (300, 40):
        while block := guest.call("heap_alloc", size, 8):
            used.append((block, size))
            assert block not in (other for other, _ in used[:-1]), "nobody gets a block that is in use"
    guest.call("heap_largest_free")
    for block, size in used:
        guest.call("heap_dealloc", block, size, 8)


@pytest.mark.parametrize("name", HEAP_MODELS)
def test_a_heap_whose_free_blocks_are_overwritten_goes_on_or_says_so(guest_of: Callable[..., Guest], name: str) -> None:
    guest = guest_of(f"mm/heap/{name}.S", "mm/frames/stack.S", heap_size=HEAP, ram_size=4 << 20)
    used, free = filled(guest)
    start = guest.machine.snapshot()
    header = 32 if name == "buddy_tree" else 0

    @settings(max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(number=st.integers(0, len(free) - 1), place=st.integers(0, 2), words=st.lists(WORDS, min_size=1, max_size=6))
    def overwritten(number: int, place: int, words: list[int]) -> None:
        guest.machine.restore(start)
        data = b"".join(word.to_bytes(8, "little") for word in words)
        guest.write(free[number][0] - header + 8 * place, data[: 40 + header - 8 * place])
        printed = len(guest.machine.console)
        try:
            use_all(guest, list(used))
        except GuestPanic:
            message = guest.machine.console[printed:].decode().splitlines()[0]
            assert message.endswith(COMPLAINTS), message

    overwritten()
    guest.machine.restore(start)
    use_all(guest, list(used))
    assert guest.call("heap_total") == HEAP
    assert guest.call("frame_in_use") * PAGE == 0
