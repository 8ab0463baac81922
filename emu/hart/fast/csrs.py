"""The CSRs of fidelity `fast`: by the model's rules, with those values that execution needs in the core's own state."""

from emu.engine.csrs.layout import FORCED, MOVED, MOVED_BY, NOT_OF_GUEST, Kind
from emu.engine.window import Word
from emu.hart.csrfile import CsrFile
from emu.hints import TYPE_CHECKING
from emu.isa.csrs import Csr
from emu.isa.status import FS_DIRTY, MPP_SHIFT, XLEN_64, Status

if TYPE_CHECKING:
    from emu.hart.csr_owner import CsrOwner, Write

_ALL = (1 << 64) - 1
_STATUS, _MIP, _SATP = Word.MSTATUS, Word.MIP, Word.SATP
_SD, _MPP = int(Status.SD), int(Status.MPP)

IN_CORE: dict[int, tuple[int, int]] = {
    Csr.SEPC: (Word.SEPC, _ALL & ~1),
    Csr.SCAUSE: (Word.SCAUSE, _ALL),
    Csr.STVAL: (Word.STVAL, _ALL),
    Csr.SSCRATCH: (Word.SSCRATCH, _ALL),
    Csr.MEPC: (Word.MEPC, _ALL & ~1),
    Csr.MCAUSE: (Word.MCAUSE, _ALL),
    Csr.MTVAL: (Word.MTVAL, _ALL),
    Csr.MSCRATCH: (Word.MSCRATCH, _ALL),
}
"""The word of each CSR that is nothing but its value, and the bits that can be written."""
_VECTORS: dict[int, int] = {Csr.STVEC: Word.STVEC, Csr.MTVEC: Word.MTVEC}
_COPIED = {
    Csr.MEDELEG: Word.MEDELEG, Csr.MIDELEG: Word.MIDELEG, Csr.MIE: Word.MIE,
    Csr.MCOUNTEREN: Word.MCOUNTEREN, Csr.SCOUNTEREN: Word.SCOUNTEREN,
}  # fmt: skip
"""What the model keeps and the core is told of."""
_TOLD: dict[int, tuple[int, ...]] = {
    Csr.MEDELEG: (Csr.MEDELEG,), Csr.MCOUNTEREN: (Csr.MCOUNTEREN,), Csr.SCOUNTEREN: (Csr.SCOUNTEREN,),
    Csr.MIE: (Csr.MIE, Csr.MIP, Csr.MIDELEG, Csr.SIE, Csr.SIP),
}  # fmt: skip
"""Whose writes tell it, by the CSR that they are made with."""
SERVED: dict[int, Kind] = {
    **dict.fromkeys((*IN_CORE, *_VECTORS), Kind.CORE),
    **dict.fromkeys((Csr.FFLAGS, Csr.FRM, Csr.FCSR, Csr.TIME), Kind.CORE),
    Csr.SEPC: Kind.EVEN_IN_CORE, Csr.MEPC: Kind.EVEN_IN_CORE,
    Csr.SSTATUS: Kind.STATUS_IN_CORE, Csr.MSTATUS: Kind.STATUS_IN_CORE,
}  # fmt: skip
"""What native code serves; all others are carried out here, also those that the core would have."""


class FastCsrs(CsrFile):
    """See the module."""

    def __init__(self, owner: "CsrOwner", words: memoryview, values: memoryview) -> None:
        """`words` are the core's state."""
        self._words = words
        super().__init__(owner, values)
        words[_STATUS] = XLEN_64

    def _make(self, number: int) -> None:
        if number in IN_CORE:
            self._in_core(number, *IN_CORE[number])
            return
        if number in _VECTORS:
            self._in_core(number, _VECTORS[number], _ALL, is_vector=True)
            return
        super()._make(number)
        for told in _TOLD.get(number, ()):
            self._writers[told] = self._told(self._writers[told])

    def restore(self, state: object) -> None:
        """See `CsrFile`; what the host forces stays."""
        forced = self.values[FORCED]
        super().restore(state)
        self.force(forced)

    def force(self, bits: int) -> None:
        """Keep bits of the core's own `mstatus` set, whatever the guest writes."""
        self.values[FORCED] = bits
        self._store_status(self._words[_STATUS] & NOT_OF_GUEST)

    def _in_core(self, number: int, word: int, mask: int, *, is_vector: bool = False) -> None:
        words, word = self._words, int(word)

        def write(value: int) -> bool:
            if not (is_vector and value & 2):  # modes: 0 direct, 1 vectored; the write of another has no effect
                words[word] = value & mask
            return True

        self._readers[number] = lambda: words[word]
        self._writers[number] = write

    def _told(self, write: "Write") -> "Write":
        words, values = self._words, self.values
        copies = [(int(number), int(word)) for number, word in _COPIED.items()]

        def write_and_tell(value: int) -> bool:
            done = write(value)
            for number, word in copies:
                words[word] = values[number]
            words[_MIP] = self.pending
            return done

        return write_and_tell

    def _status(self) -> int:
        status: int = self._words[_STATUS] & NOT_OF_GUEST
        return status | _SD if status & FS_DIRTY == FS_DIRTY else status

    def _store_status(self, status: int) -> None:
        self._words[_STATUS] = status & ~_SD | (status & MOVED) << MOVED_BY | self.values[FORCED]

    def _write_status(self, value: int, mask: int) -> bool:
        old = self._status() & ~_SD
        if mask & _MPP and (value >> MPP_SHIFT) & 3 == 2:  # no such mode: the field keeps its value
            mask &= ~_MPP
        new = (old & ~mask) | (value & mask)
        self._store_status(new)
        self._owner.status_written(old, new)
        return True

    def _make_floats_dirty(self) -> None:
        self._words[_STATUS] |= FS_DIRTY

    def _satp(self) -> int:
        return int(self._words[_SATP])

    def _store_satp(self, value: int) -> None:
        self._words[_SATP] = value
