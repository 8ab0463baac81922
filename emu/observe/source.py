"""A source of several kinds of events that is installed with the first listener and removed with the last."""

from abc import ABC, abstractmethod

from emu.events import Event
from emu.machine import Machine
from emu.subscriptions import Stop


class Source(ABC):
    """Base of observers that make events: names its kinds, and is told when to begin and when to end."""

    def __init__(self, machine: Machine, *kinds: type[Event]) -> None:
        self._machine = machine
        self._listened_kinds = 0
        for kind in kinds:
            machine.events.add_source(kind, self._start)

    @abstractmethod
    def install(self) -> None:
        """Begin to make events."""

    @abstractmethod
    def remove(self) -> None:
        """Stop making events, and forget what was under way."""

    def _start(self) -> Stop:
        self._listened_kinds += 1
        if self._listened_kinds == 1:
            self.install()
        return self._stop

    def _stop(self) -> None:
        self._listened_kinds -= 1
        if self._listened_kinds == 0:
            self.remove()
