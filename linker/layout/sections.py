"""Output sections: what an executable is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from linker.objects.model import SectionFlag, SectionType
from linker.script.syntax import Assertion, Assignment, Data, Fill, OutputSectionStatement

if TYPE_CHECKING:
    from linker.layout.inputs import InputSection
    from linker.layout.regions import Region


@dataclass(eq=False, slots=True)
class DataItem:
    """A BYTE ... QUAD statement with its place."""

    data: Data
    offset: int = 0
    value: int = 0


@dataclass(eq=False, slots=True)
class MatchedInput:
    """An input statement of the script and what it matched, for the map."""

    text: str


Item: TypeAlias = "InputSection | Assignment | Assertion | DataItem | Fill | MatchedInput"

_LOADED_FLAGS = SectionFlag.ALLOC | SectionFlag.EXECINSTR | SectionFlag.TLS


@dataclass(eq=False, slots=True)
class OutputSection:
    """An output section: its statement in the script (orphans have none), its contents and its place."""

    name: str
    statement: OutputSectionStatement | None = None
    items: list[Item] = field(default_factory=list)
    created: bool = False
    """Whether anything gave it being; a statement that matched nothing makes no section."""
    has_input: bool = False
    alloc: bool = False
    load: bool = False
    """Whether its bytes come from the file."""
    has_contents: bool = False
    read_only: bool = False
    code: bool = False
    tls: bool = False
    merge_flags: int = 0
    entry_size: int = 0
    type: int = SectionType.NULL
    """The type that its inputs asked for; NULL: PROGBITS or NOBITS."""
    align: int = 1
    vma: int = 0
    lma: int = 0
    size: int = 0
    keep: bool = False
    """An assignment to `.` inside keeps it in the output even when it is empty."""
    ignored: bool = False
    """Empty, and nothing in it matters: takes no part in sizing."""
    removed: bool = False
    """Empty: not in the output, but symbols may still be relative to it."""
    sets_symbols: bool = False
    pads: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Gaps: offset, size and the pattern that fills them."""
    like: OutputSection | None = None
    """For an orphan, the section whose regions and segments it shares."""
    region: Region | None = None
    chosen: Region | None = None
    """The region that its statement names."""
    load_region: Region | None = None
    vma_known: bool = False
    lma_known: bool = False
    file_offset: int = 0
    index: int = 0
    """In the section header table; 0 when it is not in the output."""

    @property
    def kind(self) -> str:
        """The type in parentheses: `NOLOAD`, `INFO`, ... or nothing."""
        return self.statement.type if self.statement else ""

    @property
    def is_nobits(self) -> bool:
        """Whether the file holds no bytes of it."""
        return self.alloc and not self.load and not self.has_contents

    @property
    def is_tbss(self) -> bool:
        """Thread-local zeros: they take no room in the program's own memory."""
        return self.tls and not self.load

    @property
    def elf_type(self) -> int:
        """`sh_type`."""
        if self.is_nobits:
            return SectionType.NOBITS
        return self.type or SectionType.PROGBITS

    @property
    def elf_flags(self) -> int:
        """`sh_flags`."""
        flags = self.merge_flags
        if self.alloc:
            flags |= SectionFlag.ALLOC
        if not self.read_only:
            flags |= SectionFlag.WRITE
        if self.code:
            flags |= SectionFlag.EXECINSTR
        if self.tls:
            flags |= SectionFlag.TLS
        return flags

    def init(self, *, alloc: bool, load: bool, has_contents: bool, read_only: bool = False) -> None:
        """Come into being by a statement, or gain its flags when it exists already."""
        self.alloc |= alloc
        self.load |= load
        self.has_contents |= has_contents
        if not self.created:
            self.read_only = read_only
        self.created = True

    def add(self, section: InputSection) -> None:
        """Put an input section at the end and take over its flags (GNU ld, lang_add_section)."""
        source = section.section
        flags = source.flags
        alloc = bool(flags & SectionFlag.ALLOC) and self.kind not in ("COPY", "INFO", "OVERLAY", "DSECT")
        load = alloc and not section.is_nobits
        contents = not section.is_nobits
        read_only = not flags & SectionFlag.WRITE or self.kind == "READONLY"
        if self.kind == "NOLOAD":
            load = contents = False
        merge = flags & (SectionFlag.MERGE | SectionFlag.STRINGS)
        self.created = True
        self.read_only = read_only and (self.read_only or not self.has_input)
        if not self.has_input:
            self.merge_flags, self.entry_size = merge, source.entry_size if merge & SectionFlag.MERGE else 0
        elif self.merge_flags != merge or (merge & SectionFlag.MERGE and self.entry_size != source.entry_size):
            self.merge_flags = self.entry_size = 0
        if section.linker_made and source.entry_size:
            self.entry_size = source.entry_size
        self._take_type(source.type)
        self.alloc |= alloc
        self.load |= load
        self.has_contents |= contents
        self.code |= bool(flags & SectionFlag.EXECINSTR)
        self.tls |= bool(flags & SectionFlag.TLS)
        self.align = max(self.align, section.align)
        self.has_input = True
        section.output = self
        self.items.append(section)

    def _take_type(self, kind: int) -> None:
        if kind in (SectionType.PROGBITS, SectionType.NOBITS):
            kind = SectionType.NULL
        if not self.has_input:
            self.type = kind
        elif self.type != kind:
            self.type = SectionType.NULL

    def inputs(self) -> list[InputSection]:
        """Its input sections in order."""
        from linker.layout.inputs import InputSection

        return [item for item in self.items if isinstance(item, InputSection)]
