"""Every heap against its model: any sequence of calls, its books compared after each one."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.kernel.allocators.exploring import AMOUNTS, explore
from tests.kernel.allocators.frame_models import StackModel
from tests.kernel.allocators.guest import Guest
from tests.kernel.allocators.heap_model import HeapModel
from tests.kernel.allocators.heap_models import HEAP_MODELS

NUMBERS = st.integers(min_value=0, max_value=1 << 16)
"""Which one of those there are: taken modulo how many that is."""

SIZES = st.one_of(
    st.integers(0, 100),
    st.integers(0, 5000),
    st.builds(lambda order, less: (1 << order) - less, st.integers(4, 22), st.integers(-1, 33)).filter(
        lambda n: n >= 0
    ),
    st.sampled_from([(1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 40]),
)
ALIGNS = st.one_of(
    st.sampled_from([0, 1, 8, 8, 8, 16]),
    st.integers(0, 22).map(lambda shift: 1 << shift),
    st.sampled_from([3, 24, 1 << 63, (1 << 64) - 1]),
)
HEAP_SIZE = 0x28_8040
"""Two of the tree's largest blocks, and a rest of several orders."""


class HeapMachine(RuleBasedStateMachine):
    """Calls of one heap, each made in the guest and in the model. A block is filled, and unharmed when it is freed."""

    guest: Guest
    model_type: type[HeapModel]
    frame_counts: tuple[int, ...] = (0,)
    """Frames that the heap may grow by; 0 while there is no frame allocator."""
    heap_sizes: tuple[int, ...] = (64, 0x7F, 0x1000, 0x1FD0, 0x8000, 0x8000, 0x9470, 0x10_0000, HEAP_SIZE)

    @initialize(data=st.data())
    def init(self, data: st.DataObject) -> None:
        self.start_with(data.draw(st.sampled_from(self.heap_sizes)), data.draw(st.sampled_from(self.frame_counts)))

    def start_with(self, size: int, frames: int) -> None:
        self.start = self.guest.symbol("heap_space")
        self.guest.call("heap_init", self.start, size)
        first = self.guest.free_ppn + 1
        if frames:
            self.guest.call("frame_init", first - 1, first + frames)
            assert self.guest.call("frame_total") == frames, "the books of a few frames fit into one"
        else:
            self.guest.write(self.guest.symbol("frame_count"), bytes(16))
        self.model = self.model_type(self.start, size, StackModel(frames), first)
        self.empty_largest = self.guest.call("heap_largest_free")

    @rule(size=SIZES, align=ALIGNS)
    def alloc(self, size: int, align: int) -> None:
        pointer = self.guest.call("heap_alloc", size, align)
        offset = self.model.alloc(size, align)
        assert pointer == (0 if offset is None else self.start + offset)
        if offset is not None:
            self.guest.write(pointer, _filling(offset, size))

    @precondition(lambda self: self.model.used)
    @rule(number=NUMBERS)
    def dealloc(self, number: int) -> None:
        self.free(sorted(self.model.used)[number % len(self.model.used)])

    def free(self, offset: int) -> None:
        block = self.model.dealloc(offset)
        filling = _filling(offset, block.size)
        assert self.guest.read(self.start + offset, len(filling)) == filling
        self.guest.call("heap_dealloc", self.start + offset, block.size, block.align)

    @precondition(lambda self: self.model.used)
    @rule(step=st.sampled_from([1, -1, 3, 7]))
    def dealloc_all(self, step: int) -> None:
        offsets = sorted(self.model.used)
        for number in sorted(range(len(offsets)), key=lambda number: number * step % 11):
            self.free(offsets[number])
        assert self.guest.call("heap_largest_free") == self.empty_largest, "all blocks joined again"
        assert self.guest.call("frame_in_use") == 0, "no region is left but the one in .bss"

    @precondition(lambda self: self.model.used)
    @rule(number=NUMBERS, size=SIZES)
    def resize(self, number: int, size: int) -> None:
        self.resize_block(sorted(self.model.used)[number % len(self.model.used)], size)

    @precondition(lambda self: self.model.used)
    @rule(number=NUMBERS, difference=st.one_of(st.integers(-200, 200), st.integers(-4000, 4000)))
    def resize_a_little(self, number: int, difference: int) -> None:
        offset = sorted(self.model.used)[number % len(self.model.used)]
        self.resize_block(offset, max(self.model.used[offset].size + difference, 0))

    def resize_block(self, offset: int, size: int) -> None:
        block = self.model.used[offset]
        filling = _filling(offset, min(block.size, size))
        resized = self.guest.call("heap_resize", self.start + offset, block.size, block.align, size)
        assert resized == self.model.resize(offset, size)
        assert self.guest.read(self.start + offset, len(filling)) == filling
        if resized:
            self.guest.write(self.start + offset, _filling(offset, size))

    @rule(number=NUMBERS, size=SIZES, align=ALIGNS)
    def pointer_that_was_not_allocated(self, number: int, size: int, align: int) -> None:
        region = self.model.regions[number % len(self.model.regions)]
        place = region.start + number * 8 % (region.size + 16) - 8
        if place not in self.model.used:
            message = self.guest.refusal("heap_dealloc", self.start + place, size, align)
            assert message == f"Heap block ptr={self.start + place:#x} has not been allocated!"

    @precondition(lambda self: self.model.used)
    @rule(number=NUMBERS, size=SIZES)
    def wrong_size(self, number: int, size: int) -> None:
        offset = sorted(self.model.used)[number % len(self.model.used)]
        complaint = self.model.complaint_about_size(offset, size)
        if complaint is not None:
            message = self.guest.refusal("heap_dealloc", self.start + offset, size, self.model.used[offset].align)
            assert message == f"Heap block ptr={self.start + offset:#x}{complaint}"

    @precondition(lambda self: self.model.used)
    @rule(number=NUMBERS)
    def double_free(self, number: int) -> None:
        offset = sorted(self.model.used)[number % len(self.model.used)]
        block = self.model.used[offset]
        self.free(offset)
        message = self.guest.refusal("heap_dealloc", self.start + offset, block.size, block.align)
        assert message == f"Heap block ptr={self.start + offset:#x} has not been allocated!"

    @invariant()
    def books_are_right(self) -> None:
        if not hasattr(self, "model"):
            return
        blocks = self.model.used.values()
        assert self.guest.call("heap_total") == self.model.size
        assert self.guest.call("heap_requested") == sum(block.size for block in blocks)
        assert self.guest.call("heap_allocated") == sum(block.length for block in blocks)
        assert self.guest.call("heap_largest_free") == self.model.largest_free()
        assert self.guest.call("frame_in_use") == self.model.frames_in_use()
        self.model.check_books(self.guest)


class GrowingHeapMachine(HeapMachine):
    """As above, of a small heap with frames to grow by, which is filled again and again."""

    frame_counts = (1, 8, 30, 30, 120, 300, 300)
    heap_sizes = (0x7F, 0x1000, 0x1FD0, 0x4000, 0x4000, 0x9470)

    @rule(size=st.one_of(st.integers(100, 5000), st.integers(2000, 9000)), count=st.integers(5, 40))
    def fill(self, size: int, count: int) -> None:
        for _ in range(count):
            self.alloc(size, 8)


def _filling(offset: int, size: int) -> bytes:
    """What the caller writes into a block, up to a page of it."""
    return (offset.to_bytes(4, "little") * (size // 4 + 1))[: min(size, 4096)]


@pytest.mark.parametrize("kind", [HeapMachine, GrowingHeapMachine], ids=["alone", "growing"])
@pytest.mark.parametrize("name", HEAP_MODELS)
@AMOUNTS
def test_every_sequence_of_calls_does_what_the_model_does(
    guest_of: Callable[..., Guest], name: str, kind: type[HeapMachine], examples: int, steps: int
) -> None:
    class Machine(kind):  # type: ignore[misc, valid-type]
        guest = guest_of(f"mm/heap/{name}.S", "mm/frames/stack.S", heap_size=HEAP_SIZE, ram_size=7 << 20)
        model_type = HEAP_MODELS[name]

    explore(Machine, examples // 2, steps)
