"""All that has come into the machine from outside, with its moment: with it a run can be had again."""

from collections.abc import Callable

from emu.hints import NamedTuple
from emu.machine.history.moment import Moment

_MOST = 64 << 20
"""Bytes of the log, by estimate: beyond that its start is forgotten, and with it the way back there."""
_EACH = 200
"""Bytes that an entry takes besides its data."""

What = tuple[object, ...]
"""The kind of an input, and its data."""


class Input(NamedTuple):
    """One thing that came from outside."""

    moment: Moment
    is_inside: bool
    """Whether it came while an instruction or a trap was carried out: it has its effect behind that."""
    what: What

    def is_due(self, now: Moment) -> bool:
        """Whether it has its effect at a moment or before it."""
        return self.moment < now or (self.moment == now and not self.is_inside)


class Inputs:
    """The log, always kept, and where in it the machine is.

    Whoever changes the machine from outside asks `note` first, and leaves the change alone when that says so: in a
    past that is lived again the log makes it. A change that the log does not know begins another future.
    """

    def __init__(self, now: Callable[[], Moment], is_executing: Callable[[], bool]) -> None:
        """`is_executing` says whether an instruction is being carried out."""
        self._now, self._is_executing = now, is_executing
        self._entries: list[Input] = []
        self._position = 0
        self._folded: list[tuple[int, int, bytes, int]] = []
        """Calls behind those entries, of which each is two."""
        self._folded_end = self._folded_traps = 0
        self._registers: What = ()
        self.horizon: Moment | None = None
        """The end of the known future, while the machine is before it."""
        self.is_travelling = False
        """Whether the machine is on its way to another moment: nothing from outside counts."""
        self.on_cut: Callable[[Moment], object] = lambda _: None
        """Called when the future behind a moment is no more."""
        self.on_note: Callable[[Input], object] | None = None
        """Called with each new input."""
        self.on_forget: Callable[[int], object] | None = None
        """Called when only so many inputs stay."""
        self.is_whole = True
        """Whether nothing has been forgotten."""
        self._size = 0

    @property
    def entries(self) -> list[Input]:
        """All of them, in their order."""
        if self._folded:
            self._unfold()
        return self._entries

    @property
    def position(self) -> int:
        """How many entries have had their effect."""
        if self._folded:
            self._unfold()
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        if self._folded:
            self._unfold()  # which counts what it unfolds as done
        self._position = position

    @property
    def is_present(self) -> bool:
        """Whether what is to come is not known yet."""
        return self.horizon is None and not self.is_travelling

    @property
    def is_done(self) -> bool:
        """Whether all inputs have had their effect."""
        return self.position == len(self.entries)

    def note(self, *what: object, before: bool = False, at: Moment | None = None) -> bool:
        """Log an input; False when it must not be carried out. With `before` it counts before the current instruction.

        `at` is its moment, when that is not now.

        `what` is its kind and data, which nobody changes afterwards.
        """
        if self.is_travelling:
            return False
        now, executing = at or self._now(), self._is_executing()
        if self.horizon is not None:
            if executing and self._is_known(now, what):
                return False
            self.cut(now)
        if self._folded:
            self._unfold()
        entry = Input(now, executing and not before, what)
        self._entries.append(entry)
        self._position = len(self._entries)
        if self.on_note is not None:
            self.on_note(entry)
        self._size += _EACH
        for part in what:
            if type(part) is bytes:
                self._size += len(part)
        if self._size > _MOST:
            self.forget()
            self.is_whole = False
        return True

    def note_call(
        self, begin: int, traps: int, function: int, arguments: bytes, end: int, registers: Callable[[], What]
    ) -> None:
        """Log a call of a function in the present, and the input that puts the registers back when it has returned.

        `begin` and `end` are in instructions retired, `arguments` words of 64 bits. Calls that follow each other at
        once have the same `registers`; they are kept folded, because they may take no longer than a step of Python.
        """
        if begin != self._folded_end or traps != self._folded_traps or not self._folded:
            self._unfold()
            self._registers = registers()
            self._folded_traps = traps
        self._folded_end = end
        self._folded.append((begin, function, arguments, end))
        if self.on_note is not None:
            self._unfold()
        self._size += 2 * _EACH
        if self._size > _MOST:
            self.forget()
            self.is_whole = False

    def _unfold(self) -> None:
        folded, self._folded = self._folded, []
        traps = self._folded_traps
        for begin, function, arguments, end in folded:
            given = tuple(memoryview(arguments).cast("Q"))
            for moment, what in ((begin, ("call", function, given)), (end, self._registers)):
                self._entries.append(Input(Moment(moment, traps), False, what))
                self._position += 1
                if self.on_note is not None:
                    self.on_note(self._entries[-1])

    def due(self, now: Moment) -> What | None:
        """The next input that has its effect by now; it counts as done."""
        if self.position < len(self.entries) and self.entries[self.position].is_due(now):
            self.position += 1
            return self.entries[self.position - 1].what
        if self.horizon is not None and now >= self.horizon and self.is_done:
            self.horizon = None
        return None

    def next_stop(self, now: Moment) -> tuple[int, int] | None:
        """At how many instructions, and behind the trap of which number (0: none), to look for what is due next."""
        if self.position >= len(self.entries):
            return None
        entry = self.entries[self.position]
        return way_to(now, entry.moment, behind=entry.is_inside)

    def cut(self, now: Moment) -> None:
        """Forget the future."""
        self.horizon = None
        del self.entries[self.position :]
        if self.on_forget is not None:
            self.on_forget(self.position)
        self.on_cut(now)

    def forget(self) -> None:
        """Forget all inputs, since a state was put in place that the log does not lead to."""
        self._entries.clear()
        self._folded.clear()
        self._position = self._size = 0
        self.horizon = None
        self.is_whole = True

    def _is_known(self, now: Moment, what: What) -> bool:
        """Whether this input at this moment is in the log, done or to be done."""
        for step, index in ((-1, self.position - 1), (1, self.position)):
            while 0 <= index < len(self.entries) and self.entries[index].moment == now:
                if self.entries[index].what == what:
                    return True
                index += step
        return False


def way_to(now: Moment, target: Moment, *, behind: bool = False) -> tuple[int, int]:
    """The limits of the next stretch to a later moment, or (`behind`) to the next one after that.

    They are a number of instructions, and of the trap behind which to stop, 0 for none.

    >>> way_to(Moment(5, 1), Moment(9, 4)), way_to(Moment(9, 2), Moment(9, 4))
    ((9, 0), (10, 3))
    """
    if now.instret < target.instret:
        return target.instret, 0
    if now < target or (behind and now == target):
        return now.instret + 1, now.traps + 1
    return now.instret, 0
