"""The calls that are open where traps were taken, in each address space, though all of them share one table."""

from collections.abc import Callable, Iterator

from emu.hints import NamedTuple, Protocol

Where = tuple[int, int]
"""A stack pointer and the value of satp."""
Entries = dict[int, tuple[int, ...]]
"""Entries of the table by where they are."""
_MOST = 1 << 12


class Apart(Protocol):
    """Who knows more of open calls than the table does, by their places alone."""

    def set_aside(self, entries: Entries, /) -> object:
        """What is known of calls that are set aside; calls of another process may have their places next."""

    def put_back(self, known: object, /) -> None:
        """They are in their places again."""


class Saved(NamedTuple):
    """What was interrupted at a moment."""

    contexts: dict[Where, int]
    fresh: dict[Where, None]
    aside: dict[Where, tuple[Entries, object]]
    satp: int | None


class Interrupted:
    """The innermost entry at each trap that was not returned from.

    Processes may have equal stack pointers, and then their calls have equal places in the table: so those of one are
    copied when a trap returns to another address space, and put back when one returns to them.
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
        self._satp: int | None = None
        """The address space that a trap has returned to last."""

    def __iter__(self) -> Iterator[int]:
        return iter(self._contexts.values())

    def trapped(self, where: Where, innermost: int) -> None:
        """A trap was taken there."""
        self._contexts[where] = innermost
        self._fresh[where] = None
        self._aside.pop(where, None)
        if len(self._contexts) > _MOST:
            self._forget(next(iter(self._contexts)))

    def returned(self, where: Where) -> int | None:
        """A trap returns there: the innermost entry, with all that it leads to in its place; None if none is known."""
        if where[1] != self._satp:
            self._satp = where[1]
            for each in self._fresh:
                entries = self._chain(self._contexts[each])
                self._aside[each] = entries, None if self._apart is None else self._apart.set_aside(entries)
            self._fresh.clear()
        innermost, aside = self._contexts.get(where), self._aside.get(where)
        self._forget(where)
        if aside is not None:
            self._put_back(aside[0])
            if self._apart is not None:
                self._apart.put_back(aside[1])
        return innermost

    def _forget(self, where: Where) -> None:
        self._contexts.pop(where, None)
        self._fresh.pop(where, None)
        self._aside.pop(where, None)

    def clear(self) -> None:
        """Nothing is known."""
        self.restore(Saved({}, {}, {}, None))

    def saved(self) -> Saved:
        """What is known now, for `restore`."""
        return Saved(dict(self._contexts), dict(self._fresh), dict(self._aside), self._satp)

    def restore(self, saved: Saved) -> None:
        """Go back to that."""
        contexts, fresh, aside, self._satp = saved
        self._contexts, self._fresh, self._aside = dict(contexts), dict(fresh), dict(aside)
