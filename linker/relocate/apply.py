"""Applies relocations: computes each value as the psABI's table says and puts it into its field."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.objects import leb128
from linker.objects.model import Section, SectionFlag, Special, SymbolType
from linker.objects.riscv import R
from linker.parts.symbols import LinkSymbol, place_of
from linker.relocate import fields
from linker.relocate.data import ADDENDS, STORES, clear_field
from linker.relocate.got import GOT_TYPES, key_of
from linker.relocate.lines import source_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from linker.objects.model import Relocation, Symbol
    from linker.parts.inputs import InputSection
    from linker.parts.symbols import SymbolTable
    from linker.relocate.got import GlobalOffsetTable, Key

_WORD = 0xFFFF_FFFF_FFFF_FFFF
_MAX_NOTES = 4
_RVC_LUI = 46

_SKIPPED = frozenset({R.NONE, R.RELAX, R.ALIGN, R.TPREL_ADD})
_HIGH = frozenset({R.PCREL_HI20, *GOT_TYPES})
_LOW = frozenset({R.PCREL_LO12_I, R.PCREL_LO12_S})
_JUMPS: dict[int, tuple[int, int, Callable[[int], int], int, str]] = {
    # type: bytes, bits of the offset, encoder, mask, reach in words
    R.BRANCH: (4, 13, fields.b_type, fields.MASK_B, "4 KiB"),
    R.JAL: (4, 21, fields.j_type, fields.MASK_J, "1 MiB"),
    R.RVC_BRANCH: (2, 9, fields.cb_type, fields.MASK_CB, "256 bytes"),
    R.RVC_JUMP: (2, 12, fields.cj_type, fields.MASK_CJ, "2 KiB"),
}
_LOWS: dict[int, tuple[Callable[[int], int], int]] = {
    R.LO12_I: (fields.i_type, fields.MASK_I),
    R.TPREL_LO12_I: (fields.i_type, fields.MASK_I),
    R.PCREL_LO12_I: (fields.i_type, fields.MASK_I),
    R.LO12_S: (fields.s_type, fields.MASK_S),
    R.TPREL_LO12_S: (fields.s_type, fields.MASK_S),
    R.PCREL_LO12_S: (fields.s_type, fields.MASK_S),
}
_AUIPC_TO_LUI = 0x0000_0020


class _Unusable(Exception):
    """The symbol of a relocation has no value; the error is noted."""


class _Discarded(Exception):
    """The symbol of a relocation lay in a section that is left out."""


@dataclass(slots=True)
class Relocator:
    """Relocates the sections of a link."""

    table: SymbolTable
    got: GlobalOffsetTable | None
    tls_base: int
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    known: dict[Symbol, int] = field(default_factory=dict)
    undefined: dict[str, list[tuple[InputSection, int]]] = field(default_factory=dict)

    def contents(self, section: InputSection) -> bytearray:
        """The final bytes of a section."""
        data = bytearray(section.contents())
        if section.relocations:
            _SectionRelocator(self, section, data).run()
        return data if section.merged is None else section.merged.finished(section, data)

    def finish(self) -> None:
        """Turn the undefined symbols that were met into errors, one for each symbol."""
        for name, places in self.undefined.items():
            notes = [located("also used here", *place, severity="note") for place in places[1 : _MAX_NOTES + 1]]
            if len(places) > _MAX_NOTES + 1:
                notes.append(Diagnostic(f"and at {len(places) - _MAX_NOTES - 1} more places", severity="note"))
            self.errors.append(replace(located(f"undefined symbol '{name}'", *places[0]), notes=tuple(notes)))

    def address(self, symbol: Symbol, user: InputSection | None = None, offset: int = 0) -> int:
        """The address of a symbol as an object sees it."""
        known = self.known.get(symbol)
        if known is None:
            known = self.known[symbol] = self._find(symbol, user, offset)
        return known

    def key_address(self, key: Key) -> int:
        """The address behind a key of the GOT."""
        if isinstance(key, LinkSymbol):
            if not key.defined:
                return 0
            return key.address
        return self.address(key)

    def _find(self, symbol: Symbol, user: InputSection | None, offset: int) -> int:
        entry = self.table.resolve(symbol)
        if entry is None:
            if symbol.section is Special.ABSOLUTE:
                return symbol.value
            if not isinstance(symbol.section, Section):
                return 0
            home = self.table.sections[symbol.section]
            if home.output is None:
                raise _Discarded
            if symbol.type == SymbolType.SECTION:
                return home.address + home.moved(symbol.value)
            return place_of(home, symbol.value)
        if not entry.defined:
            if entry.weak:
                return 0
            self._note_undefined(entry, user, offset)
            raise _Unusable
        if entry.home is not None and getattr(entry.home, "output", entry.home) is None:
            raise _Discarded
        return entry.address & _WORD

    def _note_undefined(self, entry: LinkSymbol, user: InputSection | None, offset: int) -> None:
        if user is not None:
            self.undefined.setdefault(entry.name, []).append((user, offset))


def located(message: str, section: InputSection, offset: int, *, severity: str = "error", hint: str = "") -> Diagnostic:
    """A finding at an offset of an object: at its source line if that is known, and always with object and section."""
    where = section.describe(offset)
    line = source_line(section, offset)
    if line is None:
        return Diagnostic(message, Location(where), severity, hint)
    return Diagnostic(f"{message}, in {where}", line, severity, hint)


class _SectionRelocator:
    def __init__(self, owner: Relocator, section: InputSection, data: bytearray) -> None:
        self.owner = owner
        self.section = section
        self.data = data
        self.base = section.address
        self.high: dict[int, int] = {}
        """The value of each high-part instruction, by its address."""
        self.unusable: set[int] = set()
        """Where high-part instructions are whose symbol has no value, which is said once, for both parts."""
        self.low: list[tuple[Relocation, int, int]] = []
        self.sets: dict[int, int] = {}

    def run(self) -> None:
        moved = self.section.moved if self.section.deleted_at else None
        for relocation in self.section.relocations:
            kind = relocation.type
            if kind in _SKIPPED:
                continue
            offset = relocation.offset if moved is None else moved(relocation.offset)
            try:
                self._one(relocation, kind, offset)
            except _Unusable:
                if kind in _HIGH:
                    self.unusable.add(self.base + offset)
            except _Discarded:
                self._clear(relocation, offset)
            except IndexError:
                self.error(relocation, "the relocation reaches beyond the end of its section")
        for relocation, offset, target in self.low:
            self._low_part(relocation, offset, target)

    def error(self, relocation: Relocation, message: str, hint: str = "") -> None:
        self.owner.errors.append(located(message, self.section, relocation.offset, hint=hint))

    def _one(self, relocation: Relocation, kind: int, offset: int) -> None:
        symbol = relocation.symbol
        target = relocation.addend
        if symbol is not None:
            target += self._symbol_address(relocation, symbol)
        if kind in STORES:
            self._store(offset, STORES[kind], target)
        elif kind in ADDENDS:
            width, sign = ADDENDS[kind]
            self._store(offset, width, self._load(offset, width) + sign * target)
        elif kind in _JUMPS:
            self._jump(relocation, kind, offset, target)
        elif kind in (R.CALL, R.CALL_PLT):
            self._call(relocation, offset, target)
        elif kind in _HIGH:
            self._high_part(relocation, kind, offset, target)
        elif kind in _LOW:
            self.low.append((relocation, offset, target - relocation.addend))
        else:
            self._other(relocation, kind, offset, target)

    def _symbol_address(self, relocation: Relocation, symbol: Symbol) -> int:
        """The symbol's address; the addend picks the string when the symbol is that of a merged section."""
        section = symbol.section
        if symbol.type == SymbolType.SECTION and isinstance(section, Section):
            home = self.owner.table.sections[section]
            if section.flags & SectionFlag.MERGE and home.merged is not None and home.output is not None:
                other, inside = home.merged.find(home, symbol.value + relocation.addend)
                return other.address + inside - relocation.addend
        if isinstance(section, Section) and not self._complains():
            # Debug information of a discarded copy describes the kept one.
            home = self.owner.table.sections[section]
            if home.kept is not None and home.kept.output is not None and self.section.name != ".eh_frame":
                return place_of(home.kept, symbol.value)
        try:
            known = self.owner.known.get(symbol)
            return self.owner.address(symbol, self.section, relocation.offset) if known is None else known
        except _Discarded:
            if self._complains():
                name = symbol.name or getattr(section, "name", "")
                self.error(relocation, f"'{name}' is used here, but its section was discarded")
                raise _Unusable from None
            raise

    def _complains(self) -> bool:
        name = self.section.name
        return self.section.is_alloc and not name.startswith((".eh_frame", ".gcc_except_table", ".stab"))

    def _is_read_by_the_program(self) -> bool:
        """Not what debuggers read: there a distance is cut off, as GNU ld does."""
        output = self.section.output
        return output is not None and output.alloc and self.section.name != ".eh_frame"

    def _clear(self, relocation: Relocation, offset: int) -> None:
        clear_field(self.data, offset, relocation.type, self.section.name)

    # Fields

    def _load(self, offset: int, width: int) -> int:
        if offset + width > len(self.data):
            raise IndexError
        return int.from_bytes(self.data[offset : offset + width], "little")

    def _store(self, offset: int, width: int, value: int) -> None:
        if offset + width > len(self.data):
            raise IndexError
        self.data[offset : offset + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")

    def _patch(self, offset: int, width: int, mask: int, bits: int) -> None:
        self._store(offset, width, self._load(offset, width) & ~mask | bits)

    # Kinds of relocation

    def _jump(self, relocation: Relocation, kind: int, offset: int, target: int) -> None:
        width, bits, encode, mask, reach = _JUMPS[kind]
        distance = _signed(target - self.base - offset)
        if not fields.fits(distance, bits) or distance & 1:
            hint = _farther(kind, self._load(offset, width), relocation.symbol.name if relocation.symbol else "TARGET")
            self._out_of_range(relocation, f"{distance:+#x} bytes away; this instruction reaches {reach}", hint)
            return
        self._patch(offset, width, mask, encode(distance))

    def _call(self, relocation: Relocation, offset: int, target: int) -> None:
        distance = _signed(target - self.base - offset)
        symbol = relocation.symbol
        entry = self.owner.table.resolve(symbol) if symbol is not None else None
        if entry is not None and not entry.defined:
            # A call of an undefined weak function goes to address 0, through x0.
            self._patch(offset + 4, 4, 0x1F << 15, 0)
            distance = relocation.addend
        if not fields.fits(fields.high_part(distance), 32):
            self._out_of_range(relocation, f"{distance:+#x} bytes away; a call reaches 2 GiB")
            return
        self._patch(offset, 4, fields.MASK_U, fields.u_type(distance))
        self._patch(offset + 4, 4, fields.MASK_I, fields.i_type(distance))

    def _high_part(self, relocation: Relocation, kind: int, offset: int, target: int) -> None:
        here = self.base + offset
        if kind != R.PCREL_HI20:
            assert self.owner.got is not None
            assert relocation.symbol is not None
            key = key_of(self.owner.table, relocation.symbol)
            target = self.owner.got.address(key, R(kind)) + relocation.addend
        distance = _signed(target - here)
        if not fields.fits(fields.high_part(distance), 32):
            if not fields.fits(fields.high_part(_signed(target)), 32):
                self.high[here] = distance
                hint = "compile with -mcmodel=medany, and keep all sections within 2 GiB"
                self._out_of_range(relocation, f"{distance:+#x} bytes away; auipc reaches 2 GiB", hint)
                return
            # Out of auipc's reach, as an undefined weak symbol at 0 is, but within that of lui.
            instruction = self._load(offset, 4)
            self._store(offset, 4, instruction | _AUIPC_TO_LUI)
            distance = _signed(target)
        self.high[here] = distance
        self._patch(offset, 4, fields.MASK_U, fields.u_type(distance))

    def _low_part(self, relocation: Relocation, offset: int, target: int) -> None:
        value = self.high.get(target)
        if value is None:
            if target in self.unusable:
                return
            message = f"{R(relocation.type).elf_name} names {target:#x}, where no instruction has the high part"
            self.error(relocation, message, "%pcrel_lo takes the label of the auipc, in the same section")
            return
        total = value + relocation.addend
        if fields.high_part(value) != fields.high_part(total):
            self.error(relocation, f"the offset {relocation.addend:+d} of %pcrel_lo changes the high part")
            return
        encode, mask = _LOWS[relocation.type]
        try:
            self._patch(offset, 4, mask, encode(total))
        except IndexError:
            self.error(relocation, "the relocation reaches beyond the end of its section")

    def _other(self, relocation: Relocation, kind: int, offset: int, target: int) -> None:
        if kind in (R.HI20, R.TPREL_HI20):
            value = _signed(target - (self.owner.tls_base if kind == R.TPREL_HI20 else 0))
            if not fields.fits(fields.high_part(value), 32):
                hint = "compile with -mcmodel=medany, or use la instead of lui and %hi"
                self._out_of_range(
                    relocation, f"at {target & _WORD:#x}; lui reaches the lowest and highest 2 GiB", hint
                )
                return
            self._patch(offset, 4, fields.MASK_U, fields.u_type(value))
        elif kind in _LOWS:
            thread_local = kind in (R.TPREL_LO12_I, R.TPREL_LO12_S)
            encode, mask = _LOWS[kind]
            self._patch(offset, 4, mask, encode(target - (self.owner.tls_base if thread_local else 0)))
        elif kind in (R.PCREL32, R.PLT32):
            distance = _signed(target - self.base - offset)
            if not fields.fits(distance, 32) and self._is_read_by_the_program():
                self._out_of_range(relocation, f"{distance:+#x} bytes away; the field has 32 bits")
                return
            self._store(offset, 4, distance)
        elif kind == R.SET6:
            self._patch(offset, 1, 0x3F, target & 0x3F)
        elif kind == R.SUB6:
            self._patch(offset, 1, 0x3F, (self._load(offset, 1) - target) & 0x3F)
        elif kind == R.SET_ULEB128:
            self.sets[offset] = target
        elif kind == R.SUB_ULEB128:
            self._uleb128(relocation, offset, self.sets.pop(offset, 0) - target)
        elif kind == _RVC_LUI:
            self._compressed_lui(relocation, offset, target)
        else:
            self.error(relocation, f"relocation type {kind} is not supported in a static link without relaxation")

    def _uleb128(self, relocation: Relocation, offset: int, value: int) -> None:
        length = leb128.read(self.data, offset, len(self.data))[1] - offset
        if length <= 0:
            raise IndexError
        if value < 0 or not fields.write_uleb128(self.data, offset, value, length):
            self.error(relocation, f"the difference {value:#x} does not fit into its {length} bytes of ULEB128")

    def _compressed_lui(self, relocation: Relocation, offset: int, target: int) -> None:
        high = fields.high_part(_signed(target)) >> 12
        if not fields.fits(high, 6) or high == 0:
            self._out_of_range(relocation, f"at {target:#x}; c.lui reaches 128 KiB")
            return
        self._patch(offset, 2, 0x107C, (high >> 5 & 1) << 12 | (high & 0x1F) << 2)

    def _out_of_range(self, relocation: Relocation, distance: str, hint: str = "") -> None:
        name = relocation.symbol.name if relocation.symbol is not None else ""
        what = f"'{name}'" if name else "the target"
        self.error(relocation, f"{R(relocation.type).elf_name} out of range: {what} is {distance}", hint)


def _farther(kind: int, instruction: int, name: str) -> str:
    """What to write instead of a jump or branch that does not reach its target."""
    if kind in (R.BRANCH, R.RVC_BRANCH):
        return f"branch on the opposite condition around a `tail {name}`, which reaches 2 GiB"
    register = instruction >> 7 & 31 if kind == R.JAL else 0
    if register > 1:
        return f"load the address (`la t1, {name}`) and jump to it (`jalr x{register}, t1`), which reaches 2 GiB"
    if register:
        return f"write `call {name}`, which reaches 2 GiB"
    return f"write `tail {name}`, which reaches 2 GiB; for a branch, branch on the opposite condition around it"


def _signed(value: int) -> int:
    value &= _WORD
    return value - (1 << 64) if value >> 63 else value
