"""Diagnostics: errors and warnings that name file, line and column and show the line."""

from collections.abc import Iterable
from dataclasses import dataclass

_LONGEST_LINE = 300
"""Characters of a source line that are shown; longer ones are generated."""
_LONGEST_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a source file. Lines and columns count from 1; 0 means not known."""

    file: str
    line: int = 0
    column: int = 0
    text: str = ""
    """The source line itself, without its line break."""

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about the input.

    >>> where = Location("a.S", 3, 5, "    adi a0, a0, 1")
    >>> print(Diagnostic("no such instruction: 'adi'", where, hint="did you mean 'addi'?"))
    a.S:3:5: error: no such instruction: 'adi'
        3 |     adi a0, a0, 1
          |     ^ did you mean 'addi'?
    """

    message: str
    location: Location | None = None
    severity: str = "error"
    hint: str = ""
    notes: tuple["Diagnostic", ...] = ()
    """Further places that belong to it: the macro call, the first definition."""

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        lines = [f"{where}{self.severity}: {_short(self.message)}"]
        if self.location and self.location.text and self.location.line:
            number = f"{self.location.line:5}"
            begin, text = _window(self.location.text, self.location.column)
            lines.append(f"{number} | {text}")
            if self.location.column:
                before = text[: self.location.column - 1 - begin]
                padding = "".join(c if c == "\t" else " " for c in before)
                lines.append(f"{' ' * len(number)} | {padding}^{' ' + self.hint if self.hint else ''}")
            elif self.hint:
                lines.append(f"{' ' * len(number)} | {self.hint}")
        elif self.hint:
            lines.append(f"  {self.hint}")
        lines += [str(note) for note in self.notes]
        return "\n".join(lines)


def _short(message: str) -> str:
    """A message whose middle is left out where it quotes more than anybody reads."""
    if len(message) <= _LONGEST_MESSAGE:
        return message
    half = _LONGEST_MESSAGE // 2
    return f"{message[:half]} ... {message[-half:]}"


def _window(text: str, column: int) -> tuple[int, str]:
    """What is shown of a line, around a column, and how many characters before it the text lacks."""
    if len(text) <= _LONGEST_LINE:
        return 0, text
    begin = max(column - 1 - _LONGEST_LINE // 2, 0)
    before, after = "..." if begin else "", "..." if begin + _LONGEST_LINE < len(text) else ""
    return begin - len(before), f"{before}{text[begin : begin + _LONGEST_LINE]}{after}"


class ToolchainError(Exception):
    """Base of every error of this package: carries all diagnostics that were found, not only the first."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class AssemblyError(ToolchainError):
    """The source cannot be assembled."""


class ScriptError(ToolchainError):
    """The linker script cannot be read or evaluated."""


class LinkError(ToolchainError):
    """The objects cannot be linked: symbols undefined or defined twice, values that do not fit, regions too small."""


class ObjectFileError(ToolchainError):
    """An input file is missing, damaged, or not a RISC-V 64-bit ELF."""
