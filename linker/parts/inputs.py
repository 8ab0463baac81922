"""What goes into a link: files and their sections, each with the place that the layout gives it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from linker.objects.model import ObjectFile, Relocation, Section, SectionFlag, SectionType

if TYPE_CHECKING:
    from linker.parts.placed import Placed


class LineRow(NamedTuple):
    """Where a source line begins."""

    address: int
    file: str
    line: int
    """0: the end of a sequence."""


class Rewritten(Protocol):
    """Contents that a step of the link made anew: merged strings, unwind tables."""

    def find(self, section: InputSection, offset: int) -> tuple[InputSection, int]:
        """Where the byte at an offset of the original section has gone."""
        ...

    def contents(self, section: InputSection) -> bytes:
        """The bytes that the section has now, before relocation."""
        ...

    def finished(self, section: InputSection, data: bytearray) -> bytearray:
        """The bytes of the output, made of those bytes relocated."""
        ...


@dataclass(eq=False, slots=True, repr=False)
class InputFile:
    """An object that takes part in the link."""

    object: ObjectFile
    archive: str | None = None
    """The archive that it came from."""
    member: str = ""
    sections: list[InputSection] = field(default_factory=list)
    lines: list[LineRow] | None = None
    """The line table, once a message needed it."""

    @property
    def name(self) -> str:
        """As messages and the map show it: `a.o` or `lib.a(a.o)`."""
        return self.object.name


@dataclass(eq=False, slots=True, repr=False)
class InputSection:
    """A section of an input file on its way into an output section."""

    section: Section
    file: InputFile
    name: str
    align: int
    size: int
    """Bytes in memory, after bytes were removed for alignment or merging."""
    output: Placed | None = None
    offset: int = 0
    """Of its first byte in the output section."""
    keep: bool = False
    """Named by KEEP: garbage collection leaves it alone."""
    discarded: bool = False
    """Left out: of a COMDAT group that another object already brought, collected, or given to /DISCARD/."""
    kept: InputSection | None = None
    """The section of another file that stands for this discarded one of a COMDAT group."""
    linker_made: bool = False
    ghost: bool = False
    """Found empty by the linker: it takes no room, not even for its alignment, and global symbols in it are gone."""
    deleted_at: list[int] = field(default_factory=list)
    """Offsets behind which bytes were deleted (R_RISCV_ALIGN), ascending."""
    deleted_before: list[int] = field(default_factory=list)
    """How many bytes are gone up to and including the deletion of the same index."""
    aligned_at: int = 0
    """The address, modulo the alignment, for which code in it was aligned."""
    edits: list[tuple[int, bytes]] = field(default_factory=list)
    """Bytes to write over the contents, at offsets after deletion: the nops that an alignment needs."""
    merged: Rewritten | None = None

    @property
    def is_alloc(self) -> bool:
        """Whether it takes part in the program's memory."""
        return bool(self.section.flags & SectionFlag.ALLOC)

    @property
    def is_nobits(self) -> bool:
        """Whether it has no bytes in the file."""
        return self.section.type == SectionType.NOBITS

    @property
    def relocations(self) -> list[Relocation]:
        """With offsets as in the object: see `moved`."""
        return self.section.relocations

    @property
    def address(self) -> int:
        """Of its first byte. Only after layout, and for sections that are in the output."""
        assert self.output is not None
        return self.output.vma + self.offset

    @property
    def vma(self) -> int:
        """As expressions see it while it has no place: its symbols are offsets."""
        return 0

    def moved(self, offset: int) -> int:
        """Where a byte or symbol at an offset of the object is after deletions.

        A symbol just at the deleted bytes stays; what stands behind moves down.
        """
        if not self.deleted_at:
            return offset
        index = bisect_right(self.deleted_at, offset - 1)
        if not index:
            return offset
        # An offset inside deleted bytes ends at their beginning.
        start = self.deleted_at[index - 1]
        before = self.deleted_before[index - 2] if index > 1 else 0
        gone = min(offset - start, self.deleted_before[index - 1] - before)
        return offset - before - gone

    def contents(self) -> bytes | bytearray:
        """Its bytes after deletions and merging, not yet relocated."""
        if self.merged is not None:
            return self.merged.contents(self)
        data = self.section.data
        if not self.deleted_at:
            return data
        result, position, before = bytearray(), 0, 0
        for start, total in zip(self.deleted_at, self.deleted_before, strict=True):
            result += data[position:start]
            position = start + total - before
            before = total
        result += data[position:]
        for offset, replacement in self.edits:
            result[offset : offset + len(replacement)] = replacement
        return result

    def describe(self, offset: int) -> str:
        """`a.o:(.text+0x10)`, as GNU ld writes it; the offset is that of the object."""
        return f"{self.file.name}:({self.name}+{offset:#x})"


def wrap(file: InputFile) -> None:
    """Make the input sections of a file."""
    for section in file.object.sections:
        file.sections.append(InputSection(section, file, section.name, section.align, section.size))
