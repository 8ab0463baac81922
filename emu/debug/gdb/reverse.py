"""A client's way back in time: by one instruction, or to the last breakpoint or watchpoint that was met."""

import time
from collections.abc import Callable

from emu.debug.gdb.points import Breakpoints
from emu.debug.gdb.watching import Watching
from emu.errors import EmuError
from emu.machine import Machine
from emu.machine.history.moment import Moment
from emu.machine.history.travel import Interrupted

_EVERY = 1.0
"""Seconds between two words about how far a search has come."""
BEGIN = "replaylog:begin;"
"""What a stop reply says where history begins."""


class Reverse:
    """Goes back for one client; `has_news` says whether it has sent something meanwhile, `say` shows it a line."""

    def __init__(
        self,
        machine: Machine,
        breakpoints: Breakpoints,
        watching: Watching,
        *,
        has_news: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._machine, self._breakpoints, self._watching = machine, breakpoints, watching
        self._has_news, self._say = has_news, say

    def step(self) -> str:
        """Take back an instruction or a trap; what the stop reply says beside the signal."""
        return self._travel(self._back)

    def go_on(self) -> str:
        """Go back to the last breakpoint or watchpoint; what the stop reply says beside the signal."""
        return self._travel(self._search)

    def _search(self, stop: Callable[[], bool]) -> str:
        history, watching = self._machine.history, self._watching
        if watching.behind == history.now:
            history.back(stop)
            if why := self._breakpoints.here():
                return why
        here = history.now
        with watching.searching() as watched:

            def search(hit: Callable[[], None]) -> Callable[[], int | None]:
                self._breakpoints.found = hit
                finish = watched(hit)

                def end() -> int | None:
                    self._breakpoints.found = None
                    return finish()

                return end

            found = history.last(search, stop)
        if found is None:
            history.go(history.begin, stop)
            return BEGIN
        return self._behind_access(found, here, stop) or self._breakpoints.here() or ""

    def _back(self, stop: Callable[[], bool]) -> str:
        history, watching, here = self._machine.history, self._watching, self._machine.history.now
        is_told, watching.behind = watching.behind == here, None
        if not history.back(stop):
            return BEGIN
        return "" if is_told else self._behind_access(history.now, here, stop) or ""

    def _behind_access(self, moment: Moment, here: Moment, stop: Callable[[], bool]) -> str | None:
        """The machine is at a moment before here: if a watched access comes next, go behind it and say so."""
        history, watching = self._machine.history, self._watching
        why = watching.accessed_next()
        if why is None or moment.instret >= here.instret:
            return None
        history.go(moment.instret + 1, stop)
        if history.now.traps == moment.traps:
            watching.behind = history.now
            return why
        history.go(moment, stop)  # the access was refused
        return None

    def _travel(self, action: Callable[[Callable[[], bool]], str]) -> str:
        """Go, unless the client loses patience, and tell it now and then how far it is."""
        history, last = self._machine.history, time.monotonic()

        def stop() -> bool:
            nonlocal last
            if time.monotonic() - last >= _EVERY:
                last = time.monotonic()
                self._say(f"at instruction {history.now.instret:,} of {history.end.instret:,}")
            return self._has_news()

        try:
            return action(stop)
        except Interrupted:
            return ""
        except EmuError as error:
            self._say(str(error))
            return ""
