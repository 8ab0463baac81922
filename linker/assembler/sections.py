"""Sections while they are being filled: runs of known bytes, and between them parts whose size layout decides."""

from dataclasses import dataclass, field

from linker.assembler.encoding.rows import Row
from linker.assembler.expressions import Expr
from linker.assembler.source import Mark
from linker.assembler.symbols import AsmSymbol
from linker.objects.model import SectionFlag, SectionType
from linker.objects.riscv import R


@dataclass(slots=True)
class Align:
    """Padding up to a multiple of a power of two."""

    alignment: int
    fill: bytes | None
    """The pattern; None pads with `nop` in code and with zeros elsewhere."""
    maximum: int
    """More padding than this is left out altogether; 0: no limit."""
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
    mark: Mark
    size: int = 0

    @property
    def is_jump(self) -> bool:
        """Whether it is unconditional: then there is nothing to invert when the target is far."""
        return self.word & 0x7F == 0x6F


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
