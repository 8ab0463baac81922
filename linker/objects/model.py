"""The model of a relocatable object: sections, symbols, relocations (System V gABI, chapters 4 and 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TypeVar

from linker.errors import Location

_Named = TypeVar("_Named", "Section", "Symbol")


class SectionType(IntEnum):
    """`sh_type`."""

    NULL = 0
    PROGBITS = 1
    SYMTAB = 2
    STRTAB = 3
    RELA = 4
    NOTE = 7
    NOBITS = 8
    INIT_ARRAY = 14
    FINI_ARRAY = 15
    PREINIT_ARRAY = 16
    GROUP = 17
    RISCV_ATTRIBUTES = 0x7000_0003


class SectionFlag(IntFlag):
    """`sh_flags`."""

    WRITE = 0x1
    ALLOC = 0x2
    EXECINSTR = 0x4
    MERGE = 0x10
    STRINGS = 0x20
    INFO_LINK = 0x40
    LINK_ORDER = 0x80
    GROUP = 0x200
    TLS = 0x400


class SymbolBinding(IntEnum):
    """`STB_*`."""

    LOCAL = 0
    GLOBAL = 1
    WEAK = 2


class SymbolType(IntEnum):
    """`STT_*`."""

    NOTYPE = 0
    OBJECT = 1
    FUNC = 2
    SECTION = 3
    FILE = 4
    COMMON = 5
    TLS = 6
    GNU_IFUNC = 10
    """A function that returns the address of the one to take."""


class SymbolVisibility(IntEnum):
    """`STV_*`."""

    DEFAULT = 0
    INTERNAL = 1
    HIDDEN = 2
    PROTECTED = 3


class Special(IntEnum):
    """Where a symbol lives that lives in no section (`SHN_*`)."""

    UNDEFINED = 0
    ABSOLUTE = 0xFFF1
    COMMON = 0xFFF2


@dataclass(eq=False, slots=True)
class Symbol:
    """A symbol. Its identity is the object itself: relocations point at it.

    For COMMON symbols `value` is the alignment, as in ELF.
    """

    name: str
    section: "Section | Special" = Special.UNDEFINED
    value: int = 0
    """Offset in its section in bytes; the value itself when absolute."""
    size: int = 0
    binding: SymbolBinding = SymbolBinding.LOCAL
    type: SymbolType = SymbolType.NOTYPE
    visibility: SymbolVisibility = SymbolVisibility.DEFAULT
    location: Location | None = None

    @property
    def is_defined(self) -> bool:
        """Whether this object gives the symbol a value (COMMON counts)."""
        return self.section is not Special.UNDEFINED


@dataclass(eq=False, slots=True)
class Relocation:
    """A place in a section whose value depends on a symbol; always with addend (RELA), as RISC-V has it."""

    offset: int
    type: int
    """`R_RISCV_*`, see `linker.objects.riscv`."""
    symbol: Symbol | None
    """None for relocations without one, such as R_RISCV_RELAX and R_RISCV_ALIGN."""
    addend: int = 0


@dataclass(eq=False, slots=True)
class Section:
    """A section with its bytes and relocations."""

    name: str
    type: int = SectionType.PROGBITS
    flags: int = 0
    align: int = 1
    """A power of two, in bytes."""
    entry_size: int = 0
    data: bytearray = field(default_factory=bytearray)
    nobits_size: int = 0
    """Size in bytes of a NOBITS section, which has no data."""
    relocations: list[Relocation] = field(default_factory=list)
    group: "Group | None" = None
    link_order: "Section | None" = None
    address: int = 0
    """`sh_addr`: 0, but where a script gives one to a section of a relocatable output."""

    @property
    def size(self) -> int:
        """Bytes that the section takes in memory."""
        return self.nobits_size if self.type == SectionType.NOBITS else len(self.data)


@dataclass(eq=False, slots=True)
class Group:
    """A section group; with `comdat` only one of all groups of the same signature is kept."""

    signature: Symbol
    comdat: bool = True


@dataclass(eq=False, slots=True)
class ObjectFile:
    """A relocatable object in memory, as the assembler makes it and the linker takes it."""

    name: str
    """The file it came from or will go to, for messages; `lib.a(member.o)` for a member of an archive."""
    sections: list[Section] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)
    """Without the null symbol; locals before the others when written."""
    flags: int = 0x5
    """`e_flags`: 0x1 RVC, 0x4 double-float ABI (psABI, ELF header)."""
    groups: list[Group] = field(default_factory=list)
    """Groups in the order in which they are written; those that are not here follow by their first members."""
    entry: int = 0
    """`e_entry`: objects of an assembler have none."""

    def section(self, name: str) -> Section:
        """The first section of that name. Raises KeyError."""
        return _named(self.sections, name)

    def symbol(self, name: str) -> Symbol:
        """The first symbol of that name. Raises KeyError."""
        return _named(self.symbols, name)


def _named(items: Sequence[_Named], name: str) -> _Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)
