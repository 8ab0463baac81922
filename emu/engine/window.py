"""The state window: the core's registers and CSRs as words that the host reads and writes directly.

`reg_read` and `reg_write` check CSRs against the guest's privilege and fail silently, so they are not used.
"""

import ctypes
import struct
from collections.abc import Callable, Collection

from emu.buffers import octets_type
from emu.engine import library
from emu.engine.library import Handle
from emu.errors import MachineError
from emu.hints import Protocol

STATE_BYTES = 1584
"""Size of the core's state in the pinned version of Unicorn."""
_CONTEXT_HEADER = 40


class Word:
    """Indices of 64-bit words in the state window (Unicorn 2.1.4, target/riscv/cpu.h), plain numbers as in `Slot`."""

    X0 = 0
    F0 = 256 // 8
    PC = 512 // 8
    LOAD_RESERVATION = 520 // 8
    FRM = 536 // 8
    BAD_ADDRESS = 544 // 8
    MISA = 568 // 8
    PRIVILEGE = 592 // 8
    MSTATUS = 624 // 8
    MIP = 632 // 8
    MIE = 648 // 8
    MIDELEG = 656 // 8
    SATP = 672 // 8
    STVAL = 680 // 8
    MTVAL = 688 // 8
    MEDELEG = 696 // 8
    STVEC = 704 // 8
    SEPC = 712 // 8
    SCAUSE = 720 // 8
    MTVEC = 728 // 8
    MEPC = 736 // 8
    MCAUSE = 744 // 8
    HTVAL = 792 // 8
    HTINST = 800 // 8
    SCOUNTEREN = 952 // 8
    MCOUNTEREN = 960 // 8
    SSCRATCH = 968 // 8
    MSCRATCH = 976 // 8
    RDTIME_FUNCTION = 1528 // 8


FFLAGS_BYTE = 1539
"""Accrued floating-point exceptions, in softfloat's order of bits."""
FEATURES_BYTE = 584
"""Bit 1: physical memory protection."""
EXT_COUNTERS_BYTE = 1579
EXT_ICSR_BYTE = 1581
_CONFIGURATION_BYTES = (1568, bytes((1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1)))
"""Where the core keeps which extensions it has, and what a fresh one has."""


_GUESTS = (
    *range(Word.FRM), Word.FRM, Word.BAD_ADDRESS, Word.PRIVILEGE, Word.MSTATUS, Word.MIP, Word.MIE, Word.MIDELEG,
    Word.SATP, Word.STVAL, Word.MTVAL, Word.MEDELEG, Word.STVEC, Word.SEPC, Word.SCAUSE, Word.MTVEC, Word.MEPC,
    Word.MCAUSE, Word.SCOUNTEREN, Word.MCOUNTEREN, Word.SSCRATCH, Word.MSCRATCH,
)  # fmt: skip
"""What is the guest's own; all other words are how the core was made, and some of them lead into the host's memory."""
_FIELDS: dict[int, int] = {Word.FRM: 7, Word.MIP: 0xAAA, Word.MIE: 0xAAA, Word.MIDELEG: 0xAAA, Word.MEDELEG: 0xFFFF}
"""The bits that the core may find in words which it uses without a check."""
_PRIVILEGES = (0, 1, 3)
_MPP_SHIFT, _SATP_SHIFT = 11, 60


def of_the_guest(octets: bytes, core: bytes, paging: Collection[int]) -> bytes:
    """The state of a core that has from `octets` what is the guest's, and all else from `core`.

    `octets` may come from a stranger. Raises ValueError for what would bring the core down; `paging` are the modes that
    `satp` may have.
    """
    if len(octets) != STATE_BYTES:
        raise ValueError(f"a core's state has {STATE_BYTES} bytes, and not {len(octets)}")
    given, made = memoryview(octets).cast("Q"), bytearray(core)
    words = memoryview(made).cast("Q")
    for word in _GUESTS:
        words[word] = given[word] & _FIELDS.get(word, (1 << 64) - 1)
    made[FFLAGS_BYTE] = octets[FFLAGS_BYTE] & 0x1F
    mode = words[Word.SATP] >> _SATP_SHIFT
    if words[Word.PRIVILEGE] not in _PRIVILEGES or words[Word.MSTATUS] >> _MPP_SHIFT & 3 not in _PRIVILEGES:
        raise ValueError("the hart is in, or returns to, a privilege mode that does not exist")
    if mode and mode not in paging:
        raise ValueError(f"satp has mode {mode}, which this machine does not have")
    return bytes(made)


class StateWindow(Protocol):
    """The core's state; valid between `load` and `store`, which the engine calls around everything that looks at it."""

    words: memoryview
    """64-bit words, indexed by `Word`."""
    octets: memoryview
    """The same memory as bytes."""

    def load(self) -> None:
        """Bring the window up to date with the core."""

    def store(self) -> None:
        """Bring the core up to date with the window."""


class DirectWindow:
    """The core's own memory: nothing to copy. Its address is what a native probe found in the host's register."""

    def __init__(self, address: int) -> None:
        memory = octets_type(STATE_BYTES).from_address(address)
        self.octets = memoryview(memory).cast("B")
        self.words = self.octets.cast("Q")

    def load(self) -> None:
        """Nothing to do: the window is the core."""

    def store(self) -> None:
        """Nothing to do: the window is the core."""


class CopiedWindow:
    """A copy through the engine's context functions, for hosts without native probes."""

    def __init__(self, handle: Handle) -> None:
        real = ctypes.c_void_p()
        library.check(library.context_alloc(handle, ctypes.byref(real)), "allocate a context")
        library.check(library.context_save(handle, real), "save its context")
        header = ctypes.string_at(real, _CONTEXT_HEADER)
        library.context_free(real)
        self._handle = handle
        self._buffer = ctypes.create_string_buffer(_CONTEXT_HEADER + STATE_BYTES + 8)
        # The core's own context is larger than the state; only the words below STATE_BYTES are to be copied back.
        struct.pack_into(f"<Q{_CONTEXT_HEADER - 8}s", self._buffer, 0, STATE_BYTES, header[8:])
        self._address = ctypes.addressof(self._buffer)
        self.octets = memoryview(self._buffer).cast("B")[_CONTEXT_HEADER : _CONTEXT_HEADER + STATE_BYTES]
        self.words = self.octets.cast("Q")
        self.load()

    def load(self) -> None:
        """Copy the core's state into the window."""
        library.context_save(self._handle, self._address)

    def store(self) -> None:
        """Copy the window into the core."""
        library.context_restore(self._handle, self._address)


def check_layout(window: StateWindow, write_register: Callable[[int, int], None]) -> None:
    """Make sure that the state lies where `Word` says; raises MachineError for an engine that was built differently.

    `write_register(number, value)` writes an integer register through the engine's public interface; number 32 is pc.
    """
    marks = {number: 0x5A5A_0000_0000 + number * 0x1_0001 for number in (1, 10, 31, 32)}
    for number, mark in marks.items():
        write_register(number, mark)
    window.load()
    found = {number: window.words[Word.PC if number == 32 else number] for number in marks}
    start, expected = _CONFIGURATION_BYTES
    configuration = bytes(window.octets[start : start + len(expected)])
    if found != marks or configuration != expected or window.words[Word.PRIVILEGE] != 3:
        raise MachineError(
            f"this build of unicorn {library.VERSION} keeps its state in another layout than the one this program "
            "knows; install the version that pyproject.toml names"
        )
    for number in marks:
        window.words[Word.PC if number == 32 else number] = 0
    window.store()
