"""The callers of a function: by call frame information, by frame pointers, or by what the code has saved."""

from collections.abc import Iterator
from itertools import islice

from emu.address import PAGE_SIZE, VirtAddr
from emu.firmware.unwind import FrameRule
from emu.machine import Machine
from emu.observe.code import HOST, call_site, returns_from_trap
from emu.observe.prologue import frame_rule

_RA, _SP = 1, 2
_KEPT = (8, 9, *range(18, 28))
"""s0 to s11: what a function leaves to its caller as it was (psABI, section 1.1)."""
_MOST_CALLERS = 16


class Backtrace:
    """Names the calls that are open at a moment of one machine, as far as they can be told with certainty.

    Asks the image's `.debug_frame` and `.eh_frame` first. Where they are silent, as about assembly language, the
    function's own instructions say where it has saved its return address, found by the stack or frame pointer.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._rules: dict[int, FrameRule | None] = {}
        self._sites: dict[int, VirtAddr] = {}
        self._traps: dict[int, bool] = {}
        self.complete = False
        """Whether the last `frames` came to the end of the stack, not of what could be told."""

    def callers(self, return_address: int, stack_pointer: int) -> tuple[VirtAddr, ...]:
        """The call instructions that led to the function that execution returns to, innermost first.

        At the entry or the return of a call with this return address and stack pointer. At most 16; HOST ends the list
        of a function that the host has called.
        """
        frames = islice(self.frames(return_address, stack_pointer), _MOST_CALLERS)
        return tuple(self.site(address) for address, _ in frames)

    def frames(self, return_address: int, stack_pointer: int) -> Iterator[tuple[int, int]]:
        """Return address and stack pointer at the entry of each function that is open above such a call."""
        machine = self._machine
        registers = {number: machine.hart.x[number] for number in _KEPT}
        registers[_SP] = stack_pointer
        stack = _Stack(machine)
        self.complete = False
        while return_address != HOST and not self._leads_to_a_trap(return_address):
            rule = self._rule(self.site(return_address))
            if rule is None or rule.register not in registers:
                return
            frame = registers[rule.register] + rule.offset
            words = {number: stack.word(frame + offset) for number, offset in rule.saved.items()}
            saved = words.pop(_RA, None)
            if frame < registers[_SP] or (saved is None and _RA in rule.saved):
                return
            if not saved:
                break
            if not self._is_code(saved) or (saved, frame) == (return_address, registers[_SP]):
                return
            registers.update((number, word) for number, word in words.items() if word is not None)
            registers[_SP], return_address = frame, saved
            yield saved, frame
        self.complete = True

    def site(self, return_address: int) -> VirtAddr:
        """The call instruction before a return address; HOST for the host's."""
        if return_address == HOST:
            return HOST
        site = self._sites.get(return_address)
        if site is None:
            site = self._sites[return_address] = call_site(self._machine, return_address)
        return site

    def _is_code(self, address: int) -> bool:
        return address == HOST or (bool(address) and self._machine.symbols.at(address - 1) is not None)

    def _leads_to_a_trap(self, return_address: int) -> bool:
        """Whether what is returned to is a trap's handler, which goes on with `sret`: its caller was interrupted."""
        found = self._traps.get(return_address)
        if found is None:
            found = self._traps[return_address] = returns_from_trap(self._machine, return_address)
        return found

    def _rule(self, site: int) -> FrameRule | None:
        if site not in self._rules:
            rule = self._machine.call_frames.at(site)
            if rule is None or _RA not in rule.saved:
                function = self._machine.symbols.at(site)
                rule = None if function is None else frame_rule(self._machine, function[0].address, site)
            self._rules[site] = rule
        return self._rules[site]


class _Stack:
    """Words of the stack at one moment; each page is looked up once."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._pages: dict[int, bytes | None] = {}

    def word(self, address: int) -> int | None:
        page, offset = address & -PAGE_SIZE, address & (PAGE_SIZE - 1)
        if page not in self._pages:
            self._pages[page] = self._machine.peek(page, PAGE_SIZE)
        data = self._pages[page]
        if data is None or offset > PAGE_SIZE - 8:
            return None
        return int.from_bytes(data[offset : offset + 8], "little")
