import pytest
from hypothesis import given

from emu.devices import rtc as reg
from emu.devices.rtc import GoldfishRtc
from tests.emu.devices.conftest import SIZES, Line, accesses_to

START = 1_700_000_000_000_000_000


class Board:
    def __init__(self):
        self.now = START
        self.line = Line()
        self.changes = 0
        self.rtc = GoldfishRtc(lambda: self.now, self.line, changed=self._count)

    def _count(self):
        self.changes += 1

    def time(self):
        low = self.rtc.read(reg.TIME_LOW, 4)
        return self.rtc.read(reg.TIME_HIGH, 4) << 32 | low

    def set_alarm(self, time):
        self.rtc.write(reg.ALARM_HIGH, 4, time >> 32)
        self.rtc.write(reg.ALARM_LOW, 4, time & 0xFFFF_FFFF)


@pytest.fixture
def board():
    return Board()


def test_reading_the_low_half_latches_the_high_one(board):
    board.now = 0x1_FFFF_FFFF
    low = board.rtc.read(reg.TIME_LOW, 4)
    board.now += 1
    assert (low, board.rtc.read(reg.TIME_HIGH, 4)) == (0xFFFF_FFFF, 1)


def test_a_clock_that_was_set_goes_on_from_there(board):
    board.rtc.write(reg.TIME_HIGH, 4, 7)
    board.rtc.write(reg.TIME_LOW, 4, 100)
    board.now += 50
    assert board.time() == (7 << 32) + 150


def test_an_alarm_goes_off_once_and_interrupts_while_enabled(board):
    board.set_alarm(START + 1000)
    assert (board.rtc.next_deadline, board.rtc.read(reg.ALARM_STATUS, 4)) == (START + 1000, 1)
    board.now = START + 1000
    board.rtc.update()
    assert (board.rtc.next_deadline, board.rtc.read(reg.ALARM_STATUS, 4)) == (None, 0)
    assert not board.line.level
    board.rtc.write(reg.IRQ_ENABLED, 4, 1)
    assert board.line.level
    board.rtc.write(reg.CLEAR_INTERRUPT, 4, 0)
    assert not board.line.level


def test_an_alarm_in_the_past_goes_off_at_once(board):
    board.rtc.write(reg.IRQ_ENABLED, 4, 1)
    board.set_alarm(START - 1)
    assert board.line.level


def test_a_cleared_alarm_never_goes_off(board):
    board.set_alarm(START + 10)
    board.rtc.write(reg.CLEAR_ALARM, 4, 0)
    board.now += 100
    board.rtc.update()
    board.rtc.write(reg.IRQ_ENABLED, 4, 1)
    assert not board.line.level
    assert board.rtc.next_deadline is None


def test_setting_the_clock_moves_the_deadline_of_the_alarm(board):
    board.set_alarm(START + 1000)
    board.rtc.write(reg.TIME_LOW, 4, (START & 0xFFFF_FFFF) + 600)
    assert board.rtc.next_deadline == START + 400


def test_each_write_that_may_move_the_deadline_is_told(board):
    board.set_alarm(START + 1000)
    assert board.changes == 2
    board.rtc.write(0x20, 4, 1)
    assert board.changes == 2


def test_a_doubleword_is_two_words_the_lower_first(board):
    board.now = 5 << 32 | 6
    assert board.rtc.read(reg.TIME_LOW, 8) == 5 << 32 | 6
    board.rtc.write(reg.ALARM_LOW, 8, 7 << 32 | 8)
    assert board.rtc.read(reg.ALARM_LOW, 8) == 7 << 32 | 8
    assert board.rtc.read(reg.ALARM_STATUS, 4) == 0, "the lower half set the alarm when the upper one was still 0"


def test_it_takes_words_and_doublewords_up_to_its_last_register(board):
    taken = [[size for size in SIZES if board.rtc.takes(offset, size)] for offset in (0, 0x20, 0x28, 0x800)]
    assert taken == [[4, 8], [4], [], []]


@given(accesses_to(*range(0, 0x24, 4)))
def test_any_access_is_answered_and_a_saved_state_comes_back(exercise, accesses):
    board = Board()
    exercise(board.rtc, accesses)
    state, level, deadline, time = board.rtc.save(), board.line.level, board.rtc.next_deadline, board.rtc._time()
    board.rtc.reset()
    assert (board.line.level, board.rtc.next_deadline) == (False, None)
    board.rtc.restore(state)
    assert (board.rtc.save(), board.line.level, board.rtc.next_deadline) == (state, level, deadline)
    assert board.rtc._time() == time
