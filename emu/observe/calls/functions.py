"""FunctionCalled and FunctionReturned events for functions chosen by name."""

from collections.abc import Iterable

from emu.events import FunctionCalled, FunctionReturned
from emu.firmware.symbols import Symbol
from emu.machine import Machine
from emu.observe.calls.tracer import Call, CallTracer, Return
from emu.observe.source import Source


class FunctionObserver(Source[Symbol]):
    """Makes events of the calls of all functions that the patterns match (`frame_*`, `main`).

    Raises SymbolError for a pattern that no function of the loaded image matches.
    """

    def __init__(self, machine: Machine, patterns: Iterable[str]) -> None:
        self._tracer = CallTracer(machine)
        functions = {
            function.address: function for pattern in patterns for function in machine.symbols.matching(pattern)
        }
        super().__init__(machine, (FunctionCalled, FunctionReturned), functions.values())

    def follow(self, item: Symbol) -> None:
        """Watch a function's entry."""
        self._tracer.trace(item.label, item.address, self._called, self._returned)

    def unfollow(self, item: Symbol) -> None:
        """Stop watching it."""
        self._tracer.untrace(item.address)

    def _called(self, call: Call) -> None:
        self._machine.events.emit(
            FunctionCalled(
                instret=call.instret,
                pc=call.address,
                privilege=call.privilege,
                name=call.name,
                args=call.args,
                return_address=call.return_address,
                depth=call.depth,
            )
        )

    def _returned(self, end: Return) -> None:
        self._machine.events.emit(
            FunctionReturned(
                instret=self._machine.instret,
                pc=end.call.return_address,
                privilege=self._machine.hart.privilege,
                name=end.call.name,
                args=end.call.args,
                value=end.value,
                second_value=end.second_value,
                depth=end.call.depth,
                called_at=end.call.instret,
            )
        )
