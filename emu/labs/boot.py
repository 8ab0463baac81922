"""What traps and processes cost: taken from the events of one boot."""

from emu.errors import LimitExceeded
from emu.events import TrapReturned, TrapTaken
from emu.isa.causes import InterruptCause
from emu.isa.privilege import Privilege
from emu.labs.guests import Costs
from emu.lateclass import dataclass
from emu.machine import Machine, MachineConfig, StopReason
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from kernel.build import BuiltKernel

PAGE_FAULT, FORK, EXEC, SWITCH = "page fault served", "fork", "exec", "context switch"
_BOOT_LIMIT = 200_000_000


@dataclass(slots=True)
class _UserTrap:
    """The trap of a program that is being handled."""

    instret: int
    timer: bool
    forked: bool = False
    executed: bool = False
    switched: bool = False


class _TrapCosts:
    """Follows the traps of programs to their returns."""

    def __init__(self, machine: Machine) -> None:
        self.costs = {name: Costs() for name in (PAGE_FAULT, FORK, EXEC, SWITCH)}
        self._trap: _UserTrap | None = None
        PageFaultObserver(machine)
        machine.on(PageFaultHandled, self._handled)
        machine.on(TrapTaken, self._taken)
        machine.on(TrapReturned, self._returned)
        machine.watch("sys_fork", self._forks)
        machine.watch("sys_exec", self._executes)
        machine.watch("switch", self._switches)

    def _handled(self, fault: PageFaultHandled) -> None:
        if fault.retried:
            self.costs[PAGE_FAULT].each.append(fault.instret - fault.fault.instret)

    def _taken(self, event: TrapTaken) -> None:
        if event.privilege is Privilege.U:
            self._trap = _UserTrap(
                event.instret, timer=event.interrupt and event.cause == InterruptCause.SUPERVISOR_TIMER
            )

    def _returned(self, event: TrapReturned) -> None:
        if self._trap is None or event.to_privilege is not Privilege.U:
            return
        if self._trap.forked:
            self.costs[FORK].each.append(event.instret - self._trap.instret)
        elif self._trap.executed:
            self.costs[EXEC].each.append(event.instret - self._trap.instret)
        elif self._trap.timer and self._trap.switched:
            self.costs[SWITCH].each.append(event.instret - self._trap.instret)
        self._trap = None

    def _forks(self) -> None:
        if self._trap:
            self._trap.forked = True

    def _executes(self) -> None:
        if self._trap:
            self._trap.executed = True

    def _switches(self) -> None:
        if self._trap:
            self._trap.switched = True


def measure_boot(kernel: BuiltKernel, typed: str) -> dict[str, Costs]:
    """Boot a kernel, type on its console, and return what it paid, in instructions from a trap to the return from it.

    A page fault served is one after which the instruction is tried again. A fork is the system call, as its caller
    waits for it; exec is the system call up to the first instruction of the new program. A context switch goes from
    the timer's interrupt of one program to the return into another.
    """
    machine = Machine(MachineConfig(ram_size=kernel.profile.ram_size))
    machine.load(kernel.elf)
    machine.type_text(typed.encode())
    followed = _TrapCosts(machine)
    outcome = machine.run(_BOOT_LIMIT)
    if outcome.reason is not StopReason.POWERED_OFF:
        raise LimitExceeded(f"{kernel.elf} has not powered off: {outcome.description}")
    return followed.costs
