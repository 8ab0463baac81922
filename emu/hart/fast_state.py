"""State of the hart in fidelity `fast`: the core's own CSRs through the window, and those that it lacks."""

from collections.abc import Callable
from typing import cast

from emu.engine.csrtable import ModelCsrs
from emu.engine.window import EXT_COUNTERS_BYTE, FEATURES_BYTE, FFLAGS_BYTE, Word
from emu.events import AddressSpaceSwitched, Event, PteWritten, TrapReturned
from emu.hart import native_csrs as native
from emu.hart.core import COUNT, PC, PRIVILEGE, HartCore
from emu.hart.csrfile import STCE, CsrFile
from emu.hart.floats import riscv_flags, softfloat_flags
from emu.hart.platform import Platform
from emu.isa.csrs import HPM_COUNTERS, MHPM_COUNTERS, MHPM_EVENTS, PMP_ADDRESSES, PMP_CONFIGS, Csr
from emu.isa.privilege import Privilege
from emu.isa.status import SATP_MODE_SHIFT, SSTATUS_READ, SSTATUS_WRITE, XLEN_64, Status
from emu.memory import Ram
from emu.subscriptions import EventBus

_ALL = (1 << 64) - 1
_M = Privilege.M
_STATUS, _MIP, _MIE, _MIDELEG, _SATP = Word.MSTATUS, Word.MIP, Word.MIE, Word.MIDELEG, Word.SATP
_FORCED_BY: dict[type[Event], int] = {
    TrapReturned: native.NATIVE_TSR,
    AddressSpaceSwitched: native.NATIVE_TVM,
    PteWritten: native.NATIVE_TVM,
}
EMULATED = frozenset(
    {
        Csr.CYCLE, Csr.TIME, Csr.INSTRET, Csr.MCYCLE, Csr.MINSTRET, Csr.MCOUNTINHIBIT, Csr.STIMECMP, Csr.MENVCFG,
        Csr.SENVCFG, Csr.MCONFIGPTR, Csr.TSELECT, Csr.TDATA1, Csr.TDATA2, Csr.TDATA3,
        *HPM_COUNTERS, *PMP_CONFIGS, *PMP_ADDRESSES, *MHPM_COUNTERS, *MHPM_EVENTS,
    }
)  # fmt: skip
"""CSRs that the core does not have or gets wrong: they arrive as illegal instructions and are carried out here."""

PRIVILEGES = (Privilege.U, Privilege.S, Privilege.S, Privilege.M)
"""By number, also for the mode 2 that does not exist and that the core's `mstatus.MPP` takes."""


class FastState(HartCore):
    """Who the hart is: privilege, CSRs and interrupt lines as the core has them."""

    def __init__(self, ram: Ram, bus: EventBus, platform: Platform, *, probes: str | None = None) -> None:
        self._forced = 0
        super().__init__(ram, bus, platform, probes=probes)
        self._lines = 0
        self._emulated = CsrFile(self, ModelCsrs().values)
        self.engine.translate_in_guest(True)
        window = self.engine.window
        window.load()
        window.octets[EXT_COUNTERS_BYTE] = 0
        window.octets[FEATURES_BYTE] &= ~2  # without PMP entries, as in `exact`
        self.words[_STATUS] = XLEN_64
        window.store()

    # Privilege and CSRs.

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""
        return PRIVILEGES[self.words[PRIVILEGE]]

    def set_privilege(self, privilege: Privilege) -> None:
        """Change the current privilege, outside of `run`."""
        self.engine.window.load()
        self.words[PRIVILEGE] = int(privilege)
        self.engine.window.store()

    @property
    def status(self) -> int:
        """`mstatus` as the manual has it."""
        return native.status_to_manual(self.words[_STATUS], self._forced)

    def read_csr(self, number: int) -> int | None:
        """The value of a CSR for the host, whatever the guest's privilege; None when there is no such CSR."""
        words = self.words
        plain = native.PLAIN.get(number)
        if plain is not None:
            return words[plain[0]]
        reader = self._special_readers.get(number)
        if reader is not None:
            return reader()
        if number in native.CONSTANT:
            return native.CONSTANT[Csr(number)]
        if number in EMULATED:
            return self._as_machine_mode(lambda: self._emulated.read(number), asking=1)
        return None

    @property
    def _special_readers(self) -> dict[int, Callable[[], int]]:
        words = self.words
        return {
            Csr.MSTATUS: lambda: self.status,
            Csr.SSTATUS: lambda: self.status & SSTATUS_READ,
            Csr.SATP: lambda: words[_SATP],
            Csr.MIP: lambda: words[_MIP],
            Csr.SIP: lambda: words[_MIP] & words[_MIDELEG],
            Csr.SIE: lambda: words[_MIE] & words[_MIDELEG],
            Csr.FFLAGS: self.float_flags,
            Csr.FRM: self.rounding,
            Csr.FCSR: lambda: self.float_flags() | self.rounding() << 5,
        }

    def write_csr(self, number: int, value: int) -> bool:
        """Write a CSR as M mode would; False when there is no such CSR."""
        value &= _ALL
        words = self.words
        self.engine.window.load()
        plain = native.PLAIN.get(number)
        if plain is not None:
            words[plain[0]] = value & plain[1]
        elif number == Csr.MSTATUS:
            self._write_status(value, _ALL)
        elif number == Csr.SSTATUS:
            self._write_status(value, SSTATUS_WRITE)
        elif number == Csr.SATP:
            self._write_satp(value)
        elif number == Csr.MIP:
            words[_MIP] = (value & 0x222) | self._lines
        elif number == Csr.SIE:
            words[_MIE] = (words[_MIE] & ~words[_MIDELEG]) | (value & words[_MIDELEG])
        elif number == Csr.FCSR:
            self.set_float_flags(value & 31)
            self.set_rounding(value >> 5 & 7)
        elif number in EMULATED:
            return bool(self._as_machine_mode(lambda: self._emulated.write(number, value), asking=0))
        else:
            return number in native.CONSTANT and number >> 10 != 3
        self.engine.window.store()
        self._request_interrupts()
        return True

    def _write_status(self, value: int, mask: int) -> None:
        status = (self.status & ~mask) | (value & mask & ~int(Status.SD)) | XLEN_64
        self.words[_STATUS] = native.status_to_native(status, self._forced)
        self.engine.window.store()
        self.flush_translations()

    def _write_satp(self, value: int) -> None:
        if native.is_safe_satp(value):
            self.words[_SATP] = value
            self.engine.window.store()
            self.flush_translations()
            self.tables.entered(value)

    def _as_machine_mode(self, access: Callable[[], int | bool | None], *, asking: int) -> int | bool | None:
        privilege = self.words[PRIVILEGE]
        self.words[PRIVILEGE] = int(_M)
        self.slots[COUNT] += asking  # the CSRs take an instruction that reads for counted already
        try:
            return access()
        finally:
            self.slots[COUNT] -= asking
            self.words[PRIVILEGE] = privilege

    def flush_translations(self) -> None:
        """Forget cached translations, with the core stopped or in an exception."""
        self.engine.flush_tlb()

    @property
    def lines(self) -> int:
        """The bits of `mip` that devices hold up."""
        return self._lines

    def set_line(self, bit: int, level: bool) -> None:
        """Set the level of an interrupt line into `mip`; the core looks at it before its next block."""
        self._lines = self._lines | bit if level else self._lines & ~bit
        words = self.words
        if not level:
            words[_MIP] &= ~bit
        elif not self.engine.in_memory_hook:
            words[_MIP] |= bit
        self._request_interrupts()

    def _request_interrupts(self) -> None:
        # While an access waits, the core would take the interrupt in the middle of the instruction, and does so by
        # itself if `mip` has it and a former request still stands. The machine stops the core right behind a store, and
        # behind the block of a load: `deliver_interrupts` raises the lines and announces them then.
        if not self.engine.in_memory_hook:
            self.engine.announce_interrupts()

    def interrupt_is_pending(self) -> bool:
        """Whether an enabled interrupt is pending, which ends `wfi` whatever `mstatus` says."""
        return bool(self.words[_MIP] & self.words[_MIE])

    def supervisor_timecmp(self) -> int:
        """What `mtime` is to reach for Sstc's timer interrupt; 2**64-1 while Sstc is off."""
        values = self._emulated.values
        return values[Csr.STIMECMP] if values[Csr.MENVCFG] & STCE else _ALL

    def set_supervisor_timecmp(self, time: int) -> None:
        """Write `stimecmp`, also in the middle of a run."""
        self._emulated.values[Csr.STIMECMP] = time
        self.platform.timer_written()

    def listening_changed(self, kind: type[Event]) -> None:
        """Have the core trap where only a trap shows that something happened."""
        bit = _FORCED_BY.get(kind)
        window = self.engine.window
        if not self.engine.running:  # else a callback has it, and may have changed it already
            window.load()
        if bit:
            wanted = any(_FORCED_BY.get(one) == bit for one in self._listening)
            self._forced = self._forced | bit if wanted else self._forced & ~bit
            words = self.words
            words[_STATUS] = words[_STATUS] | bit if wanted else words[_STATUS] & ~bit
        window.store()

    # Saving.

    def save(self) -> object:
        """All state of the hart, for `restore`."""
        window = self.engine.window
        window.load()
        return (
            bytes(window.octets),
            self._emulated.save(),
            self._lines,
            self.slots[COUNT],
            (self._last_trap, self._traps),
        )

    def restore(self, state: object, *, forget_code: bool) -> None:
        """Return to a saved state, after memory has."""
        octets, emulated, self._lines, count, (self._last_trap, self._traps) = cast(
            "tuple[bytes, object, int, int, tuple[int, int]]", state
        )
        window = self.engine.window
        forced = self._forced
        window.octets[:] = octets
        self.words[_STATUS] = (self.words[_STATUS] & ~(native.NATIVE_TVM | native.NATIVE_TSR)) | forced
        window.store()
        self._emulated.restore(emulated)
        self.slots[COUNT] = count
        self.between_blocks(self.words[PC])
        if forget_code:
            self.engine.forget_all_code()
        self.engine.translate_in_guest(not self.words[_SATP] >> SATP_MODE_SHIFT)
        self._request_interrupts()
        self.tables.restart()

    # What the emulated CSRs ask of their hart.

    def status_written(self, old: int, new: int) -> None:
        """The core has `mstatus`."""

    def satp_written(self, old: int, new: int) -> None:
        """The core has `satp`."""

    def protection_written(self) -> None:
        """Nothing is protected."""

    def interrupts_written(self) -> None:
        """The core has `mip` and `mie`."""

    def timer_written(self) -> None:
        """See `emu.hart.csrfile.CsrOwner`."""
        self.platform.timer_written()

    def retired(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`: the CSR instruction that asks is counted already."""
        return self.slots[COUNT] - 1

    def cycles(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`."""
        return self.platform.cycles_at(self.slots[COUNT] - 1)

    def time_now(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`."""
        return self.platform.time_at(self.slots[COUNT] - 1)

    def float_flags(self) -> int:
        """`fflags`."""
        return riscv_flags(self.engine.window.octets[FFLAGS_BYTE])

    def set_float_flags(self, value: int) -> None:
        """Write `fflags`."""
        self.engine.window.octets[FFLAGS_BYTE] = softfloat_flags(value)

    def rounding(self) -> int:
        """`frm`."""
        return self.words[Word.FRM]

    def set_rounding(self, value: int) -> None:
        """Write `frm`."""
        self.words[Word.FRM] = value

    def float_state_is_dirty(self) -> bool:
        """The core has `mstatus`."""
        return False
