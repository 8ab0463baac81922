"""The counters `cycle`, `time`, `instret` and their kin, and `stimecmp` (sections 3.1.10 to 3.1.12, Sstc)."""

from collections.abc import Callable
from functools import partial

from emu.hints import TYPE_CHECKING
from emu.isa.csrs import HPM_COUNTERS, Csr
from emu.isa.privilege import Privilege

if TYPE_CHECKING:
    from emu.hart.csr_owner import CsrOwner, Read, Write

_ALL = (1 << 64) - 1
_MENVCFG, _STIMECMP = int(Csr.MENVCFG), int(Csr.STIMECMP)
_MCYCLE, _MINSTRET, _MCOUNTINHIBIT = int(Csr.MCYCLE), int(Csr.MINSTRET), int(Csr.MCOUNTINHIBIT)
_MCOUNTEREN, _SCOUNTEREN = int(Csr.MCOUNTEREN), int(Csr.SCOUNTEREN)
_U, _M = Privilege.U, Privilege.M
COUNTERS = {Csr.CYCLE: 0, Csr.TIME: 1, Csr.INSTRET: 2, **{number: number - 0xC00 for number in HPM_COUNTERS}}
"""User counters and their bit in `mcounteren` and `scounteren`."""
STCE = 1 << 63
"""`menvcfg.STCE`: `stimecmp` exists (Sstc)."""
_TIME_BIT = 1 << 1


class CounterCsrs:
    """The counters, what enables them, and the timer of S mode."""

    def __init__(self, values: memoryview, owner: "CsrOwner", selectable: int) -> None:
        """`values` has a word for each number; `selectable`: what `menvcfg` has beside STCE and FIOM."""
        self._values, self._owner, self._selectable = values, owner, selectable
        self.offsets: dict[int, int] = {_MCYCLE: 0, _MINSTRET: 0}
        """What to add to the instructions retired, since a counter was written."""
        values[_STIMECMP] = _ALL

    def add_counters(self, readers: "dict[int, Read]", writers: "dict[int, Write]") -> None:
        """Add what reads and what writes each counter, and `mcountinhibit`, by number."""
        values, owner, offsets = self._values, self._owner, self.offsets
        frozen: dict[int, int] = {_MCYCLE: 1, _MINSTRET: 4}
        passed: dict[int, Callable[[], int]] = {_MCYCLE: owner.cycles, _MINSTRET: owner.retired}

        def counter(number: int) -> int:
            if values[_MCOUNTINHIBIT] & frozen[number]:
                return values[number]
            return (passed[number]() + offsets[number]) & _ALL

        def set_counter(number: int, value: int) -> bool:
            values[number] = value
            # The write takes the place of the writing instruction's own increment (section 3.3.1).
            offsets[number] = value - passed[number]() - 1
            return True

        def inhibit(value: int) -> bool:
            current = {number: counter(number) for number in frozen}
            values[_MCOUNTINHIBIT] = value & 5
            for number, at in current.items():
                values[number] = at
                offsets[number] = at - passed[number]()
            return True

        readers[Csr.CYCLE] = self._gated(Csr.CYCLE, lambda: counter(_MCYCLE))
        readers[Csr.TIME] = self._gated(Csr.TIME, owner.time_now)
        readers[Csr.INSTRET] = self._gated(Csr.INSTRET, lambda: counter(_MINSTRET))
        unused = self._unused
        for number in HPM_COUNTERS:
            readers[number] = partial(unused, 1 << COUNTERS[number])
        for number in frozen:
            readers[number] = lambda number=number: counter(number)  # type: ignore[misc]
            writers[number] = lambda value, number=number: set_counter(number, value)  # type: ignore[misc]
        readers[_MCOUNTINHIBIT] = lambda: values[_MCOUNTINHIBIT]
        writers[_MCOUNTINHIBIT] = inhibit

    def _gated(self, number: int, source: Callable[[], int]) -> "Read":
        """A user counter, which `mcounteren` and `scounteren` can take away (sections 3.1.11 and 4.1.5)."""
        bit, unused = 1 << COUNTERS[number], self._unused
        return lambda: None if unused(bit) is None else source()

    def _unused(self, bit: int) -> int | None:
        """A user counter that counts nothing."""
        privilege = self._owner.privilege
        if privilege != _M:
            enabled = self._values[_MCOUNTEREN]
            if privilege == _U:
                enabled &= self._values[_SCOUNTEREN]
            if not enabled & bit:
                return None
        return 0

    def add_supervisor_timer(self, readers: "dict[int, Read]", writers: "dict[int, Write]") -> None:
        """The same for `stimecmp` and `menvcfg`."""
        values, owner = self._values, self._owner

        def hidden() -> bool:
            if owner.privilege == _M:
                return False
            return not (values[_MENVCFG] & STCE and values[_MCOUNTEREN] & _TIME_BIT)

        def write(value: int) -> bool:
            if hidden():
                return False
            values[_STIMECMP] = value
            owner.timer_written()
            return True

        def configure(value: int) -> bool:
            values[_MENVCFG] = value & (STCE | self._selectable | 1)
            owner.timer_written()
            return True

        readers[_STIMECMP] = lambda: None if hidden() else values[_STIMECMP]
        writers[_STIMECMP] = write
        readers[_MENVCFG] = lambda: values[_MENVCFG]
        writers[_MENVCFG] = configure
