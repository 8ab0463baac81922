"""Program headers: which sections go together into a segment (BFD, _bfd_elf_map_sections_to_segments)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linker.errors import Diagnostic
from linker.layout.scope import Phase
from linker.objects.model import SectionType
from linker.parts.segments import Segment, SegmentFlag, SegmentType
from linker.script.evaluate import WORD, align_up

if TYPE_CHECKING:
    from linker.layout.scope import Scope
    from linker.parts.inputs import InputSection
    from linker.parts.placed import Placed
    from linker.parts.sections import OutputSection
    from linker.script.syntax import ProgramHeader, Script

ELF_HEADER_SIZE = 64
PROGRAM_HEADER_SIZE = 56
_STACK_ALIGN = 16
"""Of PT_GNU_STACK (BFD, elfnn-riscv.c)."""


@dataclass(slots=True)
class Mapper:
    """Makes segments of laid-out sections."""

    script: Script
    scope: Scope
    page: int
    paged: bool = True
    """Whether the file is made to be mapped page by page: not with `-n`."""
    stack_flags: int | None = None
    """Of PT_GNU_STACK, when an object says something about its stack."""
    relocatable: bool = False
    """Whether the output is an object, which has no program headers."""
    frame_header: InputSection | None = None
    """`.eh_frame_hdr`, when it was asked for and has something to say."""
    errors: list[Diagnostic] = field(default_factory=list)
    _unallocated: set[int] = field(default_factory=set)

    def record(self) -> None:
        """Remember which sections (by id) take no memory before anything has a size: PHDRS passes over them."""
        self._unallocated = {id(section) for section in self.scope.plan.order if not section.alloc}

    def segments(self, sections: list[OutputSection], headers: int, *, loads_headers: bool) -> list[Segment]:
        """The segments of the sections of the output, in its order; `headers` is the expected size of all headers."""
        self.errors.clear()
        if self.relocatable:
            return []
        if self.script.phdrs is not None:
            segments = self._from_script()
        else:
            rules = _Rules(sections, headers, self.page, paged=self.paged)
            segments = rules.run(loads_headers=loads_headers)
            self.errors += rules.errors
            holder = next((s for s in sections if s is self._frame_output()), None)
            if holder is not None and holder.load:
                segments.append(Segment(SegmentType.GNU_EH_FRAME, [holder]))
            if self.stack_flags is not None:
                flags = SegmentFlag(self.stack_flags)
                segments.append(Segment(SegmentType.GNU_STACK, flags=flags, align=_STACK_ALIGN))
        return _with_attributes(segments, sections)

    def _frame_output(self) -> Placed | None:
        return self.frame_header.output if self.frame_header is not None else None

    def header_size(self, segments: list[Segment]) -> int:
        """The size of the ELF header and of all program headers."""
        return ELF_HEADER_SIZE + PROGRAM_HEADER_SIZE * len(segments)

    def _from_script(self) -> list[Segment]:
        """GNU ld, lang_record_phdrs: a section without headers of its own goes where the one before it went."""
        named = {header.name for header in self.script.phdrs or ()}
        sections = [section for section in self.scope.plan.sections() if not section.refused]
        for section in sections:
            for name in _own_headers(section):
                if section.created and name != "NONE" and name not in named:
                    where = section.statement.location if section.statement else None
                    message = f"section '{section.name}' goes to the segment '{name}', which PHDRS lacks"
                    self.errors.append(Diagnostic(message, where))
        current: tuple[str, ...] = ()
        result = []
        for header in self.script.phdrs or ():
            segment = self._declared(header)
            for index, section in enumerate(sections):
                headers = _own_headers(section)
                if headers:
                    current = headers
                elif self._passes_over(section) or header.type == SegmentType.INTERP:
                    continue
                else:
                    current = current or next((h for s in sections[index:] if (h := _own_headers(s))), ())
                    if not current:
                        self._complain_of_headers(section)
                    headers = current
                in_memory = section.alloc or header.type != SegmentType.LOAD
                if section.is_live and in_memory and header.name in headers:
                    segment.sections.append(section)
            result.append(segment)
        return result

    def _passes_over(self, section: OutputSection) -> bool:
        return section.kind == "NOLOAD" or id(section) in self._unallocated or not section.alloc

    def _complain_of_headers(self, section: OutputSection) -> None:
        message = "PHDRS declares segments, and no section is assigned to one"
        where = section.statement.location if section.statement else None
        error = Diagnostic(message, where, hint="write ':name' behind the sections")
        if error not in self.errors:
            self.errors.append(error)

    def _declared(self, header: ProgramHeader) -> Segment:
        scope = self.scope
        segment = Segment(header.type, includes_file_header=header.filehdr, includes_headers=header.phdrs)
        scope.phase, scope.section, scope.dot = Phase.FINAL, None, 0
        if header.flags is not None:
            value = scope.fold(header.flags)
            segment.flags = 0 if value is None else value.value
        if header.at is not None:
            value = scope.fold(header.at)
            segment.at = 0 if value is None else value.absolute
        return segment


def guess_header_size(sections: list[OutputSection], mapper: Mapper) -> int:
    """SIZEOF_HEADERS: the ELF header and as many program headers as BFD expects before layout."""
    if mapper.relocatable:
        return ELF_HEADER_SIZE
    if mapper.script.phdrs is not None:
        return ELF_HEADER_SIZE + len(mapper.script.phdrs) * PROGRAM_HEADER_SIZE
    count = 2 + any(section.tls for section in sections)
    count += any(section.name == ".riscv.attributes" for section in sections)
    count += 2 * any(section.name == ".interp" and section.load and section.size for section in sections)
    count += mapper.stack_flags is not None
    count += mapper.frame_header is not None
    last: OutputSection | None = None
    for section in sections:
        note = _is_note(section)
        count += note and (last is None or last.align != section.align)
        last = section if note else None
    return ELF_HEADER_SIZE + count * PROGRAM_HEADER_SIZE


def _is_note(section: OutputSection) -> bool:
    return section.load and section.type == SectionType.NOTE


def _own_headers(section: OutputSection) -> tuple[str, ...]:
    """The program headers that its statement names; an orphan has those of the section that it stands behind."""
    while section.statement is None and section.like is not None:
        section = section.like
    return section.statement.phdrs if section.statement is not None else ()


def _with_attributes(segments: list[Segment], sections: list[OutputSection]) -> list[Segment]:
    """With the segment of the attributes, behind those that must come first."""
    if any(segment.type == SegmentType.RISCV_ATTRIBUTES for segment in segments):
        return segments
    attributes = next((section for section in sections if section.name == ".riscv.attributes"), None)
    if attributes is not None:
        position = 0
        while position < len(segments) and segments[position].type in (SegmentType.PHDR, SegmentType.INTERP):
            position += 1
        segments.insert(position, Segment(SegmentType.RISCV_ATTRIBUTES, [attributes]))
    return segments


class _Rules:
    """Segments without PHDRS."""

    def __init__(self, sections: list[OutputSection], headers: int, page: int, *, paged: bool) -> None:
        self.sections = sections
        self.headers = headers
        self.page = page
        self.paged = paged
        self.errors: list[Diagnostic] = []
        self.by_name: dict[str, OutputSection] = {}
        for section in sections:
            self.by_name.setdefault(section.name, section)

    def run(self, *, loads_headers: bool) -> list[Segment]:
        order = {id(section): index for index, section in enumerate(self.sections)}
        allocated = [section for section in self.sections if section.alloc]
        allocated.sort(key=lambda s: address_order(s, order[id(s)]))
        segments: list[Segment] = []
        interpreter = self.by_name.get(".interp")
        if interpreter is not None and interpreter.load and interpreter.size:
            segments += [Segment(SegmentType.PHDR, includes_headers=True, flags=SegmentFlag.READ)]
            segments += [Segment(SegmentType.INTERP, [interpreter])]
            loads_headers = True
        segments += self._load_segments(allocated, loads_headers=loads_headers)
        segments += self._notes()
        tls = [section for section in self.sections if section.tls]
        if tls:
            self._check_adjacent(tls)
            segments.append(Segment(SegmentType.TLS, tls, flags=SegmentFlag.READ))
        return segments

    def _check_adjacent(self, tls: list[OutputSection]) -> None:
        begin = self.sections.index(tls[0])
        if self.sections[begin : begin + len(tls)] != tls:
            stranger = next(s for s in self.sections[begin:] if not s.tls)
            where = stranger.statement.location if stranger.statement else None
            message = f"thread-local sections are not adjacent: section '{stranger.name}' stands between them"
            self.errors.append(Diagnostic(message, where, hint="put .tbss right behind .tdata"))

    def _load_segments(self, allocated: list[OutputSection], *, loads_headers: bool) -> list[Segment]:
        if not allocated:
            return []
        page, first = self.page, allocated[0]
        # A script that says SIZEOF_HEADERS wants them loaded; and where there is room for them, they are.
        fits = self.paged and (loads_headers or first.lma % page >= self.headers % page)
        begin = (first.lma - self.headers) & WORD & -page
        wraps = [end for s in allocated if (end := (s.lma + s.size) & WORD) < s.lma]
        fits &= first.lma >= begin and first.lma >= self.headers and begin >= (wraps[-1] if wraps else 0)
        result = [Segment(SegmentType.LOAD, [first], fits, fits)]
        writable, last = not first.read_only, first
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
        if self._is_apart(last, section, writable=writable):
            return True
        current, previous = self.by_name.get(section.name), self.by_name.get(last.name)
        return current is not None and previous is not None and current.region is not previous.region

    def _is_apart(self, last: OutputSection, section: OutputSection, *, writable: bool) -> bool:
        page = self.page
        end = (last.lma + (0 if last.is_tbss else last.size)) & WORD
        if (last.lma - last.vma) & WORD != (section.lma - section.vma) & WORD:
            return True
        if section.lma < end or end < last.lma:
            return True
        if self.paged and (end - 1) & WORD & -page == section.lma & -page:
            return False
        if last.lma < align_up(end, page) + page <= section.lma:
            return True
        if not last.load and not last.tls and (section.load or section.tls):
            return True
        return self.paged and not writable and not section.read_only

    def _notes(self) -> list[Segment]:
        result: list[Segment] = []
        last: OutputSection | None = None
        for section in self.sections:
            if not _is_note(section):
                last = None
                continue
            follows = (
                last is not None
                and section.align == last.align
                and align_up(last.lma + last.size, last.align) == section.lma
            )
            if follows:
                result[-1].sections.append(section)
            else:
                result.append(Segment(SegmentType.NOTE, [section]))
            last = section
        return result


def address_order(section: OutputSection, index: int) -> tuple[int, int, bool, int, int]:
    """By load address; what is not loaded stands behind what is, empty sections before others (BFD)."""
    at_end = not section.load and not section.tls and section.size != 0
    return (section.lma, section.vma, at_end, section.size if section.load else 0, index)
