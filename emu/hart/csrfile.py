"""The CSRs of fidelity `exact`: what each reads, which values it takes (WARL), and who is told of a change."""

from functools import cached_property, partial

from emu.engine.csrs.layout import LINES
from emu.hart.counter_csrs import STCE, CounterCsrs
from emu.hart.pmp_csrs import PmpCsrs
from emu.hints import TYPE_CHECKING, cast
from emu.isa.csrs import MHPM_COUNTERS, MHPM_EVENTS, PMP_ADDRESSES, PMP_CONFIGS, Csr
from emu.isa.privilege import Privilege
from emu.isa.status import (
    ALL_INTERRUPTS,
    FS_DIRTY,
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

if TYPE_CHECKING:
    from emu.hart.csr_owner import CsrOwner, Read, Write

_ALL = (1 << 64) - 1
_FS, _SD, _TVM, _MPP = int(Status.FS), int(Status.SD), int(Status.TVM), int(Status.MPP)
# Plain numbers and constants: looking a member up in its Enum takes longer than the rest of a CSR access.
_MSTATUS, _SATP, _MENVCFG, _STIMECMP = int(Csr.MSTATUS), int(Csr.SATP), int(Csr.MENVCFG), int(Csr.STIMECMP)
_MIE, _MIP, _MIDELEG = int(Csr.MIE), int(Csr.MIP), int(Csr.MIDELEG)
_MCYCLE, _MINSTRET, _MCOUNTINHIBIT = int(Csr.MCYCLE), int(Csr.MINSTRET), int(Csr.MCOUNTINHIBIT)
_MCOUNTEREN, _SCOUNTEREN = int(Csr.MCOUNTEREN), int(Csr.SCOUNTEREN)
_U, _S, _M = Privilege.U, Privilege.S, Privilege.M
MISA = (2 << 62) | sum(1 << (ord(letter) - ord("A")) for letter in "ACDFIMSU")
"""RV64 with A, C, D, F, I, M, S and U (section 3.1.1)."""
DELEGABLE_EXCEPTIONS = 0xB3FF
"""Everything but `ecall` from M mode and the reserved causes (section 3.1.8)."""
ADUE = 1 << 61
"""`menvcfg.ADUE`: the page walk sets A and D (Svadu)."""


def _zero() -> int:
    return 0


def _ignore(_value: int) -> bool:
    return True


_ZEROS = (
    Csr.MVENDORID, Csr.MARCHID, Csr.MIMPID, Csr.MHARTID, Csr.MCONFIGPTR,
    Csr.TSELECT, Csr.TDATA1, Csr.TDATA2, Csr.TDATA3,
    *MHPM_COUNTERS, *MHPM_EVENTS,
)  # fmt: skip
"""Read-only zero: there are no event counters and no triggers."""
_CONSTANT: "dict[int, Read]" = dict.fromkeys(_ZEROS, _zero)
_IGNORING: "dict[int, Write]" = dict.fromkeys((*_ZEROS, Csr.MISA), _ignore)


class CsrFile:
    """All CSRs: `values[number]` is the storage, `readers` and `writers` are the rules."""

    def __init__(
        self,
        owner: "CsrOwner",
        values: memoryview,
        modes: frozenset[int] = frozenset(PAGING_LEVELS),
        *,
        has_adue: bool = False,
    ) -> None:
        """`values` has a word for each number; `modes`: the paging modes that `satp` takes besides Bare.

        `has_adue`: whether `menvcfg` has ADUE.
        """
        self._owner = owner
        self._modes = modes | {SATP_BARE}
        self.values = values
        values[_MSTATUS] = XLEN_64
        values[Csr.MISA] = MISA
        self.pmp = PmpCsrs(values, owner.protection_written)
        self.counters = CounterCsrs(values, owner, ADUE if has_adue else 0)

    # The rules are made when the first CSR is asked for: many small machines never do, and each costs them an object.

    @cached_property
    def plain(self) -> "dict[int, int]":
        """The bits that can be written of each CSR that is nothing but its value."""
        self._make_rules()
        return self.plain

    @cached_property
    def readers(self) -> "dict[int, Read]":
        """What reads each CSR."""
        self._make_rules()
        return self.readers

    @cached_property
    def writers(self) -> "dict[int, Write]":
        """What writes each CSR."""
        self._make_rules()
        return self.writers

    def _make_rules(self) -> None:
        self.plain, self.readers, self.writers = {}, dict(_CONSTANT), dict(_IGNORING)
        self.readers[Csr.MISA] = lambda: MISA
        self._add_plain()
        self._add_status()
        self._add_interrupts()
        self._add_translation()
        read, write = self.pmp.read, self.pmp.write
        for number in (*PMP_CONFIGS, *PMP_ADDRESSES):
            self.readers[number] = partial(read, number)
            self.writers[number] = partial(write, number)
        self.counters.add_to(self.readers, self.writers)
        self._add_float()

    def read(self, number: int) -> int | None:
        """The value of a CSR, or None when it does not exist or may not be read now."""
        reader = self.readers.get(number)
        return None if reader is None else reader()

    def look(self, number: int) -> int | None:
        """The same for the host, which may look at floating point also while it is off."""
        owner = self._owner
        if number == Csr.FFLAGS:
            return owner.float_flags()
        if number == Csr.FRM:
            return owner.rounding()
        return owner.float_flags() | owner.rounding() << 5 if number == Csr.FCSR else self.read(number)

    def write(self, number: int, value: int) -> bool:
        """Write a CSR by its WARL rules; False when it does not exist or may not be written now."""
        writer = self.writers.get(number)
        return False if writer is None else writer(value & _ALL)

    @property
    def lines(self) -> int:
        """The bits of `mip` that devices hold up."""
        return self.values[LINES]

    @lines.setter
    def lines(self, bits: int) -> None:
        self.values[LINES] = bits

    @property
    def pending(self) -> int:
        """`mip`: what software set, and what devices hold up."""
        return self.values[_MIP] | self.values[LINES]

    def save(self) -> object:
        """All values, for `restore`."""
        return self.values.tobytes(), dict(self.counters.offsets)

    def restore(self, state: object) -> None:
        """Return to saved values."""
        values, offsets = cast("tuple[bytes, dict[int, int]]", state)
        self.values.cast("B")[:] = values
        self.counters.offsets.update(offsets)

    def _plain(self, number: int, mask: int = _ALL) -> None:
        values, number = self.values, int(number)

        def write(value: int) -> bool:
            values[number] = value & mask
            return True

        self.plain[number] = mask
        self.readers[number] = lambda: values[number]
        self.writers[number] = write

    def _trap_vector(self, number: int) -> None:
        values = self.values

        def write(value: int) -> bool:
            if not value & 2:  # modes: 0 direct, 1 vectored; the write of another has no effect, as on QEMU
                values[number] = value
            return True

        self.readers[number] = lambda: values[number]
        self.writers[number] = write

    def _add_plain(self) -> None:
        for number in (Csr.SSCRATCH, Csr.MSCRATCH, Csr.SCAUSE, Csr.MCAUSE, Csr.STVAL, Csr.MTVAL):
            self._plain(number)
        for number in (Csr.SEPC, Csr.MEPC):
            self._plain(number, _ALL & ~1)  # with C instructions, bit 0 alone is always zero
        for number in (Csr.STVEC, Csr.MTVEC):
            self._trap_vector(number)
        self._plain(Csr.MEDELEG, DELEGABLE_EXCEPTIONS)
        self._plain(_MCOUNTEREN, 0xFFFF_FFFF)
        self._plain(_SCOUNTEREN, 0xFFFF_FFFF)
        self._plain(Csr.SENVCFG, 1)

    def _status(self) -> int:
        value = self.values[_MSTATUS]
        floats = value & _FS
        if floats and (floats == FS_DIRTY or self._owner.float_state_is_dirty()):
            return value | FS_DIRTY | _SD
        return value

    def _write_status(self, value: int, mask: int) -> bool:
        old = self._status() & ~_SD
        if mask & _MPP and (value >> MPP_SHIFT) & 3 == 2:  # no such mode: the field keeps its value
            mask &= ~_MPP
        self.values[_MSTATUS] = new = (old & ~mask) | (value & mask)
        self._owner.status_written(old, new)
        return True

    def _add_status(self) -> None:
        self.readers[_MSTATUS] = self._status
        self.readers[Csr.SSTATUS] = lambda: self._status() & SSTATUS_READ
        self.writers[_MSTATUS] = lambda value: self._write_status(value, MSTATUS_WRITE)
        self.writers[Csr.SSTATUS] = lambda value: self._write_status(value, SSTATUS_WRITE)

    def _add_interrupts(self) -> None:
        values, owner = self.values, self._owner

        def change(number: int, mask: int, value: int) -> bool:
            values[number] = (values[number] & ~mask) | (value & mask)
            owner.interrupts_written()
            return True

        def written_by_m() -> int:
            return S_INTERRUPTS & ~STIP if values[_MENVCFG] & STCE else S_INTERRUPTS

        self.readers[_MIE] = lambda: values[_MIE]
        self.writers[_MIE] = lambda value: change(_MIE, ALL_INTERRUPTS, value)
        self.readers[Csr.SIE] = lambda: values[_MIE] & values[_MIDELEG]
        self.writers[Csr.SIE] = lambda value: change(_MIE, values[_MIDELEG], value)
        self.readers[_MIP] = lambda: self.pending
        self.writers[_MIP] = lambda value: change(_MIP, written_by_m(), value)
        self.readers[Csr.SIP] = lambda: self.pending & values[_MIDELEG]
        self.writers[Csr.SIP] = lambda value: change(_MIP, SSIP & values[_MIDELEG], value)
        self.readers[_MIDELEG] = lambda: values[_MIDELEG]
        self.writers[_MIDELEG] = lambda value: change(_MIDELEG, S_INTERRUPTS, value)

    def _satp(self) -> int:
        return int(self.values[_SATP])

    def _store_satp(self, value: int) -> None:
        self.values[_SATP] = value

    def _add_translation(self) -> None:
        owner = self._owner

        def hidden() -> bool:
            return owner.privilege == _S and bool(self._status() & _TVM)

        def write(value: int) -> bool:
            if hidden():
                return False
            old = self._satp()
            if value >> SATP_MODE_SHIFT in self._modes:  # a mode that is not there: the write has no effect
                self._store_satp(value)
                owner.satp_written(old, value)
            return True

        self.readers[_SATP] = lambda: None if hidden() else self._satp()
        self.writers[_SATP] = write

    def _make_floats_dirty(self) -> None:
        old = self.values[_MSTATUS]
        self.values[_MSTATUS] = old | FS_DIRTY
        if old & _FS != FS_DIRTY:
            self._owner.status_written(old, old | FS_DIRTY)

    def _add_float(self) -> None:
        owner = self._owner

        def enabled() -> bool:
            return bool(self._status() & _FS)

        def write(flags: int | None, rounding: int | None) -> bool:
            if not enabled():
                return False
            self._make_floats_dirty()
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
