"""What is fuzzed: one function of a guest, with an input in its memory, executed from one state of the machine."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from emu.address import PAGE_SIZE
from emu.counted import counted
from emu.engine.translated.features.fuzzed import Fuzzed
from emu.errors import ConfigError, EmuError, GuestPanic, LimitExceeded
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, TrapTaken
from emu.hart.words import RETURN_ADDRESS
from emu.isa.causes import cause_label
from emu.isa.registers import A0, RA, SP
from emu.machine import Machine
from emu.machine.repetition import Repetition
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import MemoryBug
from emu.report.places import Places
from emu.report.sanitizer import BugReport
from emu.spelling import did_you_mean
from emu.subscriptions import cancel_all
from emu.testing.calls.crash import GuestCrash, crash, is_crash
from emu.testing.calls.scratch import stack_top
from emu.testing.fuzzing.constants import constants

_GP, _ALIGN = 3, 16
_ALLOCATIONS: tuple[type[Event], ...] = (FrameAllocated, FrameFreed, HeapAllocated, HeapFreed)
_REGISTERS = tuple(f"a{number}" for number in range(8))
_WORDS = ("buffer", "length")
_DEPTH = 5
"""Calls by which crashes are told apart."""
_LOOKED_AT = 3
"""How many crashes of one instruction and caller are looked at closely; all further ones are taken for the first."""
_MOST_KNOWN = 10_000
_AT_ONCE = 64
_GUARD = 64
"""Bytes behind the longest input whose use a sanitizer reports."""
_BEHIND = "behind the input"


@dataclass(frozen=True)
class Inputs:
    """Where the input goes: for each of a0, a1 and so on `buffer` (its address), `length`, or a number."""

    words: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> "Inputs":
        """Read it. Raises ConfigError.

        >>> Inputs.parse("a0=buffer,a1=length,a2=0x10")
        Inputs(words=('buffer', 'length', 16))
        """
        given: dict[str, str | int] = {}
        for part in text.split(","):
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in _REGISTERS:
                raise ConfigError(f"--input {text}: '{name}' is none of a0 to a7; for example a0=buffer,a1=length")
            if name in given:
                raise ConfigError(f"--input {text}: {name} is given twice")
            given[name] = _word(text, value)
        missing = [name for name in _REGISTERS[: len(given)] if name not in given]
        if missing:
            raise ConfigError(f"--input {text}: {missing[0]} is missing")
        if "buffer" not in given.values():
            raise ConfigError(f"--input {text}: which argument is the input? For example a0=buffer,a1=length")
        return cls(tuple(given[name] for name in _REGISTERS[: len(given)]))

    def __str__(self) -> str:
        return ",".join(f"a{number}={word}" for number, word in enumerate(self.words))


def _word(text: str, value: str) -> str | int:
    if value in _WORDS:
        return value
    try:
        return int(value, 0)
    except ValueError:
        near = did_you_mean(value, _WORDS)
        raise ConfigError(f"--input {text}: '{value}': {near}it takes buffer, length or a number") from None


class Failure(NamedTuple):
    """An execution that did not end with the function's return."""

    key: tuple[object, ...]
    """The same for what is the same mistake: what happened, where, and the calls that led there."""
    name: str
    """For a file."""
    error: EmuError
    """What was seen, explained."""


class SanitizerReport(GuestPanic):
    """The function has accessed memory that it must not: the text is the sanitizer's report."""


class Target:
    """Executes the function with inputs; the machine is the caller's again after `close`."""

    def __init__(
        self, machine: Machine, function: str, inputs: Inputs, *,
        longest: int = 4096, max_instructions: int = 1_000_000, sanitizer: AddressSanitizer | None = None,
    ) -> None:  # fmt: skip
        """From the machine's present state. Raises ConfigError where there is no room for the input."""
        if not 0 < longest <= 1 << 20:
            raise ConfigError(f"inputs of {counted(longest, 'byte')}: give 1 to 1,048,576")
        self.machine, self.function, self.longest = machine, function, longest
        self._address, self._inputs, self._sanitizer = machine.address_of(function), inputs, sanitizer
        hart = machine.hart
        self.buffer = (stack_top(machine) - longest - _GUARD) & -_ALIGN
        hart.x[SP] = self.buffer
        if not hart.x[_GP] and "__global_pointer$" in machine.symbols:
            hart.x[_GP] = machine.address_of("__global_pointer$")  # a program that has not run yet
        self._privilege = hart.privilege
        self._pieces = self._places()
        self._guarded = range(0)
        """Behind the input, where a sanitizer reports."""
        self.edges = Fuzzed()
        machine.core.engine.switch_on(self.edges)
        self._subscriptions = [machine.on(TrapTaken, self._trapped)]
        if sanitizer is not None:
            self._report = BugReport(machine)
            self._subscriptions.append(machine.on(MemoryBug, self._reported))
            self._subscriptions += [machine.on(kind, self._allocated) for kind in _ALLOCATIONS]
            self._learned, self._has_allocated = sanitizer.learned, False
            end = self.buffer + longest
            sanitizer.poison(range(end, end + _GUARD), _BEHIND)
        self._again = Repetition(machine, function, self._address, max_instructions)
        if sanitizer is None and len(self._pieces) == 1:
            values = {"buffer": self.buffer, "length": None}
            arguments = [values[word] if isinstance(word, str) else word for word in inputs.words]
            self._again.feed(self.edges, self._pieces[0][2], arguments)
        self._at_once = 1
        """How many inputs are given to native code: few where executions do what it cannot take back."""
        self._often: dict[tuple[int, ...], tuple[int, Failure]] = {}
        self._place: tuple[int, ...] = ()
        self._constants: dict[int, tuple[bytes, ...]] = {}

    def _places(self) -> list[tuple[int, int, memoryview]]:
        """Where the input lies in RAM: its begin and end, and the memory of each page; one piece if that is one."""
        machine, ram, found, at = self.machine, self.machine.memory.ram, list[tuple[int, int, memoryview]](), 0
        offsets = []
        while at < self.longest:
            virtual = self.buffer + at
            size = min(self.longest - at, PAGE_SIZE - virtual % PAGE_SIZE)
            physical = machine.core.look_up(virtual).physical
            if physical is None or not ram.contains(int(physical), size):
                raise ConfigError(
                    f"an input of {counted(self.longest, 'byte')} needs that much stack below sp, and {virtual:#x} is "
                    "not mapped: give --max-length, or begin where the stack is larger"
                )
            start = int(physical) - ram.base
            offsets.append(start - at)
            found.append((at, at + size, ram.view[start : start + size]))
            at += size
        if len(set(offsets)) == 1:
            return [(0, self.longest, ram.view[offsets[0] : offsets[0] + self.longest])]
        return found

    def place(self, data: bytes) -> tuple[int, ...]:
        """Put an input into memory; the arguments of the function."""
        if len(self._pieces) == 1:
            self._pieces[0][2][: len(data)] = data
        else:
            for start, end, piece in self._pieces:
                part = data[start:end]
                piece[: len(part)] = part
        values = {"buffer": self.buffer, "length": len(data)}
        return tuple(values[word] if isinstance(word, str) else word for word in self._inputs.words)

    def enter(self, data: bytes) -> None:
        """Put the machine where an execution begins: at the function, with its arguments."""
        hart = self.machine.hart
        self._subscriptions.pop(0).cancel()
        arguments = self.place(data)
        for number, value in enumerate(arguments):
            hart.x[A0 + number] = value
        hart.x[RA], hart.pc = RETURN_ADDRESS, self._address

    def run(self, data: bytes) -> Failure | None:
        """Execute once, and take everything back; how it failed, if it did. `edges` tells what was new in it."""
        self.edges.begin()
        try:
            self._again.call(self._begin(data))
        except EmuError as error:
            return self._failure(error)
        else:
            return None
        finally:
            self._end()

    def run_all(self, inputs: Sequence[bytes]) -> tuple[int, Failure | None]:
        """As `run` with one input after the other, until one fails or does something new; how many, at least one."""
        failure, at_once = None, inputs[: self._at_once]
        try:
            number = self._again.call_all(at_once)
        except EmuError as error:
            number, failure = self._again.called, self._failure(error)
        finally:
            if self._again.called:
                self._again.rewind()
        if not number:
            return 1, self.run(inputs[0])
        self._at_once = min(2 * self._at_once, _AT_ONCE) if number == len(at_once) else number
        return number, failure

    def _begin(self, data: bytes) -> tuple[int, ...]:
        if self._sanitizer is not None:
            self._sanitizer.tell_again()
            self._guard(self._behind(data))
        return self.place(data)

    def _end(self) -> None:
        if self._sanitizer is None:
            self._again.rewind()
            return
        if self._has_allocated or self._sanitizer.learned != self._learned:
            self._again.return_followers()
            self._has_allocated = False
        self._again.rewind()

    def _guard(self, place: range) -> None:
        """Let these bytes behind the input be reported, and no others but those behind all inputs."""
        if self._sanitizer is not None and place != self._guarded:
            self._sanitizer.unpoison(self._guarded)
            if place:
                self._sanitizer.poison(place, _BEHIND)
            self._guarded = place

    def _behind(self, data: bytes) -> range:
        return range(self.buffer + len(data), self.buffer + self.longest)

    def length(self, data: bytes) -> int:
        """Instructions of one execution, up to its failure."""
        try:
            with suppress(EmuError):
                self._again.call(self._begin(data))
            return self._again.instructions
        finally:
            self._end()

    @property
    def pages(self) -> int:
        """How many pages are copied after each execution."""
        return self._again.pages

    def noted(self, blocks: set[int]) -> None:
        """Blocks that were executed, so that changes of their code are seen when they are taken back."""
        self._again.executed(blocks)

    def constants(self, blocks: set[int]) -> Iterator[bytes]:
        """What the code of blocks at these addresses may look for in an input."""
        for pc in sorted(blocks):
            if pc not in self._constants:
                self._constants[pc] = tuple(constants(self.machine, (pc,)))
            yield from self._constants[pc]

    def _trapped(self, trap: TrapTaken) -> None:
        if not is_crash(trap, self._privilege):
            return
        self._place = (trap.cause, int(trap.pc), self.machine.hart.x[RA])
        seen = self._often.get(self._place)
        if seen is not None and seen[0] >= _LOOKED_AT:
            raise seen[1].error
        raise crash(self.machine, self.function, trap)

    def _allocated(self, _event: Event) -> None:
        self._has_allocated = True

    def _reported(self, event: MemoryBug) -> None:
        error = SanitizerReport(f"{self.function}: {event.bug.value}\n{self._report.text(event)}")
        error.args = (*error.args, event)
        raise error

    def _failure(self, error: EmuError) -> Failure:
        if isinstance(error, GuestCrash):
            number, seen = self._often.get(self._place, (0, None))
            failure = seen if seen is not None and seen.error is error else _of_crash(error)
            if self._place in self._often or len(self._often) < _MOST_KNOWN:
                self._often[self._place] = number + 1, failure
            return failure
        if isinstance(error, SanitizerReport):
            event = error.args[1]
            return Failure(
                (event.bug, event.pc, *event.callers[: _DEPTH - 1]),
                _file_name(f"{event.bug.value} in {Places(self.machine).name(event.pc).split(' ')[0]}"),
                SanitizerReport(error.args[0]),
            )
        if isinstance(error, LimitExceeded):
            return Failure(("hang",), "hang", error)
        kind = type(error).__name__
        return Failure((kind, int(self.machine.hart.pc)), _file_name(f"{kind} in {self.function}"), error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the machine back as it was found."""
        self._again.close()
        cancel_all(self._subscriptions)
        self.machine.core.engine.switch_off(self.edges)


def _of_crash(error: GuestCrash) -> Failure:
    stack: Sequence[object] = [frame.address for frame in error.stack[:_DEPTH]]
    place = error.stack[0].name.split(" ")[0] if error.stack else f"{error.trap.pc}"
    label = cause_label(error.trap.cause, interrupt=False)
    return Failure((error.trap.cause, *stack), _file_name(f"{label} in {place}"), error)


def _file_name(text: str) -> str:
    """A text as the name of a file.

    >>> _file_name("load access fault in parse+0x2a")
    'load-access-fault-in-parse+0x2a'
    """
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", text).strip("-")[:80]
