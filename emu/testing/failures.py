"""What a report of a failed test shows of its machine: where it stands, how it came there, what its console says."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from emu.address import PAGE_SIZE
from emu.errors import EmuError
from emu.isa.causes import cause_label
from emu.machine import Machine
from emu.memory.pagescan import written_pages
from emu.observe.lastinstructions import LastInstructions
from emu.observe.traps import TrapHistory
from emu.record.recorder import Recorder
from emu.record.replay import ReplaySections, obstacle_of
from emu.report.ending import EndingReasons
from emu.report.places import Places
from emu.testing.calls.crash import last_instructions, open_calls

_CONSOLE = 2000
"""Bytes of the console's end."""


def _pages(machine: Machine) -> int:
    """How many pages of RAM the host has copied because they were written; 0 where it does not say."""
    ram = machine.memory.ram
    return sum(count for _, count in written_pages(ram.host_address, ram.size)) if ram.file is not None else 0


class Watched:
    """A machine that a test uses, with what is remembered for the case that the test fails."""

    def __init__(self, machine: Machine, console_from: int) -> None:
        self.machine = machine
        self._console_from = console_from
        self._begin = machine.instret
        self._pages = _pages(machine)
        self._last = LastInstructions.of(machine)
        self._traps = TrapHistory(machine)

    @property
    def instructions(self) -> int:
        """Executed since the test began."""
        return max(self.machine.instret - self._begin, 0)

    @property
    def traps(self) -> int:
        """Taken since the test began."""
        return self._traps.counts.total()

    @property
    def memory(self) -> int:
        """Bytes of RAM, in pages, that were written since the test began, by the guest or for it."""
        return (_pages(self.machine) - self._pages) * PAGE_SIZE

    def close(self) -> None:
        """Forget the machine."""
        self._traps.close()

    def sections(self) -> Iterator[tuple[str, str]]:
        """Titles and texts."""
        machine = self.machine
        if machine.is_closed or machine.core.engine.running:
            return
        places = Places(machine)
        yield "guest", "\n".join(self._standing(places))
        instructions = last_instructions(machine, self._last, self.instructions)
        if instructions:
            yield "guest: last instructions", "\n".join(str(each) for each in instructions)
        console = machine.platform.console
        new = console.output[-min(console.written - self._console_from, _CONSOLE) :]
        if new and console.written > self._console_from:
            yield "guest: console", new.decode(errors="replace").rstrip()

    def recorded(self, path: Path) -> tuple[str, str]:
        """Write the machine's run to a file that replays it; title and text about that."""
        title, machine = "guest: recording", self.machine
        try:
            if (obstacle := obstacle_of(machine)) is not None:
                return title, f"none: {obstacle}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with Recorder(machine, path, (), start=False) as recorder:
                ReplaySections(machine, recorder).close()
        except (EmuError, OSError) as error:
            return title, f"none: {error}"
        return title, f"ekernel replay {shlex.quote(str(path))} --gdb tcp::1234"

    def _standing(self, places: Places) -> Iterator[str]:
        machine = self.machine
        privilege = machine.hart.privilege.name
        yield f"at {places.name(machine.hart.pc)} in {privilege} mode, {self.instructions:,} instructions into the test"
        for at in open_calls(machine, machine.hart.pc, machine.hart.x[:])[1:]:
            yield f"  called from {places.name(at)}"
        history, reasons = self._traps, EndingReasons(places)
        if history.counts:
            counted = (f"{n:,} {cause_label(cause, interrupt=irq)}" for (irq, cause), n in history.counts.most_common())
            yield f"traps: {', '.join(counted)}"
        if history.loop is not None:
            yield reasons.loop(history.loop, history.first_mistake)
        elif history.first_mistake is not None:
            yield f"first mistake: {reasons.seen(history.first_mistake)}"
        elif (last := reasons.last(history.last, machine.instret)) is not None:
            yield last
