"""What a recording holds, as lines: instructions, calls, accesses, writes of registers."""

from collections.abc import Callable, Iterator

from emu.address import VirtAddr
from emu.isa.registers import FLOAT_REGISTERS, INTEGER_REGISTERS
from emu.record.flow import Flow, Listener
from emu.record.recording import Recording
from emu.report.disassembly import disassemble
from emu.report.places import PlaceNames

Chosen = Callable[[int], bool]
"""Whether an address of code is one of those that are to be shown."""


def instructions(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[str]:
    """A line for each instruction: instret, privilege, pc, code, assembly language, place."""
    texts: dict[tuple[int, bytes], str | None] = {}
    for instret, pc, code, privilege in recording.instructions(first, last):
        key = pc, code
        if key not in texts:
            texts[key] = None
            if chosen(pc):
                word = f"{int.from_bytes(code, 'little'):0{2 * len(code)}x}"
                texts[key] = f"{pc:#018x}  {word:<8}  {disassemble(code, pc) or '?':<32} {names.name(pc)}"
        if texts[key] is not None:
            yield f"{instret:>14,}  {privilege.name} {texts[key]}"


def accesses(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[str]:
    """A line for each load and store."""
    for access in recording.accesses(first, last):
        if chosen(access.pc):
            word = "store" if access.is_store else "load "
            value = f"{access.value:#0{2 + 2 * access.size}x}"
            place = names.name(VirtAddr(access.pc))
            yield f"{access.instret:>14,}  {word} {access.address:#018x}  {value:<18}  {place}"


def writes(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[str]:
    """A line for each register that was written."""
    registers = (*INTEGER_REGISTERS, *FLOAT_REGISTERS)
    for write in recording.writes(first, last):
        if chosen(write.pc):
            name = registers[write.register]
            yield f"{write.instret:>14,}  {name:<4} = {write.value:#018x}  {names.name(VirtAddr(write.pc))}"


class _Lines(Listener):
    """Collects a line for each call and trap."""

    def __init__(self, names: PlaceNames, first: int, last: int, chosen: Chosen) -> None:
        self._names, self._first, self._last, self._chosen = names, first, last, chosen
        self.lines: list[str] = []

    def _add(self, instret: int, depth: int, pc: int, text: str) -> None:
        if self._first <= instret <= self._last and self._chosen(pc):
            self.lines.append(f"{instret:>14,}  {'  ' * min(depth, 40)}{text}")

    def called(self, instret: int, pc: int, site: int, depth: int, /) -> None:
        name = self._names.function(VirtAddr(pc))
        self._add(instret, depth, pc, f"{name}  from {self._names.name(VirtAddr(site))}")

    def trapped(self, instret: int, pc: int, at: int, depth: int, /) -> None:
        name = self._names.function(VirtAddr(pc))
        self._add(instret, depth, pc, f"trap to {name}  at {self._names.name(VirtAddr(at))}")


def functions(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[str]:
    """A line for each call of a function and each trap, indented by depth."""
    listener = _Lines(names, first, last, chosen)
    flow = Flow(lambda pc: names.function(VirtAddr(pc)), listener)
    for block in recording.blocks.values():
        flow.define(block)
    for begin, words in recording.words():
        if begin is not None:
            flow.span(begin)
        flow.words(words)
        yield from listener.lines
        listener.lines.clear()
        if flow.instret > last:
            return
