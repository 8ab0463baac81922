"""The CSRs of fidelity `exact`: what each reads, which values it takes (WARL), and who is told of a change."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from emu.hart.pmp_csrs import PmpCsrs
from emu.isa.csrs import HPM_COUNTERS, MHPM_COUNTERS, MHPM_EVENTS, PMP_ADDRESSES, PMP_CONFIGS, Csr
from emu.isa.privilege import Privilege
from emu.isa.status import (
    ALL_INTERRUPTS,
    FS_DIRTY,
    FS_SHIFT,
    MPP_SHIFT,
    MSTATUS_WRITE,
    PAGING_LEVELS,
    S_INTERRUPTS,
    SATP_BARE,
    SATP_MODE_SHIFT,
    SSIP,
    SSTATUS_READ,
    SSTATUS_WRITE,
    STIP,
    XLEN_64,
    Status,
)

_ALL = (1 << 64) - 1
_FS, _SD, _TVM = int(Status.FS), int(Status.SD), int(Status.TVM)
MISA = (2 << 62) | sum(1 << (ord(letter) - ord("A")) for letter in "ACDFIMSU")
"""RV64 with A, C, D, F, I, M, S and U (section 3.1.1)."""
DELEGABLE_EXCEPTIONS = 0xB3FF
"""Everything but `ecall` from M mode and the reserved causes (section 3.1.8)."""
COUNTERS = {Csr.CYCLE: 0, Csr.TIME: 1, Csr.INSTRET: 2, **{number: number - 0xC00 for number in HPM_COUNTERS}}
"""User counters and their bit in `mcounteren` and `scounteren`."""
STCE = 1 << 63
"""`menvcfg.STCE`: `stimecmp` exists (Sstc)."""
_TIME_BIT = 1 << 1

Read = Callable[[], int | None]
"""None: the access is illegal at this moment."""
Write = Callable[[int], bool]
"""False: the access is illegal at this moment."""


class CsrOwner(Protocol):
    """What the CSRs need of the hart and its clock."""

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""

    def status_written(self, old: int, new: int) -> None:
        """`mstatus` changed (FS is always reported as it was and as it is)."""

    def satp_written(self, old: int, new: int) -> None:
        """`satp` was written."""

    def protection_written(self) -> None:
        """A PMP register changed."""

    def interrupts_written(self) -> None:
        """`mip`, `mie` or `mideleg` changed: an interrupt may have become due."""

    def timer_written(self) -> None:
        """`stimecmp` or what enables it changed."""

    def retired(self) -> int:
        """Instructions retired before the one that is executing."""

    def cycles(self) -> int:
        """Cycles passed, of the clock that the machine goes by."""

    def time_now(self) -> int:
        """`mtime`."""

    def float_flags(self) -> int:
        """`fflags` as it is in the core."""

    def set_float_flags(self, value: int) -> None:
        """Write `fflags` in the core."""

    def rounding(self) -> int:
        """`frm` as it is in the core."""

    def set_rounding(self, value: int) -> None:
        """Write `frm` in the core."""

    def float_state_is_dirty(self) -> bool:
        """Whether an instruction changed a floating-point register since FS was last written."""


class CsrFile:
    """All CSRs: `values[number]` is the storage, `readers` and `writers` are the rules."""

    def __init__(self, owner: CsrOwner, modes: frozenset[int] = frozenset(PAGING_LEVELS)) -> None:
        """`modes`: the paging modes that `satp` takes besides Bare."""
        self._owner = owner
        self._modes = modes | {SATP_BARE}
        self.values = values = [0] * 4096
        self.lines = 0
        """The bits of `mip` that devices hold up."""
        self._offsets: dict[int, int] = {Csr.MCYCLE: 0, Csr.MINSTRET: 0}
        """What to add to the instructions retired, since a counter was written."""
        values[Csr.MSTATUS] = XLEN_64
        values[Csr.MISA] = MISA
        self.readers: dict[int, Read] = {}
        self.writers: dict[int, Write] = {}
        self._add_plain()
        self._add_status()
        self._add_interrupts()
        self._add_translation()
        self.pmp = PmpCsrs(values, owner.protection_written)
        for number in (*PMP_CONFIGS, *PMP_ADDRESSES):
            self.readers[number] = partial(self.pmp.read, number)
            self.writers[number] = partial(self.pmp.write, number)
        self._add_counters()
        self._add_float()

    def read(self, number: int) -> int | None:
        """The value of a CSR, or None when it does not exist or may not be read now."""
        reader = self.readers.get(number)
        return None if reader is None else reader()

    def write(self, number: int, value: int) -> bool:
        """Write a CSR by its WARL rules; False when it does not exist or may not be written now."""
        writer = self.writers.get(number)
        return False if writer is None else writer(value & _ALL)

    @property
    def pending(self) -> int:
        """`mip`: what software set, and what devices hold up."""
        return self.values[Csr.MIP] | self.lines

    def save(self) -> object:
        """All values, for `restore`."""
        return list(self.values), self.lines, dict(self._offsets)

    def restore(self, state: object) -> None:
        """Return to saved values."""
        values, self.lines, offsets = cast("tuple[list[int], int, dict[int, int]]", state)
        self.values[:] = values
        self._offsets.update(offsets)

    def _plain(self, number: int, mask: int = _ALL) -> None:
        values = self.values

        def write(value: int) -> bool:
            values[number] = value & mask
            return True

        self.readers[number] = lambda: values[number]
        self.writers[number] = write

    def _constant(self, number: int, value: int = 0) -> None:
        def write(_value: int) -> bool:
            return True

        self.readers[number] = lambda: value
        self.writers[number] = write

    def _add_plain(self) -> None:
        for number in (Csr.SSCRATCH, Csr.MSCRATCH, Csr.SCAUSE, Csr.MCAUSE, Csr.STVAL, Csr.MTVAL):
            self._plain(number)
        for number in (Csr.SEPC, Csr.MEPC):
            self._plain(number, _ALL & ~1)  # with C instructions, bit 0 alone is always zero
        for number in (Csr.STVEC, Csr.MTVEC):
            self._plain(number, _ALL & ~2)  # modes: 0 direct, 1 vectored
        self._plain(Csr.MEDELEG, DELEGABLE_EXCEPTIONS)
        self._plain(Csr.MCOUNTEREN, 0xFFFF_FFFF)
        self._plain(Csr.SCOUNTEREN, 0xFFFF_FFFF)
        self._plain(Csr.SENVCFG, 1)
        self._constant(Csr.MISA, MISA)
        for number in (Csr.MVENDORID, Csr.MARCHID, Csr.MIMPID, Csr.MHARTID, Csr.MCONFIGPTR):
            self._constant(number)
        for number in (Csr.TSELECT, Csr.TDATA1, Csr.TDATA2, Csr.TDATA3):
            self._constant(number)
        for number in (*MHPM_COUNTERS, *MHPM_EVENTS):
            self._constant(number)  # no event counters: read-only zero

    def _status(self) -> int:
        value = self.values[Csr.MSTATUS]
        if value & _FS and self._owner.float_state_is_dirty():
            value |= FS_DIRTY
        return value | _SD if value & _FS == FS_DIRTY else value

    def _write_status(self, value: int, mask: int) -> bool:
        old = self._status() & ~_SD
        if (value >> MPP_SHIFT) & 3 == 2:  # no such mode: the field keeps its value
            mask &= ~int(Status.MPP)
        new = (old & ~mask) | (value & mask)
        self.values[Csr.MSTATUS] = new
        self._owner.status_written(old, new)
        return True

    def _add_status(self) -> None:
        self.readers[Csr.MSTATUS] = self._status
        self.readers[Csr.SSTATUS] = lambda: self._status() & SSTATUS_READ
        self.writers[Csr.MSTATUS] = lambda value: self._write_status(value, MSTATUS_WRITE)
        self.writers[Csr.SSTATUS] = lambda value: self._write_status(value, SSTATUS_WRITE)

    def _add_interrupts(self) -> None:
        values, owner = self.values, self._owner

        def change(number: int, mask: int, value: int) -> bool:
            values[number] = (values[number] & ~mask) | (value & mask)
            owner.interrupts_written()
            return True

        def written_by_m() -> int:
            return S_INTERRUPTS & ~STIP if values[Csr.MENVCFG] & STCE else S_INTERRUPTS

        self.readers[Csr.MIE] = lambda: values[Csr.MIE]
        self.writers[Csr.MIE] = lambda value: change(Csr.MIE, ALL_INTERRUPTS, value)
        self.readers[Csr.SIE] = lambda: values[Csr.MIE] & values[Csr.MIDELEG]
        self.writers[Csr.SIE] = lambda value: change(Csr.MIE, values[Csr.MIDELEG], value)
        self.readers[Csr.MIP] = lambda: self.pending
        self.writers[Csr.MIP] = lambda value: change(Csr.MIP, written_by_m(), value)
        self.readers[Csr.SIP] = lambda: self.pending & values[Csr.MIDELEG]
        self.writers[Csr.SIP] = lambda value: change(Csr.MIP, SSIP & values[Csr.MIDELEG], value)
        self.readers[Csr.MIDELEG] = lambda: values[Csr.MIDELEG]
        self.writers[Csr.MIDELEG] = lambda value: change(Csr.MIDELEG, S_INTERRUPTS, value)

    def _add_translation(self) -> None:
        values, owner = self.values, self._owner

        def hidden() -> bool:
            return owner.privilege == Privilege.S and bool(values[Csr.MSTATUS] & _TVM)

        def write(value: int) -> bool:
            if hidden():
                return False
            old = values[Csr.SATP]
            if value >> SATP_MODE_SHIFT in self._modes:  # a mode that is not there: the write has no effect
                values[Csr.SATP] = value
                owner.satp_written(old, value)
            return True

        self.readers[Csr.SATP] = lambda: None if hidden() else values[Csr.SATP]
        self.writers[Csr.SATP] = write

    def _add_counters(self) -> None:
        values, owner, offsets = self.values, self._owner, self._offsets
        frozen: dict[int, int] = {Csr.MCYCLE: 1, Csr.MINSTRET: 4}
        passed: dict[int, Callable[[], int]] = {Csr.MCYCLE: owner.cycles, Csr.MINSTRET: owner.retired}

        def counter(number: int) -> int:
            if values[Csr.MCOUNTINHIBIT] & frozen[number]:
                return values[number]
            return (passed[number]() + offsets[number]) & _ALL

        def set_counter(number: int, value: int) -> bool:
            values[number] = value
            # The write takes the place of the writing instruction's own increment (section 3.3.1).
            offsets[number] = value - passed[number]() - 1
            return True

        def inhibit(value: int) -> bool:
            current = {number: counter(number) for number in frozen}
            values[Csr.MCOUNTINHIBIT] = value & 5
            for number, at in current.items():
                values[number] = at
                offsets[number] = at - passed[number]()
            return True

        sources: dict[int, Callable[[], int]] = {
            Csr.CYCLE: lambda: counter(Csr.MCYCLE),
            Csr.TIME: owner.time_now,
            Csr.INSTRET: lambda: counter(Csr.MINSTRET),
        }
        for user in COUNTERS:
            self.readers[user] = self._gated(user, sources.get(user, lambda: 0))
        for number in frozen:
            self.readers[number] = lambda number=number: counter(number)  # type: ignore[misc]
            self.writers[number] = lambda value, number=number: set_counter(number, value)  # type: ignore[misc]
        self.readers[Csr.MCOUNTINHIBIT] = lambda: values[Csr.MCOUNTINHIBIT]
        self.writers[Csr.MCOUNTINHIBIT] = inhibit
        self._add_supervisor_timer()

    def _gated(self, number: int, source: Callable[[], int]) -> Read:
        """A user counter, which `mcounteren` and `scounteren` can take away (sections 3.1.11 and 4.1.5)."""
        values, owner, bit = self.values, self._owner, 1 << COUNTERS[number]

        def read() -> int | None:
            if owner.privilege != Privilege.M:
                enabled = values[Csr.MCOUNTEREN]
                if owner.privilege == Privilege.U:
                    enabled &= values[Csr.SCOUNTEREN]
                if not enabled & bit:
                    return None
            return source()

        return read

    def _add_supervisor_timer(self) -> None:
        values, owner = self.values, self._owner
        values[Csr.STIMECMP] = _ALL

        def hidden() -> bool:
            if owner.privilege == Privilege.M:
                return False
            return not (values[Csr.MENVCFG] & STCE and values[Csr.MCOUNTEREN] & _TIME_BIT)

        def write(value: int) -> bool:
            if hidden():
                return False
            values[Csr.STIMECMP] = value
            owner.timer_written()
            return True

        def configure(value: int) -> bool:
            values[Csr.MENVCFG] = value & (STCE | 1)
            owner.timer_written()
            return True

        self.readers[Csr.STIMECMP] = lambda: None if hidden() else values[Csr.STIMECMP]
        self.writers[Csr.STIMECMP] = write
        self.readers[Csr.MENVCFG] = lambda: values[Csr.MENVCFG]
        self.writers[Csr.MENVCFG] = configure

    def _add_float(self) -> None:
        owner, values = self._owner, self.values

        def enabled() -> bool:
            return bool(values[Csr.MSTATUS] & _FS)

        def dirty() -> None:
            old = values[Csr.MSTATUS]
            values[Csr.MSTATUS] = old | FS_DIRTY
            if old & _FS != 3 << FS_SHIFT:
                owner.status_written(old, old | FS_DIRTY)

        def write(flags: int | None, rounding: int | None) -> bool:
            if not enabled():
                return False
            dirty()
            if flags is not None:
                owner.set_float_flags(flags & 31)
            if rounding is not None:
                owner.set_rounding(rounding & 7)
            return True

        self.readers[Csr.FFLAGS] = lambda: owner.float_flags() if enabled() else None
        self.readers[Csr.FRM] = lambda: owner.rounding() if enabled() else None
        self.readers[Csr.FCSR] = lambda: owner.float_flags() | owner.rounding() << 5 if enabled() else None
        self.writers[Csr.FFLAGS] = lambda value: write(value, None)
        self.writers[Csr.FRM] = lambda value: write(None, value)
        self.writers[Csr.FCSR] = lambda value: write(value, value >> 5)
