import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.plic import (
    CLAIM,
    CONTEXT,
    CONTEXT_STRIDE,
    ENABLE,
    ENABLE_STRIDE,
    MACHINE,
    PENDING,
    PRIORITY,
    SOURCES,
    SUPERVISOR,
    THRESHOLD,
    Plic,
)
from tests.emu.devices.conftest import SIZES, Line, accesses_to


class Board:
    def __init__(self):
        self.outputs = (Line(), Line())
        self.plic = Plic(machine=self.outputs[0], supervisor=self.outputs[1])

    def set_up(self, context, **priorities):
        """Give sources (s1, s10, ...) a priority and enable them."""
        for name, priority in priorities.items():
            source = int(name[1:])
            self.plic.write(PRIORITY + 4 * source, 4, priority)
            at = ENABLE + ENABLE_STRIDE * context + source // 32 * 4
            self.plic.write(at, 4, self.plic.read(at, 4) | 1 << source % 32)

    def claim(self, context=SUPERVISOR):
        return self.plic.read(CONTEXT + CONTEXT_STRIDE * context + CLAIM, 4)

    def complete(self, source, context=SUPERVISOR):
        self.plic.write(CONTEXT + CONTEXT_STRIDE * context + CLAIM, 4, source)

    def threshold(self, value, context=SUPERVISOR):
        self.plic.write(CONTEXT + CONTEXT_STRIDE * context + THRESHOLD, 4, value)

    def pending(self, source):
        return self.plic.read(PENDING + source // 32 * 4, 4) >> source % 32 & 1


@pytest.fixture
def board():
    return Board()


def test_an_enabled_interrupt_reaches_its_context_only(board):
    board.set_up(SUPERVISOR, s10=1)
    board.plic.line(10)(True)
    assert [line.level for line in board.outputs] == [False, True]
    assert (board.claim(MACHINE), board.claim(SUPERVISOR)) == (0, 10)


@pytest.mark.parametrize("priority", [0])
def test_priority_0_never_interrupts(board, priority):
    board.set_up(SUPERVISOR, s10=priority)
    board.plic.line(10)(True)
    assert not board.outputs[SUPERVISOR].level
    assert board.pending(10)
    assert board.claim() == 0


def test_only_priorities_above_the_threshold_interrupt(board):
    board.set_up(SUPERVISOR, s3=3)
    board.plic.line(3)(True)
    for threshold, level in ((2, True), (3, False), (7, False), (0, True)):
        board.threshold(threshold)
        assert board.outputs[SUPERVISOR].level is level


def test_claims_come_by_priority_and_then_by_number(board):
    board.set_up(SUPERVISOR, s5=1, s40=7, s8=3, s2=3, s95=7)
    for source in (5, 8, 2, 95, 40):
        board.plic.line(source)(True)
    assert [board.claim() for _ in range(6)] == [40, 95, 2, 8, 5, 0]
    assert not board.outputs[SUPERVISOR].level


def test_a_claimed_interrupt_is_not_given_again_until_it_is_completed(board):
    board.set_up(SUPERVISOR, s10=1)
    board.set_up(MACHINE, s10=1)
    board.plic.line(10)(True)
    assert board.claim() == 10
    board.plic.line(10)(True)
    assert board.pending(10)
    assert [line.level for line in board.outputs] == [False, False]
    board.complete(10)
    assert [line.level for line in board.outputs] == [True, True]
    assert board.claim(MACHINE) == 10


def test_a_level_that_stays_up_is_not_sampled_again_at_completion(board):
    board.set_up(SUPERVISOR, s10=1)
    board.plic.line(10)(True)
    board.complete(board.claim())
    assert not board.outputs[SUPERVISOR].level
    assert not board.pending(10)


def test_a_line_that_rises_again_before_the_claim_tells_nobody(board):
    board.set_up(SUPERVISOR, s10=1)
    board.plic.line(10)(True)
    for output in board.outputs:
        output.calls.clear()
    board.plic.line(10)(True)
    assert [output.calls for output in board.outputs] == [[], []]
    assert (board.claim(), board.outputs[SUPERVISOR].level) == (10, False)
    board.plic.line(10)(True)  # claimed: pending again, and given only when it is completed
    assert not board.outputs[SUPERVISOR].level
    board.complete(10)
    assert board.outputs[SUPERVISOR].level


def test_a_request_stays_when_its_line_falls_before_the_claim(board):
    board.set_up(SUPERVISOR, s10=1)
    board.plic.line(10)(True)
    board.plic.line(10)(False)
    assert board.outputs[SUPERVISOR].level
    assert (board.claim(), board.claim()) == (10, 0)


def test_registers_keep_only_the_bits_that_exist(board):
    board.plic.write(PRIORITY + 4, 4, 0xFFFF_FFFF)
    board.plic.write(PRIORITY, 4, 1)
    board.plic.write(PRIORITY + 4 * SOURCES, 4, 1)
    board.plic.write(ENABLE, 4, 0xFFFF_FFFF)
    board.plic.write(PENDING, 4, 0xFFFF_FFFF)
    board.threshold(0xFFFF_FFFF)
    read = board.plic.read
    assert [read(PRIORITY + 4, 4), read(PRIORITY, 4), read(PRIORITY + 4 * SOURCES, 4)] == [7, 0, 0]
    assert [read(ENABLE, 4), read(PENDING, 4)] == [0xFFFF_FFFE, 0]
    assert read(CONTEXT + CONTEXT_STRIDE, 4) == 7


def test_completing_what_does_not_exist_changes_nothing(board):
    before = board.plic.save()
    for source in (0, 1, SOURCES, 0xFFFF_FFFF):
        board.complete(source)
    assert board.plic.save() == before


def test_all_registers_are_words(board):
    assert [size for size in SIZES if board.plic.takes(CONTEXT + CLAIM, size)] == [4]


@pytest.mark.parametrize("source", [0, -1, SOURCES])
def test_a_line_needs_a_source_that_exists(board, source):
    with pytest.raises(ValueError, match="1 to 95"):
        board.plic.line(source)


_registers = (
    *(PRIORITY + 4 * n for n in (0, 1, 10, 33, 95)), PENDING, PENDING + 8, ENABLE, ENABLE + 4, ENABLE + ENABLE_STRIDE,
    ENABLE + 2 * ENABLE_STRIDE, CONTEXT, CONTEXT + CLAIM, CONTEXT + CONTEXT_STRIDE, CONTEXT + CONTEXT_STRIDE + CLAIM,
    CONTEXT + 2 * CONTEXT_STRIDE,
)  # fmt: skip


@given(accesses_to(*_registers, range_size=0x60_0000), st.lists(st.tuples(st.integers(1, 95), st.booleans())))
@settings(max_examples=300)
def test_any_access_is_answered_and_a_saved_state_comes_back(exercise, accesses, levels):
    board = Board()
    for source, level in levels:
        board.plic.line(source)(level)
    exercise(board.plic, accesses)
    state, outputs = board.plic.save(), [line.level for line in board.outputs]
    first = exercise(board.plic, [(offset, 4, None) for offset in _registers])
    board.plic.reset()
    assert [line.level for line in board.outputs] == [False, False]
    board.plic.restore(state)
    assert [line.level for line in board.outputs] == outputs
    assert exercise(board.plic, [(offset, 4, None) for offset in _registers]) == first


@given(
    st.dictionaries(st.integers(1, 95), st.integers(0, 7), max_size=8),
    st.sets(st.integers(1, 95), max_size=8),
    st.integers(0, 7),
)
def test_the_best_of_any_set_is_claimed(priorities, raised, threshold):
    board = Board()
    board.set_up(SUPERVISOR, **{f"s{source}": priority for source, priority in priorities.items()})
    board.threshold(threshold)
    for source in raised:
        board.plic.line(source)(True)
    eligible = [source for source in raised if priorities.get(source, 0) > threshold]
    assert board.outputs[SUPERVISOR].level == bool(eligible)
    assert board.claim() == min(eligible, key=lambda source: (-priorities[source], source), default=0)
