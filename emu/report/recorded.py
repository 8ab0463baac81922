"""What a recording holds, as lines: instructions, calls, accesses, writes of registers."""

from collections.abc import Callable, Iterator

from emu.address import VirtAddr
from emu.engine.translated.features.calls import Kind
from emu.isa.privilege import Privilege
from emu.isa.registers import FLOAT_REGISTERS, INTEGER_REGISTERS
from emu.observe.calls.stacks import CallStacks
from emu.record.recording import Recording
from emu.report.disassembly import disassemble
from emu.report.instructionlines import instruction_lines
from emu.report.logs.commits.recorded import commit_log
from emu.report.places import PlaceNames

Chosen = Callable[[int], bool]
"""Whether an address of code is one of those that are to be shown."""


def instructions(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[str]:
    """A line for each instruction: instret, privilege, pc, code, assembly language, place; in pieces of many lines."""

    def rest(pc: VirtAddr, code: bytes, privilege: Privilege) -> str:
        word = f"{int.from_bytes(code, 'little'):0{2 * len(code)}x}"
        return f"  {privilege.name} {pc:#018x}  {word:<8}  {disassemble(code, pc) or '?':<32} {names.name(pc)}"

    def numbered(instret: int, rests: list[tuple[int, str]]) -> list[str]:
        return [f"{instret + place:>14,}{text}" for place, text in rests]

    return instruction_lines(recording, first, last, chosen, rest, numbered)


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


def functions(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[str]:
    """A line for each call of a function and each trap, indented by depth."""
    stacks = CallStacks()
    for transfer in recording.transfers():
        if transfer.instret > last:
            return
        stacks.apply(transfer)
        kind, target = transfer.kind, transfer.target
        if kind in (Kind.CALL, Kind.SWAP, Kind.TRAP) and transfer.instret >= first and chosen(target):
            indent = "  " * min(len(stacks.current), 40)
            site, trap, by = names.name(VirtAddr(transfer.pc)), "", "from"
            if kind is Kind.TRAP:
                trap, by = "trap to ", "at"
            yield f"{transfer.instret:>14,}{indent}{trap}{names.function(VirtAddr(target))}  {by} {site}"


def commits(recording: Recording, _names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[str]:
    """Spike's commit log; see `emu.report.logs.commits`."""
    return commit_log(recording, first, last, chosen=chosen)


def execution(recording: Recording, _names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[str]:
    """The same with the lines of Spike's `-l`."""
    return commit_log(recording, first, last, execution=True, chosen=chosen)
