"""The passes of a layout: sizes and assignments in turn, until every address is known (GNU ld, lang_process)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.errors import Diagnostic
from linker.layout.alignment import realign_code
from linker.layout.assigning import assign_all
from linker.layout.datasegment import DataSegment
from linker.layout.mapping import Mapper, guess_header_size
from linker.layout.regions import choose_regions
from linker.layout.scope import Phase
from linker.layout.sizing import Sizer
from linker.parts.segments import SegmentType
from linker.unwind.editing import NAME
from linker.unwind.header import size_header

if TYPE_CHECKING:
    from linker.layout.scope import Scope
    from linker.parts.inputs import InputFile
    from linker.parts.segments import Segment
    from linker.unwind.editing import UnwindTables

_ROUNDS = 3
"""Of assignments and sizes, each time the size of the headers changes."""
_TRIES = 10
_FREE_TRIES = 4
"""After these, the headers may only grow."""


def drop_empty(scope: Scope) -> None:
    """Leave out the sections that stay empty (GNU ld, strip_excluded_output_sections)."""
    for output in scope.plan.order:
        made = any(section.linker_made and section.keep for section in output.inputs())
        if not output.size and not output.keep and not made:
            output.removed = True
            output.ignored = not output.sets_symbols


def _note_unsegmented(scope: Scope, segments: list[Segment]) -> None:
    loaded = {id(section) for segment in segments if segment.type == SegmentType.LOAD for section in segment.sections}
    for output in scope.plan.order:
        output.unsegmented = output.alloc and id(output) not in loaded


class Layout:
    """Lays out a plan."""

    def __init__(self, scope: Scope, mapper: Mapper, files: list[InputFile], frames: UnwindTables) -> None:
        self.scope = scope
        self.mapper = mapper
        self.frames = frames
        self.files = files
        self.sizer = Sizer(scope)

    def run(self) -> list[Segment]:
        """Give every section its address and every symbol its value; errors are left in the scope."""
        scope = self.scope
        choose_regions(scope.plan.sections(), scope.regions)
        scope.phase = Phase.MARK
        self.sizer.run()
        if not self.mapper.relocatable:  # a later link may have a use for an empty section
            drop_empty(scope)
        self.mapper.record()
        scope.headers = guess_header_size(scope.plan.live(), self.mapper)
        self._size()
        self.sizer.untrimmed = False
        if not self.mapper.relocatable:
            self._edit_frames()
        segments: list[Segment] = []
        settled = False
        for tries in range(_TRIES, 0, -1):
            settled = self._rounds()
            segments = self.mapper.segments(scope.plan.live(), scope.headers, loads_headers=scope.loads_headers)
            size = self.mapper.header_size(segments)
            if size == scope.headers or (tries <= _TRIES - _FREE_TRIES and size < scope.headers):
                break
            scope.headers = size
        _note_unsegmented(scope, segments)
        assign_all(scope, Phase.FINAL)
        if not settled and not scope.errors and self._size_moves():
            scope.errors.append(Diagnostic("the addresses do not settle: a section's place depends on itself"))
        return segments

    def _edit_frames(self) -> None:
        """As GNU ld: when sections have their alignments, and before code moves for its own."""
        output = self.scope.plan.find(NAME)
        if output is not None:
            self.frames.edit(output)
        if self.mapper.frame_header is not None:
            size_header(self.mapper.frame_header, self.frames)

    def _size(self, *, reports: bool = False) -> None:
        """Sizes, twice when the data segment saves a page by that (GNU ld, lang_size_sections)."""
        scope = self.scope
        scope.phase, scope.data = Phase.ALLOCATING, DataSegment()
        self.sizer.run(reports=reports)
        if scope.data.settle():
            scope.errors.clear()
            self.sizer.run(reports=reports)

    def _rounds(self) -> bool:
        """Assignments and sizes in turn; whether they settled."""
        scope = self.scope
        settled = False
        for _ in range(_ROUNDS):
            before = self._snapshot()
            assign_all(scope, Phase.ASSIGNING)
            sections = (s for f in self.files for s in f.sections if not s.is_nobits)
            if not self.mapper.relocatable and realign_code(sections):
                before = []
            self._size()
            settled = self._snapshot() == before
            if settled:
                break
        scope.errors.clear()
        self._size(reports=True)
        return settled

    def _size_moves(self) -> bool:
        before = [(s.vma, s.size) for s in self.scope.plan.order]
        self._size()
        return before != [(s.vma, s.size) for s in self.scope.plan.order]

    def _snapshot(self) -> list[tuple[int, int, int]]:
        sections = [(s.vma, s.lma, s.size) for s in self.scope.plan.order]
        symbols = [(e.value, id(e.home), 0) for e in self.scope.table.names.values() if e.from_script]
        wanted = sum(entry.referenced for entry in self.scope.table.names.values())
        return [*sections, *symbols, (wanted, 0, 0)]
