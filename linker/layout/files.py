"""Where sections and segments lie in the file (BFD, assign_file_positions_for_load_sections)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linker.errors import Diagnostic
from linker.layout.mapping import ELF_HEADER_SIZE, address_order
from linker.objects.model import SectionFlag
from linker.parts.segments import Segment, SegmentFlag, SegmentType
from linker.script.evaluate import WORD, align_up

if TYPE_CHECKING:
    from linker.parts.sections import OutputSection


@dataclass(slots=True)
class FilePlacer:
    """Gives file offsets to the sections of the output and their segments."""

    sections: list[OutputSection]
    segments: list[Segment]
    page: int
    """1: the file is not made to be mapped page by page."""
    headers: int
    """The room for the ELF header and the program headers, some of which may be unused."""
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    _placed: set[int] = field(default_factory=set)
    _offset: int = 0
    _headers_in: Segment | None = None
    """The segment that loads the program headers."""

    def run(self) -> None:
        """Place everything."""
        order = {id(section): index for index, section in enumerate(self.sections)}
        for index, section in enumerate(self.sections, 1):
            section.index = index
        for segment in self.segments:
            if len(segment.sections) > 1:
                segment.sections.sort(key=lambda s: address_order(s, order[id(s)]))
        ordered = sorted(self.segments, key=_segment_order)
        self._headers_in = next((s for s in ordered if s.type == SegmentType.LOAD and s.includes_headers), None)
        self._offset = ELF_HEADER_SIZE + (0 if self._headers_in else self._header_length)
        if not self.segments:
            self._offset = ELF_HEADER_SIZE
        for segment in ordered:
            self._segment(segment, ordered[0])
        self._rest()
        for segment in self.segments:
            if segment.type not in (SegmentType.LOAD, SegmentType.PHDR) and segment.sections:
                self._span(segment)

    @property
    def _header_length(self) -> int:
        return self.headers - ELF_HEADER_SIZE

    # Segments

    def _segment(self, segment: Segment, first: Segment) -> None:
        sections = segment.sections
        if sections:
            segment.vaddr = sections[0].vma
            segment.paddr = sections[0].lma
        if segment.at is not None:
            segment.paddr = segment.at
        if segment.type == SegmentType.LOAD and self.page > 1:
            segment.align = self.page
        elif not sections and not segment.align:
            segment.align = 8
        if segment is self._headers_in:
            if not segment.includes_file_header:
                segment.offset = self._offset
            self._offset += self._header_length
        adjust, empty = 0, False
        if segment.type == SegmentType.LOAD and sections:
            align = segment.align = max(max(section.align for section in sections), self.page)
            empty = all(section.is_nobits for section in sections)
            bias = (segment.vaddr - self._offset) % align
            self._offset += bias
            adjust = bias if empty else 0
        self._cover_headers(segment, first)
        if segment.type == SegmentType.LOAD:
            self._begin(segment, empty=empty)
        for position, section in enumerate(sections):
            adjust = self._section(segment, section, adjust, first=position == 0)
        self._set_flags(segment)
        if segment.type == SegmentType.PHDR and self._headers_in is None:
            message = "the segment PT_PHDR is not covered by a PT_LOAD segment"
            self.errors.append(Diagnostic(message, hint="give a PT_LOAD segment FILEHDR and PHDRS, and room for them"))
        self._offset -= adjust

    def _cover_headers(self, segment: Segment, first: Segment) -> None:
        """Let the segment begin with the ELF header, or with the program headers."""
        before = self._offset
        if segment.includes_file_header:
            segment.file_size = segment.memory_size = ELF_HEADER_SIZE
            if segment.type == SegmentType.LOAD and segment.sections:
                if segment.vaddr < before or (segment.at is None and segment.paddr < before):
                    message = "there is no room for the program headers before the first section"
                    hint = "begin at '. = base + SIZEOF_HEADERS', or leave out FILEHDR"
                    self.errors.append(Diagnostic(message, hint=hint))
                    return
                self._move_down(segment, before)
            elif segment.type != SegmentType.LOAD and first.includes_file_header:
                segment.vaddr = first.vaddr
                segment.paddr = first.paddr if segment.at is None else segment.at
        if segment.includes_headers:
            segment.file_size += self._header_length
            segment.memory_size += self._header_length
            if not segment.includes_file_header:
                self._cover_program_headers(segment)

    def _cover_program_headers(self, segment: Segment) -> None:
        holder = self._headers_in
        if segment.type == SegmentType.LOAD:
            if segment.sections:
                self._move_down(segment, self._offset - segment.offset)
        elif holder is not None:
            before = ELF_HEADER_SIZE if holder.includes_file_header else 0
            segment.vaddr, segment.offset = holder.vaddr + before, holder.offset + before
            if segment.at is None:
                segment.paddr = holder.paddr + before
        else:
            segment.offset = ELF_HEADER_SIZE

    def _move_down(self, segment: Segment, distance: int) -> None:
        segment.vaddr = (segment.vaddr - distance) & WORD
        if segment.at is None:
            segment.paddr = (segment.paddr - distance) & WORD

    def _begin(self, segment: Segment, *, empty: bool) -> None:
        if not segment.includes_file_header and not segment.includes_headers:
            segment.offset = self._offset % self.page if empty else self._offset
            return
        gap = self._offset - segment.offset - segment.file_size
        if not empty:
            segment.file_size += gap
        segment.memory_size += gap

    def _section(self, segment: Segment, section: OutputSection, adjust: int, *, first: bool) -> int:
        loads = segment.type == SegmentType.LOAD
        nobits = section.is_nobits
        tls = bool(section.elf_flags & SectionFlag.TLS)
        counted = not nobits or (section.alloc and (not tls or segment.type == SegmentType.TLS))
        if counted and segment.type in (SegmentType.LOAD, SegmentType.TLS):
            gap = self._gap(segment, section)
            segment.memory_size += gap
            if loads:
                if not nobits:
                    adjust = 0
                    if segment.file_size + gap < segment.memory_size:
                        gap = segment.memory_size - segment.file_size
                if not nobits or first:
                    self._offset += gap
                    adjust += gap if nobits else 0
            if not nobits:
                segment.file_size += gap
        if loads:
            self._placed.add(id(section))
            section.file_offset = self._offset
            self._offset += 0 if nobits else section.size
        elif nobits and tls and id(section) not in self._placed:
            section.file_offset = self._offset + (section.vma - self._offset) % section.align
            self._placed.add(id(section))
        if not nobits:
            segment.file_size += section.size
        if section.alloc and (not nobits or segment.type == SegmentType.TLS or not tls):
            segment.memory_size += section.size
        if not loads:
            segment.align = max(segment.align, section.align)
        return adjust

    def _gap(self, segment: Segment, section: OutputSection) -> int:
        end = segment.paddr + segment.memory_size
        gap = section.lma - end
        if gap < 0 or end > WORD:
            where = section.statement.location if section.statement else None
            message = f"section '{section.name}' is loaded at {end:#x}, not at {section.lma:#x}"
            hint = "there the section before it in its segment is in the way"
            self.warnings.append(Diagnostic(message, where, severity="warning", hint=hint))
            section.lma = end & WORD
            return 0
        return gap

    def _set_flags(self, segment: Segment) -> None:
        if segment.flags is not None:
            segment.elf_flags = int(segment.flags) & 0xFFFF_FFFF
            return
        covers = segment.sections or segment.includes_file_header or segment.includes_headers
        flags = SegmentFlag.READ if covers else SegmentFlag(0)
        for section in segment.sections:
            if section.elf_flags & SectionFlag.EXECINSTR:
                flags |= SegmentFlag.EXECUTE
            if section.elf_flags & SectionFlag.WRITE:
                flags |= SegmentFlag.WRITE
        segment.elf_flags = int(flags)

    # What is in no PT_LOAD segment

    def _rest(self) -> None:
        for section in self.sections:
            if id(section) in self._placed:
                continue
            if section.is_nobits:
                section.file_offset = 0
                continue
            if section.elf_flags & SectionFlag.ALLOC:
                align = self.page if section.size and self.page > 1 else section.elf_align
                self._offset += (section.vma - self._offset) % align
            else:
                self._offset = align_up(self._offset, section.elf_align)
            section.file_offset = self._offset
            self._offset += section.size

    def _span(self, segment: Segment) -> None:
        """The bytes in the file from the first to the last section of a segment that is not loaded itself."""
        first = segment.sections[0]
        segment.offset, segment.file_size = first.file_offset, 0
        for section in reversed(segment.sections):
            if not section.is_nobits:
                segment.file_size = section.file_offset + section.size - first.file_offset
                if segment.type == SegmentType.NOTE and section.alloc:
                    segment.memory_size = segment.file_size
                break


def _segment_order(segment: Segment) -> tuple[bool, int, bool, int]:
    """By type; of one type those with the file's headers first; PT_LOAD by load address (BFD, elf_sort_segments)."""
    address = 0
    if segment.type == SegmentType.LOAD:
        address = segment.at if segment.at is not None else segment.sections[0].lma if segment.sections else 0
    return (segment.type == SegmentType.NULL, segment.type, not segment.includes_file_header, address)
