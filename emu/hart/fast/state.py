"""State of the hart in fidelity `fast`: the core's own CSRs through the window, and those that it lacks."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from emu.address import VirtAddr
from emu.engine.csrs import ModelCsrs
from emu.engine.csrs.layout import MOVED_BY, Kind
from emu.engine.traps.entries import BY_CORE
from emu.engine.window import EXT_COUNTERS_BYTE, EXT_ICSR_BYTE, FEATURES_BYTE, FFLAGS_BYTE, Word
from emu.events import AddressSpaceSwitched, CsrWritten, Event, OtherCsrWritten, PteWritten, TrapReturned
from emu.hart.core import HartCore
from emu.hart.counter_csrs import STCE
from emu.hart.fast.csrs import SERVED, FastCsrs
from emu.hart.floats import riscv_flags, softfloat_flags
from emu.hart.words import COUNT, ENTRIES_TOLD, PC, PRIVILEGE
from emu.hints import TYPE_CHECKING, cast
from emu.isa.csrs import Csr
from emu.isa.privilege import Privilege
from emu.isa.status import FS_DIRTY, SATP_MODE_SHIFT, Status
from emu.memory import Ram
from emu.subscriptions import EventBus

if TYPE_CHECKING:
    from emu.hart.platform import Platform

_ALL = (1 << 64) - 1
_M = Privilege.M
_STATUS, _MIP, _MIE, _SATP = Word.MSTATUS, Word.MIP, Word.MIE, Word.SATP
_FS = int(Status.FS)
NATIVE_TSR = int(Status.TSR) << MOVED_BY
"""Where the core looks for TSR: `sret` in S mode arrives as an illegal instruction while it is set."""
_TRANSLATION = int(Status.MPRV | Status.MPP | Status.MXR | Status.SUM)

PRIVILEGES = (Privilege.U, Privilege.S, Privilege.S, Privilege.M)
"""By number, also for the mode 2 that does not exist and that the core's `mstatus.MPP` takes."""


class FastState(HartCore):
    """Who the hart is: privilege, CSRs and interrupt lines as the core has them."""

    csrs: FastCsrs

    def __init__(self, ram: Ram, bus: EventBus, platform: "Platform", *, probes: str | None = None) -> None:
        super().__init__(ram, bus, platform, probes=probes)
        self.engine.translate_in_guest(True)
        window = self.engine.window
        window.load()
        self._model = ModelCsrs()
        self.csrs = FastCsrs(self, self.words, self._model.values)
        if self.engine.is_native:
            self._model.serve(self.slots, Kind.REFUSED, SERVED)
        window.octets[EXT_ICSR_BYTE] = self._model.is_served
        window.octets[EXT_COUNTERS_BYTE] = 0
        window.octets[FEATURES_BYTE] &= ~2  # without PMP entries, as in `exact`
        window.store()
        self._offer_entries()

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

    def read_csr(self, number: int) -> int | None:
        """The value of a CSR for the host, whatever the guest's privilege; None when there is no such CSR."""
        with self._as_machine_mode(asking=1):
            return self.csrs.look(number)

    def write_csrs(self, values: Iterable[tuple[int, int]]) -> bool:
        """See `HartBase`."""
        with self._as_machine_mode(asking=0):
            written = self.csrs.write_all(values)
        self._request_interrupts()
        return written

    @contextmanager
    def _as_machine_mode(self, *, asking: int) -> Iterator[None]:
        self.engine.window.load()
        privilege = self.words[PRIVILEGE]
        self.words[PRIVILEGE] = int(_M)
        self.slots[COUNT] += asking  # the CSRs take an instruction that reads for counted already
        try:
            yield
        finally:
            self.slots[COUNT] -= asking
            self.words[PRIVILEGE] = privilege
            self.engine.window.store()

    def flush_translations(self) -> None:
        """Forget cached translations, with the core stopped or in an exception."""
        self.engine.flush_tlb()

    @property
    def has_floats(self) -> bool:
        """See `HartBase`."""
        return bool(self.words[_STATUS] & _FS)

    @property
    def lines(self) -> int:
        """The bits of `mip` that devices hold up."""
        return self.csrs.lines

    def set_line(self, bit: int, level: bool) -> None:
        """Set the level of an interrupt line into `mip`; the core looks at it before its next block."""
        csrs, words = self.csrs, self.words
        csrs.lines = csrs.lines | bit if level else csrs.lines & ~bit
        if not level:
            words[_MIP] &= ~bit | csrs.pending
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

    def knows_no_interrupt(self) -> bool:
        """See `HartCore`."""
        pending = self.words[_MIP]
        return not (pending & self.words[_MIE] or self.csrs.lines & ~pending)

    def supervisor_timecmp(self) -> int:
        """What `mtime` is to reach for Sstc's timer interrupt; 2**64-1 while Sstc is off."""
        values = self.csrs.values
        return values[Csr.STIMECMP] if values[Csr.MENVCFG] & STCE else _ALL

    def set_supervisor_timecmp(self, time: int) -> None:
        """Write `stimecmp`, also in the middle of a run."""
        self.csrs.values[Csr.STIMECMP] = time
        self.platform.timer_written()

    def listening_changed(self, kind: type[Event]) -> None:
        """Have the core trap where only a trap shows that something happened."""
        window, listening = self.engine.window, self._listening
        window.load()
        if kind in ENTRIES_TOLD:
            self._offer_entries()
        elif kind is TrapReturned:
            self.csrs.force(NATIVE_TSR if kind in listening else 0)
        elif kind in (CsrWritten, OtherCsrWritten):
            for number, served in SERVED.items():
                self._model.set_kind(number, Kind.REFUSED if self.tells_of_csr(number) else served)
            self._serve_satp()
        elif kind in (AddressSpaceSwitched, PteWritten):
            self._serve_satp()
        window.store()

    def _offer_entries(self) -> None:
        """Have native code enter the handlers of S mode, unless somebody is to be told."""
        self.engine.serve_traps(entries_by=BY_CORE if self._listening.isdisjoint(ENTRIES_TOLD) else 0, returns=False)

    def features_switched(self) -> None:
        """See `emu.engine.Guest`."""
        self._serve_satp()

    def _serve_satp(self) -> None:
        """Have the core carry out writes of `satp`, but those that turn paging on: it would keep translations."""
        told = not self._listening.isdisjoint((AddressSpaceSwitched, CsrWritten, OtherCsrWritten, PteWritten))
        told = told or self.minds_stacks
        is_on = self.words[_SATP] >> SATP_MODE_SHIFT
        self._model.set_kind(Csr.SATP, Kind.CORE if is_on and not told else Kind.REFUSED)

    # Saving.

    @property
    def csr_values(self) -> memoryview:
        """See `HartBase`."""
        return self.csrs.values

    def save(self) -> object:
        """All state of the hart, for `restore`."""
        window = self.engine.window
        window.load()
        return (
            bytes(window.octets),
            self.csrs.save(),
            self.slots[COUNT],
            self.trap_chain,
        )

    def restore(self, state: object, *, forget_code: bool) -> None:
        """Return to a saved state, after memory has."""
        octets, csrs, count, self.trap_chain = cast("tuple[bytes, object, int, tuple[int, int]]", state)
        window = self.engine.window
        window.octets[:] = octets
        self.csrs.restore(csrs)
        window.store()
        self.slots[COUNT] = count
        self.between_blocks(self.words[PC])
        if forget_code:
            self.engine.forget_all_code()
        self.engine.translate_in_guest(not self.words[_SATP] >> SATP_MODE_SHIFT)
        self._request_interrupts()
        self.tables.restart()
        self._serve_satp()

    # What the CSRs ask of their hart.

    def status_written(self, old: int, new: int) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        if (old ^ new) & _TRANSLATION:
            self.engine.window.store()
            self.flush_translations()
        self._interrupts_changed = True

    def satp_written(self, old: int, new: int) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        self.engine.window.store()
        self.flush_translations()
        self.tables.entered(new)
        self.note_space(old, new)
        self._serve_satp()
        if AddressSpaceSwitched in self._listening:
            self.bus.emit(
                AddressSpaceSwitched(
                    instret=self.retired(), pc=VirtAddr(self.words[PC] - 4), privilege=self.privilege, old=old, new=new
                )
            )

    def protection_written(self) -> None:
        """Nothing is protected."""

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
        """Whether an instruction changed a floating-point register since FS was last written."""
        return bool(self.words[_STATUS] & FS_DIRTY == FS_DIRTY)
