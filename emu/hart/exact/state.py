"""State of the hart in fidelity `exact`: privilege, CSRs, interrupt lines, and what each change brings about."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from emu.address import PAGE_BITS, VirtAddr
from emu.engine.csrs import ModelCsrs
from emu.engine.csrs.layout import LINES, Kind
from emu.engine.traps.entries import BY_MODEL
from emu.engine.window import EXT_COUNTERS_BYTE, EXT_ICSR_BYTE, FFLAGS_BYTE, Word
from emu.events import (
    AddressSpaceSwitched,
    CsrWritten,
    Event,
    OtherCsrWritten,
    PteWritten,
    StaleTranslationUsed,
    TlbFilled,
    TrapReturned,
)
from emu.hart.core import HartCore
from emu.hart.counter_csrs import STCE
from emu.hart.csrfile import ADUE, CsrFile
from emu.hart.exact.contexts import Contexts
from emu.hart.exact.stale import StaleTranslations
from emu.hart.floats import riscv_flags, softfloat_flags
from emu.hart.words import COUNT, ENTRIES_TOLD, PC, PRIVILEGE
from emu.hints import TYPE_CHECKING, NamedTuple, cast
from emu.isa.csrs import Csr
from emu.isa.privilege import Privilege
from emu.isa.status import FS_DIRTY, PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN, Status
from emu.memory import Ram
from emu.mmu import AdUpdate
from emu.subscriptions import EventBus

if TYPE_CHECKING:
    from emu.hart.platform import Platform

_NATIVE_TRAPS = (1 << 20) | (1 << 29) | (1 << 30)  # the core has TW and TSR at other bits than the manual
_MSTATUS, _SATP, _MIP, _MIE = int(Csr.MSTATUS), int(Csr.SATP), int(Csr.MIP), int(Csr.MIE)
_FS, _MPRV, _MPP = int(Status.FS), int(Status.MPRV), int(Status.MPP)
_SUM, _MXR = int(Status.SUM), int(Status.MXR)
_SEEN = _SUM | _MXR
_TRANSLATION, _ENABLED = _MPRV | _MPP | _MXR | _SUM, int(Status.SIE | Status.MIE)
_NATIVE_STATUS, _FRM = Word.MSTATUS, Word.FRM
_ALL = (1 << 64) - 1
_U, _S, _M = Privilege.U, Privilege.S, Privilege.M


class Choices(NamedTuple):
    """What a configuration says of the hart."""

    modes: frozenset[int]
    """The modes of paging that `satp` takes, of PAGING_LEVELS."""
    ad_update: AdUpdate
    """Who sets the A and D bits of PTEs."""
    probes: str | None
    """Which probes the core has; None: the best that the host allows."""


class ExactState(HartCore):
    """Who the hart is: the model's privilege and CSRs, with as much of them in the core as execution needs."""

    def __init__(self, ram: Ram, bus: EventBus, platform: "Platform", choices: Choices) -> None:
        self._code: dict[int, int] = {}
        self._fences = 0
        """How many fences of native code `_code` knows of."""
        self._tells_of_fills = False
        super().__init__(ram, bus, platform, probes=choices.probes)
        self._ad_update = choices.ad_update
        self._model = model = ModelCsrs()
        self.csrs = CsrFile(self, model.values, choices.modes, has_adue=choices.ad_update is AdUpdate.SELECTED)
        self._values = self.csrs.values
        self._contexts = Contexts(self.engine.translations)
        self.stale = StaleTranslations(bus, self.tables.drop_translations)
        bus.add_source(StaleTranslationUsed, self.stale.start)
        self.supervisor_stands_for = _M
        window = self.engine.window
        window.load()
        if self.engine.is_native:
            model.serve(self.slots, Kind.REFUSED, _SERVED)
        window.octets[EXT_ICSR_BYTE] = model.is_served
        window.octets[EXT_COUNTERS_BYTE] = 0
        self._mirror()
        window.store()
        self.engine.translate_in_guest(True)
        self.engine.raise_refused()

    @property
    def ad_update(self) -> AdUpdate:
        """Who sets the A and D bits of PTEs now."""
        if self._ad_update is not AdUpdate.SELECTED:
            return self._ad_update
        return AdUpdate.HARDWARE if self._values[Csr.MENVCFG] & ADUE else AdUpdate.FAULT

    # Privilege.

    @property
    def _privilege(self) -> Privilege:
        """The model's: the core has U mode, and S mode for all else; native code changes from one to the other."""
        return self.supervisor_stands_for if self.words[PRIVILEGE] else _U

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""
        return self._privilege

    def set_privilege(self, privilege: Privilege) -> None:
        """Change the current privilege, outside of `run`."""
        self.engine.window.load()
        self._change_privilege(privilege)
        self.engine.window.store()

    def _change_privilege(self, privilege: Privilege) -> None:
        if privilege is not self._privilege:
            self._go_to(privilege)

    def _go_to(self, privilege: Privilege) -> None:
        """Change the current privilege, which is another."""
        self.words[PRIVILEGE] = 0 if privilege is _U else 1
        # M and S share the core's translations for S.
        if privilege is not self.supervisor_stands_for and privilege is not _U:
            self.supervisor_stands_for = privilege
            self._offer_traps()
            self._change_translations()
            for changed in self.stands_for_changed:
                changed()
        elif self._values[_MSTATUS] & _MPRV:
            self._change_translations()
        self._enter_context(privilege)

    def _offer_traps(self) -> None:
        """Have native code enter and leave the handlers of S mode while M mode does not execute, unless it is told."""
        is_possible, listening = self._model.is_served and self.supervisor_stands_for is _S, self._listening
        self.engine.serve_traps(
            entries_by=BY_MODEL if is_possible and listening.isdisjoint(ENTRIES_TOLD) else 0,
            returns=is_possible and listening.isdisjoint(_RETURNS_TOLD),
        )

    def _mirror(self) -> None:
        """Bring the core's privilege and status in line with the model, which begins in M mode."""
        self.words[PRIVILEGE] = 1
        self.words[_NATIVE_STATUS] = _NATIVE_TRAPS | (self._values[_MSTATUS] & _FS)

    def flush_translations(self) -> None:
        """Forget cached translations, with the core stopped or in an exception."""
        self.stale.fenced(None)
        self._contexts.forget()
        satp = self._values[_SATP]
        self.engine.translations.walk_from(
            (satp & SATP_PPN) << PAGE_BITS, PAGING_LEVELS.get(satp >> SATP_MODE_SHIFT, 0)
        )
        self._change_translations()
        self._enter_context(self._privilege)

    def ask_again(self) -> None:
        """See `HartCore`."""
        self._change_translations()

    def _change_translations(self) -> None:
        """Others hold for what the core knows by now; those of before will hold again."""
        self._code.clear()
        self.engine.translations.unmark()
        self.engine.flush_tlb()

    def _enter_context(self, privilege: Privilege) -> None:
        values = self._values
        if privilege is _M or not values[_SATP] or self._tells_of_fills:
            self._contexts.leave()  # without a page table, or with MPRV, or with each fill to be told
            return
        status = values[_MSTATUS] & _SEEN
        self._contexts.enter(privilege | status, privilege is _S and status & _SUM != 0)

    def interrupt_is_pending(self) -> bool:
        """Whether an enabled interrupt is pending, which ends `wfi` whatever `mstatus` says."""
        return bool(self.csrs.pending & self._values[Csr.MIE])

    def knows_no_interrupt(self) -> bool:
        """See `HartCore`."""
        values = self._values
        return not (values[_MIP] | values[LINES]) & values[_MIE]

    @property
    def has_floats(self) -> bool:
        """See `HartBase`."""
        return bool(self._values[_MSTATUS] & _FS)

    @property
    def lines(self) -> int:
        """The bits of `mip` that devices hold up."""
        return self.csrs.lines

    def supervisor_timecmp(self) -> int:
        """What `mtime` is to reach for Sstc's timer interrupt; 2**64-1 while Sstc is off."""
        return self._values[Csr.STIMECMP] if self._values[Csr.MENVCFG] & STCE else _ALL

    def set_supervisor_timecmp(self, time: int) -> None:
        """Write `stimecmp`, also in the middle of a run."""
        self._values[Csr.STIMECMP] = time
        self.platform.timer_written()

    @property
    def csr_values(self) -> memoryview:
        """See `HartBase`."""
        return self.csrs.values

    def save(self) -> object:
        """All state of the hart, for `restore`."""
        window = self.engine.window
        window.load()
        return (
            bytes(window.octets), self.csrs.save(), self._privilege, self.slots[COUNT], self.trap_chain,
        )  # fmt: skip

    def restore(self, state: object, *, forget_code: bool) -> None:
        """Return to a saved state, after memory has."""
        octets, csrs, privilege, count, self.trap_chain = cast("_State", state)
        window = self.engine.window
        window.octets[:] = octets
        window.store()
        self.csrs.restore(csrs)
        self._values = self.csrs.values
        self.supervisor_stands_for = privilege or _S
        self._offer_traps()
        self.slots[COUNT] = count
        self.between_blocks(self.words[PC])
        if forget_code:
            self.engine.forget_all_code()
        self.repeated_at = None
        self.protection_written()
        self.tables.restart()

    def set_line(self, bit: int, level: bool) -> None:
        """Set the level of an interrupt line into `mip`."""
        lines = self.csrs.lines
        self.csrs.lines = lines | bit if level else lines & ~bit

    def listening_changed(self, kind: type[Event]) -> None:
        """Every source passes through the model, unless a translation is given again, or native code serves a CSR."""
        if kind in (CsrWritten, OtherCsrWritten):
            for number, served in _SERVED.items():
                self._model.set_kind(number, Kind.REFUSED if self.tells_of_csr(number) else served)
            self.operations_changed()
            return
        if kind in _RETURNS_TOLD or kind in ENTRIES_TOLD:
            self._offer_traps()
        if kind is TrapReturned or kind in ENTRIES_TOLD:
            return
        self._tells_of_fills = TlbFilled in self._listening or PteWritten in self._listening
        self._enter_context(self._privilege)

    # What the CSRs ask of their hart.

    def status_written(self, old: int, new: int) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        words = self.words
        native = words[_NATIVE_STATUS]
        if native & _FS != new & _FS:
            words[_NATIVE_STATUS] = (native & ~_FS) | (new & _FS)
        changed = old ^ new
        if changed & _TRANSLATION and (
            (changed & _MPRV)
            or (changed & _MPP and new & _MPRV)
            or (changed & _MXR and old & _MXR)
            or (changed & _SUM and old & _SUM and self.engine.translations.marked)
        ):
            self._change_translations()  # what the new status forbids may be cached; what it allows cannot be
        if changed & (_SUM | _MXR):
            self._enter_context(self._privilege)
        if changed & new & _ENABLED:
            self._interrupts_changed = True

    def satp_written(self, old: int, new: int) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        self.flush_translations()
        self.tables.entered(new)
        self.note_space(old, new)
        if AddressSpaceSwitched in self._listening:
            self.bus.emit(
                AddressSpaceSwitched(
                    instret=self.retired(), pc=VirtAddr(self.words[PC] - 4), privilege=self._privilege, old=old, new=new
                )
            )

    @abstractmethod
    def operations_changed(self) -> None:
        """Forget how CSR instructions are carried out: they are to be told now, or no more."""

    @abstractmethod
    def protection_written(self) -> None:
        """See `emu.hart.csr_owner.CsrOwner`: cached translations are forgotten."""

    def read_csr(self, number: int) -> int | None:
        """The value of a CSR for the host, whatever the guest's privilege; None when there is no such CSR."""
        with self._as_machine_mode(asking=1):
            return self.csrs.look(number)

    def write_csrs(self, values: Iterable[tuple[int, int]]) -> bool:
        """See `HartBase`."""
        with self._as_machine_mode(asking=0):
            return self.csrs.write_all(values)

    @contextmanager
    def _as_machine_mode(self, *, asking: int) -> Iterator[None]:
        words = self.words
        self.engine.window.load()
        before = self.supervisor_stands_for, words[PRIVILEGE]
        self.supervisor_stands_for, words[PRIVILEGE] = _M, 1
        self.slots[COUNT] += asking  # the CSRs take an instruction that reads for counted already
        try:
            yield
        finally:
            self.supervisor_stands_for, words[PRIVILEGE] = before
            self.engine.window.store()
            self.slots[COUNT] -= asking

    def float_flags(self) -> int:
        """See `emu.hart.csr_owner.CsrOwner`."""
        return riscv_flags(self.engine.window.octets[FFLAGS_BYTE])

    def set_float_flags(self, value: int) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        self.engine.window.octets[FFLAGS_BYTE] = softfloat_flags(value)

    def rounding(self) -> int:
        """See `emu.hart.csr_owner.CsrOwner`."""
        return self.words[_FRM]

    def set_rounding(self, value: int) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        self.words[_FRM] = value

    def float_state_is_dirty(self) -> bool:
        """See `emu.hart.csr_owner.CsrOwner`."""
        return self.words[_NATIVE_STATUS] & _FS == FS_DIRTY


_SERVED: dict[int, Kind] = {
    Csr.SSTATUS: Kind.SSTATUS, Csr.SSCRATCH: Kind.PLAIN, Csr.SEPC: Kind.EVEN, Csr.SCAUSE: Kind.PLAIN,
    Csr.STVAL: Kind.PLAIN, Csr.TIME: Kind.TIME, Csr.FFLAGS: Kind.CORE, Csr.FRM: Kind.CORE, Csr.FCSR: Kind.CORE,
}  # fmt: skip
"""Whatever is not here has consequences, or belongs to M mode, which the core is never in."""
_RETURNS_TOLD: frozenset[type[Event]] = frozenset((TrapReturned, PteWritten))
"""Who listens to one of these is told by Python of `sret`, or of accesses by translations that are not fenced yet."""
_State = tuple[bytes, object, Privilege, int, tuple[int, int]]
