"""Where a value came from: the chain backwards through copies, arithmetic, stores and loads."""

from collections.abc import Iterator

from emu.address import VirtAddr
from emu.errors import AddressError, MachineError
from emu.isa.dataflow import Origin, flow
from emu.isa.operands import instruction_length, stored_register
from emu.isa.registers import INTEGER_REGISTERS
from emu.isa.results import registers_written
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.machine.history.moment import Moment
from emu.observe.calls.backtrace import Backtrace

_MOST = 12
"""Links of a chain that are followed unless told."""


@dataclass(frozen=True, slots=True)
class Link:
    """One instruction that a value has passed through, and the moment just before it."""

    moment: Moment
    pc: VirtAddr
    instruction: int
    space: int
    """`satp`: whose address space it was executed in."""
    callers: tuple[VirtAddr, ...]
    """The calls that led there, innermost first."""
    place: str
    """What it gave the value to: a register, or an address of memory."""
    value: int
    """The value, as the instruction left it."""
    origin: str
    """What it made the value of."""


def why(machine: Machine, register: str, *, most: int = _MOST) -> Iterator[Link]:
    """The instructions that made what is in an integer register now, the last one first.

    At most `most` of them wrote a register. The chain
    follows a copy to what was copied, a load to the store that had written there, arithmetic to its first
    operand that is not a constant; it ends at a constant, a CSR, a device, or where history begins. The machine stays
    where it is. Raises ConfigError for a machine without history.
    """
    here, name = machine.moment, register
    before: Moment | None = here
    for _ in range(most):
        moment = machine.last_change(name, before=before)
        if moment is None:
            return
        with machine.at(moment):
            link, source, address = _link(machine, name)
        yield link
        if source is not None:
            name, before = source, moment
            continue
        if address is None:
            return
        with machine.at(moment):
            try:
                stored = machine.last_write(*address)
            except AddressError:
                return
        if stored is None:
            return
        with machine.at(stored):
            link, source = _stored(machine)
        yield link
        if source is None:
            return
        name, before = source, stored


def _link(machine: Machine, name: str) -> tuple[Link, str | None, tuple[int, int] | None]:
    """What the instruction at pc does to a register, the register to follow next, or the memory."""
    instruction = _instruction(machine)
    found = flow(instruction)
    operand = machine.core.operand_at(int(machine.hart.pc))
    source, address, origin = None, None, Origin.OTHER.value
    if found is None and registers_written(instruction):
        origin = Origin.ANSWER.value
    elif found is not None:
        origin = found.origin.value
        if found.origin in (Origin.COPY, Origin.ARITHMETIC):
            source = INTEGER_REGISTERS[found.sources[0]]
            origin += " of " + " and ".join(INTEGER_REGISTERS[number] for number in found.sources)
        elif found.origin is Origin.LOAD and operand is not None:
            start = operand.address(machine.core.words)
            seen = machine.walk(start)
            if seen.physical is not None and machine.memory.contains(int(seen.physical)):
                address = start, operand.size
                origin += f" of {operand.size} bytes from {machine.locate(start)}"
            else:
                region = None if seen.physical is None else machine.memory.at(int(seen.physical))
                origin += f" from {'nowhere' if region is None else f'the device {region.name}'}"
    return _at(machine, instruction, name, origin, name), source, address


def _stored(machine: Machine) -> tuple[Link, str | None]:
    """What the store at pc stores, and the register to follow next."""
    instruction = _instruction(machine)
    operand, register = machine.core.operand_at(int(machine.hart.pc)), stored_register(instruction)
    name = None if register is None or register >= len(INTEGER_REGISTERS) else INTEGER_REGISTERS[register]
    place = "memory" if operand is None else machine.locate(operand.address(machine.core.words))
    made = name or "what an atomic or floating-point operation made"
    link = _at(machine, instruction, place, f"a store of {made}", name)
    return link, name if register else None


def _at(machine: Machine, instruction: int, place: str, origin: str, register: str | None) -> Link:
    moment, pc, space = machine.moment, machine.hart.pc, machine.hart.csr["satp"]
    callers = Backtrace(machine).callers_here()
    machine.history.forward()
    value = machine.hart.x[register] if register else 0
    return Link(moment, pc, instruction, space, callers, place, value, origin)


def _instruction(machine: Machine) -> int:
    try:
        instruction = machine.core.fetch_instruction(int(machine.hart.pc))
    except MachineError:
        return 0
    return instruction if instruction_length(instruction) == 4 else instruction & 0xFFFF
