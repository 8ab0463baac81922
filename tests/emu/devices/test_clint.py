import pytest
from hypothesis import given

from emu.devices.clint import MSIP, MTIME, MTIMECMP, Clint
from tests.emu.devices.conftest import SIZES, Line, accesses_to

MASK64 = (1 << 64) - 1


class Board:
    def __init__(self):
        self.now = 100
        self.software, self.timer = Line(), Line()
        self.changes = 0
        self.clint = Clint(lambda: self.now, software=self.software, timer=self.timer, changed=self._count)

    def _count(self):
        self.changes += 1


@pytest.fixture
def board():
    return Board()


def test_msip_drives_the_software_interrupt_and_keeps_bit_0_only(board):
    board.clint.write(MSIP, 4, 0xFFFF_FFFF)
    assert board.software.level
    assert board.clint.read(MSIP, 4) == 1
    board.clint.write(MSIP, 4, 0)
    assert not board.software.level


def test_after_reset_no_timer_interrupt_ever_comes(board):
    assert not board.timer.level
    assert board.clint.next_deadline is None


def test_mtip_is_up_exactly_while_mtime_is_at_least_mtimecmp(board):
    board.clint.write(MTIMECMP, 8, 150)
    assert (board.timer.level, board.clint.next_deadline) == (False, 150)
    board.now = 149
    board.clint.update()
    assert not board.timer.level
    board.now = 150
    board.clint.update()
    assert (board.timer.level, board.clint.next_deadline) == (True, None)
    board.clint.write(MTIMECMP, 8, 151)
    assert (board.timer.level, board.clint.next_deadline) == (False, 151)


def test_mtimecmp_and_mtime_are_reached_by_halves(board):
    board.clint.write(MTIMECMP, 4, 0x1111_2222)
    board.clint.write(MTIMECMP + 4, 4, 0x3333_4444)
    assert board.clint.read(MTIMECMP, 8) == 0x3333_4444_1111_2222
    assert board.clint.read(MTIMECMP, 4) == 0x1111_2222
    assert board.clint.read(MTIMECMP + 4, 4) == 0x3333_4444
    board.now = 0x5_0000_0006
    assert (board.clint.read(MTIME, 4), board.clint.read(MTIME + 4, 4)) == (6, 5)


def test_a_deadline_in_the_past_is_due_at_once(board):
    board.clint.write(MTIMECMP, 8, 0)
    assert board.timer.level


def test_a_written_mtime_goes_on_from_there_and_moves_the_deadline(board):
    board.clint.write(MTIMECMP, 8, 1_000_100)
    board.clint.write(MTIME, 8, 1_000_000)
    assert board.clint.mtime == 1_000_000
    assert board.clint.next_deadline == 200
    board.now = 200
    assert board.clint.read(MTIME, 8) == 1_000_100
    board.clint.update()
    assert board.timer.level


def test_the_deadline_is_right_when_mtime_was_set_before_its_own_past(board):
    board.now = 1000
    board.clint.write(MTIME, 8, MASK64 - 9)
    board.clint.write(MTIMECMP, 8, MASK64 - 4)
    assert board.clint.next_deadline == 1005


def test_each_write_that_moves_the_deadline_is_told(board):
    board.clint.write(MTIMECMP, 4, 1)
    board.clint.write(MTIME + 4, 4, 1)
    assert board.changes == 2
    board.clint.write(MSIP, 4, 1)
    board.clint.write(0x8000, 4, 1)
    assert board.changes == 2


@pytest.mark.parametrize(("offset", "size"), [(MSIP + 4, 4), (0x3FFC, 4), (MTIMECMP + 8, 8), (MTIME - 4, 4)])
def test_the_registers_of_other_harts_read_0_and_hold_nothing(board, offset, size):
    before = board.clint.save()
    board.clint.write(offset, size, 1)
    assert board.clint.read(offset, size) == 0
    assert board.clint.save() == before


@pytest.mark.parametrize(
    ("offset", "sizes"), [(MSIP, [4]), (MTIMECMP, [4, 8]), (MTIME, [4, 8]), (0xC000, []), (0xFFF8, [])]
)
def test_msip_is_a_word_and_the_timers_are_words_and_doublewords(board, offset, sizes):
    assert [size for size in SIZES if board.clint.takes(offset, size)] == sizes


@given(accesses_to(MSIP, MTIMECMP, MTIMECMP + 4, MTIME, MTIME + 4, range_size=0x10000))
def test_any_access_is_answered_and_a_saved_state_comes_back(exercise, accesses):
    board = Board()
    exercise(board.clint, accesses)
    state, timer, software = board.clint.save(), board.timer.level, board.software.level
    deadline = board.clint.next_deadline
    board.clint.reset()
    assert (board.timer.level, board.software.level) == (False, False)
    board.clint.restore(state)
    assert (board.clint.save(), board.clint.next_deadline) == (state, deadline)
    assert (board.timer.level, board.software.level) == (timer, software)
