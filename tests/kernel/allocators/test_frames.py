"""Every frame allocator against its model: any sequence of calls, its books compared after each one."""

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
from tests.kernel.allocators.frame_models import FRAME_MODELS, FrameModel
from tests.kernel.allocators.guest import Guest

NUMBERS = st.integers(min_value=0, max_value=1 << 16)
"""Which one of those there are: taken modulo how many that is."""


class FrameMachine(RuleBasedStateMachine):
    """Calls of one allocator, each made in the guest and in the model."""

    guest: Guest
    model_type: type[FrameModel]

    @initialize(pages=st.sampled_from([2, 3, 6, 9, 19, 20, 34, 66, 130, 300]))
    def init(self, pages: int) -> None:
        start = self.guest.free_ppn
        self.guest.call("frame_init", start, start + pages)
        self.first = self.guest.variable("frame_first_ppn")
        self.count = self.guest.call("frame_total")
        assert self.first + self.count == start + pages
        self.model = self.model_type(self.count)
        self.owners: dict[int, int] = {}

    def owned(self, number: int) -> int:
        frames = sorted(self.owners)
        return frames[number % len(frames)]

    @rule()
    def alloc(self) -> None:
        self.expect_frames(self.guest.call("frame_alloc"), 1)

    @rule(n=st.one_of(st.integers(0, 9), st.integers(0, 320), st.sampled_from([1 << 32, (1 << 64) - 1])))
    def alloc_contiguous(self, n: int) -> None:
        self.expect_frames(self.guest.call("frame_alloc_contiguous", n), n)

    def expect_frames(self, ppn: int, n: int) -> None:
        first = self.model.take(n)
        assert ppn == (0 if first is None else self.first + first)
        if first is not None:
            self.owners |= dict.fromkeys(range(first, first + n), 1)

    @precondition(lambda self: self.owners)
    @rule(number=NUMBERS)
    def dealloc(self, number: int) -> None:
        frame = self.owned(number)
        if self.owners[frame] > 1:
            message = f"Frame ppn={self.first + frame:#x} is freed, but has {self.owners[frame]} owners!"
            assert self.guest.refusal("frame_dealloc", self.first + frame) == message
        else:
            self.guest.call("frame_dealloc", self.first + frame)
            self.free(frame, 1)

    @precondition(lambda self: self.owners)
    @rule(number=NUMBERS, most=st.integers(0, 40))
    def dealloc_contiguous(self, number: int, most: int) -> None:
        frame = self.owned(number)
        n = 0
        while n < most and self.owners.get(frame + n) == 1:
            n += 1
        self.guest.call("frame_dealloc_contiguous", self.first + frame, n)
        if n:
            self.free(frame, n)

    @precondition(lambda self: self.owners)
    @rule(step=st.sampled_from([1, -1, 7]))
    def dealloc_all_one_by_one(self, step: int) -> None:
        for frame in sorted(self.owners, key=lambda frame: frame * step % 11):
            while frame in self.owners:
                self.unref(frame)
        assert self.guest.call("frame_in_use") == 0

    def free(self, frame: int, n: int) -> None:
        self.model.give(frame, n)
        for number in range(frame, frame + n):
            del self.owners[number]

    @precondition(lambda self: self.owners)
    @rule(number=NUMBERS)
    def ref(self, number: int) -> None:
        frame = self.owned(number)
        self.owners[frame] += 1
        assert self.guest.call("frame_ref", self.first + frame) == self.owners[frame]

    @precondition(lambda self: self.owners)
    @rule(number=NUMBERS)
    def unref_one(self, number: int) -> None:
        self.unref(self.owned(number))

    def unref(self, frame: int) -> None:
        assert self.guest.call("frame_unref", self.first + frame) == self.owners[frame] - 1
        self.owners[frame] -= 1
        if not self.owners[frame]:
            self.free(frame, 1)

    @rule(number=NUMBERS, offset=st.integers(0, 4095))
    def find(self, number: int, offset: int) -> None:
        frame = number % (self.count + 2) - 1
        ppn = self.first + frame
        assert self.guest.call("frame_find", ppn << 12 | offset) == (ppn if frame in self.owners else 0)
        assert self.guest.call("frame_owners", ppn) == self.owners.get(frame, 0)

    @rule(number=NUMBERS, function=st.sampled_from(["frame_dealloc", "frame_unref", "frame_ref"]))
    def wrong_frame(self, number: int, function: str) -> None:
        wrong = [frame for frame in range(-1, self.count + 1) if frame not in self.owners]
        ppn = self.first + wrong[number % len(wrong)]
        assert self.guest.refusal(function, ppn) == f"Frame ppn={ppn:#x} has not been allocated!"

    @precondition(lambda self: self.owners)
    @rule(number=NUMBERS)
    def run_that_ends_wrong(self, number: int) -> None:
        frame = self.owned(number)
        end = frame
        while self.owners.get(end) == 1:
            end += 1
        if end not in self.owners:
            message = self.guest.refusal("frame_dealloc_contiguous", self.first + frame, end - frame + 1)
            assert message == f"Frame ppn={self.first + end:#x} has not been allocated!"

    @invariant()
    def books_are_right(self) -> None:
        if not hasattr(self, "model"):
            return
        stride, offset = self.model_type.owners_stride, self.model_type.owners_offset
        words = self.guest.words(self.guest.variable("frame_entries"), self.count * stride // 4)
        assert words[offset // 4 :: stride // 4] == [self.owners.get(frame, 0) for frame in range(self.count)]
        assert self.guest.call("frame_in_use") == len(self.owners)
        assert self.guest.call("frame_total") == self.count
        self.model.check_books(self.guest)


@pytest.mark.parametrize("name", FRAME_MODELS)
@AMOUNTS
def test_every_sequence_of_calls_does_what_the_model_does(
    guest_of: Callable[..., Guest], name: str, examples: int, steps: int
) -> None:
    class Machine(FrameMachine):
        guest = guest_of(f"mm/frames/{name}.S", ram_size=4 << 20)
        model_type = FRAME_MODELS[name]

    explore(Machine, examples, steps)
