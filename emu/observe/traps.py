"""Counts traps, remembers the last exception, and finds the trap that is taken for ever."""

from collections import Counter
from collections.abc import Callable
from enum import Enum

from emu.events import StateRestored, TrapReturned, TrapTaken
from emu.isa.causes import ACCESS_FAULTS, ExceptionCause
from emu.isa.privilege import Privilege
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.subscriptions import Subscription, cancel_all

_SUSPICIOUS = 1000
"""Exceptions of one instruction in a row, with interrupts at most between them, or interrupts of one instruction,
before a closer look is worth it."""
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
    """The handler returns to the instruction that trapped or was interrupted, and has changed nothing."""
    NESTED = "nested"
    """The handler traps itself, before it could return."""


@dataclass(frozen=True, slots=True)
class SeenTrap:
    """A trap with the integer registers that it was taken with; without them where it is an interrupt."""

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


class _Suspicion:
    """Finds the one trap that is taken for ever, among exceptions or among interrupts.

    A demand-paged loop traps at one instruction again and again, and so does a system call's wrapper: only a return to
    the instruction that trapped, with no instruction executed in between, or no return at all, makes a loop.
    """

    def __init__(self, machine: Machine, on_loop: Callable[[TrapLoop], None]) -> None:
        self._machine = machine
        self._on_loop = on_loop
        self.loop: TrapLoop | None = None
        """The loop that the guest is in now."""
        self._gap = 0
        """Instructions from one trap of the loop to the next, when it was found."""
        self._key: tuple[int, int] | None = None
        self._repeats = 0
        self._threshold = _SUSPICIOUS
        self._before: SeenTrap | None = None
        self._previous: SeenTrap | None = None
        self._returns: Subscription | None = None
        self._returned: TrapReturned | None = None
        self._nested = 0
        """Traps of the other kind that have not returned while it looks."""
        self._verdicts: Counter[LoopKind] = Counter()

    def note(self, seen: SeenTrap) -> None:
        """One more trap of this kind."""
        trap = seen.trap
        key = trap.cause, int(trap.pc)
        if key != self._key or (self.loop is not None and self._goes_on(trap)):
            self.start_again(key)
        self._repeats += 1
        if self._returns is not None:
            self._judge(seen)
        elif self._repeats >= self._threshold and self.loop is None:
            self._returned, self._nested = None, 0
            self._returns = self._machine.on(TrapReturned, self._note_return)
        self._previous = seen

    def pass_over(self) -> None:
        """A trap of the other kind, whose return is not of interest."""
        self._nested += 1

    def start_again(self, key: tuple[int, int] | None) -> None:
        """Forget what was suspected."""
        self._key, self._repeats, self._threshold = key, 0, _SUSPICIOUS
        self._before = self._previous
        self.loop = None
        self.look_away()

    def look_away(self) -> None:
        """Listen to returns no more."""
        self._verdicts.clear()
        if self._returns is not None:
            self._returns.cancel()
            self._returns = None

    def _goes_on(self, trap: TrapTaken) -> bool:
        """Whether more was executed since the trap before than in the loop that was found."""
        return self._previous is not None and trap.instret - self._previous.trap.instret > 2 * self._gap + 16

    def _note_return(self, end: TrapReturned) -> None:
        if self._nested:
            self._nested -= 1
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
            self.look_away()
            return
        self._verdicts[kind] += 1
        if self._verdicts[kind] >= _CONVINCING:
            self.look_away()
            before = self._before if kind is LoopKind.NESTED else None
            self._gap = trap.instret - self._previous.trap.instret if self._previous else 0
            self.loop = TrapLoop(kind, seen, before)
            self._on_loop(self.loop)


class TrapHistory:
    """Listens to traps, and to returns only while it looks closer at a suspicion."""

    def __init__(self, machine: Machine, on_loop: Callable[[TrapLoop], None] = lambda _loop: None) -> None:
        self._machine = machine
        self.counts: Counter[tuple[bool, int]] = Counter()
        """Traps by whether they are interrupts and by cause."""
        self.interrupt: TrapTaken | None = None
        """The last interrupt."""
        self.last: SeenTrap | None = None
        """The last exception, unless that was an `ecall`."""
        self.first_mistake: SeenTrap | None = None
        """The first exception of S or U mode that healthy kernels do not have: an illegal instruction, for example."""
        self._exceptions = _Suspicion(machine, on_loop)
        self._interrupts = _Suspicion(machine, on_loop)
        self._subscriptions = [
            machine.on(TrapTaken, self._trapped),
            machine.on(StateRestored, lambda _event: self._start_again()),
        ]

    @property
    def loop(self) -> TrapLoop | None:
        """The trap that the guest takes for ever now."""
        return self._exceptions.loop or self._interrupts.loop

    def close(self) -> None:
        """Stop listening."""
        for suspicion in (self._exceptions, self._interrupts):
            suspicion.look_away()
        cancel_all(self._subscriptions)

    def _trapped(self, trap: TrapTaken) -> None:
        self.counts[trap.interrupt, trap.cause] += 1
        if trap.interrupt:
            self.interrupt = trap
            self._exceptions.pass_over()
            self._interrupts.note(SeenTrap(trap, ()))
            return
        seen = SeenTrap(trap, self._machine.hart.x[:])
        self.last = None if trap.cause in _ECALLS else seen
        if self.first_mistake is None and trap.cause in _MISTAKES and trap.privilege is not Privilege.M:
            self.first_mistake = self.last
        self._exceptions.note(seen)

    def _start_again(self) -> None:
        for suspicion in (self._exceptions, self._interrupts):
            suspicion.start_again(None)
