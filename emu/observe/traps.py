"""Counts traps, remembers the last exception, and finds the trap that is taken for ever."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from emu.events import StateRestored, TrapReturned, TrapTaken
from emu.isa.causes import ACCESS_FAULTS, ExceptionCause
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.subscriptions import Subscription

_SUSPICIOUS = 1000
"""Exceptions of one instruction in a row, with interrupts at most between them, before a closer look is worth it."""
_CONVINCING = 100
"""So many more that all end in the same way are a loop."""
_MISTAKES = frozenset(
    {*ACCESS_FAULTS.values(), ExceptionCause.ILLEGAL_INSTRUCTION}
    | {ExceptionCause.LOAD_MISALIGNED, ExceptionCause.STORE_MISALIGNED}
)
_ECALLS = (ExceptionCause.ECALL_FROM_U, ExceptionCause.ECALL_FROM_S, ExceptionCause.ECALL_FROM_M)


class LoopKind(Enum):
    """How a trap comes to be taken for ever."""

    RETRY = "retry"
    """The handler returns to the instruction that trapped, and has changed nothing."""
    NESTED = "nested"
    """The handler traps itself, before it could return."""


@dataclass(frozen=True, slots=True)
class SeenTrap:
    """A trap with the integer registers that it was taken with."""

    trap: TrapTaken
    registers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TrapLoop:
    """A trap that the guest takes for ever."""

    kind: LoopKind
    seen: SeenTrap
    """One of them."""
    first: SeenTrap | None
    """The trap whose handler traps itself; None where that was not seen, and for RETRY."""


class TrapHistory:
    """Listens to traps, and to returns only while it looks closer at a suspicion.

    A demand-paged loop traps at one instruction again and again, and so does a system call's wrapper: only a return to
    the instruction that trapped, with no instruction executed in between, or no return at all, makes a loop.
    """

    def __init__(self, machine: Machine, on_loop: Callable[[TrapLoop], None] = lambda _loop: None) -> None:
        self._machine = machine
        self._on_loop = on_loop
        self.counts: Counter[tuple[bool, int]] = Counter()
        """Traps by whether they are interrupts and by cause."""
        self.last: SeenTrap | None = None
        """The last exception, unless that was an `ecall`."""
        self.first_mistake: SeenTrap | None = None
        """The first exception of S or U mode that healthy kernels do not have: an illegal instruction, for example."""
        self.loop: TrapLoop | None = None
        """The loop that the guest is in now."""
        self._key: tuple[int, int] | None = None
        self._repeats = 0
        self._threshold = _SUSPICIOUS
        self._before: SeenTrap | None = None
        self._previous: SeenTrap | None = None
        self._returns: Subscription | None = None
        self._returned: TrapReturned | None = None
        self._interrupts = 0
        """Interrupts that have not returned while it looks."""
        self._verdicts: Counter[LoopKind] = Counter()
        self._subscriptions = [
            machine.on(TrapTaken, self._trapped),
            machine.on(StateRestored, lambda _event: self._start_again(None)),
        ]

    def close(self) -> None:
        """Stop listening."""
        self._look_away()
        for subscription in self._subscriptions:
            subscription.cancel()

    def _trapped(self, trap: TrapTaken) -> None:
        self.counts[trap.interrupt, trap.cause] += 1
        if trap.interrupt:
            self._interrupts += 1
            return
        seen = SeenTrap(trap, self._machine.hart.x[:])
        self.last = None if trap.cause in _ECALLS else seen
        if self.first_mistake is None and trap.cause in _MISTAKES and trap.privilege is not Privilege.M:
            self.first_mistake = self.last
        key = trap.cause, int(trap.pc)
        if key != self._key:
            self._start_again(key)
        self._repeats += 1
        if self._returns is not None:
            self._judge(seen)
        elif self._repeats >= self._threshold and self.loop is None:
            self._returned, self._interrupts = None, 0
            self._returns = self._machine.on(TrapReturned, self._note_return)
        self._previous = seen

    def _start_again(self, key: tuple[int, int] | None) -> None:
        self._key, self._repeats, self._threshold = key, 0, _SUSPICIOUS
        self._before = self._previous
        self.loop = None
        self._look_away()

    def _note_return(self, end: TrapReturned) -> None:
        if self._interrupts:
            self._interrupts -= 1
        else:
            self._returned = end

    def _judge(self, seen: SeenTrap) -> None:
        trap = seen.trap
        end, self._returned = self._returned, None
        if end is None:
            kind = LoopKind.NESTED
        elif end.target == trap.pc and trap.instret <= end.instret + 1:
            kind = LoopKind.RETRY
        else:  # it does go on; look again much later
            self._threshold = self._repeats * 10
            self._look_away()
            return
        self._verdicts[kind] += 1
        if self._verdicts[kind] >= _CONVINCING:
            self._look_away()
            before = self._before if kind is LoopKind.NESTED else None
            self.loop = TrapLoop(kind, seen, before)
            self._on_loop(self.loop)

    def _look_away(self) -> None:
        self._verdicts.clear()
        if self._returns is not None:
            self._returns.cancel()
            self._returns = None
