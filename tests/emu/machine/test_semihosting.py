"""Semihosting, call by call: what a guest may ask the host, what it may not, and that no pointer harms the host."""

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emu.errors import ConfigError, MachineError
from emu.machine import Machine, MachineConfig, Semihosting, StopReason
from emu.machine.hostfiles import LARGEST_TRANSFER, LONGEST_NAME, LONGEST_TEXT

(OPEN, CLOSE, WRITEC, WRITE0, WRITE, READ, READC, ISERROR, ISTTY, SEEK) = range(1, 11)
FLEN, TMPNAM, REMOVE, RENAME, CLOCK, TIME, SYSTEM, ERRNO = range(12, 20)
GET_CMDLINE, HEAPINFO, EXIT, EXIT_EXTENDED, ELAPSED, TICKFREQ = 0x15, 0x16, 0x18, 0x20, 0x30, 0x31
CALL = ".option norvc\n .balign 16\n slli x0, x0, 0x1f\n ebreak\n srai x0, x0, 7\n"
PROGRAM = f"_stay: j _stay\n .globl ask\n .balign 16\n ask: {CALL} ret\n"
CODE, NOWHERE = 0x8000_0000, 0x5000_0000
ALL = (1 << 64) - 1
POWER_ON = 1_704_067_200
HANDLER = "\n j .\n .balign 4\n handler: j handler\n letter: .byte 'c'\n"


class Guest:
    """A machine whose guest asks what the test asks: `ask(number, field, ...)` with bytes put into its memory."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.base = self._free = machine.memory.ram.base + 0x10_0000

    def put(self, data: bytes) -> int:
        address = self._free
        self.machine.memory.write(address, data)
        self._free += len(data) + 15 & ~15
        return address

    def ask(self, number: int, *fields: int | bytes) -> int:
        """The answer, signed."""
        numbers = [self.put(field + b"\0") if isinstance(field, bytes) else field & ALL for field in fields]
        return self.ask_with(number, self.put(struct.pack(f"<{len(numbers)}Q", *numbers)))

    def ask_with(self, number: int, block: int) -> int:
        answer = self.machine.call("ask", number, block)
        return answer - (answer >> 63 << 64)

    def open(self, name: bytes, mode: int = 0) -> int:
        return self.ask(OPEN, name, mode, len(name))

    @property
    def errno(self) -> int:
        return self.ask_with(ERRNO, 0)


@pytest.fixture
def guest(boot: Callable[..., Machine], tmp_path: Path) -> Guest:
    (tmp_path / "host").mkdir()
    (tmp_path / "secret").write_text("secret")
    return Guest(boot(PROGRAM, firmware="none", semihosting=Semihosting(directory=tmp_path / "host")))


@pytest.fixture
def folder(guest: Guest, tmp_path: Path) -> Path:
    return tmp_path / "host"


# Files.


def test_a_file_is_written_and_read_back(guest, folder):
    handle = guest.open(b"new.txt", 6)
    assert handle > 0
    assert guest.ask(WRITE, handle, b"0123456789", 10) == 0
    assert (folder / "new.txt").read_bytes() == b"0123456789"
    assert guest.ask(FLEN, handle) == 10
    assert guest.ask(SEEK, handle, 4) == 0
    buffer = guest.put(bytes(32))
    assert guest.ask(READ, handle, buffer, 32) == 26
    assert guest.machine.memory.read(buffer, 8) == b"456789\0\0"
    assert guest.ask(READ, handle, buffer, 32) == 32
    assert guest.ask(ISTTY, handle) == 0
    assert guest.ask(CLOSE, handle) == 0
    assert (guest.ask(CLOSE, handle), guest.errno) == (-1, errno.EBADF)


@pytest.mark.parametrize(
    ("mode", "content", "readable", "creates"),
    [(0, None, True, False), (2, b"NEWtent", True, False), (4, b"NEW", False, True), (6, b"NEW", True, True),
     (8, b"contentNEW", False, True), (10, b"contentNEW", True, True)],
)  # fmt: skip
@pytest.mark.parametrize("binary", [0, 1])
def test_a_mode_allows_what_fopen_says(guest, folder, mode, content, readable, creates, binary):
    (folder / "file").write_bytes(b"content")
    handle = guest.open(b"file", mode + binary)
    written = guest.ask(WRITE, handle, b"NEW", 3)
    assert written == (3 if content is None else 0)
    assert (folder / "file").read_bytes() == (content or b"content")
    guest.ask(SEEK, handle, 0)
    assert (guest.ask(READ, handle, guest.put(bytes(3)), 3) == 0) is readable
    assert (guest.open(b"other", mode + binary) > 0) is creates
    assert (guest.open(b"other", 12), guest.errno) == (-1, errno.EINVAL)


REFUSED = [
    (b"/etc/hostname", errno.EACCES),
    (b"../secret", errno.EACCES),
    (b"inner/../../secret", errno.EACCES),
    (b"./inner/./../..", errno.EACCES),
    (b"link", errno.ELOOP),
    (b"out/secret", errno.ENOTDIR),
    (b"inner", errno.EACCES),
    (b"pipe", errno.EACCES),
    (b"", errno.ENOENT),
    (b"./", errno.ENOENT),
    (b"a\0b", errno.EACCES),
    (b"missing/file", errno.ENOENT),
    (b"x" * 300, errno.ENAMETOOLONG),
    (b"x/" * LONGEST_NAME, errno.ENAMETOOLONG),
]


@pytest.mark.parametrize(("name", "error"), REFUSED, ids=[repr(name[:20]) for name, _ in REFUSED])
def test_nothing_outside_the_folder_is_opened(guest, folder, name, error):
    (folder / "inner").mkdir()
    (folder / "link").symlink_to("../secret")
    (folder / "out").symlink_to("..")
    os.mkfifo(folder / "pipe")
    assert (guest.open(name), guest.errno) == (-1, error)
    assert guest.open(name, 4) == -1
    assert guest.ask(REMOVE, name, len(name)) == (0 if name in (b"link", b"pipe") else -1)
    assert (folder.parent / "secret").read_text() == "secret"


def test_names_change_and_vanish_inside_the_folder_only(guest, folder):
    (folder / "one").write_text("1")
    (folder / "inner").mkdir()
    assert guest.ask(RENAME, b"one", 3, b"inner/two", 9) == 0
    assert (folder / "inner" / "two").read_text() == "1"
    assert (guest.ask(RENAME, b"inner/two", 9, b"../three", 8), guest.errno) == (-1, errno.EACCES)
    assert (guest.ask(RENAME, b"../secret", 9, b"mine", 4), guest.errno) == (-1, errno.EACCES)
    assert guest.ask(REMOVE, b"inner/two", 9) == 0
    assert (guest.ask(REMOVE, b"inner/two", 9), guest.errno) == (-1, errno.ENOENT)


def test_without_a_folder_only_the_console_can_be_opened(boot):
    guest = Guest(boot(PROGRAM, firmware="none", semihosting=Semihosting()))
    assert (guest.open(b"file"), guest.errno) == (-1, errno.EACCES)
    assert (guest.open(b"file", 4), guest.errno) == (-1, errno.EACCES)
    assert guest.ask(TMPNAM, guest.put(bytes(20)), 1, 20) == -1
    handle = guest.open(b":tt", 4)
    assert guest.ask(ISTTY, handle) == 1
    assert guest.ask(WRITE, handle, b"shown", 5) == 0
    assert (guest.ask(SEEK, handle, 0), guest.errno) == (-1, errno.ESPIPE)
    assert guest.machine.console == b"shown"


def test_a_folder_that_does_not_exist_is_an_error_before_anything_starts(tmp_path):
    with pytest.raises(ConfigError, match="missing: No such file or directory; name a folder that exists"):
        Machine(MachineConfig(semihosting=Semihosting(directory=tmp_path / "missing")))


def test_handles_run_out(guest, folder):
    (folder / "file").write_text("")
    handles = [guest.open(b"file") for _ in range(256)]
    assert len(set(handles)) == 256
    assert min(handles) > 0
    assert (guest.open(b"file"), guest.errno) == (-1, errno.EMFILE)
    guest.ask(CLOSE, handles[7])
    assert guest.open(b"file") == handles[7]


def test_a_temporary_name_is_the_same_each_time(guest):
    buffer = guest.put(bytes(20))
    assert guest.ask(TMPNAM, buffer, 0x1A, 20) == 0
    assert guest.machine.memory.read(buffer, 11) == b"ekernel-1a\0"
    assert (guest.ask(TMPNAM, buffer, 0x1A, 10), guest.errno) == (-1, errno.ERANGE)


def test_a_snapshot_returns_the_handles_and_their_positions(guest, folder):
    (folder / "file").write_bytes(b"0123456789")
    handle, buffer = guest.open(b"file"), guest.put(bytes(4))
    guest.ask(READ, handle, buffer, 4)
    snapshot = guest.machine.snapshot()
    guest.ask(READ, handle, buffer, 4)
    guest.ask(CLOSE, handle)
    guest.machine.restore(snapshot)
    guest.ask(READ, handle, buffer, 4)
    assert guest.machine.memory.read(buffer, 4) == b"4567"


# Input.


def test_what_was_typed_is_read_and_the_rest_waited_for(guest):
    handle, buffer = guest.open(b":tt"), guest.put(bytes(8))
    guest.machine.type_text(b"abc")
    assert guest.ask(READ, handle, buffer, 2) == 0
    assert guest.ask_with(READC, 0) == ord("c")


def test_a_guest_that_reads_too_early_waits_and_goes_on_when_something_was_typed(boot):
    machine = boot(f"li a0, {READC}\n {CALL} mv s0, a0\n" + HANDLER, firmware="none", semihosting=Semihosting())
    for _ in range(2):
        assert machine.run(100).reason is StopReason.WANTS_INPUT
    waited = machine.instret
    machine.type_text(b"!")
    assert machine.run(2).reason is StopReason.INSTRUCTION_LIMIT
    assert machine.instret == waited + 2
    machine.run(2)
    assert machine.hart.x["s0"] == ord("!")


def test_input_that_has_ended_reads_as_an_end(guest):
    guest.machine.platform.keyboard.ended = True
    assert guest.ask(READ, guest.open(b":tt"), guest.put(bytes(8)), 8) == 8


# The machine.


def test_time_is_the_machines(guest):
    assert guest.ask_with(TICKFREQ, 0) == 1_000_000_000
    place = guest.put(bytes(8))
    for _ in range(2):
        assert guest.ask_with(ELAPSED, place) == 0
        elapsed = int.from_bytes(guest.machine.memory.read(place, 8), "little")
        assert 0 <= guest.machine.platform.ticks() * 100 - elapsed <= 100
        guest.machine.run(30_000_000)
    assert guest.ask_with(CLOCK, 0) == guest.machine.platform.ticks() // 100_000 == 60
    guest.machine.run(60_000_000)
    assert guest.ask_with(TIME, 0) == POWER_ON + 1


def test_the_command_line_is_the_kernels_name_and_arguments(build, tmp_path):
    for arguments, expected in (((), b"test.elf two words"), (("a", "b c"), b"a b c")):
        machine = Machine(
            MachineConfig(
                firmware="none", bootargs="two  words", ram_size=16 << 20, semihosting=Semihosting(arguments=arguments)
            )
        )
        machine.load(build(PROGRAM, 0x8000_0000))
        guest = Guest(machine)
        buffer = guest.put(bytes(80))
        block = guest.put(struct.pack("<2Q", buffer, len(expected) + 1))
        assert guest.ask_with(GET_CMDLINE, block) == 0
        assert machine.memory.read(buffer, len(expected) + 1) == expected + b"\0"
        assert machine.memory.read(block, 16) == struct.pack("<2Q", buffer, len(expected))
        assert (guest.ask(GET_CMDLINE, buffer, len(expected)), guest.errno) == (-1, errno.E2BIG)


def test_the_heap_is_the_largest_free_part_of_memory(guest):
    tree = guest.machine.hart.x["a1"]
    block = guest.put(bytes(32))
    assert guest.ask(HEAPINFO, block) == 0
    base, limit, stack, end = struct.unpack("<4Q", guest.machine.memory.read(block, 32))
    assert (stack, end) == (limit, base)
    assert (base, limit) == (guest.machine.image.segments[-1].end, tree)


@pytest.mark.parametrize("number", [EXIT, EXIT_EXTENDED])
@pytest.mark.parametrize(("fields", "code"), [((0x20026, 0), 0), ((0x20026, 259), 259), ((0x20026, -1), 0xFFFF),
                                              ((0x20023, 0), 1)])  # fmt: skip
def test_the_guest_ends_the_machine_with_its_exit_status(boot, number, fields, code):
    block = ", ".join(map(str, fields))
    source = f"li a0, {number}\n la a1, block\n {CALL} j .\n .balign 8\n block: .dword {block}\n"
    machine = boot(source, firmware="none", semihosting=Semihosting())
    outcome = machine.run(100)
    assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, code)


@pytest.mark.parametrize("number", [0, SYSTEM, 0x0B, 0x14, 0x17, 0x19, 0x32, 0xFFFF_FFFF])
def test_commands_of_the_host_and_unknown_calls_are_refused(guest, folder, number):
    assert (guest.ask(number, b"touch done", 10), guest.errno) == (-1, errno.ENOSYS)
    assert not list(folder.iterdir())


def test_the_upper_half_of_the_number_does_not_count(guest):
    assert guest.ask_with(TICKFREQ | 1 << 63, 0) == 1_000_000_000


# Pointers.


@pytest.mark.parametrize("number", [OPEN, CLOSE, WRITE, READ, ISERROR, ISTTY, SEEK, FLEN, TMPNAM, REMOVE, RENAME,
                                    WRITEC, WRITE0, GET_CMDLINE, HEAPINFO, EXIT, EXIT_EXTENDED, ELAPSED])  # fmt: skip
@pytest.mark.parametrize("where", [NOWHERE, 0, ALL - 3, 0x1000_0000, 0x8000_0000 - 1, 0x8100_0000 - 1])
def test_a_block_outside_memory_is_an_error(guest, number, where):
    answer = guest.ask_with(number, where)
    if number in (WRITEC, WRITE0) and where == 0x8100_0000 - 1:  # one byte of RAM is there, and it may be a zero
        return
    assert (answer, guest.errno) == (-1, errno.EFAULT)


def test_a_bad_buffer_moves_nothing(guest, folder):
    (folder / "file").write_bytes(b"0123456789")
    handle = guest.open(b"file", 2)
    end = guest.machine.memory.ram.end
    for buffer, length in ((NOWHERE, 4), (end - 2, 4), (end - 4, ALL), (ALL - 1, 4), (guest.base, 1 << 62)):
        assert guest.ask(READ, handle, buffer, length) == length - (length >> 63 << 64)
        assert guest.ask(WRITE, handle, buffer, length) == length - (length >> 63 << 64)
    assert (folder / "file").read_bytes() == b"0123456789"
    assert guest.ask(READ, handle, end - 4, 4) == 0
    assert guest.machine.memory.read(end - 4, 4) == b"0123"


def test_a_name_or_text_outside_memory_is_an_error(guest):
    for address in (NOWHERE, guest.machine.memory.ram.end - 2):
        assert (guest.ask(OPEN, address, 0, 4), guest.errno) == (-1, errno.EFAULT)
    guest.machine.memory.write(guest.machine.memory.ram.end - 4, b"abcd")
    assert (guest.ask_with(WRITE0, guest.machine.memory.ram.end - 4), guest.errno) == (-1, errno.EFAULT)


def test_what_one_call_moves_is_limited(boot, tmp_path):
    machine = boot(PROGRAM, firmware="none", ram_size=128 << 20, semihosting=Semihosting(directory=tmp_path))
    guest = Guest(machine)
    handle = guest.open(b"large", 6)
    assert guest.ask(WRITE, handle, guest.base, LARGEST_TRANSFER + 5) == 5
    assert guest.ask(SEEK, handle, 0) == 0
    assert guest.ask(READ, handle, guest.base, LARGEST_TRANSFER + 5) == 5
    machine.memory.write(guest.base, b"x" * (LONGEST_TEXT + 4096))
    assert (guest.ask_with(WRITE0, guest.base), machine.console) == (-1, b"")
    assert guest.errno == errno.E2BIG


FIELDS = st.one_of(
    st.integers(0, ALL),
    st.integers(0, 300),
    st.sampled_from([0x8010_0000, 0x8000_0000, 0x80FF_FFF8, NOWHERE, 0x1000_0000, 1 << 31, ALL]),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 0x40), block=FIELDS, fields=st.lists(FIELDS, min_size=4, max_size=4))
def test_no_arguments_harm_the_host(guest, folder, number, block, fields):
    machine = guest.machine
    snapshot = machine.snapshot()
    code = machine.image.segments[0].data
    machine.memory.write(guest.base, struct.pack("<4Q", *fields) + b"name\0")
    machine.hart.x["a0"], machine.hart.x["a1"] = number, block
    machine.hart.pc = machine.address_of("ask")
    machine.hart.x["ra"] = machine.address_of("_stay")
    try:
        outcome = machine.run(max_instructions=10)
    except MachineError:  # an answer was written over the code, which the hart does not survive
        assert machine.memory.read(CODE, len(code)) != code
    else:
        assert outcome.reason in (StopReason.INSTRUCTION_LIMIT, StopReason.POWERED_OFF, StopReason.WANTS_INPUT)
    assert all(path.parent == folder for path in folder.parent.rglob("*") if path.name not in ("host", "secret"))
    machine.restore(snapshot)
