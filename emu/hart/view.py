"""The hart as users see it: registers by number and name."""

from collections.abc import Callable, Iterator, Sequence

from emu.address import VirtAddr
from emu.engine.window import StateWindow, Word
from emu.errors import SymbolError
from emu.hart.core import HartCore
from emu.hints import overload
from emu.isa.csrs import csr_number
from emu.isa.privilege import Privilege
from emu.isa.registers import FLOAT_NUMBERS, REGISTER_NUMBERS

_ALL = (1 << 64) - 1
Note = Callable[[str, int, int], bool]
"""Asked before a register is written: its kind, number and new value; False means that it is not to be done."""


def _write_all(_kind: str, _number: int, _value: int) -> bool:
    return True


class Registers(Sequence[int]):
    """Thirty-two 64-bit registers, unsigned, by number or name; a slice gives a tuple."""

    def __init__(self, window: StateWindow, first: int, names: dict[str, int], *, zero: bool, note: Note) -> None:
        self._window, self._first, self._names, self._zero = window, first, names, zero
        self._note = note

    def __len__(self) -> int:
        return 32

    def __iter__(self) -> Iterator[int]:
        return iter(self[:])

    @overload
    def __getitem__(self, key: int | str) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[int, ...]: ...
    def __getitem__(self, key: int | str | slice) -> int | tuple[int, ...]:
        if isinstance(key, slice):
            return tuple(self._window.words[self._first : self._first + 32][key])
        return int(self._window.words[self._first + self._number(key)])

    def __setitem__(self, key: int | str, value: int) -> None:
        number = self._number(key)
        if (number or not self._zero) and self._note("x" if self._zero else "f", number, value & _ALL):
            self._window.words[self._first + number] = value & _ALL
            self._window.store()

    def _number(self, key: int | str) -> int:
        number = self._names.get(key, -1) if isinstance(key, str) else key
        if not 0 <= number < 32:
            raise SymbolError(f"there is no register {key!r}; give a number from 0 to 31 or a name such as a0 or x10")
        return number


class Csrs:
    """CSRs by number or name; writing follows their WARL rules, as M mode would."""

    def __init__(self, core: HartCore, note: Note) -> None:
        self._core, self._note = core, note

    def __getitem__(self, key: int | str) -> int:
        value = self._core.read_csr(_csr(key))
        if value is None:
            raise SymbolError(f"this hart has no CSR {key!r}")
        return value

    def __setitem__(self, key: int | str, value: int) -> None:
        number = _csr(key)
        if not self._note("csr", number, value):
            return
        if not self._core.write_csr(number, value):
            raise SymbolError(f"this hart has no CSR {key!r} that can be written")


class Hart:
    """One hart: `x` and `f` registers, `pc`, `privilege`, `csr`.

    `hart.x["a0"]`, `hart.x[10]`, `hart.csr["satp"]`, `hart.pc`.
    """

    def __init__(self, core: HartCore, note: Note = _write_all) -> None:
        window = core.engine.window
        self._core, self._window, self._note = core, window, note
        self.x = Registers(window, Word.X0, REGISTER_NUMBERS, zero=True, note=note)
        self.f = Registers(window, Word.F0, FLOAT_NUMBERS, zero=False, note=note)
        """Their 64 bits; a single-precision value has ones above."""
        self.csr = Csrs(core, note)

    @property
    def pc(self) -> VirtAddr:
        """The next instruction to execute; in a callback, the one that executes."""
        return VirtAddr(self._window.words[Word.PC])

    @pc.setter
    def pc(self, address: int) -> None:
        if self._note("pc", 0, address & _ALL):
            self._window.words[Word.PC] = address & _ALL
            self._window.store()

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""
        return self._core.privilege

    @privilege.setter
    def privilege(self, privilege: Privilege) -> None:
        if self._note("privilege", 0, int(Privilege(privilege))):
            self._core.set_privilege(Privilege(privilege))


def _csr(key: int | str) -> int:
    try:
        return csr_number(key)
    except KeyError:
        raise SymbolError(f"there is no CSR {key!r}; names are the manual's, for example mstatus") from None
