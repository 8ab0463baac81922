"""Who listens to which event: subscriptions, and sources that run only while somebody listens."""

from collections.abc import Callable, Iterable
from types import TracebackType

from emu.errors import ConfigError
from emu.events import Event
from emu.hints import Self, TypeVar, TypeVarTuple, Unpack
from emu.signals import HeldSignals

E = TypeVar("E", bound=Event)
_Arguments = TypeVarTuple("_Arguments")
Listener = Callable[[E], None]
Stop = Callable[[], None]
Start = Callable[[], Stop]
"""Turns a source of events on and returns what turns it off."""


class Subscription:
    """A listener's hold on an event; ends with `cancel()` or with its `with` block."""

    def __init__(self, cancel: Stop) -> None:
        self._cancel: Stop | None = cancel

    def cancel(self) -> None:
        """Stop listening. Calling it again does nothing."""
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()


def cancel_all(subscriptions: Iterable[Subscription]) -> None:
    """End several, as each would by itself."""
    for subscription in subscriptions:
        subscription.cancel()


class EventBus:
    """Carries events from sources to listeners. A source without a listener is off and costs nothing.

    >>> from emu.events import ConsoleOutput
    >>> from emu.isa.privilege import Privilege
    >>> bus = EventBus()
    >>> _ = bus.add_source(ConsoleOutput, lambda: print("source on") or (lambda: print("source off")))
    >>> with bus.on(ConsoleOutput, lambda event: print(event.data)):
    ...     bus.emit(ConsoleOutput(instret=0, pc=0, privilege=Privilege.S, data=b"hi"))
    source on
    b'hi'
    source off
    """

    def __init__(self) -> None:
        self._listeners: dict[type[Event], tuple[Callable[[Event], None], ...]] = {}
        self._sources: dict[type[Event], list[Start]] = {}
        self._running: dict[type[Event], dict[Start, Stop]] = {}
        self.observers: dict[type, object] = {}
        """What makes further events of these, by class: there is one of each (see `emu.observe.source`)."""
        self.signals = HeldSignals()
        """Handlers of signals, which wait while a guest executes, but not while a listener does."""
        self.keeps_errors: Callable[[], None] | None = None
        """While a guest executes, told that a listener has raised: the guest goes on to where it can be left."""
        self.error: BaseException | None = None
        """What a listener has raised meanwhile, for `raise_kept`."""
        self.before: Callable[[], None] | None = None
        """Called before an event is told, to have shown what the guest did before it."""

    def add_source(self, kind: type[Event], start: Start) -> Subscription:
        """Name what produces events of this kind; it is started now if somebody listens already."""
        self._sources.setdefault(kind, []).append(start)
        if kind in self._listeners:
            self._running[kind][start] = start()
        return Subscription(lambda: self._remove_source(kind, start))

    def has_source(self, kind: type[Event]) -> bool:
        """Whether anything produces events of this kind, once somebody listens."""
        return kind in self._sources

    def on(self, kind: type[E], listener: Listener[E]) -> Subscription:
        """Call `listener` with each event of exactly this kind.

        Raises ConfigError when nothing produces such events.
        """
        if kind not in self._sources:
            known = ", ".join(sorted(source.__name__ for source in self._sources)) or "none"
            raise ConfigError(
                f"nothing produces {kind.__name__} events on this machine (sources: {known}); "
                "attach the observer that does, from emu.observe"
            )
        call: Callable[[Event], None] = listener  # type: ignore[assignment]  # the key of the table is its argument
        if kind not in self._listeners:
            self._running[kind] = {start: start() for start in self._sources[kind]}
        self._listeners[kind] = (*self._listeners.get(kind, ()), call)
        return Subscription(lambda: self._remove(kind, call))

    def close(self) -> None:
        """Forget all sources and listeners, without turning anything off: what they watched is gone."""
        for table in (self._listeners, self._sources, self._running, self.observers):
            table.clear()

    @property
    def are_any(self) -> bool:
        """Whether there is a listener, or an observer that makes further events."""
        return bool(self._listeners or self.observers)

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens to events of this kind."""
        return kind in self._listeners

    def emit(self, event: Event) -> None:
        """Hand an event to its listeners, in the order in which they subscribed."""
        if self.before is not None:
            self.before()
        for listener in self._listeners.get(type(event), ()):
            self.call(listener, event)

    def call(self, listener: Callable[[Unpack[_Arguments]], object], *arguments: *_Arguments) -> None:
        """Call code of the user's, which may raise anything, and be interrupted by a signal."""
        try:
            self.signals.open_for(listener, *arguments)
        except BaseException as error:
            if self.keeps_errors is None:
                raise
            if self.error is None:
                self.error = error
            self.keeps_errors()

    def raise_kept(self) -> None:
        """Raise what a listener has raised while a guest executed; of several, the first."""
        error, self.error = self.error, None
        if error is not None:
            raise error

    def _remove(self, kind: type[Event], listener: Callable[[Event], None]) -> None:
        if kind not in self._listeners:  # the machine was closed
            return
        remaining = list(self._listeners[kind])
        remaining.remove(listener)
        if remaining:
            self._listeners[kind] = tuple(remaining)
            return
        del self._listeners[kind]
        for stop in self._running.pop(kind).values():
            stop()

    def _remove_source(self, kind: type[Event], start: Start) -> None:
        self._sources[kind].remove(start)
        if not self._sources[kind]:
            del self._sources[kind]
        stop = self._running.get(kind, {}).pop(start, None)
        if stop is not None:
            stop()
