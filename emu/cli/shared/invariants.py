"""Invariants of page tables on the command line: their names, what is said of a write that breaks one, the status."""

from collections.abc import Callable

from emu.cli.shared.allocations import INVARIANTS
from emu.errors import ConfigError
from emu.hints import TYPE_CHECKING
from emu.machine import Machine
from emu.report.places import Places
from emu.spelling import did_you_mean

if TYPE_CHECKING:
    from emu.observe.pagetables.invariants import Broken, StillMapped

FREED = "freed-is-unmapped"
NAMES: dict[str, tuple[str, ...]] = {
    "no-writable-code": ("wx", "no page is writable and executable"),
    "no-user-in-kernel": ("user-in-kernel", "no user page in the kernel"),
    "mapped-once": ("every frame is mapped at most once",),
    FREED: ("freed-unmapped", "a freed frame is mapped by nobody"),
}
"""Each invariant's other names: a short one, and what it says."""
_MOST_TOLD = 20


def read_invariants(text: str, option: str) -> tuple[str, ...]:
    """The names in a list with commas. Raises ConfigError for one that is none.

    >>> read_invariants("wx, no user page in the kernel", "--invariant")
    ('no-writable-code', 'no-user-in-kernel')
    """
    known = {word: name for name, others in NAMES.items() for word in (name, *others)}
    found = []
    for word in (" ".join(part.split()) for part in text.split(",")):
        if word and word not in known:
            raise ConfigError(
                f"{option}: there is no invariant '{word}' of page tables: {did_you_mean(word, known)}"
                f"there are {', '.join(NAMES)}"
            )
        if word:
            found.append(known[word])
    return tuple(dict.fromkeys(found))


class CheckedInvariants:
    """Checks a machine's page tables at each write to an entry."""

    def __init__(self, machine: Machine, names: tuple[str, ...], tell: Callable[[str], None]) -> None:
        """`tell` gets a line for each write that breaks one. For FREED an observer of frames must be attached."""
        self._names = names
        self._tell = tell
        self._count = 0
        self._places = Places(machine)
        self.broken: list[Broken] = []
        self.still_mapped: list[StillMapped] = []
        if names:
            from emu.observe.pagetables.invariants import FreedFrames, Invariants, named

            checks = named(",".join(name for name in names if name != FREED))
            if FREED in names:
                frames = FreedFrames(machine, self._still_mapped)
                checks[FREED], self.still_mapped = frames, frames.still_mapped
            self.broken = Invariants(machine, checks, self._found).broken

    def _found(self, broken: "Broken") -> None:
        self._count += 1
        if self._count <= _MOST_TOLD:
            self._tell(self.line(broken))

    def _still_mapped(self, found: "StillMapped") -> None:
        self._count += 1
        if self._count <= _MOST_TOLD:
            self._tell(self.freed_line(found))

    def freed_line(self, found: "StillMapped") -> str:
        """What was freed too early, or whose entry was left."""
        freed, ppn = found.freed, found.freed.ppn
        return (
            f"{FREED}: {ppn!r} was freed at {self._places.name(freed.pc)} after {freed.instret:,} instructions, and "
            f"user code goes on with it mapped at {found.first} (PTE {found.pte_address}) after {found.instret:,}"
        )

    def line(self, broken: "Broken") -> str:
        """What has happened, where."""
        from emu.mmu.pte import Pte

        write, places = broken.write, self._places
        instruction = places.instruction(write.pc, write.privilege)
        by = f" by `{instruction}`" if instruction else ""
        verb = "became" if write.old != write.new else "comes into use as"
        return (
            f"{broken.invariant}: {broken.why}: {write.pte_address}, level {write.level} for {write.first}, "
            f"{verb} ({Pte(write.new)}){by} at {places.name(write.pc)} after {write.instret:,} instructions"
        )

    def failed(self, words: list[str]) -> list[str]:
        """What `--fail-on` says of it."""
        if INVARIANTS not in (word.strip() for word in words) or not self._count:
            return []
        written, noun = len(self.broken), "write of a page-table entry breaks"
        if written != self._count:
            noun = "violation of" if self._count == 1 else "violations of"
        elif written > 1:
            noun = "writes of page-table entries break"
        shown = f", the first {_MOST_TOLD} of them shown" if self._count > _MOST_TOLD else ""
        return [f"{self._count:,} {noun} {', '.join(self._names)}{shown}"]

    def numbers(self) -> dict[str, object]:
        """The same for programs; empty when nothing was asked for."""
        if not self._names:
            return {}
        return {
            "invariants": [
                {
                    "invariant": one.invariant,
                    "why": one.why,
                    "pte": hex(one.write.pte_address),
                    "first": hex(one.write.first),
                    "new": hex(one.write.new),
                    "at": self._places.name(one.write.pc),
                    "instret": one.write.instret,
                }
                for one in self.broken
            ]
            + [
                {
                    "invariant": FREED,
                    "why": "freed while it is mapped",
                    "pte": hex(one.pte_address),
                    "first": hex(one.first),
                    "at": self._places.name(one.freed.pc),
                    "instret": one.freed.instret,
                }
                for one in self.still_mapped
            ]
        }
