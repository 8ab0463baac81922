"""Follows calls of guest functions from their entry to their return, recursion and tail calls included."""

from collections.abc import Callable
from dataclasses import dataclass

from emu.address import VirtAddr
from emu.events import StateRestored
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.subscriptions import Subscription

_RA, _SP, _A0 = 1, 2, 10
_JAL, _JALR = 0x6F, 0x67
_RD_RA = _RA << 7


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was entered: what the psABI says about it at the function's first instruction."""

    name: str
    address: VirtAddr
    args: tuple[int, ...]
    """a0 to a7, unsigned."""
    return_address: VirtAddr
    stack_pointer: int
    instret: int
    privilege: Privilege
    depth: int
    """How many calls of the same tracer were open."""


@dataclass(frozen=True, slots=True)
class Return:
    """The end of a call: its result registers."""

    call: Call
    value: int
    """a0, unsigned."""
    second_value: int
    """a1, unsigned."""


class CallTracer:
    """Reports each call and each return of the functions given to `trace`.

    A return is recognised by its return address together with its stack pointer, which tells recursive calls apart;
    a function that jumps to another in its last instruction returns together with it. Calls from which the guest never
    returns (a panic, the exit of a process) stay open. Costs a callback for each entry and each return, nothing
    between them.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._open: dict[tuple[int, int], list[tuple[Call, Callable[[Return], None]]]] = {}
        self._depth = 0
        self._return_watches: dict[int, Subscription] = {}
        self._sites: dict[VirtAddr, VirtAddr] = {}
        self._watches: list[Subscription] = []

    def trace(
        self, name: str, address: VirtAddr, on_call: Callable[[Call], None], on_return: Callable[[Return], None]
    ) -> None:
        """Follow the function that starts at `address`, until `close`."""

        def entered() -> None:
            registers = self._machine.hart.x
            return_address, stack_pointer = registers[_RA], registers[_SP]
            calls = self._open.setdefault((return_address, stack_pointer), [])
            if calls and calls[-1][0].address == address:
                return  # a loop back to the function's first instruction
            call = Call(
                name=name,
                address=address,
                args=tuple(registers[_A0 : _A0 + 8]),
                return_address=VirtAddr(return_address),
                stack_pointer=stack_pointer,
                instret=self._machine.instret,
                privilege=self._machine.hart.privilege,
                depth=self._depth,
            )
            calls.append((call, on_return))
            self._depth += 1
            if return_address not in self._return_watches:
                self._return_watches[return_address] = self._machine.watch(
                    return_address, lambda: self._returned(return_address)
                )
            on_call(call)

        if not self._watches:
            self._watches.append(self._machine.on(StateRestored, lambda _event: self._forget_open_calls()))
        self._watches.append(self._machine.watch(address, entered))

    def site(self, call: Call) -> VirtAddr:
        """The address of the call instruction: two or four bytes before the return address."""
        site = self._sites.get(call.return_address)
        if site is None:
            word = self._machine.peek(call.return_address - 4, 4)
            bits = 0 if word is None else int.from_bytes(word, "little")
            is_long = bits & 0x7F in (_JAL, _JALR) and bits & 0xF80 == _RD_RA
            site = self._sites[call.return_address] = call.return_address - (4 if is_long else 2)
        return site

    def close(self) -> None:
        """Stop following; open calls are forgotten."""
        for watch in (*self._watches, *self._return_watches.values()):
            watch.cancel()
        self._watches.clear()
        self._return_watches.clear()
        self._forget_open_calls()

    def _forget_open_calls(self) -> None:
        self._open.clear()
        self._depth = 0

    def _returned(self, return_address: int) -> None:
        registers = self._machine.hart.x
        finished = self._open.pop((return_address, registers[_SP]), None)
        if finished is None:
            return
        value, second_value = registers[_A0], registers[_A0 + 1]
        self._depth -= len(finished)
        for call, on_return in reversed(finished):
            on_return(Return(call, value, second_value))
