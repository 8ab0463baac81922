"""Calls of guest functions by the host: in one step where nothing else is to be looked at, else by the usual loop."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from emu.counted import counted
from emu.engine.calls.frame import ARGUMENTS, FLOATS, FUNCTION, GIVEN, IN_FLOATS, INTEGERS, RESULTS
from emu.engine.slots import Slot
from emu.engine.window import Word
from emu.errors import ConfigError, EmuError, GuestPanic, LimitExceeded
from emu.firmware.symbols import Symbols
from emu.hart.words import COUNT, RETURN_ADDRESS
from emu.isa.registers import A0
from emu.machine.config import Outcome, StopReason
from emu.machine.history.effects import carry_out
from emu.machine.history.inputs import What
from emu.machine.history.moment import Moment
from emu.machine.platform import Platform
from emu.machine.running import Runner, check_count
from emu.machine.watches import Watches

if TYPE_CHECKING:
    from emu.engine.calls.repeated import Repeater

_DEADLINE, _FA0 = Slot.DEADLINE, Word.F0 + 10
_ALL = (1 << 64) - 1


class Caller:
    """Calls functions of one machine's guest."""

    def __init__(self, platform: Platform, runner: Runner, watches: Watches) -> None:
        self._platform, self._runner, self._watches = platform, runner, watches
        self._core, self._inputs = platform.core, platform.inputs
        self._engine, self._slots = self._core.engine, self._core.slots
        self.frame = self._engine.frame
        """Arguments of the next call, and results of the last one."""
        self._words = self.frame.words
        self._symbols: Symbols | None = None
        self._addresses: dict[str, int] = {}
        """Where the functions are that were called by name, by these symbols."""
        self.was_alone = False
        """Whether the last of `repeat` has come to its end without Python."""

    def call(
        self, function: int | str, args: tuple[int, ...], max_instructions: int, floats: tuple[int, ...] = ()
    ) -> int:
        """See `Machine.call`."""
        address = self._address_of(function) if isinstance(function, str) else int(function)
        integers, further = len(args), len(floats)
        if integers > ARGUMENTS or further > ARGUMENTS:
            raise ConfigError(
                f"{counted(max(integers, further), 'argument')}: the calling convention passes {ARGUMENTS} in registers"
            )
        self.frame.put(INTEGERS, args)
        if further:
            self.frame.put(INTEGERS + integers, (0,) * (ARGUMENTS - integers))
            self.frame.put(IN_FLOATS, floats)
            integers = ARGUMENTS
        self.execute(function, address, integers, further, max_instructions)
        return self._words[RESULTS]

    def execute(
        self, function: int | str, address: int, integers: int, floats: int, max_instructions: int,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:  # fmt: skip
        """Call with arguments that are in `frame`, where the results are afterwards.

        Where floats are given, there are eight integers. What needs Python happens inside of `around()`.
        """
        core, engine, inputs = self._core, self._engine, self._inputs
        count = self._slots[COUNT]
        room = self._runner.room(count, max_instructions)
        if room <= 0:
            with around():
                self._in_loop(function, address, self.frame.given(integers, floats), max_instructions)
            return
        words = self._words
        words[FUNCTION], words[GIVEN], words[FLOATS] = address & _ALL, integers, floats
        given = self.frame.given(integers, floats)
        noted = False
        try:
            if engine.call_alone(count + room):
                inputs.note_call(count, core.traps_taken, address, given, self._slots[COUNT], self._registers)
                noted = True
                return
            inputs.note("call", address, _numbers(given), at=Moment(count, core.traps_taken))
            noted = True
            with around():
                self._go_on(function, count, max_instructions)
        except BaseException:  # a signal's handler may raise one anywhere before `_go_on` holds signals back
            if engine.left is not None:
                if not noted:
                    inputs.note("call", address, _numbers(given), at=Moment(count, core.traps_taken))
                self._give_up()
            elif not noted and self._slots[COUNT] != count:  # else it was raised before it began
                inputs.note_call(count, core.traps_taken, address, given, self._slots[COUNT], self._registers)
            raise

    def repeat(self, name: str, address: int, args: tuple[int, ...], max_instructions: int) -> int:
        """As `call`, of what whoever calls will take back itself: the log of inputs does not get to know of it."""
        count, words = self._slots[COUNT], self._words
        room = self._runner.room(count, max_instructions)
        self.was_alone = room > 0
        self.frame.put(INTEGERS, args)
        if not self.was_alone:
            self._in_loop(name, address, self.frame.given(len(args), 0), max_instructions)
            return words[RESULTS]
        words[FUNCTION], words[GIVEN], words[FLOATS] = address & _ALL, len(args), 0
        try:
            if not self._engine.call_alone(count + room):
                self.was_alone = False
                self._go_on(name, count, max_instructions)
        except BaseException:  # raised by a signal's handler, as in `execute`
            self._give_up()
            raise
        return words[RESULTS]

    def repeat_all(self, repeater: "Repeater", name: str, max_instructions: int) -> bool:
        """As `repeat`, for many inputs, each taken back but the last that was executed; False where that cannot be.

        Raises what that one comes to. Whoever calls has said before that nothing but the inputs can be in the way.
        """
        count = self._slots[COUNT]
        room = self._runner.room(count, max_instructions)
        self.was_alone = room > 0
        if not self.was_alone:
            return False
        try:
            self._engine.repeat_alone(repeater, count + room)
            if self._engine.left is not None:
                self.was_alone = False
                self._go_on(name, count, max_instructions)
        except BaseException:  # raised by a signal's handler, as in `execute`
            self._give_up()
            raise
        return True

    def _registers(self) -> What:
        return "registers", self._engine.saved_registers, self._platform.is_asleep

    def _in_loop(self, function: int | str, address: int, given: bytes, max_instructions: int) -> None:
        check_count(max_instructions)
        core = self._core
        with self._platform.events.signals:
            saved = core.save_registers()
            limit = core.retired_count + max_instructions

            def run() -> Outcome:
                what = ("call", address, _numbers(given))
                self._inputs.note(*what)
                carry_out(self._platform, what)
                return self._runner.run_to(limit)

            returned, outcome = self._outcome_of(run, saved)
        if not returned:
            raise self._error(function, outcome, max_instructions)

    def _go_on(self, function: int | str, start: int, max_instructions: int) -> None:
        """What the call that has begun without Python comes to."""
        with self._platform.events.signals:
            deadline = self._slots[_DEADLINE]
            returned, outcome = self._outcome_of(
                lambda: self._runner.run_to(start + max_instructions, begun=deadline), self._engine.saved_registers
            )
        if not returned:
            raise self._error(function, outcome, max_instructions)

    def _give_up(self) -> None:
        if self._core.engine.left is not None:
            with self._platform.events.signals:
                saved = self._core.engine.saved_registers
                self._core.engine.settle_left()
                self._platform.inputs.note("registers", saved, self._platform.is_asleep)
                self._core.restore_registers(saved)
                self._platform.tell_abandoned()

    def _outcome_of(self, run: Callable[[], Outcome], saved: bytes) -> tuple[bool, Outcome]:
        """Whether a function has returned, with its results in the frame then, and how its run has ended."""
        core, runner, platform = self._core, self._runner, self._platform
        off, was_asleep = runner.off, platform.is_asleep
        core.returned = runner.resets = platform.is_asleep = False
        runner.off = None
        try:
            outcome = run()
            results = [core.words[register] for register in (A0, A0 + 1, _FA0, _FA0 + 1)]
        finally:
            returned, core.returned = core.returned, False
            runner.resets, platform.is_asleep = platform.config.reboot, was_asleep
            if returned:
                self._watches.notify(RETURN_ADDRESS)
            platform.inputs.note("registers", saved, was_asleep)
            core.restore_registers(saved)
            runner.off = off
            if not returned:
                platform.tell_abandoned()
        for number, result in enumerate(results, RESULTS):
            self._words[number] = result
        return returned, outcome

    def _error(self, function: int | str, outcome: Outcome, max_instructions: int) -> EmuError:
        name = function if isinstance(function, str) else f"{int(function):#x}"
        if outcome.reason is StopReason.INSTRUCTION_LIMIT:
            return LimitExceeded(f"{name} has not returned after {counted(max_instructions, 'instruction')}")
        tail = self._platform.console.output[-200:].decode(errors="replace").strip()
        return GuestPanic(f"{name} did not return: {outcome.description}; the console ends with: {tail!r}")

    def _address_of(self, name: str) -> int:
        symbols = self._platform.names.symbols
        if symbols is not self._symbols:
            self._symbols, self._addresses = symbols, {}
        address = self._addresses.get(name)
        if address is None:
            address = self._addresses[name] = int(symbols.lookup(name).address)
        return address


def _numbers(words: bytes) -> tuple[int, ...]:
    return tuple(memoryview(words).cast("Q"))
