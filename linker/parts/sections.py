"""Output sections: what an executable is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from linker.objects.model import Group, SectionFlag, SectionType
from linker.parts.inputs import InputSection
from linker.parts.names import named_kind
from linker.script.syntax import Assertion, Assignment, Data, Fill, OutputSectionStatement

if TYPE_CHECKING:
    from linker.parts.regions import Region
    from linker.script.syntax import Expression

NOT_ALLOCATED = frozenset({"COPY", "INFO", "OVERLAY", "DSECT"})
"""Types in parentheses behind a section's name that keep it out of memory."""
_OS_AND_PROCESSOR = 0xFFF0_0000
"""SHF_MASKOS and SHF_MASKPROC: flags that the output takes over from its first input."""
_ARRAYS = (SectionType.INIT_ARRAY, SectionType.FINI_ARRAY, SectionType.PREINIT_ARRAY)


@dataclass(eq=False, slots=True, repr=False)
class DataItem:
    """A BYTE ... QUAD statement with its place."""

    data: Data
    offset: int = 0
    value: int = 0


@dataclass(eq=False, slots=True, repr=False)
class MatchedInput:
    """An input statement of the script and what it matched, for the map."""

    text: str


Item: TypeAlias = "InputSection | Assignment | Assertion | DataItem | Fill | MatchedInput"


@dataclass(eq=False, slots=True, repr=False)
class OutputSection:
    """An output section: its statement in the script (orphans have none), its contents and its place."""

    name: str
    statement: OutputSectionStatement | None = None
    items: list[Item] = field(default_factory=list)
    created: bool = False
    """Whether anything gave it being; a statement that matched nothing makes no section."""
    refused: bool = False
    """ONLY_IF_RO or ONLY_IF_RW does not hold: the statement means nothing."""
    has_input: bool = False
    alloc: bool = False
    load: bool = False
    """Whether its bytes come from the file."""
    has_contents: bool = False
    read_only: bool = False
    code: bool = False
    data: bool = False
    """Whether it has loaded bytes that are no code (SEC_DATA)."""
    tls: bool = False
    merge_flags: int = 0
    entry_size: int = 0
    type: int = SectionType.NULL
    """`sh_type` as its name or first input asked for; NULL: PROGBITS or NOBITS."""
    wanted_type: int = SectionType.NULL
    """Of `(TYPE = ...)`, once a data statement made it hold."""
    extra_flags: int = 0
    """`sh_flags` that its name or first input asked for."""
    align: int = 1
    address: Expression | None = None
    """Where it is to start; None: where its region is filled up to."""
    vma: int = 0
    lma: int = 0
    size: int = 0
    old_size: int = 0
    """Of the pass before."""
    keep: bool = False
    """Whether it stays in the output even when it is empty."""
    ignored: bool = False
    """Empty, and nothing in it matters: takes no part in sizing."""
    removed: bool = False
    """Empty: not in the output, but symbols may still be relative to it."""
    sets_symbols: bool = False
    pads: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Gaps: offset, size and the pattern that fills them."""
    group: Group | None = None
    """The group of its only input, in a relocatable output."""
    steps: dict[int, int] = field(default_factory=dict)
    """By how much each assignment to `.` (by id) moved it."""
    like: OutputSection | None = None
    """For an orphan, the section whose regions and segments it shares."""
    region: Region | None = None
    load_region: Region | None = None
    unsegmented: bool = False
    """Whether it takes memory and no PT_LOAD segment has it, once the segments are known."""
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
    def load_address(self) -> Expression | None:
        """Of AT(...)."""
        return self.statement.load_address if self.statement else None

    @property
    def is_live(self) -> bool:
        """Whether it is in the output."""
        return self.created and not self.removed

    @property
    def is_nobits(self) -> bool:
        """Whether the file holds no bytes of it."""
        return self.elf_type == SectionType.NOBITS

    @property
    def is_tbss(self) -> bool:
        """Thread-local zeros: they take no room in the program's own memory."""
        return self.tls and not self.load

    @property
    def elf_type(self) -> int:
        """`sh_type` (BFD, elf_fake_sections): NOBITS without bytes, unless in no segment and its name says more."""
        bare = self.alloc and not self.load and not self.has_contents
        if bare and not (self.unsegmented and self.type):
            return SectionType.NOBITS
        default = self.wanted_type or SectionType.PROGBITS
        if self.type == SectionType.NULL or (self.type == SectionType.NOBITS and self.alloc and not bare):
            return default
        return self.type

    @property
    def elf_flags(self) -> int:
        """`sh_flags`."""
        flags = self.merge_flags | self.extra_flags
        if self.group is not None:
            flags |= SectionFlag.GROUP
        if self.alloc:
            flags |= SectionFlag.ALLOC
        if not self.read_only:
            flags |= SectionFlag.WRITE
        if self.code:
            flags |= SectionFlag.EXECINSTR
        if self.tls:
            flags |= SectionFlag.TLS
        return int(flags)

    @property
    def elf_entry_size(self) -> int:
        """`sh_entsize`."""
        if self.type in _ARRAYS and not self.merge_flags & SectionFlag.MERGE:
            return 8
        if self.type == SectionType.RELA:
            return 24
        return self.entry_size

    @property
    def elf_align(self) -> int:
        """`sh_addralign`: the largest power of two that its alignment and its address agree on."""
        bits = self.align | self.vma
        return bits & -bits

    def create(
        self, *, alloc: bool = False, load: bool = False, has_contents: bool = False, read_only: bool = False
    ) -> None:
        """Give it being, with the type and flags of its name (GNU ld, init_os)."""
        self.created = True
        self.alloc, self.load, self.has_contents, self.read_only = alloc, load, has_contents, read_only
        self.type, self.extra_flags = named_kind(self.name)

    def add(self, section: InputSection) -> None:
        """Put an input section at the end and take over its flags (GNU ld, lang_add_section)."""
        source = section.section
        flags = source.flags
        alloc = bool(flags & SectionFlag.ALLOC) and self.kind not in NOT_ALLOCATED
        load = bool(flags & SectionFlag.ALLOC) and not section.is_nobits
        contents = not section.is_nobits
        code = bool(flags & SectionFlag.EXECINSTR)
        read_only = not flags & SectionFlag.WRITE or self.kind.startswith("READONLY")
        if self.kind == "NOLOAD":
            load = contents = False
        merge = int(flags & (SectionFlag.MERGE | SectionFlag.STRINGS))
        if not self.created:
            self.create(read_only=read_only)
        self.read_only = read_only and (self.read_only or not self.has_input)
        if self.kind == "NOLOAD":
            self.load = self.has_contents = False
        self.alloc |= alloc
        self.load |= load
        self.has_contents |= contents
        self.code |= code
        self.data |= load and not code
        self.tls |= bool(flags & SectionFlag.TLS)
        self.keep |= section.keep
        if not self.has_input:
            self.merge_flags, self.entry_size = merge, source.entry_size if merge & SectionFlag.MERGE else 0
            self._take_type(section, (alloc, load, contents))
        elif self.merge_flags != merge or (merge & SectionFlag.MERGE and self.entry_size != source.entry_size):
            self.merge_flags = self.entry_size = 0
        if section.linker_made and source.entry_size and not section.ghost:
            self.entry_size = source.entry_size
        self.align = max(self.align, section.align)
        self.has_input = True
        section.output = self
        self.items.append(section)

    def _take_type(self, section: InputSection, flags: tuple[bool, bool, bool]) -> None:
        """Of the first input, unless the section has properties that the input lacks (BFD)."""
        source = section.section
        if self.type in (SectionType.PROGBITS, SectionType.NOTE, SectionType.NOBITS):
            self.type = SectionType.NULL
        alike = flags == (self.alloc, self.load, self.has_contents) and self.kind != "NOLOAD"
        alike &= flags[0] == bool(source.flags & SectionFlag.ALLOC)
        alike &= self.read_only == (not source.flags & SectionFlag.WRITE)
        if self.type == SectionType.NULL and alike:
            self.type = source.type
        self.extra_flags = source.flags & _OS_AND_PROCESSOR

    def inputs(self) -> list[InputSection]:
        """Its input sections in order."""
        return [item for item in self.items if isinstance(item, InputSection)]
