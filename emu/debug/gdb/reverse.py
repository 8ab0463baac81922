"""A client's way back in time: by one instruction, or to the last breakpoint or watchpoint that was met."""

import time
from collections.abc import Callable

from emu.debug.gdb.points import Breakpoints
from emu.debug.gdb.watching import Watching
from emu.errors import EmuError
from emu.machine import Machine
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
        return self._travel(lambda stop: "" if self._machine.history.back(stop) else BEGIN)

    def go_on(self) -> str:
        """Go back to the last breakpoint or watchpoint; what the stop reply says beside the signal."""
        return self._travel(self._search)

    def _search(self, stop: Callable[[], bool]) -> str:
        history = self._machine.history
        with self._watching.searching() as watched:

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
        why = self._breakpoints.here()
        if why is None:
            self._watching.recognize()
            why = self._watching.why()
        return why or ""

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
