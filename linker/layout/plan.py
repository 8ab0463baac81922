"""The plan of a link: assignments and output sections in the order of the script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from linker.parts.sections import OutputSection
from linker.script.syntax import Assertion, Assignment, Insert

if TYPE_CHECKING:
    from linker.errors import Diagnostic
    from linker.parts.inputs import InputSection

DISCARD = "/DISCARD/"

Command: TypeAlias = "Assignment | Assertion | OutputSection | Insert"


@dataclass(slots=True)
class Plan:
    """The memory image in the order of the script, and the order in which the output lists its sections."""

    commands: list[Command] = field(default_factory=list)
    order: list[OutputSection] = field(default_factory=list)
    """Sections as they came into being: that of the section header table."""
    discarded: list[InputSection] = field(default_factory=list)
    errors: list[Diagnostic] = field(default_factory=list)
    common: OutputSection | None = None
    """Where COMMON symbols go that no pattern names."""
    _by_name: dict[str, list[OutputSection]] = field(default_factory=dict)

    def append(self, command: Command) -> None:
        """Put a command at the end."""
        self.commands.append(command)
        if isinstance(command, OutputSection):
            self.register(command)

    def register(self, section: OutputSection) -> None:
        """Let a section be found by its name."""
        self._by_name.setdefault(section.name, []).append(section)

    def create(self, section: OutputSection, **properties: bool) -> None:
        """Bring a section into being, if it is not yet."""
        if not section.created:
            section.create(**properties)
            self.order.append(section)

    def sections(self) -> list[OutputSection]:
        """All output sections, also the empty ones, in the order of the script."""
        return [command for command in self.commands if isinstance(command, OutputSection)]

    def live(self) -> list[OutputSection]:
        """Those of the output, in its order."""
        return [section for section in self.order if section.is_live]

    def named(self, name: str) -> list[OutputSection]:
        """All output sections of a name that mean something."""
        return [section for section in self._by_name.get(name, ()) if not section.refused]

    def find(self, name: str) -> OutputSection | None:
        """The first output section of a name."""
        return next((section for section in self._by_name.get(name, ()) if not section.refused), None)
