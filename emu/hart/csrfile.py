"""The CSRs of fidelity `exact`: what each reads, which values it takes (WARL), and who is told of a change."""

from collections.abc import Iterable
from functools import partial

from emu.engine.csrs.layout import LINES
from emu.hart.counter_csrs import COUNTERS, STCE, CounterCsrs
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
_READ_ONLY = 3
"""What the first two of the twelve bits of a number are where a CSR cannot be written (section 2.1)."""
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


_ZEROS = frozenset((
    Csr.MVENDORID, Csr.MARCHID, Csr.MIMPID, Csr.MHARTID, Csr.MCONFIGPTR,
    Csr.TSELECT, Csr.TDATA1, Csr.TDATA2, Csr.TDATA3,
    *MHPM_COUNTERS, *MHPM_EVENTS,
))  # fmt: skip
"""Read-only zero: there are no event counters and no triggers."""
_MASKS: dict[int, int] = {
    Csr.SSCRATCH: _ALL, Csr.MSCRATCH: _ALL, Csr.SCAUSE: _ALL, Csr.MCAUSE: _ALL, Csr.STVAL: _ALL, Csr.MTVAL: _ALL,
    Csr.SEPC: _ALL & ~1, Csr.MEPC: _ALL & ~1,  # with C instructions, bit 0 alone is always zero
    Csr.MEDELEG: DELEGABLE_EXCEPTIONS, _MCOUNTEREN: 0xFFFF_FFFF, _SCOUNTEREN: 0xFFFF_FFFF, Csr.SENVCFG: 1,
}  # fmt: skip
"""The bits that can be written of each CSR that is nothing but its value."""
_VECTORS = frozenset((Csr.STVEC, Csr.MTVEC))
_PMP = frozenset((*PMP_CONFIGS, *PMP_ADDRESSES))
_TOGETHER: dict[int, int] = {
    **{number: int(number) for number in (*_ZEROS, *_MASKS, *_VECTORS, *_PMP, Csr.MISA, _SATP)},
    **dict.fromkeys((_MSTATUS, Csr.SSTATUS), _MSTATUS),
    **dict.fromkeys((_MIE, Csr.SIE, _MIP, Csr.SIP, _MIDELEG), _MIE),
    **dict.fromkeys((Csr.FFLAGS, Csr.FRM, Csr.FCSR), int(Csr.FCSR)),
    **dict.fromkeys((*COUNTERS, _MCYCLE, _MINSTRET, _MCOUNTINHIBIT), _MCYCLE),
    **dict.fromkeys((_STIMECMP, _MENVCFG), _STIMECMP),
}
"""Whose rules are made together: each CSR, and one that stands for all of them."""


class CsrFile:
    """All CSRs: `values[number]` is the storage, `reader` and `writer` give the rules."""

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
        self.plain: dict[int, int] = {}
        """The bits that can be written of each CSR that is nothing but its value, and was asked for."""
        self._readers: dict[int, Read] = {}
        self._writers: dict[int, Write] = {}
        self._made: set[int] = set()

    # Rules are made when a CSR is first asked for: small machines ask for few, and each is an object or two.

    def reader(self, number: int) -> "Read | None":
        """What reads a CSR; None when there is none."""
        if number not in self._readers:
            self._know(number)
        return self._readers.get(number)

    def writer(self, number: int) -> "Write | None":
        """What writes a CSR; None when there is none, or none that can be written."""
        if number not in self._writers:
            self._know(number)
        return self._writers.get(number)

    def _know(self, number: int) -> None:
        together = _TOGETHER.get(number)
        if together is not None and together not in self._made:
            self._made.add(together)
            self._make(together)

    def _make(self, number: int) -> None:
        """Make the rules of a CSR, and of those that belong to it (`_TOGETHER`)."""
        if number in _MASKS:
            self._plain(number, _MASKS[number])
        elif number in _VECTORS:
            self._trap_vector(number)
        elif number in _PMP:
            self._readers[number], self._writers[number] = (
                partial(self.pmp.read, number),
                partial(self.pmp.write, number),
            )
        elif number in _ZEROS:
            self._readers[number], self._writers[number] = _zero, _ignore
        elif number == Csr.MISA:
            self._readers[number], self._writers[number] = lambda: MISA, _ignore
        elif number == _MCYCLE:
            self.counters.add_counters(self._readers, self._writers)
        elif number == _STIMECMP:
            self.counters.add_supervisor_timer(self._readers, self._writers)
        else:
            _OTHERS[number](self)

    def read(self, number: int) -> int | None:
        """The value of a CSR, or None when it does not exist or may not be read now."""
        reader = self.reader(number)
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
        writer = self.writer(number)
        return False if writer is None else writer(value & _ALL)

    def write_all(self, values: Iterable[tuple[int, int]]) -> bool:
        """Write several in their order, up to the first that is not there, is read-only, or may not be written now."""
        return all(number >> 10 != _READ_ONLY and self.write(number, value) for number, value in values)

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

    def _plain(self, number: int, mask: int) -> None:
        values = self.values

        def write(value: int) -> bool:
            values[number] = value & mask
            return True

        self.plain[number] = mask
        self._readers[number] = lambda: values[number]
        self._writers[number] = write

    def _trap_vector(self, number: int) -> None:
        values = self.values

        def write(value: int) -> bool:
            if not value & 2:  # modes: 0 direct, 1 vectored; the write of another has no effect, as on QEMU
                values[number] = value
            return True

        self._readers[number] = lambda: values[number]
        self._writers[number] = write

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
        self._readers[_MSTATUS] = self._status
        self._readers[Csr.SSTATUS] = lambda: self._status() & SSTATUS_READ
        self._writers[_MSTATUS] = lambda value: self._write_status(value, MSTATUS_WRITE)
        self._writers[Csr.SSTATUS] = lambda value: self._write_status(value, SSTATUS_WRITE)

    def _add_interrupts(self) -> None:
        values, owner = self.values, self._owner

        def change(number: int, mask: int, value: int) -> bool:
            values[number] = (values[number] & ~mask) | (value & mask)
            owner.interrupts_written()
            return True

        def written_by_m() -> int:
            return S_INTERRUPTS & ~STIP if values[_MENVCFG] & STCE else S_INTERRUPTS

        self._readers[_MIE] = lambda: values[_MIE]
        self._writers[_MIE] = lambda value: change(_MIE, ALL_INTERRUPTS, value)
        self._readers[Csr.SIE] = lambda: values[_MIE] & values[_MIDELEG]
        self._writers[Csr.SIE] = lambda value: change(_MIE, values[_MIDELEG], value)
        self._readers[_MIP] = lambda: self.pending
        self._writers[_MIP] = lambda value: change(_MIP, written_by_m(), value)
        self._readers[Csr.SIP] = lambda: self.pending & values[_MIDELEG]
        self._writers[Csr.SIP] = lambda value: change(_MIP, SSIP & values[_MIDELEG], value)
        self._readers[_MIDELEG] = lambda: values[_MIDELEG]
        self._writers[_MIDELEG] = lambda value: change(_MIDELEG, S_INTERRUPTS, value)

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

        self._readers[_SATP] = lambda: None if hidden() else self._satp()
        self._writers[_SATP] = write

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

        self._readers[Csr.FFLAGS] = lambda: owner.float_flags() if enabled() else None
        self._readers[Csr.FRM] = lambda: owner.rounding() if enabled() else None
        self._readers[Csr.FCSR] = lambda: owner.float_flags() | owner.rounding() << 5 if enabled() else None
        self._writers[Csr.FFLAGS] = lambda value: write(value, None)
        self._writers[Csr.FRM] = lambda value: write(None, value)
        self._writers[Csr.FCSR] = lambda value: write(value, value >> 5)


_OTHERS = {
    _MSTATUS: CsrFile._add_status, _MIE: CsrFile._add_interrupts, _SATP: CsrFile._add_translation,
    int(Csr.FCSR): CsrFile._add_float,
}  # fmt: skip
