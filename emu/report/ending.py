"""What stopped a guest, in a few lines of which the first is the first cause."""

from emu.errors import DoubleFault, EmuError
from emu.events import TrapTaken
from emu.isa.causes import FAULTED_ACCESS, ExceptionCause, InterruptCause, cause_label
from emu.isa.operands import memory_operand
from emu.isa.privilege import Privilege
from emu.isa.registers import SP
from emu.observe.traps import LoopKind, SeenTrap, TrapLoop
from emu.report.places import Places
from emu.report.reasons.traps import TrapReasons

_RETURNS_TO_NEXT = (
    ExceptionCause.ECALL_FROM_U,
    ExceptionCause.ECALL_FROM_S,
    ExceptionCause.ECALL_FROM_M,
    ExceptionCause.BREAKPOINT,
)
_CLEARED_BY_DEVICE = "clear it where it comes from, or its bit in mie or sie"
_CLEARED_BY: dict[int, str] = {
    InterruptCause.SUPERVISOR_SOFTWARE: "clear sip.SSIP",
    InterruptCause.MACHINE_SOFTWARE: "write 0 to the hart's msip in the CLINT",
    InterruptCause.SUPERVISOR_TIMER: "set the next deadline (set_timer of the SBI, or stimecmp), or clear sie.STIE",
    InterruptCause.MACHINE_TIMER: "set the next deadline (mtimecmp in the CLINT), or clear mie.MTIE",
    InterruptCause.SUPERVISOR_EXTERNAL: "claim it from the PLIC, serve the device, and complete it at the PLIC",
    InterruptCause.MACHINE_EXTERNAL: "claim it from the PLIC, serve the device, and complete it at the PLIC",
}
"""What ends an interrupt (privileged manual, "Machine Interrupt (mip and mie) Registers"; PLIC specification)."""


class EndingReasons:
    """Explains what keeps a guest of one machine from going on."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._traps = TrapReasons(places)

    def failure(self, error: EmuError, interrupt: TrapTaken | None = None) -> str:
        """The text of an error that ended a run, with all that is known of its cause; `interrupt` is the last one."""
        return self._double_fault(error, interrupt) if isinstance(error, DoubleFault) else str(error)

    def loop(self, loop: TrapLoop, mistake: SeenTrap | None = None) -> str:
        """Which trap is taken for ever, since which first trap, and what is missing.

        `mistake` is the guest's first one. If the same handler made it, that began the loop: as the handler trapped
        itself, its stack grew over code and data, and it traps elsewhere by now.
        """
        trap, registers = loop.seen.trap, loop.seen.registers
        if trap.interrupt:
            return self._interrupt(loop)
        if loop.kind is LoopKind.RETRY:
            returned = "mret" if trap.to_privilege is Privilege.M else "sret"
            return f"{self._traps.sentence(trap, registers)}\n{self._for_ever(trap, returned)}"
        handler = self._places.name(trap.handler)
        where = self._traps.sentence(trap, registers)
        stack = " on its own stack" if self._uses_stack(trap) else ""
        first = mistake if mistake is not None and self._began(mistake, trap) else loop.first
        if first is None:
            return f"{where}\nthe trap handler {handler} traps itself{stack}, again and again{self._stack(loop.seen)}"
        again = f"its handler {handler} then traps itself{stack}, again and again"
        return f"{self.seen(first)}\n{again}{self._stack(loop.seen)}:\n{where}"

    def _interrupt(self, loop: TrapLoop) -> str:
        trap = loop.seen.trap
        handler = self._places.name(trap.handler)
        if loop.kind is LoopKind.RETRY:
            what = f"its handler {handler} returns and it is pending again: the interrupted code executes nothing more"
        else:
            what = f"its handler {handler} allows interrupts while it is pending still, and never returns"
        return (
            f"{self._traps.sentence(trap)}, again and again\n{what}; {_CLEARED_BY.get(trap.cause, _CLEARED_BY_DEVICE)}"
        )

    def seen(self, seen: SeenTrap) -> str:
        """A trap that was seen earlier, as a sentence."""
        return self._traps.sentence(seen.trap, seen.registers)

    def last(self, seen: SeenTrap | None, instret: int) -> str | None:
        """The last exception of a run that did not end by itself; None when what was refused then is allowed now."""
        if seen is None or not self._traps.is_refused_still(seen.trap):
            return None
        return f"{self.seen(seen)}\nthat was the last trap, {instret - seen.trap.instret:,} instructions before the end"

    def _double_fault(self, error: DoubleFault, interrupt: TrapTaken | None) -> str:
        first, last = error.first, error.last
        vector = "mtvec" if last.to_privilege is Privilege.M else "stvec"
        is_interrupts = interrupt is not None and (first.pc, first.instret) == (interrupt.handler, interrupt.instret)
        opening = self._traps.sentence(interrupt if interrupt is not None and is_interrupts else first)
        handler = self._places.name(last.handler)
        if not last.handler:
            missing = f"{vector} is 0: it was not written since the reset, or with an address that is no multiple of 4"
            return f"{opening}\nits handler at 0x0 cannot be fetched (double fault): {missing}"
        cause = cause_label(last.cause, interrupt=False)
        why = self._traps.why(last)
        place = "" if last.pc == last.handler else f" at {self._places.name(last.pc)}"
        return (
            f"{opening}\nits handler {handler} cannot execute its first instruction (double fault): "
            f"{cause}{place}{f', {why}' if why else ''}; check what was written to {vector}"
        )

    def _for_ever(self, trap: TrapTaken, returned: str) -> str:
        to = "the ecall itself" if trap.cause in _RETURNS_TO_NEXT[:3] else "the same instruction"
        epc = "mepc" if trap.to_privilege is Privilege.M else "sepc"
        again = f"its handler {self._places.name(trap.handler)} returns ({returned}) to {to}, for ever"
        if trap.cause in _RETURNS_TO_NEXT:
            return f"{again}: it must add 4 to {epc} (2 for a compressed instruction)"
        if trap.cause in FAULTED_ACCESS:
            return f"{again}, and has not mended what refuses the access (after a change of the PTE: sfence.vma)"
        return f"{again}: it must deal with the instruction and move {epc} behind it, or stop"

    def _began(self, mistake: SeenTrap, trap: TrapTaken) -> bool:
        """Whether a handler that traps itself at one place now began to at another."""
        if mistake.trap.handler != trap.handler or mistake.trap.pc == trap.pc:
            return False
        return self._places.function(mistake.trap.pc) == self._places.function(trap.handler)

    def _uses_stack(self, trap: TrapTaken) -> bool:
        if trap.cause not in FAULTED_ACCESS:
            return False
        operand = memory_operand(int.from_bytes(self._places.code(trap.pc, trap.privilege) or b"", "little"))
        return operand is not None and operand.base == SP

    def _stack(self, seen: SeenTrap) -> str:
        if not self._uses_stack(seen.trap):
            return ""
        return f" (sp is {seen.registers[SP]:#x}: give the handler a stack of its own by sscratch)"
