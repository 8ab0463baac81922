"""`--sanitize`: what the command line asks of the sanitizer, and its reports on standard error."""

import sys
from collections.abc import Callable

from emu.cli.shared.allocations import Allocations
from emu.cli.words.qemu import parse_size
from emu.counted import counted
from emu.errors import ConfigError
from emu.hints import TYPE_CHECKING
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.report.places import Places
from emu.spelling import did_you_mean

if TYPE_CHECKING:
    from emu.observe.sanitizer.address import AddressSanitizer
    from emu.observe.sanitizer.bugs import MemoryBug
    from emu.observe.sanitizer.uninit.sanitizer import UninitSanitizer

ADDRESS, LEAK, UNINIT = "address", "leak", "uninit"
KINDS = (ADDRESS, LEAK, UNINIT)
_STACKS = (("boot_stack", "boot_stack_top"), ("boot_stack_lower_bound", "boot_stack_top"), ("stack0", ""))
"""Symbols by which kernels name their first stack: its lower end, and what is behind it; or one with a size."""
_MOST_TOLD = 20
"""Reports that are printed; one mistake may lead to any number of them."""


@dataclass(frozen=True, slots=True)
class SanitizeRequest:
    """The words of `--sanitize`, and the ranges of `--stack`."""

    kinds: tuple[str, ...] = ()
    stacks: tuple[str, ...] = ()
    quarantine: int = 0
    """Bytes."""

    @classmethod
    def parse(cls, text: str, stacks: list[str], quarantine: str | None = None) -> "SanitizeRequest":
        """Read them; `uninit` brings `address` with it. Raises ConfigError for a word that is none of the known ones.

        >>> SanitizeRequest.parse("address,leak", [])
        SanitizeRequest(kinds=('address', 'leak'), stacks=(), quarantine=0)
        """
        kinds = tuple(word.strip() for word in text.split(",") if word.strip())
        for kind in kinds:
            if kind not in KINDS:
                raise ConfigError(
                    f"--sanitize does not know '{kind}': {did_you_mean(kind, KINDS)}it takes {', '.join(KINDS)}"
                )
        if UNINIT in kinds and ADDRESS not in kinds:
            kinds = ADDRESS, *kinds
        if stacks and ADDRESS not in kinds:
            raise ConfigError("--stack says where --sanitize address finds a stack; add that")
        if quarantine is not None and ADDRESS not in kinds:
            raise ConfigError("--quarantine says what --sanitize address holds back; add that")
        return cls(kinds, tuple(stacks), 0 if quarantine is None else parse_size(quarantine, unit=1))


class Sanitizing:
    """The sanitizer of one run."""

    def __init__(
        self, machine: Machine, request: SanitizeRequest, allocations: Allocations, tell: Callable[[str], None],
        *, needs_allocators: bool = True,
    ) -> None:  # fmt: skip
        """`tell` gets each report, as it happens. Raises ConfigError for an image without a known allocator."""
        self._machine, self._request, self._allocations = machine, request, allocations
        self._needs_allocators = needs_allocators
        self.address: AddressSanitizer | None = None
        self.uninit: UninitSanitizer | None = None
        self.bugs: list[MemoryBug] = []
        if ADDRESS in request.kinds:
            self._begin(tell)

    def _begin(self, tell: Callable[[str], None]) -> None:
        from emu.observe.sanitizer.address import AddressSanitizer  # only who asks for it pays for its import
        from emu.observe.sanitizer.bugs import MemoryBug
        from emu.report.sanitizer import BugReport

        machine, allocations = self._machine, self._allocations
        frames, blocks = allocations.frames.allocators, allocations.heap.allocators
        stacks = tuple(self._ranges())
        if self._needs_allocators and not (frames or blocks or self._request.stacks):
            raise ConfigError(
                "--sanitize address: the image has none of the allocators that are known by name; name its own with "
                "--frame-functions, --heap-functions or --allocator"
            )
        self.address = AddressSanitizer(machine, frames, blocks, stacks=stacks, quarantine=self._request.quarantine)
        if UNINIT in self._request.kinds:
            from emu.observe.sanitizer.uninit.sanitizer import UninitSanitizer

            self.uninit = UninitSanitizer(machine, self.address)
        report = BugReport(machine)

        def found(event: MemoryBug) -> None:
            self.bugs.append(event)
            if len(self.bugs) <= _MOST_TOLD:
                tell(report.text(event))

        machine.on(MemoryBug, found)

    def _ranges(self) -> list[range]:
        from emu.observe.memory import WatchedRange

        machine = self._machine
        if self._request.stacks:
            named = [(text, WatchedRange.parse(machine, text)) for text in self._request.stacks]
            return [range(one.address, self._end_of(text, one.address + one.length)) for text, one in named]
        if any(one.stacks for one in self._allocations.chosen):
            return []  # the sanitizer knows those
        found = []
        for low, high in _STACKS:
            first, behind = machine.symbols.named(low), machine.symbols.named(high)
            if first and (behind or first[0].size):
                end = int(behind[0].address) if behind else int(first[0].address) + first[0].size
                found.append(range(int(first[0].address), end))
        return found

    def _end_of(self, text: str, end: int) -> int:
        """Where a stack ends: at the next symbol, if it is a label without a size."""
        symbols = self._machine.symbols
        named = symbols.named(text)
        if not named or named[0].size:
            return end
        behind = (int(symbol.address) for symbol in symbols if symbol.limit and symbol.address > named[0].address)
        return min((*behind, named[0].limit))

    def numbers(self) -> dict[str, object]:
        """The reports for programs; empty when nothing was asked for."""
        if ADDRESS not in self._request.kinds:
            return {}
        from emu.report.sanitizer import bug_numbers

        return {"sanitizer": bug_numbers(self._machine, self.bugs)}

    def finish(self) -> None:
        """Tell leaks, if they were asked for, and how many bugs there were."""
        if LEAK in self._request.kinds:
            from emu.observe.allocations.reach import unreachable
            from emu.report.memory.heap import HeapReport

            machine, allocations = self._machine, self._allocations
            assert allocations.ledger is not None
            report = HeapReport(machine, Places(machine), allocations.ledger, allocations.chosen)
            found = unreachable(machine, allocations.ledger, allocations.chosen)
            for line in report.leaks(found, allocations.since or 0):
                print(f"ekernel: {line}", file=sys.stderr)
        if self.uninit is not None and (count := self.uninit.following.given_up):
            print(f"ekernel: --sanitize uninit: {counted(count, 'value')} followed no further than "
                  f"{counted(self.uninit.following.most, 'instruction')}", file=sys.stderr)  # fmt: skip
        if self.bugs:
            shown = f", the first {_MOST_TOLD} of them shown" if len(self.bugs) > _MOST_TOLD else ""
            print(f"ekernel: --sanitize: {counted(len(self.bugs), 'memory bug')}{shown}", file=sys.stderr)
