"""Program headers, and where each section lies in the file (as BFD's ELF writer decides)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from linker.errors import Diagnostic
from linker.objects.model import SectionFlag, SectionType
from linker.script.evaluate import WORD, align_up, evaluate

if TYPE_CHECKING:
    from linker.layout.scope import Scope
    from linker.layout.sections import OutputSection
    from linker.script.syntax import ProgramHeader, Script

ELF_HEADER_SIZE = 64
PROGRAM_HEADER_SIZE = 56


class SegmentType(IntEnum):
    """`p_type`."""

    NULL = 0
    LOAD = 1
    NOTE = 4
    PHDR = 6
    TLS = 7
    GNU_STACK = 0x6474E551
    RISCV_ATTRIBUTES = 0x7000_0003


class SegmentFlag(IntFlag):
    """`p_flags`."""

    EXECUTE = 1
    WRITE = 2
    READ = 4


@dataclass(eq=False, slots=True)
class Segment:
    """One program header and the sections that it covers."""

    type: int
    sections: list[OutputSection] = field(default_factory=list)
    includes_file_header: bool = False
    includes_headers: bool = False
    flags: int | None = None
    """When the script fixed them."""
    at: int | None = None
    offset: int = 0
    vaddr: int = 0
    paddr: int = 0
    file_size: int = 0
    memory_size: int = 0
    align: int = 1
    elf_flags: int = 0


def guess_header_size(sections: list[OutputSection], script: Script) -> int:
    """SIZEOF_HEADERS: the ELF header and as many program headers as BFD expects before layout."""
    if script.phdrs is not None:
        count = len(script.phdrs)
    else:
        live = [section for section in sections if section.created and not section.removed]
        count = 2 + any(section.tls for section in live)
        count += any(section.name == ".riscv.attributes" for section in live)
        count += sum(_is_note(section) for section in live)
        count += any(section.name == ".interp" for section in live) * 2
    return ELF_HEADER_SIZE + count * PROGRAM_HEADER_SIZE


def _is_note(section: OutputSection) -> bool:
    return section.load and section.name.startswith(".note")


@dataclass(slots=True)
class Segmenter:
    """Makes segments of laid-out sections."""

    sections: list[OutputSection]
    """Those of the output, in its order."""
    script: Script
    scope: Scope
    page: int
    headers: int
    """The expected size of all headers."""
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)

    def run(self) -> list[Segment]:
        """The program headers, with file offsets given to all sections."""
        segments = self._segments()
        for index, section in enumerate(self.sections, 1):
            section.index = index
        self._place(segments)
        return segments

    def header_size(self) -> int:
        """The size of the ELF header and of all program headers."""
        return ELF_HEADER_SIZE + PROGRAM_HEADER_SIZE * len(self._segments())

    # Which sections go together

    def _segments(self) -> list[Segment]:
        return self._from_script() if self.script.phdrs is not None else self._by_rules()

    def _from_script(self) -> list[Segment]:
        named: dict[str, Segment] = {}
        self.scope.final = True
        for header in self.script.phdrs or ():
            named[header.name] = self._declared(header)
        current: tuple[str, ...] = ()
        for section in self.sections:
            if not section.alloc:
                continue
            current = self._phdrs_of(section) or current or self._default_phdr()
            for name in current:
                if name == "NONE":
                    continue
                if name in named:
                    named[name].sections.append(section)
                else:
                    where = section.statement.location if section.statement else None
                    message = f"section '{section.name}' goes to the segment '{name}', which PHDRS lacks"
                    self.errors.append(Diagnostic(message, where))
        segments = list(named.values())
        if not any(segment.type == SegmentType.RISCV_ATTRIBUTES for segment in segments):
            position = sum(segment.type == SegmentType.PHDR for segment in segments)
            segments[position:position] = [Segment(SegmentType.RISCV_ATTRIBUTES, [s]) for s in self._attributes()]
        return segments

    def _phdrs_of(self, section: OutputSection) -> tuple[str, ...]:
        if section.statement is not None:
            return section.statement.phdrs
        return self._phdrs_of(section.like) if section.like is not None else ()

    def _default_phdr(self) -> tuple[str, ...]:
        loads = [header.name for header in self.script.phdrs or () if header.type == SegmentType.LOAD]
        return tuple(loads[:1])

    def _declared(self, header: ProgramHeader) -> Segment:
        segment = Segment(header.type, includes_file_header=header.filehdr, includes_headers=header.phdrs)
        if header.flags is not None:
            value = evaluate(header.flags, self.scope)
            segment.flags = 0 if value is None else value.value
        if header.at is not None:
            value = evaluate(header.at, self.scope)
            segment.at = 0 if value is None else value.absolute
        return segment

    def _by_rules(self) -> list[Segment]:
        allocated = [section for section in self.sections if section.alloc]
        order = {id(section): index for index, section in enumerate(self.sections)}
        allocated.sort(key=lambda s: _address_order(s, order[id(s)]))
        segments = [Segment(SegmentType.RISCV_ATTRIBUTES, [s]) for s in self._attributes()]
        segments += self._load_segments(allocated)
        segments += self._notes()
        tls = [section for section in self.sections if section.tls]
        if tls:
            segments.append(Segment(SegmentType.TLS, tls, flags=SegmentFlag.READ))
        return segments

    def _attributes(self) -> list[OutputSection]:
        return [section for section in self.sections if section.name == ".riscv.attributes"]

    def _load_segments(self, allocated: list[OutputSection]) -> list[Segment]:
        if not allocated:
            return []
        first = allocated[0]
        # A script that says SIZEOF_HEADERS wants them loaded.
        headers_fit = first.lma >= self.headers and (
            self.scope.loads_headers or first.lma % self.page >= self.headers % self.page
        )
        result = [Segment(SegmentType.LOAD, [first], headers_fit, headers_fit)]
        writable = not first.read_only
        last = first
        for section in allocated[1:]:
            if self._starts_segment(last, section, writable=writable):
                result.append(Segment(SegmentType.LOAD, [section]))
                writable = not section.read_only
            else:
                result[-1].sections.append(section)
                writable |= not section.read_only
            last = section
        if len(result[-1].sections) == 1 and last.is_tbss:
            result.pop()
        return result

    def _starts_segment(self, last: OutputSection, section: OutputSection, *, writable: bool) -> bool:
        page = self.page
        end = last.lma + (0 if last.is_tbss else last.size)
        if (last.lma - last.vma) & WORD != (section.lma - section.vma) & WORD:
            return True
        if section.lma < end or align_up(end, page) + page <= section.lma:
            return True
        on_one_page = (end - 1) & -page == section.lma & -page
        if not last.load and not last.tls and (section.load or section.tls) and not on_one_page:
            return True
        return not writable and not section.read_only and not on_one_page

    def _notes(self) -> list[Segment]:
        result: list[Segment] = []
        last: OutputSection | None = None
        for section in self.sections:
            if not _is_note(section):
                last = None
                continue
            follows = (
                last is not None
                and section.align == last.align == 4
                and align_up(last.lma + last.size, 4) == section.lma
            )
            if follows:
                result[-1].sections.append(section)
            else:
                result.append(Segment(SegmentType.NOTE, [section]))
            last = section
        return result

    # Places in the file

    def _place(self, segments: list[Segment]) -> None:
        header_end = ELF_HEADER_SIZE + PROGRAM_HEADER_SIZE * len(segments)
        offset = header_end
        placed: set[int] = set()
        # In the file, segments stand in the order of their load addresses.
        for segment in sorted((s for s in segments if s.type == SegmentType.LOAD), key=_load_order):
            offset = self._place_load(segment, offset, header_end, placed)
        for section in self.sections:
            if id(section) not in placed and not section.alloc:
                offset = align_up(offset, section.align)
                section.file_offset = offset
                offset += section.size
            elif id(section) not in placed:
                section.file_offset = offset
                if not section.is_nobits:
                    offset += section.size
        for segment in segments:
            if segment.type != SegmentType.LOAD:
                self._place_other(segment, len(segments), segments)

    def _place_load(self, segment: Segment, offset: int, header_end: int, placed: set[int]) -> int:
        sections = segment.sections
        if segment.includes_headers or segment.includes_file_header:
            offset = max(offset, header_end)
        segment.align = self.page
        adjust = 0
        if sections:
            first = sections[0]
            segment.vaddr = first.vma
            segment.paddr = first.lma if segment.at is None else segment.at
            segment.align = max(max(section.align for section in sections), self.page)
            bias = (segment.vaddr - offset) % segment.align
            offset += bias
            if all(section.is_nobits for section in sections):
                adjust = bias
        self._cover_headers(segment, offset, header_end)
        if not segment.includes_headers and not segment.includes_file_header:
            segment.offset = offset % self.page if adjust or _no_contents(sections) else offset
        for position, section in enumerate(sections):
            offset, adjust = self._place_section(segment, section, offset, adjust, first=position == 0)
            placed.add(id(section))
        self._set_flags(segment)
        return offset - adjust

    def _cover_headers(self, segment: Segment, offset: int, header_end: int) -> None:
        """Let the segment begin with the ELF header, or with the program headers."""
        if segment.includes_file_header:
            begin, end = 0, header_end if segment.includes_headers else ELF_HEADER_SIZE
        elif segment.includes_headers:
            begin, end = ELF_HEADER_SIZE, header_end
        else:
            return
        segment.offset = begin
        if not segment.sections:
            segment.file_size = segment.memory_size = end - begin
            return
        before = offset - begin
        if segment.vaddr < before or (segment.at is None and segment.paddr < before):
            message = "there is no room for the program headers before the first section"
            self.errors.append(Diagnostic(message, hint="begin at '. = base + SIZEOF_HEADERS', or leave out FILEHDR"))
            return
        segment.vaddr -= before
        if segment.at is None:
            segment.paddr -= before
        segment.memory_size = before
        segment.file_size = end - begin if _no_contents(segment.sections) else before

    def _place_section(
        self, segment: Segment, section: OutputSection, offset: int, adjust: int, *, first: bool
    ) -> tuple[int, int]:
        if not section.is_tbss:
            end = segment.paddr + segment.memory_size
            gap = section.lma - end if segment.at is None else section.vma - segment.vaddr - segment.memory_size
            if gap < 0:
                message = f"section '{section.name}' overlaps the section before it in its segment"
                where = section.statement.location if section.statement else None
                self.errors.append(Diagnostic(message, where, hint=f"it begins at {section.lma:#x}, {-gap} too early"))
                gap = 0
            segment.memory_size += gap
            if not section.is_nobits:
                adjust = 0
                gap = max(gap, segment.memory_size - segment.file_size)
                segment.file_size += gap
                offset += gap
            elif first:
                offset += gap
                adjust += gap
        section.file_offset = offset
        if not section.is_nobits:
            offset += section.size
            segment.file_size += section.size
        if not section.is_tbss:
            segment.memory_size += section.size
        return offset, adjust

    def _set_flags(self, segment: Segment) -> None:
        if segment.flags is not None:
            segment.elf_flags = segment.flags
            return
        flags = SegmentFlag.READ if segment.sections or segment.includes_headers else SegmentFlag(0)
        for section in segment.sections:
            if section.elf_flags & SectionFlag.EXECINSTR:
                flags |= SegmentFlag.EXECUTE
            if section.elf_flags & SectionFlag.WRITE:
                flags |= SegmentFlag.WRITE
        segment.elf_flags = flags

    def _place_other(self, segment: Segment, count: int, segments: list[Segment]) -> None:
        self._set_flags(segment)
        if segment.type == SegmentType.PHDR:
            segment.offset = ELF_HEADER_SIZE
            segment.file_size = segment.memory_size = count * PROGRAM_HEADER_SIZE
            segment.align = 8
            segment.elf_flags = segment.flags if segment.flags is not None else SegmentFlag.READ
            holder = next((s for s in segments if s.type == SegmentType.LOAD and s.includes_headers), None)
            if holder is not None:
                segment.vaddr = holder.vaddr + ELF_HEADER_SIZE - holder.offset
                segment.paddr = holder.paddr + ELF_HEADER_SIZE - holder.offset
            return
        if not segment.sections:
            segment.align = 8
            return
        first, last = segment.sections[0], segment.sections[-1]
        segment.offset, segment.vaddr = first.file_offset, first.vma
        segment.paddr = first.lma if segment.at is None else segment.at
        segment.align = max(section.align for section in segment.sections)
        segment.file_size = sum(0 if s.is_nobits else s.size for s in segment.sections)
        stored = [s for s in segment.sections if not s.is_nobits]
        if stored:
            segment.file_size = stored[-1].file_offset + stored[-1].size - first.file_offset
        if first.alloc:
            segment.memory_size = last.vma + last.size - first.vma
        if segment.type == SegmentType.TLS:
            segment.memory_size = 0
            for section in segment.sections:  # .tbss may stand before .tdata, at the same address
                gap = section.vma - first.vma - segment.memory_size
                segment.memory_size += max(gap, 0) + section.size


def _load_order(segment: Segment) -> tuple[bool, int]:
    first = segment.sections[0].lma if segment.sections else 0
    return (not segment.includes_file_header, first if segment.at is None else segment.at)


def _no_contents(sections: list[OutputSection]) -> bool:
    return bool(sections) and all(section.elf_type == SectionType.NOBITS for section in sections)


def _address_order(section: OutputSection, index: int) -> tuple[int, int, bool, int, int]:
    at_end = not section.load and not section.tls
    # Among unloaded sections at one address their order in the file decides, else the smaller one comes first.
    size = index if at_end else (section.size if section.load else 0)
    return (section.lma, section.vma, at_end, size, index)
