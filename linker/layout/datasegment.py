"""DATA_SEGMENT_ALIGN ... DATA_SEGMENT_END: whether the data segment can begin on the text's last page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from linker.script.evaluate import align_up

PAGE_SIZE = 0x1000


class Progress(Enum):
    """Which of the functions the pass has met, and what came of it."""

    NONE = auto()
    ALIGN_SEEN = auto()
    RELRO_SEEN = auto()
    END_SEEN = auto()
    DONE = auto()
    ADJUST = auto()
    """The segment begins on a fresh page, which saves one."""


@dataclass(slots=True)
class DataSegment:
    """The state of the functions; without relro, so that RELRO_END changes nothing (GNU ld, ldexp.c)."""

    progress: Progress = Progress.NONE
    base: int = 0
    end: int = 0
    common_page: int = PAGE_SIZE

    def call(self, function: str, arguments: tuple[int, ...], dot: int) -> int | None:
        """The value of a function, or None where it must not stand."""
        if function == "DATA_SEGMENT_ALIGN":
            return self._align(arguments[0], arguments[1], dot)
        if function == "DATA_SEGMENT_RELRO_END":
            if self.progress not in (Progress.ALIGN_SEEN, Progress.ADJUST, Progress.DONE):
                return None
            if self.progress is Progress.ALIGN_SEEN:
                self.progress = Progress.RELRO_SEEN
            return arguments[1]
        if self.progress in (Progress.ALIGN_SEEN, Progress.RELRO_SEEN):
            self.progress, self.end = Progress.END_SEEN, arguments[0]
        elif self.progress not in (Progress.DONE, Progress.ADJUST):
            return None
        return arguments[0]

    def _align(self, page: int, common: int, dot: int) -> int | None:
        value = align_up(dot, page)
        if self.progress is Progress.ADJUST:
            return value + ((dot + common - 1) & (page - common)) if common < page else value
        value += dot & (page - 1)
        if self.progress is Progress.NONE:
            self.progress, self.base, self.common_page = Progress.ALIGN_SEEN, value, max(common, 1)
        elif self.progress is not Progress.DONE:
            return None
        return value

    def settle(self) -> bool:
        """Behind the first pass: whether to lay out again because a fresh page saves one (lang_size_segment)."""
        if self.progress is not Progress.END_SEEN:
            self.progress = Progress.DONE
            return False
        page = self.common_page
        first, last = -self.base & (page - 1), self.end & (page - 1)
        apart = self.base & -page != self.end & -page
        saves = bool(first and last and apart and first + last <= page)
        self.progress = Progress.ADJUST if saves else Progress.DONE
        return saves
