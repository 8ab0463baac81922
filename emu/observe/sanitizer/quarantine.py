"""Holds back what a kernel frees: the host answers the free function, and the allocator gets the block back later."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, cast

from emu.engine.window import Word
from emu.isa.registers import A0
from emu.machine import Machine
from emu.observe.calls.tracer import Call

_ARGUMENTS = 8


class _Held(NamedTuple):
    physical: int
    size: int
    arguments: tuple[int, ...]


class Quarantine:
    """Freed blocks and frames that their allocators do not know of yet, oldest first, for each free function.

    As many go back as come once the limit is reached: the call that frees one block then gives back the oldest one.
    """

    def __init__(self, machine: Machine, limit: int) -> None:
        """`limit` is in bytes."""
        self._machine, self.limit = machine, limit
        self._held: dict[int, deque[_Held]] = {}
        self.size = 0
        """Bytes that are held back."""

    def freed(self, call: Call, physical: int, size: int) -> None:
        """A function is being called for memory that was held by somebody: answer it, or have it free the oldest."""
        queue = self._held.setdefault(int(call.address), deque())
        queue.append(_Held(physical, size, call.args))
        self.size += size
        if self.size <= self.limit:
            self._answer(call)
            return
        oldest = queue.popleft()
        self.size -= oldest.size
        self._pass(oldest.arguments)

    def refused(self, call: Call, physical: int) -> None:
        """A function is being called for what nobody holds: it must not free what is held back here a second time."""
        if any(one.physical == physical for queue in self._held.values() for one in queue):
            self._answer(call)

    def save(self) -> object:
        """What is held back, for a snapshot."""
        return {function: tuple(queue) for function, queue in self._held.items()}

    def restore(self, state: object | None) -> None:
        """Return to that; to nothing with None."""
        saved = cast("dict[int, Sequence[_Held]]", state or {})
        self._held = {function: deque(queue) for function, queue in saved.items()}
        self.size = sum(one.size for queue in self._held.values() for one in queue)

    def _answer(self, call: Call) -> None:
        """The call is over, with a 0 for functions that say whether they succeeded."""
        core = self._machine.core
        core.words[Word.X0 + A0] = 0
        core.go_on_at(int(call.return_address))

    def _pass(self, arguments: tuple[int, ...]) -> None:
        words = self._machine.core.words
        for number, value in enumerate(arguments[:_ARGUMENTS], start=Word.X0 + A0):
            words[number] = value
