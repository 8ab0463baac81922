"""Observers that make events: attached once however often they are asked for, running only while somebody listens."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable
from types import TracebackType

from emu.events import Event
from emu.hints import Generic, Self, TypeVar, cast
from emu.machine import Machine
from emu.subscriptions import Stop, Subscription

I = TypeVar("I", bound=Hashable)  # noqa: E741  # an item


class Source(ABC, Generic[I]):
    """Base of observers that make events of what they are asked to follow: a function, say.

    Of each class the first observer of a machine does the work for all of them, so an item that two ask for is
    followed once. An observer is detached by `close()` or at the end of its `with` block.
    """

    def __init__(self, machine: Machine, kinds: tuple[type[Event], ...], items: Iterable[I]) -> None:
        self._machine = machine
        self._wanted: Counter[I] = Counter()
        self._listened_kinds = self._holders = 0
        self._sources: list[Subscription] = []
        self._leader = cast("Self", machine.events.observers.setdefault(type(self), self))
        self._items: tuple[I, ...] | None = tuple(dict.fromkeys(items))
        self._leader._lead(self._items, kinds)

    @abstractmethod
    def follow(self, item: I) -> None:
        """Begin to make events of an item; called on the machine's first observer of the class."""

    @abstractmethod
    def unfollow(self, item: I) -> None:
        """Stop making events of it, and forget what was under way."""

    def close(self) -> None:
        """Detach. Doing it again does nothing."""
        items, self._items = self._items, None
        if items is not None:
            self._leader._release(items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _lead(self, items: tuple[I, ...], kinds: tuple[type[Event], ...]) -> None:
        self._holders += 1
        if not self._sources:
            self._sources = [self._machine.events.add_source(kind, self._start) for kind in kinds]
        for item in items:
            self._wanted[item] += 1
            if self._listened_kinds and self._wanted[item] == 1:
                self.follow(item)

    def _release(self, items: tuple[I, ...]) -> None:
        for item in items:
            self._wanted[item] -= 1
            if not self._wanted[item]:
                del self._wanted[item]
                if self._listened_kinds:
                    self.unfollow(item)
        self._holders -= 1
        if not self._holders:
            del self._machine.events.observers[type(self)]
            for source in self._sources:
                source.cancel()
            self._sources.clear()

    def _start(self) -> Stop:
        self._listened_kinds += 1
        if self._listened_kinds == 1:
            for item in self._wanted:
                self.follow(item)
        return self._stop

    def _stop(self) -> None:
        self._listened_kinds -= 1
        if self._listened_kinds == 0:
            for item in self._wanted:
                self.unfollow(item)
