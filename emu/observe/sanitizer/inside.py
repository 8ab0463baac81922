"""Whether the code that executes is an allocator's own: it may touch what nobody holds."""

import fnmatch
import re
from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_

from emu.engine.translated.features.callrecords import CallRecords
from emu.engine.translated.features.opencalls import KeptCalls
from emu.machine import Machine
from emu.observe.allocations.observers import AllocatorObserver
from emu.observe.calls.opened import OpenCalls


class Inside:
    """Knows allocators' calls by the marks that their observers give them, and by the functions that make them up."""

    def __init__(self, machine: Machine, frames: AllocatorObserver, blocks: AllocatorObserver) -> None:
        self._machine = machine
        observers = frames, blocks
        placed, patterns = set(), []
        for observer in observers:
            placed |= {int(one.address) for one in observer.functions}
            patterns += [fnmatch.translate(part) for one in observer.allocators for part in one.parts]
        self._functions = placed
        self._parts = re.compile("|".join(patterns)) if patterns else None
        self._known: dict[int, bool] = {}
        self._open_calls = OpenCalls.of(machine)
        layers = [(observer, one.layer, one.maps) for observer in observers for one in observer.allocators]
        self.heap = self._all_of(blocks.mark(layer) for one, layer, maps in layers if one is blocks and not maps)
        """Of calls of a heap's functions, for whom frames become the heap's."""
        self.marks = self._all_of(observer.mark(layer) for observer, layer, _ in layers)
        """Of calls of allocators' functions."""

    @staticmethod
    def _all_of(marks: Iterable[int]) -> int:
        return reduce(or_, marks, 0)

    @property
    def calls(self) -> KeptCalls:
        """Where these marks are."""
        return self._open_calls.kept

    def close(self) -> None:
        """Follow nothing more."""
        self._open_calls.close()

    @property
    def records(self) -> CallRecords:
        """What calls of allocators' functions are recorded by."""
        return self._open_calls.records

    def settle(self) -> None:
        """Have all told that is recorded, and what has waited."""
        self._open_calls.settle()

    def tell_later(self, tell: Callable[[], object]) -> None:
        """Have it told in the order of what is recorded."""
        self._open_calls.tell_later(tell)

    @property
    def heap_is_asking(self) -> bool:
        """Whether a heap's function is being executed: the frames that it asks for become the heap's."""
        return bool(self.calls.marks_here & self.heap)

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
