"""Where text came from: files, macro bodies and repetitions, and marks that a message can be pinned to."""

import re
from dataclasses import dataclass

from linker.errors import Diagnostic, Location

_MOST_NOTES = 8
_WORD = r"[\w.$]"


@dataclass(frozen=True, slots=True)
class Origin:
    """A run of lines that one file, macro body or repetition gave."""

    file: str
    lines: list[str]
    first_line: int
    """The number of the first line."""
    caller: "Mark | None" = None
    """Where the macro was called or the repetition stands."""
    what: str = ""
    """For the note at that place: `in macro 'save'`."""
    is_file: bool = False
    """Whether the lines are a file's own, not a macro's or a repetition's."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of an origin."""

    origin: Origin
    index: int

    @property
    def line(self) -> int:
        """The line's number in its file."""
        return self.origin.first_line + self.index

    @property
    def text(self) -> str:
        """The line itself."""
        lines = self.origin.lines
        return lines[self.index] if 0 <= self.index < len(lines) else ""

    def location(self, part: str = "") -> Location:
        """For a message; the column is where a part of the line stands, else its first character."""
        text = self.text
        column = _column(text, part)
        if column < 0:
            column = len(text) - len(text.lstrip())
        return Location(self.origin.file, self.line, column + 1 if text else 0, text)

    def notes(self) -> tuple[Diagnostic, ...]:
        """The calls that led here, innermost first; of very many the first and the last."""
        notes: list[Diagnostic] = []
        mark = self
        while mark.origin.caller is not None:
            what, mark = mark.origin.what, mark.origin.caller
            notes.append(Diagnostic(what, mark.location(), severity="note"))
        if len(notes) > _MOST_NOTES:
            left_out = Diagnostic(f"... and {len(notes) - _MOST_NOTES} calls more ...", severity="note")
            notes[_MOST_NOTES // 2 : -_MOST_NOTES // 2] = [left_out]
        return tuple(notes)


def _column(text: str, part: str) -> int:
    """Where a part of a line stands, rather as a word of its own than inside another (the 5 of `ld a5, 5`); or -1."""
    if not part:
        return -1
    before = f"(?<!{_WORD})" if re.match(_WORD, part[0]) else ""
    after = f"(?!{_WORD})" if re.match(_WORD, part[-1]) else ""
    found = re.search(before + re.escape(part) + after, text)
    return found.start() if found else text.find(part)
