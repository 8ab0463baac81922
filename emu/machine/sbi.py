"""The machine's side of the built-in SBI: console, timer, fences, power, as `emu.firmware.sbi` asks for them."""

from functools import cached_property

from emu.address import PAGE_SIZE
from emu.devices.power import PowerRequest
from emu.firmware.sbi import Sbi
from emu.hart.core import HartCore
from emu.hart.words import PC
from emu.hints import Protocol
from emu.isa.csrs import Csr
from emu.isa.privilege import Access, Privilege
from emu.isa.registers import A0, A1, A7
from emu.isa.status import SSIP, Status
from emu.machine.console import Console
from emu.memory import PhysicalMemory

_A6 = 16


class Host(Protocol):
    """What the services need of the machine."""

    memory: PhysicalMemory

    def power_off(self, request: PowerRequest, exit_code: int) -> None:
        """End or restart the machine."""

    def waiting(self) -> None:
        """Pass the time until an interrupt is pending."""

    def typed_byte(self) -> int:
        """The next byte that was typed, or -1."""


class SbiServices:
    """Answers `ecall` from S mode out of the machine's parts."""

    def __init__(self, host: Host, core: HartCore, console: Console) -> None:
        self._host, self._core, self._console = host, core, console

    @cached_property
    def _sbi(self) -> Sbi:
        return Sbi(self)

    def answer(self) -> None:
        """Carry out the call that the registers describe."""
        words = self._core.words
        result = self._sbi.call(words[A7], words[_A6], words[10:16])
        words[A0] = result.a0
        if result.a1 is not None:
            words[A1] = result.a1

    def console_write(self, data: bytes) -> None:
        """Show bytes on the console."""
        self._console.write(data)

    def console_read(self) -> int:
        """Take the next byte that was typed, or -1."""
        return self._host.typed_byte()

    def set_timer(self, deadline: int) -> None:
        """Clear STIP and raise it when `time` reaches `deadline`: by Sstc, as the firmware lets S mode do, too."""
        self._core.set_supervisor_timecmp(deadline)

    def set_software_interrupt(self, pending: bool) -> None:
        """Set or clear SSIP."""
        current = (self._core.read_csr(Csr.MIP) or 0) & ~self._core.lines  # what devices hold up is not written
        self._core.write_csr(Csr.MIP, current | SSIP if pending else current & ~SSIP)

    def fence_i(self) -> None:
        """Nothing to do: stores always reach translated code."""

    def flush_translations(self) -> None:
        """Forget all cached translations."""
        self._core.flush_translations()

    def read_memory(self, physical: int, size: int) -> bytes | None:
        """Bytes of RAM, or None."""
        memory = self._host.memory
        return memory.read(physical, size) if memory.contains(physical, size) else None

    def write_memory(self, physical: int, data: bytes) -> bool:
        """Store into RAM; False outside it."""
        memory = self._host.memory
        if not memory.contains(physical, len(data)):
            return False
        memory.transfer(physical, data)
        return True

    def read_virtual(self, virtual: int, size: int) -> bytes | None:
        """Bytes of the supervisor's address space that lie in one page."""
        seen = self._core.walk(virtual, Access.LOAD, Privilege.S)
        if seen.physical is None or virtual % PAGE_SIZE + size > PAGE_SIZE:
            return None
        return self.read_memory(int(seen.physical), size)

    def stop_hart(self) -> None:
        """The only hart stops for good: nothing can wake it."""
        self._core.write_csr(Csr.MIE, 0)
        self._host.waiting()

    def suspend_hart(self, resume_address: int | None, opaque: int) -> None:
        """Wait for an interrupt; then return, or restart at an address."""
        if not self._core.interrupt_is_pending():
            self._host.waiting()
        if resume_address is None:
            return
        core = self._core
        status = core.read_csr(Csr.MSTATUS) or 0
        core.write_csr(Csr.MSTATUS, status & ~int(Status.SIE))
        core.write_csr(Csr.SATP, 0)
        core.words[PC] = resume_address
        core.words[A0], core.words[A1] = 0, opaque

    def power_off(self, request: PowerRequest, exit_code: int) -> None:
        """End or restart the machine."""
        self._host.power_off(request, exit_code)
