"""Semihosting: what a guest asks of the host by `ebreak` between two marks that do nothing.

The calls are those of Arm's "Semihosting for AArch32 and AArch64", 64-bit; the sequence of instructions is that of the
RISC-V semihosting specification. Pointers of the guest are translated as its own accesses are; where that fails, the
call fails. Time is the machine's.
"""

import errno
import os
import struct
from collections.abc import Callable
from typing import Protocol

from emu.address import PAGE_SIZE
from emu.devices.power import PowerRequest
from emu.firmware.image import Image
from emu.hart.core import HartCore
from emu.hart.words import PC
from emu.isa.encodings import EBREAK
from emu.isa.privilege import Access, Privilege
from emu.isa.registers import A0, A1
from emu.machine.config import Semihosting
from emu.machine.console import Console, Keyboard
from emu.machine.hostfiles import (
    LARGEST_TRANSFER,
    LONGEST_NAME,
    LONGEST_TEXT,
    ConsoleStream,
    FixedStream,
    HostFolder,
    InputMissing,
    Stream,
)
from emu.machine.timers import Clock
from emu.memory import PhysicalMemory

_MARK_BEFORE, _MARK_BEHIND = 0x01F0_1013, 0x4070_5013
"""slli x0, x0, 0x1f before ebreak; srai x0, x0, 7 behind it (RISC-V Semihosting, section 2.1)."""
_CALL = struct.pack("<3I", _MARK_BEFORE, EBREAK, _MARK_BEHIND)
_ALL = (1 << 64) - 1
_APPLICATION_EXIT = 0x20026
_FEATURES = b"SHFB\x03"
"""The extensions that exist here: SH_EXT_EXIT_EXTENDED and SH_EXT_STDOUT_STDERR."""
_MODES = 12
_FLAGS = tuple(
    flags | os.O_CLOEXEC
    for flags in (
        os.O_RDONLY,
        os.O_RDWR,
        os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
        os.O_RDWR | os.O_CREAT | os.O_TRUNC,
        os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        os.O_RDWR | os.O_CREAT | os.O_APPEND,
    )
)
"""Of each pair of modes: r, r+, w, w+, a, a+."""
_MOST_HANDLES = 256
_NANOSECONDS_PER_TICK = 100
_TICKS_PER_SECOND = 10_000_000

State = tuple[tuple[tuple[int, Stream, int], ...], int]
"""Open handles with their positions, and the last error."""


def asks(image: Image | None) -> bool:
    """Whether there are calls in an image."""
    return image is not None and any(_CALL in segment.data for segment in image.segments)


class Host(Protocol):
    """What the services need of the machine."""

    memory: PhysicalMemory
    keyboard: Keyboard
    clock: Clock

    def ticks(self) -> int:
        """Ticks of 10 MHz since power-on."""

    def power_off(self, request: PowerRequest, exit_code: int) -> None:
        """End the machine."""

    def wait_for_typing(self) -> None:
        """Stop until something was typed."""


class SemihostingServices:
    """Answers the calls out of the machine's parts."""

    def __init__(self, host: Host, core: HartCore, console: Console, wanted: Semihosting) -> None:
        """Raises ConfigError when the folder for files is none."""
        self._host, self._core, self._wanted = host, core, wanted
        self._words, self._free = " ".join(wanted.arguments), (0, 0)
        self._console = ConsoleStream(console.write, host.keyboard)
        self._folder = HostFolder(wanted.directory)
        self._handles: dict[int, Stream] = {}
        self._errno = 0
        self._operations: dict[int, Callable[[int], int | None]] = {
            0x01: self._open,
            0x02: self._close,
            0x03: self._write_character,
            0x04: self._write_string,
            0x05: self._write,
            0x06: self._read,
            0x07: self._read_character,
            0x08: self._is_error,
            0x09: self._is_terminal,
            0x0A: self._seek,
            0x0C: self._length,
            0x0D: self._temporary_name,
            0x0E: self._remove,
            0x0F: self._rename,
            0x10: lambda _: host.ticks() // (_TICKS_PER_SECOND // 100),
            0x11: lambda _: host.clock.power_on // 1_000_000_000 + host.ticks() // _TICKS_PER_SECOND,
            0x13: lambda _: self._errno,
            0x15: self._get_command_line,
            0x16: self._heap,
            0x18: self._exit,
            0x20: self._exit,
            0x30: self._elapsed,
            0x31: lambda _: _TICKS_PER_SECOND * _NANOSECONDS_PER_TICK,
        }

    def loaded(self, command_line: str, free: tuple[int, int]) -> None:
        """Note the kernel's name with its arguments, and the largest range of RAM that nothing was loaded into."""
        self._words = self._words or command_line
        self._free = free

    def is_call(self) -> bool:
        """Whether the `ebreak` at pc is a call: between the marks, in one page with them, from a mode that may call."""
        core = self._core
        pc = core.words[PC]
        if core.privilege is Privilege.U and not self._wanted.user_mode:
            return False
        if not 4 <= pc % PAGE_SIZE <= PAGE_SIZE - 8:
            return False
        physical = core.code_address(pc)
        if physical is None:
            return False
        start = physical - 4 - core.ram.base
        return core.ram.view[start : start + len(_CALL)] == _CALL

    def answer(self) -> None:
        """Carry out the call that a0 and a1 describe, and go on behind it; or stop at it until something was typed."""
        words = self._core.words
        operation = self._operations.get(words[A0] & 0xFFFF_FFFF, self._refuse)
        try:
            result = operation(words[A1])
        except InputMissing:
            self._host.wait_for_typing()
            return
        except OSError as error:
            result, self._errno = -1, error.errno or errno.EIO
        except BaseException:
            self._core.retire_breakpoint()  # a listener's exception: what the guest asked for has happened
            raise
        if result is not None:
            words[A0] = result & _ALL
        self._core.retire_breakpoint()

    def save(self) -> State:
        """The state, for `restore`. What is in the host's files stays there."""
        return tuple((handle, stream, stream.position) for handle, stream in self._handles.items()), self._errno

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        handles, self._errno = state
        self._handles = {handle: stream for handle, stream, _ in handles}
        for _, stream, position in handles:
            if not stream.is_terminal:
                stream.seek(position)

    # Files and the console.

    def _open(self, block: int) -> int:
        name_at, mode, length = self._fields(block, 3)
        if mode >= _MODES:
            raise _failure(errno.EINVAL)
        name = self._name(name_at, length)
        if len(self._handles) >= _MOST_HANDLES:
            raise _failure(errno.EMFILE)
        stream: Stream
        if name == b":tt":
            stream = self._console
        elif name == b":semihosting-features":
            if mode > 1:
                raise _failure(errno.EACCES)
            stream = FixedStream(_FEATURES)
        else:
            stream = self._folder.open(name, _FLAGS[mode // 2])
        handle = next(number for number in range(1, _MOST_HANDLES + 1) if number not in self._handles)
        self._handles[handle] = stream
        return handle

    def _close(self, block: int) -> int:
        (handle,) = self._fields(block, 1)
        if self._handles.pop(handle, None) is None:
            raise _failure(errno.EBADF)
        return 0

    def _write_character(self, address: int) -> None:
        self._console.write(self._load(address, 1))

    def _write_string(self, address: int) -> None:
        self._console.write(self._string(address))

    def _write(self, block: int) -> int:
        handle, address, length = self._fields(block, 3)
        try:
            stream = self._stream(handle)
            return length - stream.write(self._load(address, min(length, LARGEST_TRANSFER)))
        except OSError:
            return length

    def _read(self, block: int) -> int:
        handle, address, length = self._fields(block, 3)
        wanted = min(length, LARGEST_TRANSFER)
        try:
            stream = self._stream(handle)
            self._check_writable(address, wanted)
            data = stream.read(wanted)
            self._store(address, data)
        except OSError:
            return length
        return length - len(data)

    def _read_character(self, _nothing: int) -> int:
        typed = self._console.read(1)
        if not typed:  # this call knows no end
            raise InputMissing
        return typed[0]

    def _is_error(self, block: int) -> int:
        (status,) = self._fields(block, 1)
        return status >> 63

    def _is_terminal(self, block: int) -> int:
        (handle,) = self._fields(block, 1)
        return int(self._stream(handle).is_terminal)

    def _seek(self, block: int) -> int:
        handle, position = self._fields(block, 2)
        self._stream(handle).seek(position)
        return 0

    def _length(self, block: int) -> int:
        (handle,) = self._fields(block, 1)
        return self._stream(handle).length

    def _temporary_name(self, block: int) -> int:
        address, number, length = self._fields(block, 3)
        name = b"ekernel-%02x\0" % (number & 0xFF)
        if not self._folder.exists:
            raise _failure(errno.EACCES)
        if length < len(name):
            raise _failure(errno.ERANGE)
        self._store(address, name)
        return 0

    def _remove(self, block: int) -> int:
        self._folder.remove(self._name(*self._fields(block, 2)))
        return 0

    def _rename(self, block: int) -> int:
        old_at, old_length, new_at, new_length = self._fields(block, 4)
        self._folder.rename(self._name(old_at, old_length), self._name(new_at, new_length))
        return 0

    # The machine.

    def _refuse(self, _block: int) -> int:
        """SYS_SYSTEM, which would run any command on the host, and numbers that mean nothing."""
        raise _failure(errno.ENOSYS)

    def _get_command_line(self, block: int) -> int:
        address, length = self._fields(block, 2)
        text = self._words.encode() + b"\0"
        if len(text) > length:
            raise _failure(errno.E2BIG)
        self._store(address, text)
        self._store(block + 8, struct.pack("<Q", len(text) - 1))
        return 0

    def _heap(self, block: int) -> int:
        (address,) = self._fields(block, 1)
        base, limit = self._free
        self._store(address, struct.pack("<4Q", base, limit, limit, base))
        return 0

    def _exit(self, block: int) -> None:
        reason, code = self._fields(block, 2)
        self._host.power_off(PowerRequest.SHUTDOWN, code & 0xFFFF if reason == _APPLICATION_EXIT else 1)

    def _elapsed(self, block: int) -> int:
        self._store(block, struct.pack("<Q", self._host.ticks() * _NANOSECONDS_PER_TICK & _ALL))
        return 0

    # The guest's memory.

    def _stream(self, handle: int) -> Stream:
        stream = self._handles.get(handle)
        if stream is None:
            raise _failure(errno.EBADF)
        return stream

    def _fields(self, block: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self._load(block, 8 * count))

    def _name(self, address: int, length: int) -> bytes:
        if length > LONGEST_NAME:
            raise _failure(errno.ENAMETOOLONG)
        return self._load(address, length)

    def _string(self, address: int) -> bytes:
        """The bytes up to a zero byte, from a page after the other."""
        found = bytearray()
        while True:
            at = (address + len(found)) & _ALL
            part = self._load(at, PAGE_SIZE - at % PAGE_SIZE)
            found += part.partition(b"\0")[0]
            if b"\0" in part:
                return bytes(found)
            if len(found) > LONGEST_TEXT:
                raise _failure(errno.E2BIG)

    def _pieces(self, address: int, length: int, access: Access) -> list[tuple[int, int]]:
        """Physical addresses and sizes; raises OSError where the guest itself could not access its memory."""
        memory = self._host.memory
        if length > memory.ram.size:
            raise _failure(errno.EFAULT)
        pieces, done = [], 0
        while done < length:
            at = (address + done) & _ALL
            size = min(length - done, PAGE_SIZE - at % PAGE_SIZE)
            physical = self._core.walk(at, access).physical
            if physical is None or not memory.contains(physical, size):
                raise _failure(errno.EFAULT)
            pieces.append((int(physical), size))
            done += size
        return pieces

    def _load(self, address: int, length: int) -> bytes:
        memory = self._host.memory
        return b"".join(memory.read(at, size) for at, size in self._pieces(address, length, Access.LOAD))

    def _check_writable(self, address: int, length: int) -> None:
        self._pieces(address, length, Access.STORE)

    def _store(self, address: int, data: bytes) -> None:
        position = 0
        for at, size in self._pieces(address, len(data), Access.STORE):
            self._host.memory.transfer(at, data[position : position + size])
            position += size


def _failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))
