"""The callers of a function: by call frame information, by frame pointers, or by what the code has saved."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from emu.address import VirtAddr
from emu.firmware.framerows import FrameRule
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.calls.prologue import frame_rule
from emu.observe.calls.words import Words
from emu.observe.code import HOST, call_site, call_site_by, returns_from_trap

_RA, _SP = 1, 2
_KEPT = frozenset((8, 9, *range(18, 28)))
"""s0 to s11: what a function leaves to its caller as it was (psABI, section 1.1)."""
_MOST_CALLERS = 16
_MOST_STEPS = 1 << 16


class Backtrace:
    """Names the calls that are open at a moment of one machine, as far as they can be told with certainty.

    Asks the image's `.debug_frame` and `.eh_frame` first. Where they are silent, as about assembly language, the
    function's own instructions say where it has saved its return address, found by the stack or frame pointer.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._steps: dict[int, _Step] = {}
        self._sites: dict[int, VirtAddr] = {}
        self.complete = False
        """Whether the last `frames` came to the end of the stack, not of what could be told."""
        self.stack = _Stack(machine)
        """What the last `frames` has read."""

    def callers(self, return_address: int, stack_pointer: int) -> tuple[VirtAddr, ...]:
        """The call instructions that led to the function that execution returns to, innermost first.

        At the entry or the return of a call with this return address and stack pointer. At most 16; HOST ends the list
        of a function that the host has called.
        """
        frames = islice(self.frames(return_address, stack_pointer), _MOST_CALLERS)
        return tuple(self.site(address) for address, _ in frames)

    def callers_here(self) -> tuple[VirtAddr, ...]:
        """The same for the instruction at pc, wherever in its function that stands."""
        here, _ = self.here()
        if here is None:
            return ()
        return (self.site(here[0]), *self.callers(*here))[:_MOST_CALLERS]

    def here(self) -> tuple[tuple[int, int] | None, bool]:
        """Return address and stack pointer at the entry of the function that pc is in; None when they are not known.

        And whether something tells where they are: without that ra is taken as it is.
        """
        machine = self._machine
        registers, pc = machine.hart.x, int(machine.hart.pc)
        rule = machine.call_frames.at(pc)
        if rule is None:
            function = machine.symbols.at(pc)
            rule = None if function is None else frame_rule(machine, function[0].address, pc)
        return_address, stack_pointer = registers[_RA], registers[_SP]
        is_told = rule is not None and (rule.register == _SP or rule.register in _KEPT)
        if rule is not None and is_told:
            stack_pointer = registers[rule.register] + rule.offset
            if _RA in rule.saved:
                saved = _Stack(machine).word(stack_pointer + rule.saved[_RA])
                if saved is None or not self._is_code(saved):
                    return None, True
                return_address = saved
        return (return_address, stack_pointer) if self._is_code(return_address) else None, is_told

    def frames(self, return_address: int, stack_pointer: int) -> Iterator[tuple[int, int]]:
        """Return address and stack pointer at the entry of each function that is open above such a call."""
        stack = self.stack = _Stack(self._machine)
        kept: dict[int, int] = {}  # where registers of the caller are saved
        self.complete = False
        while True:
            step = self._steps.get(return_address) or self._step(return_address)
            rule = step.rule
            if rule is None:
                self.complete = step.is_last
                return
            register = rule.register
            if register == _SP:
                frame = stack_pointer + rule.offset
            elif register in _KEPT:
                stack.is_relative = False
                base = stack.word(kept[register]) if register in kept else stack.register(register)
                if base is None:
                    return
                frame = base + rule.offset
            else:
                return
            saved = stack.word(frame + step.place)
            if saved is None or frame < stack_pointer:
                return
            if not saved:
                self.complete = True
                return
            if (saved, frame) == (return_address, stack_pointer) or not self._is_code(saved):
                return
            for number, offset in step.others:
                kept[number] = frame + offset
            stack_pointer, return_address = frame, saved
            yield saved, frame

    def reads_again(self, read: dict[int, int | None], registers: dict[int, int]) -> bool:
        """Whether words and registers are what an earlier `frames` has read: then it would say the same."""
        if read:
            now = Words(self._machine).at
            for address, value in read.items():
                if now(address) != value:
                    return False
        if registers:
            x = self._machine.core.words
            return all(x[number] == value for number, value in registers.items())
        return True

    def site(self, return_address: int) -> VirtAddr:
        """The call instruction before a return address; HOST for the host's."""
        if return_address == HOST:
            return HOST
        site = self._sites.get(return_address)
        if site is None:
            site = self._sites[return_address] = call_site(self._machine, return_address)
        return site

    def sites_by(self, return_addresses: Sequence[int], code: Callable[[], Iterable[int]]) -> tuple[VirtAddr, ...]:
        """The same of many, where the four bytes before each return address can be had, too."""
        try:
            return tuple(map(self._sites.__getitem__, return_addresses))
        except KeyError:
            known, links = self._sites.get, zip(return_addresses, code(), strict=True)
            return tuple([known(address) or self._site_by(address, before) for address, before in links])

    def _site_by(self, return_address: int, code: int) -> VirtAddr:
        if return_address == HOST:
            return HOST
        site = self._sites[return_address] = call_site_by(return_address, code)
        return site

    def _is_code(self, address: int) -> bool:
        return address in self._steps or address == HOST or self._machine.symbols.at(address - 1) is not None

    def _step(self, return_address: int) -> "_Step":
        """What is known about the function that is returned to; found once."""
        if len(self._steps) >= _MOST_STEPS:
            self._steps.clear()
            self._sites.clear()
        step = self._steps[return_address] = self._found(return_address)
        return step

    def _found(self, return_address: int) -> "_Step":
        # What goes on with `sret` is a trap's handler: who was interrupted did not call it.
        if return_address == HOST or returns_from_trap(self._machine, return_address):
            return _Step(None, 0, (), is_last=True)
        site = self.site(return_address)
        rule = self._machine.call_frames.at(site)
        if rule is None or _RA not in rule.saved:
            function = self._machine.symbols.at(site)
            rule = None if function is None else frame_rule(self._machine, function[0].address, site)
        if rule is None or _RA not in rule.saved:
            return _Step(None, 0, (), is_last=rule is not None)
        others = tuple((number, offset) for number, offset in rule.saved.items() if number in _KEPT)
        return _Step(rule, rule.saved[_RA], others, is_last=False)


@dataclass(frozen=True, slots=True)
class _Step:
    """How to come from a function to its caller."""

    rule: FrameRule | None
    """None where that is not known, or where nobody has called it."""
    place: int
    """Of the saved return address, from the canonical frame address."""
    others: tuple[tuple[int, int], ...]
    """The same of the registers that the caller gets back."""
    is_last: bool
    """Nobody has called it."""


class _Stack:
    """Words of the stack at one moment, and registers. Remembers what was read, and where."""

    __slots__ = ("_machine", "_words", "is_relative", "read", "registers")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._words = Words(machine)
        self.read: dict[int, int | None] = {}
        """The words that were asked for, by address."""
        self.registers: dict[int, int] = {}
        """The registers that were asked for, by number."""
        self.is_relative = True
        """Whether the stack pointer alone has said where words are."""

    def register(self, number: int) -> int:
        """An integer register."""
        value = self.registers[number] = self._machine.hart.x[number]
        return value

    def word(self, address: int) -> int | None:
        """The word at a virtual address; None where none can be read."""
        value = self.read[address] = self._words.at(address)
        return value
