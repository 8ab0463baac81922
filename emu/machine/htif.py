"""HTIF, the host interface of Spike: a guest writes its wish to `tohost` and finds the answer in `fromhost`.

Known by the ELF's symbols, looked at between blocks, as Spike does (fesvr: htif.cc, device.cc, syscall.cc, term.cc).
"""

from collections import deque

from emu.firmware.image import Image
from emu.hints import NamedTuple
from emu.machine.config import StopReason
from emu.machine.platform import Platform

_NAME = b"tohost\0"  # a linker lets it be the end of another name, such as `write_tohost`
_OFTEN, _SELDOM = 5_000, 1_280_000
"""Instructions between two looks: Spike's interleave, and twice as many after each look in vain, up to here."""
_SYSTEM, _CONSOLE = 0, 1
"""Devices."""
_GET, _PUT = 0, 1
"""Commands of the console."""
_TYPED = 0x100
_WRITE, _EXIT = 64, 93
"""System calls of the guest's C library that are done; all others are refused."""
_ENOSYS = 38
_LONGEST_WRITE = 1 << 20
_WORD = 8


class HtifState(NamedTuple):
    """All that is not in the guest's memory."""

    answers: tuple[int, ...]
    waits_for_key: bool
    next_look: int
    interval: int


class Htif:
    """The host's end of the two words."""

    def __init__(self, platform: Platform, to_host: int, from_host: int | None) -> None:
        self._platform = platform
        self._to_host, self._from_host = to_host, from_host
        self._answers: deque[int] = deque()
        self._waits_for_key = False
        self._interval = _OFTEN
        self.next_look = _OFTEN
        """At how many retired instructions `look` is to be called."""

    @classmethod
    def wanted_by(cls, platform: Platform, image: Image) -> "Htif | None":
        """HTIF for an ELF that names `tohost` at an address in RAM; None for any other."""
        if not image.mentions(_NAME):
            return None
        symbols = image.symbols
        places = [int(symbols.lookup(name).address) if name in symbols else None for name in ("tohost", "fromhost")]
        to_host, from_host = (
            place if place is not None and platform.memory.contains(place, _WORD) else None for place in places
        )
        return None if to_host is None else cls(platform, to_host, from_host)

    def look(self) -> None:
        """Do what the guest has asked for since the last look."""
        command = self._read(self._to_host)
        if command:
            self._interval = _OFTEN
            self._write(self._to_host, 0)
            self._obey(command >> 56, command >> 48 & 0xFF, command & (1 << 48) - 1)
        else:
            self._interval = min(2 * self._interval, _SELDOM)
        if self._waits_for_key and (key := self._platform.typed_byte()) >= 0:
            self._waits_for_key = False
            self._answer(_CONSOLE, _GET, _TYPED | key)
        if self._answers:
            self._interval = _OFTEN
            if self._from_host is not None and self._read(self._from_host) == 0:
                self._write(self._from_host, self._answers.popleft())
        self.next_look = self._platform.core.retired_count + self._interval

    def save(self) -> HtifState:
        """See `Follower`."""
        return HtifState(tuple(self._answers), self._waits_for_key, self.next_look, self._interval)

    def restore(self, state: object | None) -> None:
        """See `Follower`."""
        if isinstance(state, HtifState):
            answers, self._waits_for_key, self.next_look, self._interval = state
            self._answers = deque(answers)

    def _obey(self, device: int, command: int, payload: int) -> None:
        if device == _SYSTEM and payload & 1:
            self._platform.end(StopReason.POWERED_OFF, payload >> 1 & 0xFFFF)
        elif device == _SYSTEM:
            self._system_call(payload)
            self._answer(device, command, 1)
        elif device == _CONSOLE and command == _PUT:
            self._platform.console.write(bytes((payload & 0xFF,)))
        elif device == _CONSOLE and command == _GET:
            self._waits_for_key = True

    def _system_call(self, block: int) -> None:
        """Eight words in the guest's memory: the number of a system call and its arguments; the result comes first."""
        if not self._platform.memory.contains(block, 8 * _WORD):
            return
        number, first, address, length = (self._read(block + _WORD * index) for index in range(4))
        result = -_ENOSYS
        if number == _WRITE and first in (1, 2) and length <= _LONGEST_WRITE:
            if self._platform.memory.contains(address, length):
                self._platform.console.write(bytes(self._platform.memory.view(address, length)))
                result = length
        elif number == _EXIT:
            self._platform.end(StopReason.POWERED_OFF, first & 0xFFFF)
            result = 0
        self._write(block, result & (1 << 64) - 1)

    def _answer(self, device: int, command: int, payload: int) -> None:
        self._answers.append(device << 56 | command << 48 | payload)

    def _read(self, address: int) -> int:
        return int.from_bytes(self._platform.memory.view(address, _WORD), "little")

    def _write(self, address: int, value: int) -> None:
        self._platform.memory.transfer(address, value.to_bytes(_WORD, "little"))
