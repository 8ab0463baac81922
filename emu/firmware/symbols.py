"""The symbols of an image: addresses by name, names by address, functions by pattern."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cached_property

from emu.address import VirtAddr
from emu.errors import SymbolError
from emu.lateclass import dataclass, field


class SymbolKind(Enum):
    """What a symbol names (ELF gABI, symbol types)."""

    FUNCTION = "function"
    OBJECT = "object"
    LABEL = "label"
    """An address without a type: a label of an assembly file, or a mark that a linker script sets."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name for an address."""

    name: str
    """As in the file; Rust names are mangled there, see `label`."""
    address: VirtAddr
    size: int
    """Bytes, 0 when the file does not say."""
    kind: SymbolKind
    is_global: bool = True
    limit: int = field(default=0, repr=False)
    """The first address after its section; 0 for a symbol outside every section (an absolute value)."""

    @property
    def label(self) -> str:
        """The name as a person reads it.

        >>> Symbol("_ZN4core3fmt5write17h0123456789abcdefE", VirtAddr(0), 0, SymbolKind.FUNCTION).label
        'core::fmt::write'
        """
        return readable_name(self.name)


SECTION_MARKS = frozenset(
    {"skernel", "ekernel", "stext", "etext", "srodata", "erodata", "sdata", "edata", "sbss", "ebss", "end"}
    | {"_text", "_stext", "_etext", "_sdata", "_edata", "_end", "__bss_start", "__bss_stop"}
    | {"__DATA_BEGIN__", "__SDATA_BEGIN__", "__BSS_END__", "__global_pointer$"}
)
"""Names by which linker scripts mark the borders of sections: they name a place only if nothing else does."""

_ORDER = {SymbolKind.FUNCTION: 0, SymbolKind.OBJECT: 1, SymbolKind.LABEL: 2}

_IGNORED = "$", ".L", "L0\x01"
"""How mapping symbols (`$x`, `$d`: psABI, section 8.7) and assembler-local labels begin."""
_MANGLED = "_ZN"
"""How legacy-mangled names of Rust begin."""
_RUST_PART = r"[1-9]\d{0,3}"
_RUST_HASH = r"h[0-9a-f]{16}$"
_RUST_ESCAPES = {
    "$LT$": "<", "$GT$": ">", "$LP$": "(", "$RP$": ")", "$C$": ",", "$RF$": "&", "$BP$": "*", "$u20$": " ",
    "$u7b$": "{", "$u7d$": "}", "$u5b$": "[", "$u5d$": "]", "$u27$": "'", "$u3b$": ";", "$u2b$": "+", "$u22$": '"',
    "..": "::",
}  # fmt: skip
_WILDCARDS = "*?["
_PART_BITS = 16
"""Symbols whose addresses are equal but for so many bits are put in order together."""
_SUGGESTIONS = 3


def readable_name(name: str) -> str:
    """A legacy-mangled Rust name as a path without its hash; any other name as it is.

    >>> readable_name("_ZN6kernel2mm13frame_dealloc17h00112233aabbccddE")
    'kernel::mm::frame_dealloc'
    >>> readable_name("frame_alloc")
    'frame_alloc'
    """
    if not name.startswith(_MANGLED):
        return name
    import re  # other kernels than Rust's have no use for it

    parts, at = [], 3
    part = re.compile(_RUST_PART)
    while number := part.match(name, at):
        at = number.end() + int(number[0])
        parts.append(name[number.end() : at])
    if not parts or not re.match(_RUST_HASH, parts.pop()) or name[at : at + 1] != "E":
        return name
    path = "::".join(part.removeprefix("_") if part.startswith("_$") else part for part in parts)
    for escape, plain in _RUST_ESCAPES.items():
        path = path.replace(escape, plain)
    return path


def _rank(symbol: Symbol) -> tuple[bool, int, bool, int]:
    """The lower, the better is its name for its address."""
    return symbol.name in SECTION_MARKS, _ORDER[symbol.kind], not symbol.is_global, -symbol.size


class _Starts:
    """Symbols that may name an address, the best for each start address: found by bisection.

    They are kept in parts of the address space; one is put in order when it is first asked for.
    """

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        parts: defaultdict[int, list[Symbol]] = defaultdict(list)
        for symbol in symbols:
            parts[symbol.address >> _PART_BITS].append(symbol)
        self._parts, self._numbers = parts, sorted(parts)
        self._ordered: dict[int, tuple[list[int], list[Symbol]]] = {}

    def all(self) -> list[Symbol]:
        """The best for each address, by address."""
        return [symbol for number in self._numbers for symbol in self._part(number)[1]]

    def before(self, address: int) -> Symbol | None:
        """The symbol with the highest start at or below `address`, the best of those that start there."""
        place = bisect_right(self._numbers, address >> _PART_BITS)
        for number in reversed(self._numbers[max(place - 2, 0) : place]):
            starts, symbols = self._part(number)
            index = bisect_right(starts, address) - 1
            if index >= 0:
                return symbols[index]
        return None

    def _part(self, number: int) -> tuple[list[int], list[Symbol]]:
        """Its start addresses in order, and the symbol for each."""
        ordered = self._ordered.get(number)
        if ordered is None:
            best: dict[int, Symbol] = {}
            for symbol in self._parts[number]:
                other = best.setdefault(int(symbol.address), symbol)
                if other is not symbol and _rank(symbol) < _rank(other):
                    best[int(symbol.address)] = symbol
            starts = sorted(best)
            ordered = self._ordered[number] = starts, [best[start] for start in starts]
        return ordered


class Symbols:
    """The symbol table of an image.

    >>> table = Symbols([Symbol("frame_alloc", VirtAddr(0x80200100), 0x40, SymbolKind.FUNCTION, limit=0x80201000)])
    >>> symbol, offset = table.at(0x80200108)
    >>> symbol.name, offset
    ('frame_alloc', 8)
    >>> table.lookup("frame_aloc")
    Traceback (most recent call last):
    ...
    emu.errors.SymbolError: no symbol 'frame_aloc' in the image; did you mean frame_alloc?
    """

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        self._symbols = [symbol for symbol in symbols if symbol.name and not symbol.name.startswith(_IGNORED)]

    def __len__(self) -> int:
        return len(self._symbols)

    def __iter__(self) -> Iterator[Symbol]:
        return iter(self._symbols)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._by_name

    def lookup(self, name: str) -> Symbol:
        """The symbol of this name, mangled or readable; a global one wins over local ones.

        Raises SymbolError when there is none, with the nearest names, or when local symbols of this name
        stand at several addresses.
        """
        found = self._by_name.get(name)
        if found is None:
            import difflib  # only a mistake needs it

            near = difflib.get_close_matches(name, self._by_name, _SUGGESTIONS)
            hint = f"did you mean {', '.join(near)}?" if near else self._inventory()
            raise SymbolError(f"no symbol '{name}' in the image; {hint}")
        if len(found) == 1:
            return found[0]
        chosen = [symbol for symbol in found if symbol.is_global] or found
        addresses = sorted({symbol.address for symbol in chosen})
        if len(addresses) > 1:
            places = ", ".join(str(address) for address in addresses)
            raise SymbolError(f"'{name}' names {len(addresses)} local symbols, at {places}; use an address instead")
        return chosen[0]

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """The symbol that holds `address` and the offset into it, or None.

        A symbol with a size that covers the address wins; else the nearest label below in the same section,
        where a function wins over a label and a label over a section mark. What lies behind the end of a function and
        of no label since is named by the function: code that has run on where nothing stands.
        """
        sized = self._sized.before(address)
        if sized is not None and address < sized.address + sized.size:
            return sized, int(address) - int(sized.address)
        label = self._unsized.before(address)
        if sized is not None and sized.kind is SymbolKind.FUNCTION and address < sized.limit:
            label = sized if label is None or label.address < sized.address else label
        if label is not None and address < label.limit:
            return label, int(address) - int(label.address)
        return None

    def functions(self) -> list[Symbol]:
        """The functions, by address; an address that has several names gives its first one."""
        found = [symbol for symbol in self._symbols if symbol.limit and symbol.kind is SymbolKind.FUNCTION]
        return _Starts(found).all()

    def matching(self, pattern: str) -> list[Symbol]:
        """The functions whose name matches a shell pattern (`frame_*`); a plain name may be of any symbol.

        A plain name that no symbol has stands for the Rust functions whose path ends with it. Raises SymbolError when
        nothing matches, with the nearest names.
        """
        if pattern in self._by_name:
            return [self.lookup(pattern)]
        if not any(wildcard in pattern for wildcard in _WILDCARDS):
            ending = f"::{pattern}"
            return [symbol for symbol in self.functions() if symbol.label.endswith(ending)] or [self.lookup(pattern)]
        import fnmatch  # which loads `re`: a run that names no functions does without

        found = [
            symbol
            for symbol in self.functions()
            if fnmatch.fnmatchcase(symbol.name, pattern) or fnmatch.fnmatchcase(symbol.label, pattern)
        ]
        if not found:
            import difflib  # as above

            ends = {symbol.label.rpartition("::")[2]: symbol.label for symbol in self.functions()}
            wanted = pattern.rpartition("::")[2].translate(dict.fromkeys(map(ord, _WILDCARDS)))
            near = [ends[end] for end in difflib.get_close_matches(wanted, ends, _SUGGESTIONS)]
            hint = f"did you mean {', '.join(near)}?" if near else self._inventory()
            raise SymbolError(f"no function matches '{pattern}'; {hint}")
        return found

    def named(self, name: str) -> list[Symbol]:
        """The symbols of this name that name an address, or the global ones of them; none when there is none."""
        found = [symbol for symbol in self._by_name.get(name, ()) if symbol.limit]
        return [symbol for symbol in found if symbol.is_global] or found

    def _inventory(self) -> str:
        if not self._symbols:
            return "the image has no symbols (a raw image, or an ELF that was stripped)"
        return f"the image has {len(self._symbols)} symbols, {len(self.functions())} of them functions"

    @cached_property
    def _by_name(self) -> dict[str, list[Symbol]]:
        names: defaultdict[str, list[Symbol]] = defaultdict(list)
        for symbol in self._symbols:
            name = symbol.name
            names[name].append(symbol)
            if name.startswith(_MANGLED) and symbol.label != name:
                names[symbol.label].append(symbol)
        return dict(names)

    @cached_property
    def _sized(self) -> _Starts:
        """Of those that lie in a section the ones with a size."""
        return _Starts([symbol for symbol in self._symbols if symbol.size and symbol.limit])

    @cached_property
    def _unsized(self) -> _Starts:
        return _Starts([symbol for symbol in self._symbols if not symbol.size and symbol.limit])
