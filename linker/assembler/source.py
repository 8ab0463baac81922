"""Where text came from: files, macro bodies and repetitions, and marks that a message can be pinned to."""

import re
from dataclasses import dataclass

from linker.errors import Diagnostic, Location

_MOST_NOTES = 8
_WORD = re.compile(r"[\w.$]")


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


_TRIES = 1000
"""Places of a line at which a part is looked for as a word of its own."""


def _column(text: str, part: str) -> int:
    """Where a part of a line stands, rather as a word of its own than inside another (the 5 of `ld a5, 5`); or -1."""
    if not part:
        return -1
    first = begin = text.find(part)
    is_word_before, is_word_behind = _WORD.match(part[0]), _WORD.match(part[-1])
    for _ in range(_TRIES):
        if begin < 0:
            break
        end = begin + len(part)
        joined = is_word_before and begin and _WORD.match(text[begin - 1])
        if not joined and not (is_word_behind and end < len(text) and _WORD.match(text[end])):
            return begin
        begin = text.find(part, begin + 1)
    return first
