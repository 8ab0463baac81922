"""Calls of guest functions by the host: in one step where nothing else is to be looked at, else by the usual loop."""

from collections.abc import Callable

from emu.engine.slots import Slot
from emu.engine.window import Word
from emu.errors import ConfigError, GuestPanic, LimitExceeded
from emu.events import StateRestored
from emu.firmware.symbols import Symbols
from emu.hart.words import COUNT, RETURN_ADDRESS
from emu.isa.registers import A0
from emu.machine.config import Outcome, StopReason
from emu.machine.history.effects import carry_out
from emu.machine.history.inputs import What
from emu.machine.history.moment import Moment
from emu.machine.platform import Platform
from emu.machine.running import SLICE, Runner
from emu.machine.watches import Watches

ARGUMENTS = 8
"""How many arguments the calling convention passes in registers."""
_DEADLINE, _FA0 = int(Slot.DEADLINE), int(Word.F0) + 10


class Caller:
    """Calls functions of one machine's guest."""

    def __init__(self, platform: Platform, runner: Runner, watches: Watches) -> None:
        self._platform, self._runner, self._watches = platform, runner, watches
        self._core = platform.core
        self._symbols: Symbols | None = None
        self._addresses: dict[str, int] = {}
        """Where the functions are that were called by name, by these symbols."""
        self.was_alone = False
        """Whether the last of `repeat` has come to its end without Python."""
        self._results: tuple[int, int, int] | None = None
        """`further_results`; None when the engine has them."""

    def call(
        self, function: int | str, args: tuple[int, ...], max_instructions: int, floats: tuple[int, ...] = ()
    ) -> int:
        """See `Machine.call`."""
        core = self._core
        address = self._address_of(function) if isinstance(function, str) else int(function)
        count = core.slots[COUNT]
        room = self._room(count, args, max_instructions)
        if room <= 0 or len(floats) > ARGUMENTS:
            return self._in_loop(function, address, args, max_instructions, floats)
        given = args if not floats else (*args, *(0,) * (ARGUMENTS - len(args)), *floats)
        self._results = None
        try:
            result = core.engine.call_alone(address, args, count + room, floats)
        except BaseException:  # raised by a signal's handler, behind it
            self._note(count, address, given, core.engine.left is None)
            self._give_up()
            raise
        if result is None:
            self._note(count, address, given, False)
            return self._go_on(function, count, max_instructions)
        self._note(count, address, given, True)
        return result

    @property
    def further_results(self) -> tuple[int, int, int]:
        """a1, fa0 and fa1 when the last call returned."""
        return self._core.engine.further_results if self._results is None else self._results

    def repeat(self, name: str, address: int, args: tuple[int, ...], max_instructions: int) -> int:
        """As `call`, of what whoever calls will take back itself: the log of inputs does not get to know of it."""
        core = self._core
        count = core.slots[COUNT]
        room = self._room(count, args, max_instructions)
        self.was_alone = room > 0
        if not self.was_alone:
            return self._in_loop(name, address, args, max_instructions)
        try:
            result = core.engine.call_alone(address, args, count + room)
        except BaseException:  # raised by a signal's handler, behind it
            self._give_up()
            raise
        if result is None:
            self.was_alone = False
            return self._go_on(name, count, max_instructions)
        return result

    def _room(self, count: int, args: tuple[int, ...], max_instructions: int) -> int:
        """How many instructions may be executed without Python; 0 where Python is needed."""
        core = self._core
        room = min(self._platform.look_again, self._runner.pause) - count
        if (
            room > 0
            and max_instructions > 0
            and len(args) <= ARGUMENTS
            and self._platform.inputs.is_present
            and core.engine.can_call_alone
            and core.knows_no_interrupt()
            and core.tables.is_settled
            and not self._watches.are_any
            and self._runner.is_plain
        ):
            return min(room, max_instructions, SLICE)
        return 0

    def _note(self, begin: int, address: int, args: tuple[int, ...], returned: bool) -> None:
        """Log what the engine has done in one step."""
        core, inputs = self._core, self._platform.inputs
        end = core.slots[COUNT]
        if not returned:
            inputs.note("call", address, args, at=Moment(begin, core.traps_taken))
        elif end != begin:  # else a signal's handler has raised before it began
            inputs.note_call(begin, core.traps_taken, address, args, end, self._registers)

    def _registers(self) -> What:
        return "registers", self._core.engine.saved_registers, self._platform.is_asleep

    def _in_loop(
        self, function: int | str, address: int, args: tuple[int, ...], max_instructions: int,
        floats: tuple[int, ...] = (),
    ) -> int:  # fmt: skip
        if max(len(args), len(floats)) > ARGUMENTS:
            raise ConfigError(f"{len(args)} arguments: the calling convention passes {ARGUMENTS} in registers")
        if max_instructions < 0:
            raise ConfigError(f"{max_instructions} instructions cannot be executed: give 0 or more")
        core = self._core
        if floats:
            args = (*args, *(0,) * (ARGUMENTS - len(args)), *floats)
        with self._platform.events.signals:
            saved = core.save_registers()
            limit = core.retired_count + max_instructions

            def run() -> Outcome:
                what = ("call", address, args)
                self._platform.inputs.note(*what)
                carry_out(self._platform, what)
                return self._runner.run_to(limit)

            result, outcome = self._outcome_of(run, saved)
        return self._result(function, result, outcome, max_instructions)

    def _go_on(self, function: int | str, start: int, max_instructions: int) -> int:
        """What the call that has begun without Python comes to."""
        core = self._core
        with self._platform.events.signals:
            deadline = core.slots[_DEADLINE]
            result, outcome = self._outcome_of(
                lambda: self._runner.run_to(start + max_instructions, begun=deadline), core.engine.saved_registers
            )
        return self._result(function, result, outcome, max_instructions)

    def _give_up(self) -> None:
        if self._core.engine.left is not None:
            with self._platform.events.signals:
                saved = self._core.engine.saved_registers
                self._core.engine.settle_left()
                self._platform.inputs.note("registers", saved, self._platform.is_asleep)
                self._core.restore_registers(saved)
                self._platform.tell(StateRestored)

    def _outcome_of(self, run: Callable[[], Outcome], saved: bytes) -> tuple[int | None, Outcome]:
        """What a function has returned, None if it has not, and how its run has ended."""
        core, runner, platform = self._core, self._runner, self._platform
        off, was_asleep = runner.off, platform.is_asleep
        core.returned = runner.resets = platform.is_asleep = False
        runner.off = None
        try:
            outcome = run()
            words = core.words
            result, self._results = words[A0], (words[A0 + 1], words[_FA0], words[_FA0 + 1])
        finally:
            returned, core.returned = core.returned, False
            runner.resets, platform.is_asleep = platform.config.reboot, was_asleep
            if returned:
                self._watches.notify(RETURN_ADDRESS)
            platform.inputs.note("registers", saved, was_asleep)
            core.restore_registers(saved)
            runner.off = off
            if not returned:
                platform.tell(StateRestored)
        return result if returned else None, outcome

    def _result(self, function: int | str, result: int | None, outcome: Outcome, max_instructions: int) -> int:
        if result is not None:
            return result
        name = function if isinstance(function, str) else f"{int(function):#x}"
        if outcome.reason is StopReason.INSTRUCTION_LIMIT:
            raise LimitExceeded(f"{name} has not returned after {max_instructions:,} instructions")
        tail = self._platform.console.output[-200:].decode(errors="replace").strip()
        raise GuestPanic(f"{name} did not return: {outcome.description}; the console ends with: {tail!r}")

    def _address_of(self, name: str) -> int:
        symbols = self._platform.names.symbols
        if symbols is not self._symbols:
            self._symbols, self._addresses = symbols, {}
        address = self._addresses.get(name)
        if address is None:
            address = self._addresses[name] = int(symbols.lookup(name).address)
        return address
