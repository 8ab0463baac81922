"""The monitor behind Ctrl-A C: a look at the stopped machine in a few words, as in QEMU."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

from emu.address import PAGE_SIZE
from emu.events import TrapTaken
from emu.isa.causes import cause_label
from emu.isa.registers import INTEGER_REGISTERS
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.machine import Machine
from emu.mmu import pte as bits

PROMPT = "(ekernel) "
_CSRS = (
    "mstatus", "mie", "mip", "medeleg", "mideleg", "mtvec", "mepc", "mcause", "mtval",
    "stvec", "sepc", "scause", "stval", "satp",
)  # fmt: skip
_HELP = "info registers|mem|tlb|traps|heap, mark, continue, quit"
_BARE = "No translation or protection"
_HEADER = ("vaddr            paddr            size             attr", f"{'-' * 16} {'-' * 16} {'-' * 16} {'-' * 7}")
"""QEMU's words."""
_RECENT = 16
_MOST_LINES = 1000
Leaf = tuple[int, int, int, int]
"""Virtual address, physical address, bytes, PTE flags."""


class Monitor:
    """Answers a user's questions between two runs of the machine."""

    def __init__(
        self,
        machine: Machine,
        *,
        heap: Callable[[], Iterable[str]] = lambda: ("nothing follows allocations",),
        mark: Callable[[], int] = lambda: 0,
    ) -> None:
        """`heap` draws what is held, `mark` gives the moment the name that `--since mark` means."""
        self._heap, self._mark = heap, mark
        self._machine = machine
        self._counts: Counter[tuple[bool, int]] = Counter()
        self._recent: deque[TrapTaken] = deque(maxlen=_RECENT)
        machine.on(TrapTaken, self._count)

    def talk(self, read: Callable[[str], str], write: Callable[[str], object]) -> bool:
        """Answer until the user goes on (True) or quits (False); the end of input goes on."""
        while True:
            try:
                line = read(PROMPT).strip().lower()
            except EOFError:
                return True
            except KeyboardInterrupt:
                write("")
                continue
            if line in ("c", "cont", "continue"):
                return True
            if line in ("q", "quit", "system_powerdown"):
                return False
            for answer in self.answer(line):
                write(answer)

    def answer(self, line: str) -> Iterable[str]:
        """The lines that answer a command."""
        topics: dict[str, Callable[[], Iterable[str]]] = {
            "registers": self._registers,
            "mem": self._ranges,
            "tlb": self._pages,
            "traps": self._traps,
            "heap": self._heap,
        }
        words = line.split()
        if len(words) == 2 and words[0] in ("i", "info") and words[1] in topics:
            return topics[words[1]]()
        if words == ["mark"]:
            return (f"marked: {self._mark():,} instructions",)
        return (_HELP,) if words else ()

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

    def _pages(self) -> Iterator[str]:
        """Each leaf PTE, as QEMU's `info tlb` has it for other hosts: translations that the TLB may hold."""
        if not self._machine.hart.csr["satp"] >> SATP_MODE_SHIFT:
            yield _BARE
            return
        for number, (virtual, physical, size, flags) in enumerate(self._leaves()):
            if number == _MOST_LINES:
                yield f"... more than {_MOST_LINES} leaves"
                return
            yield f"{virtual:016x}: {physical:014x} {size:#x} {_letters(flags)}"

    def _ranges(self) -> Iterator[str]:
        """Neighbouring leaves with the same flags, as one range: QEMU's table."""
        if not self._machine.hart.csr["satp"] >> SATP_MODE_SHIFT:
            yield _BARE
            return
        yield from _HEADER
        found: Leaf | None = None
        lines = 0
        for leaf in self._leaves():
            if found and found[0] + found[2] == leaf[0] and found[1] + found[2] == leaf[1] and found[3] == leaf[3]:
                found = (found[0], found[1], found[2] + leaf[2], found[3])
                continue
            if found:
                yield _range(found)
                lines += 1
                if lines == _MOST_LINES:
                    yield f"... more than {_MOST_LINES} ranges"
                    return
            found = leaf
        if found:
            yield _range(found)

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

    def _leaves(self) -> Iterator[Leaf]:
        satp = self._machine.hart.csr["satp"]
        yield from self._table((satp & SATP_PPN) * PAGE_SIZE, PAGING_LEVELS[satp >> SATP_MODE_SHIFT] - 1, 0)

    def _table(self, table: int, level: int, base: int) -> Iterator[Leaf]:
        memory = self._machine.memory
        if not memory.contains(table, PAGE_SIZE):
            return
        shift = 12 + 9 * level
        is_top = base == 0 and level == PAGING_LEVELS[self._machine.hart.csr["satp"] >> SATP_MODE_SHIFT] - 1
        for index, entry in enumerate(memory.view(table, PAGE_SIZE).cast("Q")):
            if not entry & bits.V:
                continue
            virtual = base | index << shift
            if is_top and index & 0x100:
                virtual |= (1 << 64) - (1 << (shift + 9))  # the upper half: bits above are copies of the highest
            physical = (entry >> bits.PPN_SHIFT & bits.PPN_MASK) << 12
            if entry & (bits.R | bits.W | bits.X):
                yield virtual, physical, 1 << shift, entry & 0xFF
            elif level:
                yield from self._table(physical, level - 1, virtual)


def _range(leaf: Leaf) -> str:
    virtual, physical, size, flags = leaf
    return f"{virtual:016x} {physical:016x} {size:016x} {_letters(flags)}"


def _letters(flags: int) -> str:
    return "".join(
        letter if flags & bit else "-"
        for letter, bit in zip("rwxugad", (bits.R, bits.W, bits.X, bits.U, bits.G, bits.A, bits.D), strict=True)
    )
