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
from tests.kernel.allocators.guest import Guest
from tests.kernel.allocators.heap_models import HEAP_MODELS, HeapModel

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

    @initialize(size=st.sampled_from([64, 0x7F, 0x1000, 0x1FD0, 0x8000, 0x8000, 0x9470, 0x10_0000, HEAP_SIZE]))
    def init(self, size: int) -> None:
        self.start = self.guest.symbol("heap_space")
        self.guest.call("heap_init", self.start, size)
        self.model = self.model_type(self.start, size)
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

    @rule(number=NUMBERS, size=SIZES, align=ALIGNS)
    def pointer_that_was_not_allocated(self, number: int, size: int, align: int) -> None:
        place = number * 8 % (self.model.size + 16) - 8
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
        self.model.check_books(self.guest)


def _filling(offset: int, size: int) -> bytes:
    """What the caller writes into a block, up to a page of it."""
    return (offset.to_bytes(4, "little") * (size // 4 + 1))[: min(size, 4096)]


@pytest.mark.parametrize("name", HEAP_MODELS)
@AMOUNTS
def test_every_sequence_of_calls_does_what_the_model_does(
    guest_of: Callable[..., Guest], name: str, examples: int, steps: int
) -> None:
    class Machine(HeapMachine):
        guest = guest_of(f"mm/heap/{name}.S", heap_size=HEAP_SIZE, ram_size=5 << 20)
        model_type = HEAP_MODELS[name]

    explore(Machine, examples, steps)
