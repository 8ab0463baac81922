"""A Model Context Protocol server: a machine for assistants, as a dozen tools whose answers are short sentences."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

from emu.address import VirtAddr
from emu.errors import ConfigError, EmuError
from emu.events import Event, PageFault, SyscallMade, TrapTaken
from emu.isa.privilege import Access
from emu.machine import Machine, MachineConfig, Outcome
from emu.machine.history.moment import Moment
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.calls.backtrace import Backtrace
from emu.observe.origins import why
from emu.report.memory.accounts import AccountReport
from emu.report.places import Places
from emu.report.reasons.pages import pte_text, refusal
from emu.report.reasons.traps import TrapReasons
from emu.report.sentences import Sentences

if TYPE_CHECKING:
    from mcp.server.fastmcp import FastMCP

_MOST = 4000
"""Letters of an answer."""
_MOST_LINES = 60
_MOST_INSTRUCTIONS = 1_000_000_000
_KEPT = 1000
_P = ParamSpec("_P")


def _answer(tool: Callable[_P, Iterable[str]]) -> Callable[_P, str]:
    """A tool's lines as one bounded text; what goes wrong is said in a sentence."""

    @wraps(tool)
    def answer(*words: _P.args, **named: _P.kwargs) -> str:
        try:
            text = "\n".join(itertools.islice(tool(*words, **named), _MOST_LINES + 1))
        except EmuError as error:
            return str(error)
        return text if len(text) <= _MOST else f"{text[:_MOST]}\n... (cut at {_MOST} letters: ask for less)"

    answer.__annotations__["return"] = str
    return answer


class Tools:
    """What an assistant can do with one machine at a time."""

    def __init__(self, kernel: str | None = None, *, fidelity: str = "fast") -> None:
        """`kernel` is booted at once; only it, and files that `boot` names, are read."""
        self._machine: Machine | None = None
        if kernel is not None:
            self._start(kernel, fidelity, "")

    def register(self, server: "FastMCP") -> None:
        """Offer all tools."""
        for tool in (
            self.boot, self.run_until, self.where, self.goto, self.explain_fault, self.walk, self.last_write,
            self.why_register, self.held, self.events, self.disassemble, self.read_memory, self.console,
        ):  # fmt: skip
            server.add_tool(_answer(tool), name=tool.__name__, description=tool.__doc__)

    @property
    def machine(self) -> Machine:
        """The machine. Raises ConfigError before one was booted."""
        if self._machine is None:
            raise ConfigError("no kernel is loaded yet: call boot with the path of an ELF or Image first")
        return self._machine

    def boot(self, kernel: str, fidelity: str = "fast", bootargs: str = "") -> Iterable[str]:
        """Load a RISC-V kernel (path of an ELF, Linux Image or raw file) into a new machine, stopped at its entry."""
        self._start(kernel, fidelity, bootargs)
        return self.where()

    def run_until(self, place: str = "", max_instructions: int = 100_000_000) -> Iterable[str]:
        """Run to a symbol or address (0x...), or to the end or the limit of instructions when place is empty."""
        machine, limit = self.machine, max(0, min(max_instructions, _MOST_INSTRUCTIONS))
        outcome: Outcome = machine.run(limit, until=_place(place) if place else None)
        yield f"{outcome.description} after {outcome.instructions:,} instructions"
        yield from self.where()

    def where(self) -> Iterable[str]:
        """Where the machine is: place, privilege, callers, registers, and how far its history goes."""
        machine, places = self.machine, self._places
        yield f"at {places.name(machine.hart.pc)} in {machine.hart.privilege.name} mode, {_said(machine.moment)}"
        callers = Backtrace(machine).callers_here()[:8]
        if callers:
            yield "called by " + " < ".join(places.name(caller) for caller in callers)
        x = machine.hart.x
        yield ", ".join(f"{name} = {x[name]:#x}" for name in ("ra", "sp", "a0", "a1", "a2", "a7"))

    def goto(self, instructions: int) -> Iterable[str]:
        """Go to the moment at which so many instructions had just retired, back or forward in what was run."""
        self.machine.goto(instructions)
        return self.where()

    def explain_fault(self) -> Iterable[str]:
        """The last traps, each in a sentence that says what was refused and why."""
        if not self._traps:
            yield "no exception was taken yet"
        for trap, registers in list(self._traps):
            yield f"after {trap.instret:,} instructions: {self._reasons.sentence(trap, registers)}"

    def walk(self, address: str) -> Iterable[str]:
        """The page walk of a load from a virtual address now, PTE by PTE."""
        walk = self.machine.walk(self._address(address), Access.LOAD)
        for step in walk.steps:
            yield pte_text(step.level, step.pte_address, step.pte)
        yield f"it leads to {walk.physical}" if walk.physical is not None else refusal(walk)

    def last_write(self, address: str, length: int = 8) -> Iterable[str]:
        """Which instruction wrote last to memory at a virtual address or symbol, by whom called, and when."""
        machine = self.machine
        moment = machine.last_write(self._address(address), max(1, min(length, 4096)))
        if moment is None:
            yield "no instruction of this history has written there"
            return
        with machine.at(moment):
            yield f"written by `{self._places.instruction(machine.hart.pc)}`:"
            yield from self.where()

    def why_register(self, register: str) -> Iterable[str]:
        """Where the value of an integer register came from: the chain of copies, loads and stores backwards."""
        for link in why(self.machine, register, most=8):
            place = self._places.name(link.pc)
            yield f"{link.place} = {link.value:#x}: {link.origin}, at {place}, {_said(link.moment)}"

    def held(self) -> Iterable[str]:
        """Which frames and heap blocks are held now, by whom, of kernels whose allocators are known by name."""
        ledger = self._ledger
        yield from self._accounts.lines("frames", ledger.frames)
        yield from self._accounts.lines("heap", ledger.blocks)

    def events(self, limit: int = 20) -> Iterable[str]:
        """The last events: traps, page faults, system calls; at most `limit`."""
        for event in list(self._events)[-max(1, min(limit, _MOST_LINES)) :]:
            label, sentence = self._sentences.say(event)
            yield f"{event.instret:,} {label}: {sentence}"

    def disassemble(self, address: str = "", count: int = 12) -> Iterable[str]:
        """Instructions from an address or symbol on, or from pc."""
        at = self._address(address) if address else int(self.machine.hart.pc)
        for _ in range(max(1, min(count, 50))):
            code, text = self._places.code(at), self._places.instruction(at)
            if code is None:
                yield f"{at:#x}: nothing can be fetched from there"
                return
            yield f"{self._places.name(VirtAddr(at))}: {text}"
            at += len(code)

    def read_memory(self, address: str, length: int = 64) -> Iterable[str]:
        """Words of 8 bytes of virtual memory, with the symbols that they point to."""
        machine, start = self.machine, self._address(address) & -8
        data = machine.read_virtual(start, max(8, min(length, 480)) & -8)
        for at in range(0, len(data), 8):
            value = int.from_bytes(data[at : at + 8], "little")
            yield f"{machine.locate(start + at)}: {machine.locate(value)}"

    def console(self, letters: int = 2000) -> Iterable[str]:
        """The end of what the guest has written to its console."""
        yield self.machine.console[-max(1, min(letters, _MOST)) :].decode(errors="replace")

    def _start(self, kernel: str, fidelity: str, bootargs: str) -> None:
        machine = Machine(MachineConfig(fidelity=fidelity, bootargs=bootargs))
        machine.load(Path(kernel))
        if self._machine is not None:
            self._machine.close()
        self._machine, self._places = machine, Places(machine)
        self._reasons = TrapReasons(self._places)
        self._sentences, self._accounts = Sentences(self._places), AccountReport(self._places)
        FrameObserver(machine)
        HeapObserver(machine)
        self._ledger = AllocationLedger(machine)
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._traps: deque[tuple[TrapTaken, tuple[int, ...]]] = deque(maxlen=5)
        machine.on(TrapTaken, self._trap)
        for kind in (PageFault, SyscallMade):
            machine.on(kind, self._events.append)

    def _trap(self, trap: TrapTaken) -> None:
        self._events.append(trap)
        if not trap.interrupt:
            self._traps.append((trap, self.machine.hart.x[:]))

    def _address(self, text: str) -> int:
        return self.machine.address_of(_place(text))


def _place(text: str) -> int | str:
    try:
        return int(text, 0)
    except ValueError:
        return text


def _said(moment: Moment) -> str:
    return f"after {moment.instret:,} instructions"


def serve(kernel: str | None) -> None:
    """Serve at standard input and output until its end. Raises ConfigError when the SDK is not installed."""
    new_server(kernel).run("stdio")


def new_server(kernel: str | None) -> "FastMCP":
    """A server with all tools. Raises ConfigError when the SDK is not installed, ImageError for a bad kernel."""
    try:
        from mcp.server.fastmcp import FastMCP
    except ImportError:
        raise ConfigError("the SDK of MCP is not installed: pip install 'ekernel[mcp]'") from None
    about = "A deterministic RISC-V machine that runs kernels, and goes back in time."
    server = FastMCP("ekernel", instructions=about)
    Tools(kernel).register(server)
    return server
