"""Callers by the calls that are open: kept by the guest's own calls, told by its stack where that does not reach."""

from typing import NamedTuple

from emu.address import VirtAddr
from emu.engine.translated.opencalls import KeptCalls
from emu.events import MachineReset, StateRestored
from emu.machine import Machine
from emu.observe.backtrace import Backtrace
from emu.observe.code import HOST
from emu.subscriptions import Subscription

_MOST_CALLERS = 16
_MOST_CHAINS = 1 << 14


class _Chain(NamedTuple):
    """Callers that memory and registers have told."""

    sites: tuple[VirtAddr, ...]
    read: dict[int, int | None]
    registers: dict[int, int]


class OpenCalls:
    """Chains of callers: by `KeptCalls`, and by `Backtrace` where that ends, as before it was switched on.

    So the callers of functions are known, too, that keep ra in a register, a CSR or outside of their frame.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._backtrace = Backtrace(machine)
        self._users = 0
        self._kept = KeptCalls()
        self._forgetting: list[Subscription] = []
        self._chains: dict[tuple[int, int], _Chain] = {}
        """By return address and stack pointer of a call: the chain that was found last, and what it was found by."""

    @classmethod
    def of(cls, machine: Machine) -> "OpenCalls":
        """The one that all observers of a machine share; each of them closes it."""
        shared = cls.present(machine) or cls(machine)
        machine.events.observers[cls] = shared
        shared._users += 1
        if shared._users == 1:
            shared._begin()
        return shared

    @classmethod
    def present(cls, machine: Machine) -> "OpenCalls | None":
        """The one that observers of a machine have now; None when none has."""
        found = machine.events.observers.get(cls)
        return found if isinstance(found, OpenCalls) else None

    def _begin(self) -> None:
        self._machine.core.engine.switch_on(self._kept)
        forget = self._kept.forget
        self._forgetting = [
            self._machine.on(StateRestored, lambda _event: forget()),
            self._machine.on(MachineReset, lambda _event: forget()),
        ]

    def close(self) -> None:
        """Keep nothing any more, once all who share it have said so."""
        self._users -= 1
        if self._users <= 0:
            self._machine.core.engine.switch_off(self._kept)
            for subscription in self._forgetting:
                subscription.cancel()
            self._forgetting.clear()
            self._machine.events.observers.pop(type(self), None)

    def callers(self, return_address: int, stack_pointer: int) -> tuple[VirtAddr, ...]:
        """The call instructions above a call, innermost first, at most 16; see `Backtrace.callers`.

        At the entry or the return of the call with this return address and stack pointer.
        """
        place = return_address, stack_pointer
        sites: list[VirtAddr] = []
        for place in self._kept.open_calls(*place) or ():  # noqa: B020 - the last one is where the stack goes on
            sites.append(self._backtrace.site(place[0]))
            if len(sites) == _MOST_CALLERS or place[0] == HOST:
                return tuple(sites)
        return (*sites, *self._told_by_stack(*place))[:_MOST_CALLERS]

    def callers_here(self) -> tuple[VirtAddr, ...]:
        """The same for the instruction at pc, wherever in its function that stands."""
        here, is_told = self._backtrace.here()
        if not is_told:
            here = self._kept.innermost or here
        if here is None:
            return ()
        return (self._backtrace.site(here[0]), *self.callers(*here))[:_MOST_CALLERS]

    def _told_by_stack(self, return_address: int, stack_pointer: int) -> tuple[VirtAddr, ...]:
        known = self._chains.get((return_address, stack_pointer))
        if known is not None and self._backtrace.reads_again(known.read, known.registers):
            return known.sites
        sites = self._backtrace.callers(return_address, stack_pointer)
        if len(self._chains) >= _MOST_CHAINS:
            self._chains.clear()
        stack = self._backtrace.stack
        self._chains[return_address, stack_pointer] = _Chain(sites, stack.read, stack.registers)
        return sites
