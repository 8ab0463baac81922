from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.devices.power import PowerRequest
from emu.firmware.sbi import CONSOLE_CHUNK, Extension, Sbi, SbiError

MASK64 = (1 << 64) - 1
RAM = 0x8000_0000


@dataclass
class Host:
    """A machine of 16 KiB that writes down what it was asked for."""

    ram: bytearray = field(default_factory=lambda: bytearray(16384))
    typed: bytearray = field(default_factory=bytearray)
    shown: bytearray = field(default_factory=bytearray)
    asked: list = field(default_factory=list)

    def console_write(self, data):
        self.shown += data

    def console_read(self):
        return self.typed.pop(0) if self.typed else -1

    def set_timer(self, deadline):
        self.asked.append(("timer", deadline))

    def set_software_interrupt(self, pending):
        self.asked.append(("ssip", pending))

    def fence_i(self):
        self.asked.append("fence.i")

    def flush_translations(self):
        self.asked.append("sfence.vma")

    def read_memory(self, physical, size):
        start = physical - RAM
        return bytes(self.ram[start : start + size]) if start >= 0 and start + size <= len(self.ram) else None

    def write_memory(self, physical, data):
        if self.read_memory(physical, len(data)) is None:
            return False
        self.ram[physical - RAM : physical - RAM + len(data)] = data
        return True

    def read_virtual(self, virtual, size):
        return self.read_memory(virtual - 0xFFFF_FFFF_0000_0000, size)

    def stop_hart(self):
        self.asked.append("stop")

    def suspend_hart(self, resume_address, opaque):
        self.asked.append(("suspend", resume_address, opaque))

    def power_off(self, request, exit_code):
        self.asked.append((request, exit_code))


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def sbi(host):
    return Sbi(host)


def call(sbi, extension, function=0, *args):
    """Error and value of a call, signed."""
    result = sbi.call(extension, function, (*args, *[0] * (6 - len(args))))
    assert result.a1 is not None
    return tuple(n - (1 << 64) if n >> 63 else n for n in (result.a0, result.a1))


def legacy(sbi, extension, *args):
    result = sbi.call(extension, 0, (*args, *[0] * (6 - len(args))))
    assert result.a1 is None, "a legacy call changes a0 only"
    return result.a0


def test_the_base_extension_says_version_2_0(sbi):
    assert call(sbi, 0x10, 0) == (0, 0x0200_0000)
    assert call(sbi, 0x10, 1)[0] == 0
    assert [call(sbi, 0x10, function) for function in (4, 5, 6)] == [(0, 0)] * 3


@pytest.mark.parametrize("extension", list(Extension))
def test_every_extension_that_answers_is_found_by_probing(sbi, extension):
    assert call(sbi, 0x10, 3, int(extension)) == (0, 1)


@pytest.mark.parametrize("extension", [9, 0xF, 0x11, 0x504D55, 0x0A00_0000, MASK64])
def test_what_is_not_there_is_not_found_and_not_supported(sbi, extension):
    assert call(sbi, 0x10, 3, extension) == (0, 0)
    assert call(sbi, extension) == (SbiError.NOT_SUPPORTED, 0)


@pytest.mark.parametrize("extension", [e for e in Extension if e >= 0x10])
def test_an_unknown_function_is_not_supported(sbi, extension):
    assert call(sbi, extension, 99) == (SbiError.NOT_SUPPORTED, 0)


def test_timer_calls_pass_the_deadline_on(sbi, host):
    assert call(sbi, Extension.TIME, 0, 123456) == (0, 0)
    assert legacy(sbi, Extension.SET_TIMER, MASK64) == 0
    assert host.asked == [("timer", 123456), ("timer", MASK64)]


@pytest.mark.parametrize(("mask", "base", "sent"), [(1, 0, True), (0, MASK64, True), (5, MASK64, True), (0, 7, False)])
def test_an_ipi_reaches_the_hart_that_the_mask_selects(sbi, host, mask, base, sent):
    assert call(sbi, Extension.IPI, 0, mask, base) == (0, 0)
    assert host.asked == [("ssip", True)] * sent


@pytest.mark.parametrize(("mask", "base"), [(2, 0), (1, 1), (3, 0)])
@pytest.mark.parametrize("extension", [Extension.IPI, Extension.RFENCE])
def test_a_mask_with_a_hart_that_does_not_exist_is_invalid(sbi, host, extension, mask, base):
    assert call(sbi, extension, 0, mask, base) == (SbiError.INVALID_PARAM, 0)
    assert host.asked == []


def test_remote_fences_act_on_the_hart_itself(sbi, host):
    for function in (0, 1, 2):
        assert call(sbi, Extension.RFENCE, function, 1, 0, 0x1000, 0x2000, 3) == (0, 0)
    assert host.asked == ["fence.i", "sfence.vma", "sfence.vma"]
    assert call(sbi, Extension.RFENCE, 3, 1, 0) == (SbiError.NOT_SUPPORTED, 0)


def test_the_only_hart_is_started(sbi):
    assert call(sbi, Extension.HSM, 2, 0) == (0, 0)
    assert call(sbi, Extension.HSM, 2, 1) == (SbiError.INVALID_PARAM, 0)
    assert call(sbi, Extension.HSM, 0, 0, RAM, 0) == (SbiError.ALREADY_AVAILABLE, 0)
    assert call(sbi, Extension.HSM, 0, 1, RAM, 0) == (SbiError.INVALID_PARAM, 0)


def test_suspending_waits_or_restarts(sbi, host):
    assert call(sbi, Extension.HSM, 3, 0) == (0, 0)
    assert call(sbi, Extension.HSM, 3, 0x8000_0000, RAM + 64, 9) == (0, 0)
    assert call(sbi, Extension.HSM, 3, 0x8000_0000, 0, 9) == (SbiError.INVALID_ADDRESS, 0)
    assert call(sbi, Extension.HSM, 3, 1) == (SbiError.INVALID_PARAM, 0)
    assert call(sbi, Extension.HSM, 3, 0x1000_0000) == (SbiError.NOT_SUPPORTED, 0)
    assert host.asked == [("suspend", None, 0), ("suspend", RAM + 64, 9)]


@pytest.mark.parametrize(
    ("kind", "reason", "expected"),
    [
        (0, 0, (PowerRequest.SHUTDOWN, 0)),
        (0, 1, (PowerRequest.SHUTDOWN, 1)),
        (0, 0xE000_0000, (PowerRequest.SHUTDOWN, 1)),
        (1, 0, (PowerRequest.COLD_REBOOT, 0)),
        (2, 0, (PowerRequest.WARM_REBOOT, 0)),
    ],
)
def test_a_system_reset_ends_the_machine_with_the_reason_as_exit_code(sbi, host, kind, reason, expected):
    call(sbi, Extension.SRST, 0, kind, reason)
    assert host.asked == [expected]


@pytest.mark.parametrize(
    ("kind", "reason", "error"),
    [(3, 0, SbiError.INVALID_PARAM), (0, 2, SbiError.INVALID_PARAM), (0xF000_0000, 0, SbiError.NOT_SUPPORTED)],
)
def test_a_reserved_reset_does_nothing(sbi, host, kind, reason, error):
    assert call(sbi, Extension.SRST, 0, kind, reason) == (error, 0)
    assert host.asked == []


def test_legacy_shutdown_ends_with_zero(sbi, host):
    legacy(sbi, Extension.SHUTDOWN)
    assert host.asked == [(PowerRequest.SHUTDOWN, 0)]


def test_the_debug_console_writes_memory_and_says_how_much(sbi, host):
    host.ram[16:21] = b"hello"
    assert call(sbi, Extension.DBCN, 0, 5, RAM + 16, 0) == (0, 5)
    assert call(sbi, Extension.DBCN, 2, 0x121) == (0, 0)
    assert host.shown == b"hello!"
    assert call(sbi, Extension.DBCN, 0, 1 << 40, RAM, 0) == (0, CONSOLE_CHUNK)


@pytest.mark.parametrize("function", [0, 1])
@pytest.mark.parametrize(("size", "low", "high"), [(8, 0, 0), (8, RAM + 16380, 0), (8, RAM, 1), (MASK64, MASK64, 0)])
def test_the_debug_console_refuses_memory_that_is_not_ram(sbi, host, function, size, low, high):
    host.typed += b"kept"
    assert call(sbi, Extension.DBCN, function, size, low, high) == (SbiError.INVALID_PARAM, 0)
    assert (host.shown, host.typed) == (b"", b"kept")


def test_the_debug_console_reads_what_was_typed_and_never_waits(sbi, host):
    host.typed += b"abc"
    assert call(sbi, Extension.DBCN, 1, 2, RAM, 0) == (0, 2)
    assert call(sbi, Extension.DBCN, 1, 8, RAM + 8, 0) == (0, 1)
    assert call(sbi, Extension.DBCN, 1, 8, RAM + 16, 0) == (0, 0)
    assert host.ram[:9] == b"ab\0\0\0\0\0\0c"


def test_the_legacy_console(sbi, host):
    host.typed += b"x"
    assert legacy(sbi, Extension.CONSOLE_GETCHAR) == ord("x")
    assert legacy(sbi, Extension.CONSOLE_GETCHAR) == MASK64
    assert legacy(Sbi(host, getchar_when_empty=0), Extension.CONSOLE_GETCHAR) == 0
    assert legacy(sbi, Extension.CONSOLE_PUTCHAR, 0x141) == 0
    assert host.shown == b"A"


def test_legacy_masks_are_read_from_virtual_memory(sbi, host):
    host.ram[0] = 1
    mask = RAM + 0xFFFF_FFFF_0000_0000
    assert [legacy(sbi, extension, mask) for extension in (4, 5, 6, 7)] == [0, 0, 0, 0]
    assert host.asked == [("ssip", True), "fence.i", "sfence.vma", "sfence.vma"]
    assert legacy(sbi, Extension.SEND_IPI, mask + 8) == 0, "an empty mask selects nobody"
    assert legacy(sbi, Extension.REMOTE_FENCE_I, 64) == MASK64, "an address without a mapping"
    assert legacy(sbi, Extension.CLEAR_IPI) == 0
    assert host.asked[4:] == [("ssip", False)]
    assert legacy(sbi, Extension.REMOTE_FENCE_I) == 0
    assert host.asked[5:] == ["fence.i"], "a null pointer selects all harts"


_word = st.one_of(st.integers(0, 16), st.integers(0, MASK64), st.sampled_from([RAM, RAM + 16383, MASK64]))


@given(st.one_of(st.sampled_from([int(e) for e in Extension]), _word), _word, st.lists(_word, min_size=6, max_size=6))
def test_any_call_is_answered(extension, function, args):
    result = Sbi(Host()).call(extension, function, args)
    assert 0 <= result.a0 <= MASK64
    assert result.a1 is None or 0 <= result.a1 <= MASK64
