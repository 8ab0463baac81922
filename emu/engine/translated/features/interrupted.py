"""The calls that are open where traps were taken, in each address space, though all of them share one table."""

import ctypes
from collections.abc import Callable, Iterator

from emu.hints import NamedTuple, Protocol
from emu.isa.status import SATP_PPN

Where = tuple[int, int]
"""A stack pointer and the value of satp."""
Entries = dict[int, tuple[int, ...]]
"""Entries of the table by where they are."""
_MOST = 1 << 12
_NO_SATP = (1 << 64) - 1


class Context:
    """What native code knows: indices of 64-bit words."""

    SATP = 0
    """The address space that a trap has returned to last."""
    INTERRUPTED = 1
    """The innermost entry where a trap was taken last."""
    COUNT = 2
    """How many traps and returns from one native code has carried out that Python has not seen yet."""
    SEEN = 3
    """The first of three words for each: stack pointer and satp, and the innermost entry of a trap, 0 of a return."""
    MOST_SEEN = 32
    PLACES = SEEN + 3 * MOST_SEEN
    """The first of four words for each place, which traps at several stack pointers share: stack pointer, satp, and the
    innermost entry, 0 where Python is to be asked."""
    PLACE_BITS = 6
    STACK_SHIFT = 4
    """Stack pointers that differ by so many bits have a place of their own."""
    END = PLACES + (4 << PLACE_BITS)


class Apart(Protocol):
    """Who knows more of open calls than the table does, by their places alone."""

    def set_aside(self, entries: Entries, /) -> object:
        """What is known of calls that are set aside; calls of another process may have their places next."""

    def put_back(self, known: object, /) -> None:
        """They are in their places again."""

    def leave_process(self) -> object | None:
        """What is known of calls of a user program on stacks that wait; None if nothing is. It is forgotten."""

    def enter_process(self, known: object, /) -> None:
        """It is known again."""


class Saved(NamedTuple):
    """What was interrupted at a moment."""

    contexts: dict[Where, int]
    fresh: dict[Where, None]
    aside: dict[Where, tuple[Entries, object]]
    satp: int | None
    elsewhere: dict[int, tuple[int, Entries, object]]
    processes: dict[int, object]


class Interrupted:
    """The innermost entry at each trap that was not returned from.

    Processes may have equal stack pointers, and then their calls have equal places in the table: so those of one are
    copied when a trap returns to another address space, and put back when one returns to them. Native code carries
    out the other returns (`callentries.KEPT_TRAP_RETURN`), and notes the traps that it enters (`traps.entries`).
    """

    def __init__(
        self, chain: Callable[[int], Entries], put_back: Callable[[Entries], None], apart: Apart | None = None
    ) -> None:
        """`chain` gives an entry with all that it leads to, and `put_back` writes such into the table."""
        self._chain, self._put_back, self._apart = chain, put_back, apart
        self._contexts: dict[Where, int] = {}
        self._fresh: dict[Where, None] = {}
        """Those whose entries are in the table, in the order in which they came."""
        self._aside: dict[Where, tuple[Entries, object]] = {}
        self._elsewhere: dict[int, tuple[int, Entries, object]] = {}
        """The innermost entry of stacks that others lie in the place of, by the root of their address space."""
        self._processes: dict[int, object] = {}
        """What is known of processes that wait, by their address space."""
        words = (ctypes.c_uint64 * Context.END)()
        self.words, self.address = memoryview(words).cast("B").cast("Q"), ctypes.addressof(words)
        """What native code knows (`Context`), and where the host has it."""
        self.words[Context.SATP] = _NO_SATP

    def __iter__(self) -> Iterator[int]:
        self._catch_up()
        return iter(self._contexts.values())

    def trapped(self, where: Where, innermost: int) -> None:
        """A trap was taken there."""
        self._catch_up()
        self._note(where, innermost)
        self.interrupted = innermost
        words, place = self.words, self._place(where)
        words[place], words[place + 1], words[place + 2] = *where, innermost

    def returned(self, where: Where) -> int | None:
        """A trap returns there: the innermost entry, with all that it leads to in its place; None if none is known."""
        self._catch_up()
        if where[1] != self.words[Context.SATP]:
            self._switch(where[1])
        innermost, aside = self._contexts.get(where), self._aside.get(where)
        self._forget(where)
        if aside is not None:
            self._put_back(aside[0])
            if self._apart is not None:
                self._apart.put_back(aside[1])
        return innermost

    def _switch(self, satp: int) -> None:
        """A trap returns to another process."""
        left = self.words[Context.SATP]
        self._set_fresh_aside(satp)
        if self._apart is not None:
            known = self._apart.leave_process()
            if known is not None:
                self._processes[left] = known
                if len(self._processes) > _MOST:
                    del self._processes[next(iter(self._processes))]
            known = self._processes.pop(satp, None)
            if known is not None:
                self._apart.enter_process(known)

    def other_stack(self, old: int, new: int, innermost: int) -> int | None:
        """Another stack lies in the place of the one with this entry; `old` and `new` are values of satp.

        Its innermost entry, with all that it leads to in its place; None if none is known.
        """
        old, new = old & SATP_PPN, new & SATP_PPN
        self._catch_up()
        self._set_fresh_aside(_NO_SATP)
        self._elsewhere.pop(old, None)
        self._elsewhere[old] = innermost, *self._copied(innermost)
        if len(self._elsewhere) > _MOST:
            del self._elsewhere[next(iter(self._elsewhere))]
        known = self._elsewhere.pop(new, None)
        if known is None:
            return None
        innermost, entries, more = known
        self._put_back(entries)
        if self._apart is not None:
            self._apart.put_back(more)
        return innermost

    def _set_fresh_aside(self, satp: int) -> None:
        """Other calls may have the places of those that were interrupted; traps are taken in this space from now on."""
        self._begin(satp)
        for each in self._fresh:
            self._aside[each] = self._copied(self._contexts[each])
        self._fresh.clear()

    def _copied(self, innermost: int) -> tuple[Entries, object]:
        entries = self._chain(innermost)
        return entries, None if self._apart is None else self._apart.set_aside(entries)

    @property
    def interrupted(self) -> int:
        """The innermost entry where a trap was taken last."""
        return self.words[Context.INTERRUPTED]

    @interrupted.setter
    def interrupted(self, innermost: int) -> None:
        self.words[Context.INTERRUPTED] = innermost

    def _catch_up(self) -> None:
        """Know what native code has entered, and forget what it has returned to."""
        words = self.words
        if words[Context.COUNT]:
            seen = words[Context.SEEN : Context.SEEN + 3 * words[Context.COUNT]].tolist()
            words[Context.COUNT] = 0
            for stack_pointer, satp, innermost in zip(seen[::3], seen[1::3], seen[2::3], strict=True):
                if innermost:
                    self._note((stack_pointer, satp), innermost)
                else:
                    self._drop((stack_pointer, satp))

    def _note(self, where: Where, innermost: int) -> None:
        self._contexts[where] = innermost
        self._fresh[where] = None
        self._aside.pop(where, None)
        if len(self._contexts) > _MOST:
            self._forget(next(iter(self._contexts)))

    def _begin(self, satp: int) -> None:
        """Have native code return to this address space, where traps are taken from now on."""
        self.words[Context.PLACES :] = memoryview(bytes(8 * (Context.END - Context.PLACES))).cast("Q")
        self.words[Context.SATP], self.words[Context.COUNT] = satp, 0

    @staticmethod
    def _place(where: Where) -> int:
        number = where[0] >> Context.STACK_SHIFT & (1 << Context.PLACE_BITS) - 1
        return Context.PLACES + 4 * number

    def _forget(self, where: Where) -> None:
        words, place = self.words, self._place(where)
        if (words[place], words[place + 1]) == where:
            words[place + 2] = 0
        self._drop(where)

    def _drop(self, where: Where) -> None:
        self._contexts.pop(where, None)
        self._fresh.pop(where, None)
        self._aside.pop(where, None)

    def clear(self) -> None:
        """Nothing is known."""
        self.restore(Saved({}, {}, {}, None, {}, {}))

    def saved(self) -> Saved:
        """What is known now, for `restore`."""
        self._catch_up()
        satp = self.words[Context.SATP]
        known = None if satp == _NO_SATP else satp
        contexts, fresh, aside = dict(self._contexts), dict(self._fresh), dict(self._aside)
        return Saved(contexts, fresh, aside, known, dict(self._elsewhere), dict(self._processes))

    def restore(self, saved: Saved) -> None:
        """Go back to that."""
        contexts, fresh, aside, satp, elsewhere, processes = saved
        self._elsewhere, self._processes = dict(elsewhere), dict(processes)
        self._begin(_NO_SATP if satp is None else satp)
        self._contexts, self._fresh, self._aside = dict(contexts), dict(fresh), dict(aside)
