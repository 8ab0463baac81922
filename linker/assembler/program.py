"""What a source becomes while it is read: expressions, symbols, and sections made of fragments."""

from dataclasses import dataclass, field
from typing import Union

from linker.assembler.encoding.rows import Row
from linker.assembler.source import Mark
from linker.objects.model import SectionFlag, SectionType, SymbolBinding, SymbolType, SymbolVisibility
from linker.objects.riscv import R


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands that are not both known yet."""

    operator: str
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Unary:
    """`-`, `~` or `!` of an operand that is not known yet."""

    operator: str
    operand: "Expr"


Expr = Union[int, "AsmSymbol", Binary, Unary]
"""A number, when it is known, or a tree over symbols."""

FAKE_LABEL = ".L0 "
"""GNU's name for a place that the source gives no name, such as `.` in a jump."""


@dataclass(eq=False, slots=True)
class AsmSymbol:
    """A name and what it stands for so far: a place in a section, an expression, a common block, or nothing yet."""

    name: str
    fragment: "Fragment | None" = None
    offset: int = 0
    """Offset in the fragment."""
    expression: Expr | None = None
    common: tuple[int, int] | None = None
    """Size and alignment of a common block."""
    binding: SymbolBinding | None = None
    type: SymbolType = SymbolType.NOTYPE
    visibility: SymbolVisibility = SymbolVisibility.DEFAULT
    size: Expr | None = None
    mark: Mark | None = None
    """Where it was defined, or first mentioned."""
    mentioned: bool = False
    """The source names it in an expression or directive that makes it part of the object."""
    relocated: bool = False
    """A relocation refers to it."""
    replaced: bool = False
    """A later `.set` gave the name to another symbol."""

    @property
    def is_defined(self) -> bool:
        """Whether it has a place or a value."""
        return self.fragment is not None or self.expression is not None or self.common is not None

    def describe_as(self, other: "AsmSymbol") -> None:
        """Take type and size of a symbol that this becomes another name for, as far as they are known so far."""
        if not other.is_defined:
            return
        self.size = other.size
        if other.type is SymbolType.FUNC or (other.type is SymbolType.OBJECT and self.type is SymbolType.NOTYPE):
            self.type = other.type

    @property
    def is_temporary(self) -> bool:
        """Whether its name keeps it out of the symbol table unless a relocation needs it: for GNU, `.L` or a space."""
        return self.name.startswith(".L") or " " in self.name


@dataclass(slots=True)
class Align:
    """Padding up to a multiple of a power of two."""

    alignment: int
    fill: bytes | None
    """The pattern; None pads with `nop` in code and with zeros elsewhere."""
    maximum: int
    """More padding than this is left out altogether; 0: no limit."""
    mark: Mark
    size: int = 0


@dataclass(slots=True)
class Org:
    """Padding up to an offset of the section."""

    target: Expr
    fill: int
    mark: Mark
    size: int = 0


@dataclass(slots=True)
class Fill:
    """A repeated pattern, not expanded before it must be."""

    count: Expr
    pattern: bytes
    mark: Mark
    size: int = 0


@dataclass(slots=True)
class Leb128:
    """A number in as many bytes as it needs."""

    value: Expr
    signed: bool
    mark: Mark
    size: int = 1


@dataclass(slots=True)
class Branch:
    """A jump or branch, as short as its target allows."""

    row: Row
    word: int
    """The long form, without its target."""
    short: int | None
    """The compressed form, where there is one."""
    target: Expr
    is_jump: bool
    """Whether it is unconditional: then there is nothing to invert when the target is far."""
    mark: Mark
    size: int = 0


@dataclass(slots=True)
class Advance:
    """A step from one place in code to another, in an unwind table."""

    start: AsmSymbol
    end: AsmSymbol
    mark: Mark
    size: int = 1


Tail = Align | Org | Fill | Leb128 | Branch | Advance


@dataclass(eq=False, slots=True)
class Fragment:
    """Known bytes followed by at most one part of unknown size."""

    section: "SectionBuilder"
    data: bytearray = field(default_factory=bytearray)
    tail: Tail | None = None
    address: int = 0
    """Offset in the section; final after layout."""
    index: int = 0
    """Position among the fragments of its subsection."""
    subsection: int = 0
    runs: int = 0
    """Counts the instructions that a relaxing linker could shorten: unwind tables count no bytes across one."""


@dataclass(eq=False, slots=True)
class Fixup:
    """A value to be written when all symbols are known."""

    fragment: Fragment
    offset: int
    type: R | None
    """The relocation of an instruction field; None for data."""
    expression: Expr
    mark: Mark
    size: int = 4
    relax: bool = False
    """Whether relaxation was on where it was written."""


@dataclass(frozen=True, slots=True)
class WrittenRelocation:
    """A relocation that the source asks for by name."""

    section: "SectionBuilder"
    """Where the offset counts, when it is a number."""
    offset: Expr
    type: R
    value: Expr | None
    mark: Mark


@dataclass(eq=False, slots=True)
class LineEntry:
    """A row of the line table: code from here on belongs to that source line."""

    fragment: Fragment
    offset: int
    file: int
    line: int
    column: int = 0
    flags: tuple[str, ...] = ()
    discriminator: int = 0


@dataclass(eq=False, slots=True)
class SectionBuilder:
    """A section with its subsections, fixups and line entries."""

    name: str
    type: int = SectionType.PROGBITS
    flags: int = 0
    entry_size: int = 0
    align: int = 1
    group: str | None = None
    comdat: bool = False
    link_order: str | None = None
    subsections: dict[int, list[Fragment]] = field(default_factory=dict)
    fixups: list[Fixup] = field(default_factory=list)
    lines: list[LineEntry] = field(default_factory=list)
    size: int = 0
    """Known after layout."""
    data_mark: Mark | None = None
    """Where the first byte was written that is not zero, in a section that takes no room in the file."""
    compressed: bool = True
    """Whether code in it was last written with compressed instructions allowed."""

    @property
    def is_code(self) -> bool:
        """Whether padding in it is made of instructions."""
        return bool(self.flags & SectionFlag.EXECINSTR)

    @property
    def is_nobits(self) -> bool:
        """Whether it takes no room in the file."""
        return self.type == SectionType.NOBITS

    def fragments(self) -> list[Fragment]:
        """All fragments in their final order."""
        return [fragment for number in sorted(self.subsections) for fragment in self.subsections[number]]

    def new_fragment(self, subsection: int) -> Fragment:
        """Start another run of bytes at the end of a subsection."""
        fragments = self.subsections.setdefault(subsection, [])
        fragment = Fragment(self, index=len(fragments), subsection=subsection)
        fragments.append(fragment)
        return fragment
