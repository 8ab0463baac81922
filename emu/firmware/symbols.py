"""The symbols of an image: addresses by name, names by address, functions by pattern."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import cached_property, reduce
from itertools import compress, count, pairwise

from emu.address import VirtAddr
from emu.errors import SymbolError
from emu.hints import NamedTuple
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

KINDS = SymbolKind.LABEL, SymbolKind.OBJECT, SymbolKind.FUNCTION
"""By the numbers that a symbol table has for them: the higher, the better is the name."""
_FUNCTION = KINDS.index(SymbolKind.FUNCTION)

IGNORED = "$", ".L", "L0\x01"
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


class Columns(NamedTuple):
    """A symbol table by columns: each collection of garbage would go through objects for 70,000 symbols of Linux."""

    names: list[str]
    addresses: "array[int]"
    sizes: "array[int]"
    kinds: bytes
    """Numbers in KINDS."""
    are_global: bytes
    limits: "array[int]"

    @classmethod
    def of(cls, symbols: Iterable[Symbol]) -> "Columns":
        """Those of the symbols that have a name which is not ignored."""
        every = [symbol for symbol in symbols if symbol.name and not symbol.name.startswith(IGNORED)]
        return cls(
            [symbol.name for symbol in every],
            array("Q", [symbol.address for symbol in every]),
            array("Q", [symbol.size for symbol in every]),
            bytes([KINDS.index(symbol.kind) for symbol in every]),
            bytes([symbol.is_global for symbol in every]),
            array("Q", [symbol.limit for symbol in every]),
        )

    def kept(self, which: Sequence[object]) -> "Columns":
        """Those rows for which a value that counts as true is given."""
        return Columns(
            list(compress(self.names, which)),
            array("Q", compress(self.addresses, which)),
            array("Q", compress(self.sizes, which)),
            bytes(compress(self.kinds, which)),
            bytes(compress(self.are_global, which)),
            array("Q", compress(self.limits, which)),
        )

    def followed_by(self, other: "Columns") -> "Columns":
        """These rows and others behind them."""
        return Columns(
            self.names + other.names,
            self.addresses + other.addresses,
            self.sizes + other.sizes,
            self.kinds + other.kinds,
            self.are_global + other.are_global,
            self.limits + other.limits,
        )

    def rank(self, row: int) -> tuple[bool, int, bool, int]:
        """The lower, the better is its name for its address."""
        return self.names[row] in SECTION_MARKS, -self.kinds[row], not self.are_global[row], -self.sizes[row]


class _Starts:
    """Rows of symbols that may name an address, the best for each start address: found by bisection."""

    def __init__(self, columns: Columns, rows: Iterable[int]) -> None:
        self._rank = columns.rank
        self._rows = sorted(rows, key=columns.addresses.__getitem__)
        self._starts = [columns.addresses[row] for row in self._rows]

    def all(self) -> list[int]:
        """The best for each address, by address."""
        borders = enumerate(pairwise([*self._starts, -1]))
        return [self._best(index) for index, (start, after) in borders if start != after]

    def before(self, address: int) -> int | None:
        """The row with the highest start at or below `address`, the best of those that start there."""
        index = bisect_right(self._starts, address) - 1
        return self._best(index) if index >= 0 else None

    def _best(self, last: int) -> int:
        """Of the rows that start where this one does, which is the last of them."""
        first = bisect_left(self._starts, self._starts[last])
        return self._rows[last] if first == last else min(self._rows[first : last + 1], key=self._rank)


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

    def __init__(self, symbols: Iterable[Symbol] | Columns) -> None:
        self._columns = symbols if isinstance(symbols, Columns) else Columns.of(symbols)
        self._made: dict[int, Symbol] = {}
        self._named: dict[str, list[Symbol]] = {}

    @classmethod
    def joined(cls, tables: "Iterable[Symbols]") -> "Symbols":
        """The symbols of several tables, in this order."""
        filled = [table for table in tables if len(table)]
        if len(filled) == 1:
            return filled[0]
        return cls(reduce(Columns.followed_by, (table._columns for table in filled), Columns.of(())))

    def __len__(self) -> int:
        return len(self._columns.names)

    def __iter__(self) -> Iterator[Symbol]:
        return map(self._symbol, range(len(self)))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._last or name in self._mangled)

    def lookup(self, name: str) -> Symbol:
        """The symbol of this name, mangled or readable; a global one wins over local ones.

        Raises SymbolError when there is none, with the nearest names, or when local symbols of this name
        stand at several addresses.
        """
        found = self._all_of(name)
        if not found:
            import difflib  # only a mistake needs it

            near = difflib.get_close_matches(name, self._last | self._mangled, _SUGGESTIONS)
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
        columns = self._columns
        sized = self._sized.before(address)
        if sized is not None and address < columns.addresses[sized] + columns.sizes[sized]:
            return self._placed(sized, address)
        label = self._unsized.before(address)
        if sized is not None and columns.kinds[sized] == _FUNCTION and address < columns.limits[sized]:
            label = sized if label is None or columns.addresses[label] < columns.addresses[sized] else label
        if label is not None and address < columns.limits[label]:
            return self._placed(label, address)
        return None

    def functions(self) -> list[Symbol]:
        """The functions, by address; an address that has several names gives its first one."""
        columns = self._columns
        rows = [row for row, kind in enumerate(columns.kinds) if kind == _FUNCTION and columns.limits[row]]
        return [self._symbol(row) for row in _Starts(columns, rows).all()]

    def matching(self, pattern: str) -> list[Symbol]:
        """The functions whose name matches a shell pattern (`frame_*`); a plain name may be of any symbol.

        A plain name that no symbol has stands for the Rust functions whose path ends with it. Raises SymbolError when
        nothing matches, with the nearest names.
        """
        if pattern in self:
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
        found = [symbol for symbol in self._all_of(name) if symbol.limit]
        return [symbol for symbol in found if symbol.is_global] or found

    def beginning(self, *prefixes: str) -> list[Symbol]:
        """The functions whose names, as in the file, begin with one of these, in the order of the table."""
        columns, found = self._columns, [name for name in self._last if name.startswith(prefixes)]
        rows = sorted(row for name in found for row in self._rows(name))
        return [self._symbol(row) for row in rows if columns.kinds[row] == _FUNCTION and columns.limits[row]]

    def _inventory(self) -> str:
        if not len(self):
            return "the image has no symbols (a raw image, or an ELF that was stripped)"
        return f"the image has {len(self)} symbols, {len(self.functions())} of them functions"

    def _symbol(self, row: int) -> Symbol:
        columns = self._columns
        return Symbol(
            columns.names[row],
            VirtAddr(columns.addresses[row]),
            columns.sizes[row],
            KINDS[columns.kinds[row]],
            bool(columns.are_global[row]),
            columns.limits[row],
        )

    def _placed(self, row: int, address: int) -> tuple[Symbol, int]:
        """A symbol that names addresses, and how far behind its start this one is."""
        symbol = self._made.get(row)
        if symbol is None:
            symbol = self._made[row] = self._symbol(row)
        return symbol, int(address) - self._columns.addresses[row]

    def _all_of(self, name: str) -> list[Symbol]:
        """The symbols of a name, mangled or readable."""
        found = self._named.get(name)
        if found is None:
            rows = {row for each in (name, *self._mangled.get(name, ())) for row in self._rows(each)}
            found = self._named[name] = [self._symbol(row) for row in sorted(rows)]
        return found

    def _rows(self, name: str) -> Iterator[int]:
        last = self._last.get(name)
        if last is None:
            return iter(())
        return (row for row in range(self._first[name], last + 1) if self._columns.names[row] == name)

    @cached_property
    def _last(self) -> dict[str, int]:
        """The last row of each name."""
        return dict(zip(self._columns.names, count()))

    @cached_property
    def _first(self) -> dict[str, int]:
        names = self._columns.names
        return dict(zip(reversed(names), count(len(names) - 1, -1)))

    @cached_property
    def _mangled(self) -> dict[str, list[str]]:
        """The names of the table by what a person reads for them, where it is something else."""
        found: dict[str, list[str]] = {}
        for name in self._last:
            if name.startswith(_MANGLED) and (label := readable_name(name)) != name:
                found.setdefault(label, []).append(name)
        return found

    @cached_property
    def _sized(self) -> _Starts:
        """Of those that lie in a section the ones with a size."""
        columns = self._columns
        return _Starts(columns, [row for row, size in enumerate(columns.sizes) if size and columns.limits[row]])

    @cached_property
    def _unsized(self) -> _Starts:
        columns = self._columns
        sizes = columns.sizes
        return _Starts(columns, [row for row, limit in enumerate(columns.limits) if limit and not sizes[row]])
