"""Callers of functions that nothing in the image tells about: their own calls are followed, as on a shadow stack."""

from typing import NamedTuple

from emu.address import VirtAddr
from emu.firmware.symbols import Symbol
from emu.machine import Machine
from emu.observe.backtrace import Backtrace
from emu.observe.calls import Call, CallTracer

_MOST_CALLERS = 16
_LARGEST_STACK = 1 << 16
_MOST_CHAINS = 1 << 14


class _Chain(NamedTuple):
    """Callers that only memory and registers have told."""

    sites: tuple[VirtAddr, ...]
    read: dict[int, int | None]
    registers: dict[int, int]


class OpenCalls:
    """Chains of callers: by `Backtrace`, and by a record of open calls where that ends.

    A function that keeps ra in a register, a CSR or outside of its frame, or changes stacks, is followed from when a
    chain first ends in it, so that first chain stays short. Each of its entries and returns costs a callback; nothing
    else does.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._backtrace = Backtrace(machine)
        self._tracer = CallTracer(machine)
        self._followed: set[VirtAddr] = set()
        self._users = 0
        self._chains: dict[tuple[int, int], _Chain] = {}
        """By return address and stack pointer of a call: the chain that was found last, and what it was found by."""
        self._is_told_by_stack = True

    @classmethod
    def of(cls, machine: Machine) -> "OpenCalls":
        """The one that all observers of a machine share; each of them closes it."""
        shared = cls.present(machine) or cls(machine)
        machine.events.observers[cls] = shared
        shared._users += 1
        return shared

    @classmethod
    def present(cls, machine: Machine) -> "OpenCalls | None":
        """The one that observers of a machine have now; None when none has."""
        found = machine.events.observers.get(cls)
        return found if isinstance(found, OpenCalls) else None

    def close(self) -> None:
        """Follow nothing any more, once all who share it have said so."""
        self._users -= 1
        if self._users <= 0:
            self._tracer.close()
            self._followed.clear()
            self._machine.events.observers.pop(type(self), None)

    def callers(self, return_address: int, stack_pointer: int) -> tuple[VirtAddr, ...]:
        """The call instructions above a call, innermost first, at most 16; see `Backtrace.callers`."""
        known = self._chains.get((return_address, stack_pointer))
        if known is not None and self._backtrace.reads_again(known.read, known.registers):
            return known.sites
        sites = self._found(return_address, stack_pointer)
        if self._is_told_by_stack:
            if len(self._chains) >= _MOST_CHAINS:
                self._chains.clear()
            stack = self._backtrace.stack
            self._chains[return_address, stack_pointer] = _Chain(sites, stack.read, stack.registers)
        return sites

    def _found(self, return_address: int, stack_pointer: int) -> tuple[VirtAddr, ...]:
        sites: list[VirtAddr] = []
        self._is_told_by_stack = True
        place = return_address, stack_pointer
        while len(sites) < _MOST_CALLERS:
            for place in self._backtrace.frames(*place):  # noqa: B020 - it goes on from the last one
                sites.append(self._backtrace.site(place[0]))
                if len(sites) == _MOST_CALLERS:
                    break
            else:
                self._is_told_by_stack = self._is_told_by_stack and self._backtrace.complete
                call = None if self._backtrace.complete else self._open_call(self._backtrace.site(place[0]), place[1])
                if call is None:
                    break
                sites.append(self._backtrace.site(call.return_address))
                place = call.return_address, call.stack_pointer
        return tuple(sites)

    def callers_here(self) -> tuple[VirtAddr, ...]:
        """The same for the instruction at pc, wherever in its function that stands."""
        here, is_told = self._backtrace.here()
        if not is_told:
            call = self._open_call(self._machine.hart.pc, self._machine.hart.x["sp"])
            here = here if call is None else (call.return_address, call.stack_pointer)
        if here is None:
            return ()
        return (self._backtrace.site(here[0]), *self.callers(*here))[:_MOST_CALLERS]

    def _open_call(self, place: int, stack_pointer: int) -> Call | None:
        """The call of the function that a place is in, where that is followed."""
        function = self._machine.symbols.at(place)
        if function is None:
            return None
        if function[0].address not in self._followed:
            self._follow(function[0])
            return None
        thread, start = self._machine.hart.x["tp"], function[0].address
        calls = [call for call in self._tracer.newest() if (call.address, call.thread_pointer) == (start, thread)]
        near = [call for call in calls if 0 <= call.stack_pointer - stack_pointer <= _LARGEST_STACK]
        if near:
            return min(near, key=lambda call: call.stack_pointer)
        return calls[0] if len(calls) == 1 else None  # it has changed stacks

    def _follow(self, function: Symbol) -> None:
        self._followed.add(function.address)
        self._tracer.trace(function.name, function.address, lambda _call: None, lambda _return: None)
