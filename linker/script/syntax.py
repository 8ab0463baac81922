"""The syntax tree of a linker script: expressions, commands and statements, each knowing its place in the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from linker.errors import Location


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: int
    text: str = ""
    """As written: a fill pattern in hexadecimal is as long as its digits."""


@dataclass(frozen=True, slots=True)
class Name:
    """A symbol, or `.`, the location counter."""

    name: str
    location: Location


@dataclass(frozen=True, slots=True)
class Unary:
    """`!x`, `~x`, `-x` or `+x`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: Expression
    right: Expression
    location: Location


@dataclass(frozen=True, slots=True)
class Conditional:
    """`condition ? then : otherwise`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A built-in function; `word` is its argument when that is the name of a section, symbol, region or constant."""

    function: str
    location: Location
    arguments: tuple[Expression, ...] = ()
    word: str = ""


Expression: TypeAlias = "Number | Name | Unary | Binary | Conditional | Call | Assertion"


@dataclass(frozen=True, slots=True)
class Assertion:
    """`ASSERT(condition, message)`, as a statement or within an expression."""

    condition: Expression
    message: str
    location: Location


@dataclass(frozen=True, slots=True)
class Assignment:
    """`symbol = value;` with its variants. `a += b` is read as `a = a + b`."""

    symbol: str
    value: Expression
    location: Location
    provide: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class FilePattern:
    """Which files: a glob, after `archive:` perhaps another one; the files of `exclude` are left out."""

    glob: str
    archive: str | None = None
    """`archive:file`; an empty string asks for files outside any archive."""


@dataclass(frozen=True, slots=True)
class SectionPattern:
    """Which sections of a file, in which order."""

    glob: str
    exclude: tuple[FilePattern, ...] = ()
    sort: tuple[str, ...] = ()
    """Sort keys, the first one first: `name`, `alignment`, `init_priority`; `none` overrides command lines."""
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class InputSections:
    """`file(section section ...)`; no section patterns means all sections."""

    files: FilePattern
    sections: tuple[SectionPattern, ...]
    location: Location
    exclude: tuple[FilePattern, ...] = ()
    keep: bool = False
    sort_files: bool = False
    text: str = ""
    """As written, for the map."""


@dataclass(frozen=True, slots=True)
class Data:
    """`BYTE(x)` and its wider relatives."""

    size: int
    value: Expression
    location: Location


@dataclass(frozen=True, slots=True)
class Fill:
    """`FILL(pattern)`: the pattern for gaps from here to the section's end."""

    pattern: Expression


@dataclass(frozen=True, slots=True)
class OutputSectionStatement:
    """`name address (type) : AT(...) { ... } >region AT>region :phdr =fill`."""

    name: str
    location: Location
    statements: tuple[Statement, ...]
    address: Expression | None = None
    type: str = ""
    """In parentheses: `NOLOAD`, `READONLY`, `TYPE`, `INFO` and its like; `READONLY TYPE` with both."""
    elf_type: Expression | None = None
    """Of `TYPE = ...`: a number, or the name of a section type such as `SHT_NOTE`."""
    overlay: str = ""
    """`first` or `later`, of the sections of an OVERLAY."""
    end: Expression | None = None
    """Where `.` goes behind the last section of an OVERLAY."""
    load_address: Expression | None = None
    align: Expression | None = None
    subalign: Expression | None = None
    align_with_input: bool = False
    only_if: str = ""
    """`ro` or `rw`: only when all its input sections are so."""
    region: str = ""
    load_region: str = ""
    phdrs: tuple[str, ...] = ()
    fill: Expression | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """`INSERT AFTER section` or `BEFORE`: what the scripts said so far goes there."""

    section: str
    before: bool
    location: Location


Statement: TypeAlias = Assignment | Assertion | InputSections | Data | Fill
SectionsCommand: TypeAlias = Assignment | Assertion | OutputSectionStatement | Insert


@dataclass(frozen=True, slots=True)
class MemoryRegion:
    """One line of `MEMORY`."""

    name: str
    attributes: str
    origin: Expression
    length: Expression
    location: Location


@dataclass(frozen=True, slots=True)
class ProgramHeader:
    """One line of `PHDRS`."""

    name: str
    type: int
    location: Location
    filehdr: bool = False
    phdrs: bool = False
    at: Expression | None = None
    flags: Expression | None = None


@dataclass(slots=True)
class Script:
    """A whole script: what its commands say, and the statements that lay out memory in their order."""

    name: str
    entry: str | None = None
    statements: list[SectionsCommand] = field(default_factory=list)
    has_sections: bool = False
    regions: list[MemoryRegion] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    phdrs: list[ProgramHeader] | None = None
    undefined: list[str] = field(default_factory=list)
    """Symbols of EXTERN."""
    inputs: list[str] = field(default_factory=list)
    """Files of INPUT, GROUP and STARTUP; `-lx` asks for a library."""
    search_dirs: list[str] = field(default_factory=list)
    output: str | None = None
    augments: bool = False
    """Whether the file that was read last has INSERT: it adds to another script, or to the built-in one."""
