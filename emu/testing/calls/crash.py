"""What is known of a crash inside a guest function that the host has called."""

from itertools import takewhile
from typing import NamedTuple

from emu.address import VirtAddr
from emu.errors import GuestPanic
from emu.events import TrapTaken
from emu.firmware.lines import SourceLine
from emu.isa.causes import FAULTED_ACCESS, ExceptionCause
from emu.isa.privilege import Access, Privilege
from emu.isa.registers import RA, SP
from emu.isa.status import Status
from emu.machine import Machine
from emu.observe.calls.backtrace import Backtrace
from emu.observe.calls.opened import OpenCalls
from emu.observe.calls.prologue import frame_rule
from emu.observe.code import HOST
from emu.observe.lastinstructions import LastInstructions
from emu.report.disassembly import disassemble
from emu.report.places import Places
from emu.report.reasons.traps import TrapReasons
from emu.walks import Walk

_SHOWN = 12
"""Instructions."""
_ECALLS = (ExceptionCause.ECALL_FROM_U, ExceptionCause.ECALL_FROM_S, ExceptionCause.ECALL_FROM_M)


class Frame(NamedTuple):
    """A call that was open."""

    address: VirtAddr
    """The instruction that trapped, or the call instruction."""
    name: str
    """With offset and source line, as far as the image knows them."""


class Executed(NamedTuple):
    """One of the last instructions."""

    pc: VirtAddr
    text: str
    """In assembly language."""
    name: str
    """Its place, as `Frame.name`."""

    def __str__(self) -> str:
        return f"{self.pc}  {self.text:<28} {self.name}"


class GuestCrash(GuestPanic):
    """A function that a test has called took an exception. Its text explains it; the attributes are for programs."""

    def __init__(
        self,
        function: str,
        trap: TrapTaken,
        *,
        reason: str,
        access: Access | None,
        walk: Walk | None,
        line: SourceLine | None,
        registers: tuple[int, ...],
        stack: tuple[Frame, ...],
    ) -> None:
        super().__init__(function, trap)
        self.function, self.trap = function, trap
        self.reason = reason
        """The cause, its place, the access and why it was refused, as a sentence."""
        self.access = access
        """What was refused at the address `trap.tval`; None for an exception that is no refused access."""
        self.walk = walk
        """Of an access that was refused: its page walk."""
        self.line = line
        """Of the source, where the image knows it."""
        self.registers = registers
        """x0 to x31 at the trap."""
        self.stack = stack
        """The open calls, innermost first."""
        self.instructions: tuple[Executed, ...] = ()
        """The last that retired before the trap, oldest first."""

    def __str__(self) -> str:
        text = [f"{self.function} crashed: {self.reason}"]
        if len(self.stack) > 1:
            text += ["called by:", *(f"  {frame.name}" for frame in self.stack[1:])]
        if self.instructions:
            text += ["last instructions:", *(f"  {each}" for each in self.instructions)]
        return "\n".join(text)


def is_crash(trap: TrapTaken, privilege: Privilege) -> bool:
    """Whether a trap is an exception of a function that executes with a privilege, and no call of the system."""
    return not trap.interrupt and trap.cause not in _ECALLS and trap.privilege >= privilege


def crash(machine: Machine, function: str, trap: TrapTaken) -> GuestCrash:
    """What is known at the moment at which the trap was entered."""
    places = Places(machine)
    access = FAULTED_ACCESS.get(trap.cause)
    registers = machine.hart.x[:]
    return GuestCrash(
        function,
        trap,
        access=access,
        reason=TrapReasons(places).sentence(trap, registers),
        walk=None if access is None else machine.walk(trap.tval, access, trap.privilege),
        line=machine.lines.at(trap.pc),
        registers=registers,
        stack=tuple(Frame(at, places.name(at)) for at in open_calls(machine, trap.pc, registers)),
    )


def last_instructions(machine: Machine, last: LastInstructions, retired: int) -> tuple[Executed, ...]:
    """The last of so many instructions in words. Between runs."""
    places = Places(machine)
    return tuple(
        Executed(each.pc, disassemble(each.code, each.pc) or each.code[::-1].hex(), places.name(each.pc))
        for each in last.tail(min(_SHOWN, retired))
    )


def undo_trap(machine: Machine, trap: TrapTaken) -> None:
    """Put privilege and interrupt enables back as they were before a trap was entered; xepc and xcause keep it."""
    csr = machine.hart.csr
    previous, enable = (Status.MPIE, Status.MIE) if trap.to_privilege is Privilege.M else (Status.SPIE, Status.SIE)
    status = csr["mstatus"]
    csr["mstatus"] = status | enable if status & previous else status & ~enable
    machine.hart.privilege = trap.privilege


def open_calls(machine: Machine, pc: VirtAddr, registers: tuple[int, ...]) -> list[VirtAddr]:
    """The instruction that trapped and the calls that led to its function, without the host's.

    Where allocations are followed, functions that keep their return address out of sight are, too.
    """
    backtrace = Backtrace(machine)
    found = machine.symbols.at(pc)
    start = int(found[0].address) if found is not None else int(pc)
    rule = machine.call_frames.at(pc) or (frame_rule(machine, start, pc) if start < pc else None)
    return_address, stack_pointer = registers[RA], registers[SP]
    if rule is not None:
        frame = registers[rule.register] + rule.offset
        saved = machine.peek(frame + rule.saved[RA], 8) if RA in rule.saved else None
        return_address = int.from_bytes(saved, "little") if saved is not None else return_address
        stack_pointer = frame
    chains = OpenCalls.present(machine) or backtrace
    callers = () if return_address == pc else (
        backtrace.site(return_address), *chains.callers(return_address, stack_pointer)
    )  # fmt: skip
    return [pc, *takewhile(lambda each: each != HOST and machine.peek(each, 2) is not None, callers)]
