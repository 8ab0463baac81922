import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices import uart_registers as reg
from emu.devices.uart import FIFO_DEPTH, Uart
from tests.emu.devices.conftest import SIZES, Line, accesses_to
from tests.emu.devices.ports import ModelPort


class Board:
    def __init__(self):
        self.sent = bytearray()
        self.line = Line()
        self.uart = Uart(self.sent.extend, self.line)

    def read(self, offset):
        return self.uart.read(offset, 1)

    def write(self, offset, value):
        self.uart.write(offset, 1, value)

    @property
    def source(self):
        """What IIR names, without reading it."""
        return self.uart._source()


@pytest.fixture
def board():
    return Board()


def test_after_reset_the_registers_are_as_the_datasheet_says(board):
    assert board.read(reg.IIR) == reg.IIR_NO_INT
    assert board.read(reg.LSR) == reg.LSR_THR_EMPTY | reg.LSR_TRANSMITTER_EMPTY
    assert [board.read(offset) for offset in (reg.IER, reg.LCR, reg.SCR)] == [0, 0, 0]
    assert not board.line.level


def test_what_is_written_to_thr_is_sent(board):
    for byte in b"hi\n":
        board.write(reg.THR, byte)
    assert board.sent == b"hi\n"
    assert board.read(reg.LSR) & reg.LSR_THR_EMPTY


def test_the_divisor_latch_hides_data_and_ier(board):
    board.write(reg.IER, reg.IER_RDI)
    board.write(reg.LCR, reg.LCR_DLAB | 3)
    board.write(reg.DLL, 0x34)
    board.write(reg.DLM, 0x12)
    assert (board.read(reg.DLL), board.read(reg.DLM)) == (0x34, 0x12)
    board.write(reg.LCR, 3)
    assert board.read(reg.IER) == reg.IER_RDI
    assert board.sent == b""


def test_scratch_keeps_a_byte_and_ier_four_bits(board):
    board.write(reg.SCR, 0xA5)
    board.write(reg.IER, 0xFF)
    assert (board.read(reg.SCR), board.read(reg.IER)) == (0xA5, 0x0F)


def test_typed_bytes_are_read_in_order_and_none_is_lost(board):
    typed = bytes(range(100))
    board.uart.receive(typed)
    got = bytearray()
    while board.read(reg.LSR) & reg.LSR_DATA_READY:
        got.append(board.read(reg.RBR))
    assert got == typed
    assert board.read(reg.RBR) == typed[-1], "without a FIFO the register keeps its byte"
    board.write(reg.FCR, reg.FCR_FIFO_ENABLE)
    assert board.read(reg.RBR) == 0, "an empty FIFO gives 0"


def test_without_fifo_one_byte_requests_an_interrupt_until_it_is_read(board):
    board.write(reg.IER, reg.IER_RDI)
    board.uart.receive(b"a")
    assert board.line.level
    assert board.read(reg.IIR) == reg.IIR_RDI
    assert board.line.level, "reading IIR does not clear it"
    board.read(reg.RBR)
    assert not board.line.level


@pytest.mark.parametrize(("setting", "level"), [(0x00, 1), (0x40, 4), (0x80, 8), (0xC0, 14)])
def test_the_fifo_tells_its_trigger_level_from_a_timeout(board, setting, level):
    board.write(reg.FCR, reg.FCR_FIFO_ENABLE | setting)
    board.write(reg.IER, reg.IER_RDI)
    board.uart.receive(bytes(level - 1))
    if level > 1:
        assert board.read(reg.IIR) == reg.IIR_CTI | reg.IIR_FIFO_ENABLED
    board.uart.receive(b"x")
    assert board.read(reg.IIR) == reg.IIR_RDI | reg.IIR_FIFO_ENABLED
    assert board.line.level


def test_resetting_the_receiver_drops_what_the_fifo_holds(board):
    board.write(reg.FCR, reg.FCR_FIFO_ENABLE)
    board.uart.receive(b"abc")
    board.write(reg.FCR, reg.FCR_FIFO_ENABLE | reg.FCR_RECEIVER_RESET)
    assert not board.read(reg.LSR) & reg.LSR_DATA_READY
    assert board.uart.waiting == 0


def test_enabling_the_transmit_interrupt_requests_one_at_once(board):
    board.write(reg.IER, reg.IER_THRI)
    assert board.line.level
    assert board.read(reg.IIR) == reg.IIR_THRI
    assert not board.line.level, "reading IIR clears it"
    assert board.read(reg.IIR) == reg.IIR_NO_INT
    board.write(reg.THR, ord("x"))
    assert board.line.level, "and the next byte requests it again"


def test_writing_an_unchanged_ier_requests_nothing(board):
    board.write(reg.IER, reg.IER_THRI)
    board.read(reg.IIR)
    board.write(reg.IER, reg.IER_THRI)
    assert not board.line.level


def test_an_unread_transmit_interrupt_keeps_the_line_up_and_tells_it_with_each_byte(board):
    board.write(reg.IER, reg.IER_THRI)
    board.line.calls.clear()
    board.write(reg.THR, ord("x"))
    board.read(reg.LSR)
    assert board.line.calls == [True]


def test_the_receiver_comes_before_the_transmitter(board):
    board.write(reg.IER, reg.IER_THRI | reg.IER_RDI)
    board.uart.receive(b"a")
    assert board.read(reg.IIR) == reg.IIR_RDI
    board.read(reg.RBR)
    assert board.read(reg.IIR) == reg.IIR_THRI


def test_loopback_receives_what_is_sent_and_shows_the_modem_outputs(board):
    board.write(reg.MCR, reg.MCR_LOOPBACK | reg.MCR_RTS | reg.MCR_DTR)
    board.write(reg.THR, 0x5A)
    board.uart.receive(b"outside")
    assert board.read(reg.RBR) == 0x5A
    assert board.sent == b""
    assert board.read(reg.MSR) == reg.MSR_CTS | reg.MSR_DSR
    board.write(reg.MCR, reg.MCR_LOOPBACK | reg.MCR_OUT1 | reg.MCR_OUT2)
    assert board.read(reg.MSR) == reg.MSR_RI | reg.MSR_DCD
    board.write(reg.MCR, 0)
    assert board.read(reg.RBR) == ord("o"), "the line is connected again"


def test_a_loopback_overrun_is_an_error_until_lsr_is_read(board):
    board.write(reg.IER, reg.IER_RLSI)
    board.write(reg.MCR, reg.MCR_LOOPBACK)
    board.write(reg.THR, 1)
    board.write(reg.THR, 2)
    assert board.read(reg.IIR) == reg.IIR_RLSI
    assert board.read(reg.LSR) & reg.LSR_OVERRUN
    assert not board.read(reg.LSR) & reg.LSR_OVERRUN
    assert board.read(reg.RBR) == 2
    assert not board.line.level


def test_the_status_registers_cannot_be_written(board):
    before = board.uart.save()
    board.write(reg.LSR, 0xFF)
    board.write(reg.MSR, 0xFF)
    assert board.uart.save() == before


def test_an_access_of_any_size_reaches_one_register(board):
    board.uart.write(reg.SCR, 4, 0x1234_56A5)
    assert board.uart.read(reg.SCR, 8) == 0xA5


def test_there_is_nothing_behind_the_eighth_register(board):
    assert all(board.uart.takes(reg.SCR, size) for size in SIZES)
    assert not any(board.uart.takes(reg.SCR + 1, size) for size in SIZES)


@given(accesses_to(*range(8)), st.binary(max_size=2 * FIFO_DEPTH))
def test_any_access_is_answered_and_a_saved_state_comes_back(exercise, accesses, typed):
    board = Board()
    exercise(board.uart, accesses)
    board.uart.receive(typed)
    exercise(board.uart, accesses)
    state, level = board.uart.save(), board.line.level
    tail = [(offset, 1, None) for offset in (*range(8), 0, 0, 0)]
    first = exercise(board.uart, tail)
    board.uart.reset()
    board.uart.restore(state)
    assert board.line.level == level
    assert exercise(board.uart, tail) == first


OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.just(reg.THR), st.integers(0x20, 0x7E)),
    st.tuples(st.just("read"), st.just(reg.LSR), st.integers(1, 20)),
    st.tuples(st.just("write"), st.sampled_from(range(8)), st.sampled_from([0, 1, 2, 3, 0x07, 0x10, 0x80, 0xC7])),
    st.tuples(st.just("read"), st.sampled_from(range(8)), st.just(1)),
    st.tuples(st.just("receive"), st.just(0), st.integers(1, 20)),
    st.tuples(st.sampled_from(["flush", "reset", "save", "restore", "port"]), st.just(0), st.just(0)),
)


class Life:
    """A device that is used, with a port that may answer for it."""

    def __init__(self, port):
        self.port, self.board, self.seen, self.saved = port, Board(), [], None
        self.board.uart.wanted = lambda: self.seen.append("wanted")
        self.board.uart.port = port

    def do(self, name, offset, value):
        uart = self.board.uart
        if name == "write":
            if not (uart.port and offset == reg.THR and uart.port.put(value)):
                self.board.write(offset, value)
        elif name == "read":
            for _ in range(value):
                status = uart.port.look() if uart.port and offset == reg.LSR else None
                self.seen.append(self.board.read(offset) if status is None else status)
        elif name == "receive":
            uart.receive(b"x" * value)
        elif name == "port":
            uart.port = None if uart.port else self.port
        elif name == "save":
            self.saved = uart.save()
        elif name == "restore" and self.saved is not None:
            uart.restore(self.saved)
        elif name in ("flush", "reset"):
            getattr(uart, name)()
        if not (uart.port and uart.port.waits):
            self.seen.append(self.board.source)


@settings(max_examples=60)
@given(operations=st.lists(OPERATIONS, max_size=40))
def test_a_port_that_answers_for_the_device_makes_no_difference(operations):
    """But that what was sent is given to the output later, all before anybody looks."""
    alone, along = Life(None), Life(ModelPort())
    for operation in operations:
        seen = len(along.seen)
        alone.do(*operation)
        along.do(*operation)
        if len(along.seen) - seen < len(alone.seen) - seen:
            along.seen.append(alone.seen[-1])  # it is not known yet whether the holding register became empty
        assert alone.seen == along.seen
        assert alone.board.line.level == along.board.line.level
    along.board.uart.flush()
    assert alone.board.sent == along.board.sent
    assert alone.board.uart.save() == along.board.uart.save()
