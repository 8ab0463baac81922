"""Collects the errors and warnings of one assembly, so that all of them are shown at once."""

from linker.assembler.source import Mark
from linker.errors import AssemblyError, Diagnostic

_LIMIT = 1000
"""After so many errors reading on helps nobody."""


class StatementError(Exception):
    """A statement is wrong; reading goes on with the next one."""

    def __init__(self, message: str, part: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.part = part
        """The part of the line that is at fault."""
        self.hint = hint


class Diagnostics:
    """All findings so far."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self._errors = 0

    def error(self, message: str, mark: Mark | None, part: str = "", hint: str = "") -> None:
        """Record an error.

        Raises:
            AssemblyError: it is one too many.

        """
        self._add("error", message, mark, part, hint)
        self._errors += 1
        if self._errors >= _LIMIT:
            self.raise_errors()

    def warning(self, message: str, mark: Mark | None, part: str = "") -> None:
        """Record a warning."""
        self._add("warning", message, mark, part, "")

    def note(self, message: str, mark: Mark | None) -> None:
        """Record what the source wants to have said."""
        self._add("note", message, mark, "", "")

    def _add(self, severity: str, message: str, mark: Mark | None, part: str, hint: str) -> None:
        location = mark.location(part) if mark else None
        notes = mark.notes() if mark else ()
        self.found.append(Diagnostic(message, location, severity, hint, notes))

    @property
    def warnings(self) -> list[Diagnostic]:
        """What is no error."""
        return [diagnostic for diagnostic in self.found if diagnostic.severity != "error"]

    def raise_errors(self) -> None:
        """Raise what was found, if an error is among it.

        Raises:
            AssemblyError: with all diagnostics in order.

        """
        if self._errors:
            raise AssemblyError(self.found)
