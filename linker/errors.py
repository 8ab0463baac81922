"""Diagnostics: errors and warnings that name file, line and column and show the line."""

from collections.abc import Iterable
from dataclasses import dataclass


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
        lines = [f"{where}{self.severity}: {self.message}"]
        if self.location and self.location.text and self.location.line:
            number = f"{self.location.line:5}"
            lines.append(f"{number} | {self.location.text}")
            if self.location.column:
                before = self.location.text[: self.location.column - 1]
                padding = "".join(c if c == "\t" else " " for c in before)
                lines.append(f"{' ' * len(number)} | {padding}^{' ' + self.hint if self.hint else ''}")
            elif self.hint:
                lines.append(f"{' ' * len(number)} | {self.hint}")
        elif self.hint:
            lines.append(f"  {self.hint}")
        lines += [str(note) for note in self.notes]
        return "\n".join(lines)


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
