"""The monitor behind Ctrl-A C: a look at the stopped machine in a few words, as in QEMU."""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

from emu.errors import ConfigError, EmuError
from emu.events import TrapTaken
from emu.isa.causes import cause_label
from emu.isa.registers import INTEGER_REGISTERS
from emu.machine import Machine
from emu.machine.snapshots import Snapshot
from emu.report.places import Places
from emu.report.reasons.pages import pte_text, refusal
from emu.report.reasons.traps import TrapReasons
from emu.spelling import did_you_mean
from emu.terminal.monitor.board import device_tree, memory_tree
from emu.terminal.monitor.dump import Format, dump
from emu.terminal.monitor.expressions import evaluate
from emu.terminal.monitor.moments import Moments
from emu.terminal.monitor.translations import Translations

PROMPT = "(ekernel) "
_CSRS = (
    "mstatus", "mie", "mip", "medeleg", "mideleg", "mtvec", "mepc", "mcause", "mtval",
    "stvec", "sepc", "scause", "stval", "satp",
)  # fmt: skip
_RECENT = 16
_COMMANDS = {
    "c|cont|continue": "resume emulation",
    "explain": "the last trap, in sentences",
    "goto instructions|start|end|mark": "go to another moment of the run",
    "help|?": "show the help",
    "info registers|mem|tlb|mtree|qtree|traps|heap|frames|allocations|snapshots": "show the state of the machine",
    "last-write addr[,len]": "who wrote last to each 8 bytes from 'addr' on",
    "loadvm name": "return to the snapshot 'name'",
    "mark [name]": "give this moment a name for goto; without one, that which --since mark means",
    "p|print/fmt expr": "print the value of an expression: numbers, $registers, symbols, + - * / % & | ^ ( )",
    "q|quit": "leave",
    "symbols file": "know the names of one more file",
    "savevm name": "keep a snapshot 'name' of the machine, until the end of the run",
    "walk addr": "the page walk of a load",
    "when": "where in time the machine is",
    "why register|addr": "how a register got its value; who mapped 'addr', and who took a right from its PTE",
    "x /fmt addr": "virtual memory dump starting at 'addr'",
    "xp /fmt addr": "physical memory dump starting at 'addr'",
}
_GO_ON, _LEAVE = ("c", "cont", "continue"), ("q", "quit", "system_powerdown")
_MOST_WRITERS = 64
_SNAPSHOTS = 16
"""At most, as each holds what the guest has changed."""


class Monitor:
    """Answers a user's questions between two runs of the machine."""

    def __init__(
        self,
        machine: Machine,
        *,
        heap: Callable[[], Iterable[str]] = lambda: ("nothing follows allocations",),
        mark: Callable[[], int] = lambda: 0,
        last_write: Callable[[int], str] | None = None,
    ) -> None:
        """`heap` draws what is held, `mark` gives the moment the name that `--since mark` means.

        `last_write` says who wrote last to a virtual address; without it the machine's history is asked.
        """
        self._heap, self._mark, self._last_write = heap, mark, last_write
        self._machine = machine
        self._translations = Translations(machine)
        self._moments = Moments(machine, self._value)
        self._reasons = TrapReasons(Places(machine))
        self._format = Format()
        self._snapshots: dict[str, Snapshot] = {}
        self._counts: Counter[tuple[bool, int]] = Counter()
        self._recent: deque[TrapTaken] = deque(maxlen=_RECENT)
        self._counting = machine.on(TrapTaken, self._count)

    def close(self) -> None:
        """Count traps no more."""
        self._counting.cancel()

    def talk(self, read: Callable[[str], str], write: Callable[[str], object]) -> bool:
        """Answer until the user goes on (True) or quits (False); the end of input goes on."""
        while True:
            try:
                line = read(PROMPT).strip()
            except EOFError:
                return True
            except KeyboardInterrupt:
                write("")
                continue
            if line in _GO_ON:
                return True
            if line in _LEAVE:
                return False
            for answer in self.answer(line):
                write(answer)

    def answer(self, line: str) -> Iterable[str]:
        """The lines that answer a command."""
        match = re.match(r"\s*(x|xp|p|print)\s*/(\S*)\s*(.*)", line) or re.match(r"\s*(\S*)()\s*(.*)", line)
        assert match is not None  # anything matches
        command, form, rest = match[1], match[2], match[3].strip()
        if not command:
            return ()
        try:
            return self._obey(command, form, rest)
        except EmuError as error:
            return (str(error),)

    def _obey(self, command: str, form: str, rest: str) -> Iterable[str]:
        if command in ("i", "info"):
            return self._info(rest)
        if command in ("x", "xp"):
            changed, count = self._format.changed(form)
            address = self._value(rest)
            self._format = changed
            return dump(self._machine.peek if command == "x" else self._physical, address, count, changed)
        if command in ("p", "print"):
            changed, _ = self._format.changed(form)
            return (changed.value(self._value(rest)),)
        words: dict[str, Callable[[], Iterable[str]]] = {
            "explain": self._explain,
            "goto": lambda: self._moments.goto(rest),
            "help": lambda: self._help(rest),
            "?": lambda: self._help(rest),
            "last-write": lambda: self._writers(rest) if self._last_write else self._moments.last_write(rest),
            "loadvm": lambda: self._snapshot(command, rest),
            "mark": lambda: self._moments.mark(rest) if rest else (f"marked: {self._mark():,} instructions",),
            "savevm": lambda: self._snapshot(command, rest),
            "symbols": lambda: self._add_symbols(rest),
            "walk": lambda: self._walk(self._value(rest)),
            "when": self._moments.when,
            "why": lambda: self._moments.why(rest),
        }
        if command in words:
            return list(words[command]())  # an error is to be raised here
        known = [name for words in _COMMANDS for name in words.split("/")[0].split()[0].split("|")]
        near = did_you_mean(command, known)
        return (f"unknown command: '{command}'" + (f"; {near.strip()}" if near else ""),)

    def _info(self, topic: str) -> Iterable[str]:
        topics: dict[str, Callable[[], Iterable[str]]] = {
            "registers": self._registers,
            "mem": self._translations.ranges,
            "tlb": self._translations.pages,
            "mtree": lambda: memory_tree(self._machine),
            "qtree": lambda: device_tree(self._machine),
            "traps": self._traps,
            "heap": self._heap,
            "frames": lambda: _part(list(self._heap()), "frames"),
            "allocations": self._heap,
            "snapshots": lambda: self._snapshots or ("There is no snapshot available.",),
        }
        if topic in topics:
            return topics[topic]()
        near = did_you_mean(topic, topics)
        return (f"unknown command: 'info {topic}'; {near}there are {', '.join(topics)}",)

    def _help(self, word: str) -> Iterator[str]:
        for words, meaning in _COMMANDS.items():
            if not word or word in words.split("/")[0].split()[0].split("|"):
                yield f"{words} -- {meaning}"

    def _value(self, text: str) -> int:
        return evaluate(text, self._named)

    def _explain(self) -> Iterator[str]:
        trap = self._recent[-1] if self._recent else None
        if trap is None:
            yield "no trap yet"
            return
        yield f"{self._reasons.sentence(trap)}"
        yield f"after {trap.instret:,} instructions, in {trap.privilege.name} mode; {trap.to_privilege.name} handles it"

    def _walk(self, address: int) -> Iterator[str]:
        walk = self._machine.walk(address)
        for step in walk.steps:
            yield pte_text(step.level, step.pte_address, step.pte)
        if walk.physical is None:
            yield f"a load from {address:#x} in {walk.privilege.name} mode is refused: {refusal(walk)}"
        else:
            yield f"{address:#x} is {walk.physical}"

    def _add_symbols(self, path: str) -> Iterable[str]:
        if not path:
            return ("symbols: which file?",)
        self._machine.add_symbols(path)
        return ()

    def _writers(self, text: str) -> Iterator[str]:
        place, _, length = text.partition(",")
        first = self._value(place)
        last = first + max(self._value(length) if length.strip() else 1, 1) - 1
        for address in range(first & ~7, min(last, first + _MOST_WRITERS * 8) + 1, 8):
            assert self._last_write is not None
            yield f"{address:#x}: {self._last_write(address)}"

    def _named(self, name: str) -> int:
        if not name.startswith("$"):
            return self._machine.address_of(name)
        hart, register = self._machine.hart, name[1:]
        if register == "pc":
            return int(hart.pc)
        try:
            return int(hart.x[register])
        except (KeyError, EmuError):
            pass
        try:
            return int(hart.csr[register])
        except (KeyError, EmuError):
            raise ConfigError(f"unknown register '{register}'") from None

    def _physical(self, address: int, length: int) -> bytes | None:
        memory = self._machine.memory
        return bytes(memory.view(address, length)) if memory.contains(address, length) else None

    def _snapshot(self, command: str, name: str) -> Iterable[str]:
        if not name:
            return (f"{command}: which name?",)
        if command == "savevm":
            if name not in self._snapshots and len(self._snapshots) == _SNAPSHOTS:
                return (f"savevm: there are {_SNAPSHOTS} snapshots; use one of their names again",)
            self._snapshots[name] = self._machine.snapshot()
            return ()
        if name not in self._snapshots:
            return (f"loadvm: there is no snapshot '{name}'",)
        self._machine.restore(self._snapshots[name])
        return ()

    def _count(self, trap: TrapTaken) -> None:
        self._counts[trap.interrupt, trap.cause] += 1
        self._recent.append(trap)

    def _registers(self) -> Iterator[str]:
        hart = self._machine.hart
        yield f"pc       {self._machine.locate(hart.pc)}"
        yield f"mode     {hart.privilege.name}   instructions {self._machine.instret:,}   mtime {self._machine.time:,}"
        cells = [f"{name:<4} {hart.x[name]:016x}" for name in INTEGER_REGISTERS]
        yield from ("  ".join(cells[first : first + 4]) for first in range(0, 32, 4))
        values = [f"{name:<8} {hart.csr[name]:016x}" for name in _CSRS]
        yield from ("  ".join(values[first : first + 3]) for first in range(0, len(values), 3))

    def _traps(self) -> Iterator[str]:
        for (interrupt, cause), count in self._counts.most_common():
            yield f"{count:>12,} {cause_label(cause, interrupt=interrupt)}"
        for trap in self._recent:
            yield (
                f"{trap.instret:>12,} {cause_label(trap.cause, interrupt=trap.interrupt)} in {trap.privilege.name} "
                f"at {self._machine.locate(trap.pc)}, tval {trap.tval:#x}, to {trap.to_privilege.name}"
            )
        if not self._recent:
            yield "no trap yet"


def _part(lines: list[str], title: str) -> Iterator[str]:
    """The part of a drawing under a title, with what is indented below it; all of what has no such part."""
    inside, is_anywhere = False, any(line.startswith(title) for line in lines)
    for line in lines:
        if not line.startswith(" "):
            inside = line.startswith(title)
        if inside or not is_anywhere:
            yield line
