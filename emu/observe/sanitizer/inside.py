"""Whether the code that executes is an allocator's own: it may touch what nobody holds."""

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import cast

from emu.machine import Machine
from emu.observe.allocations.catalogue import Placed
from emu.observe.allocations.observers import AllocatorObserver
from emu.observe.calls import Call
from emu.observe.opencalls import OpenCalls
from emu.observe.underway import UnderWay
from emu.subscriptions import cancel_all

_LARGEST_STACK = 1 << 16


class Inside:
    """Follows the calls of allocators' functions; `changed` is told when the guest enters or leaves the outermost."""

    def __init__(
        self, machine: Machine, observers: Iterable[AllocatorObserver], changed: Callable[[bool], None]
    ) -> None:
        self._machine, self._changed = machine, changed
        self._open: list[tuple[Call, Placed]] = []
        """Oldest first."""
        self._is_inside = False
        placed, patterns = set(), []
        for observer in observers:
            placed |= {int(one.address) for one in observer.functions}
            patterns += [fnmatch.translate(part) for one in observer.allocators for part in one.parts]
        self._functions = placed
        self._parts = re.compile("|".join(patterns)) if patterns else None
        self._known: dict[int, bool] = {}
        self._open_calls = OpenCalls.of(machine)
        self._subscriptions = [observer.tell_crossings(self._crossed) for observer in observers]
        self._under_way = UnderWay(machine, lambda: tuple(self._open), self._restore)

    def close(self) -> None:
        """Follow nothing more."""
        cancel_all(self._subscriptions)
        self._under_way.close()
        self._open_calls.close()
        self._set(False)

    @property
    def heap_is_asking(self) -> bool:
        """Whether a heap's function is being executed: the frames that it asks for become the heap's."""
        return any(
            placed.function in placed.allocator.blocks and not placed.allocator.maps and self._encloses(call)
            for call, placed in self._open
        )

    def is_allocator(self, pc: int, callers: Iterable[int]) -> bool:
        """Whether an instruction, or a call that led to it, is one of an allocator's function."""
        return any(self._is_part(address) for address in (pc, *callers))

    def callers(self) -> tuple[int, ...]:
        """The calls that led to the instruction at pc."""
        return self._open_calls.callers_here()

    def _is_part(self, address: int) -> bool:
        found = self._machine.symbols.at(address)
        if found is None:
            return False
        symbol = found[0]
        known = self._known.get(symbol.address)
        if known is None:
            parts = self._parts
            named = parts is not None and bool(parts.match(symbol.label) or parts.match(symbol.name))
            known = self._known[symbol.address] = named or int(symbol.address) in self._functions
        return known

    def _crossed(self, placed: Placed, call: Call, entered: bool) -> None:  # as the observers say it
        if entered:
            # A call whose stack lies below this one's never returned, if it was on the same stack.
            self._open = [one for one in self._open if not self._is_abandoned(one[0], call)]
            self._open.append((call, placed))
            self._set(True)
        else:
            self._open = [one for one in self._open if one[0] is not call]
            self._set(any(self._encloses(one) for one, _ in self._open))

    @staticmethod
    def _is_abandoned(old: Call, new: Call) -> bool:
        above = new.stack_pointer - old.stack_pointer
        return old.thread_pointer == new.thread_pointer and 0 < above <= _LARGEST_STACK

    def _encloses(self, call: Call) -> bool:
        """Whether an open call is one of the stack that is used now."""
        registers = self._machine.hart.x
        below = call.stack_pointer - registers["sp"]
        return call.thread_pointer == registers["tp"] and 0 <= below <= _LARGEST_STACK

    def _set(self, is_inside: bool) -> None:
        if is_inside != self._is_inside:
            self._is_inside = is_inside
            self._changed(is_inside)

    def _restore(self, state: object | None) -> None:
        self._open = list(cast("Iterable[tuple[Call, Placed]]", state or ()))
        self._set(any(self._encloses(one) for one, _ in self._open))
