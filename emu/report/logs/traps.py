"""The log of traps that QEMU writes for `-d int`, line for line."""

from typing import TYPE_CHECKING

from emu.events import TrapTaken
from emu.machine import Machine

if TYPE_CHECKING:
    from emu.report.tracefile import Sink

# riscv_excp_names and riscv_intr_names in QEMU 7.2's target/riscv/cpu.c.
_EXCEPTIONS = (
    "misaligned_fetch", "fault_fetch", "illegal_instruction", "breakpoint", "misaligned_load", "fault_load",
    "misaligned_store", "fault_store", "user_ecall", "supervisor_ecall", "hypervisor_ecall", "machine_ecall",
    "exec_page_fault", "load_page_fault", "reserved", "store_page_fault",
)  # fmt: skip
_INTERRUPTS = (
    "u_software", "s_software", "vs_software", "m_software", "u_timer", "s_timer", "vs_timer", "m_timer",
    "u_external", "s_external", "vs_external", "m_external",
)  # fmt: skip


class TrapLog:
    """Writes a line for each trap that the guest takes."""

    def __init__(self, machine: Machine, stream: "Sink") -> None:
        self._stream = stream
        machine.on(TrapTaken, self._trap)

    def _trap(self, trap: TrapTaken) -> None:
        self._stream.write(line(trap).encode() + b"\n")


def line(trap: TrapTaken) -> str:
    """What QEMU 7.2 writes for a trap (`riscv_cpu_do_interrupt`)."""
    names = _INTERRUPTS if trap.interrupt else _EXCEPTIONS
    name = names[trap.cause] if trap.cause < len(names) else "(unknown)"
    return (
        f"riscv_cpu_do_interrupt: hart:0, async:{int(trap.interrupt)}, cause:{trap.cause:016x}, "
        f"epc:0x{trap.pc:016x}, tval:0x{trap.tval:016x}, desc={name}"
    )
