"""Memory regions: where MEMORY says that there is memory, and how far each is filled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linker.errors import Location
    from linker.layout.sections import OutputSection

DEFAULT = "*default*"


@dataclass(eq=False, slots=True)
class Region:
    """A region and its fill level in the current pass."""

    name: str
    origin: int
    length: int
    attributes: str = ""
    location: Location | None = None
    current: int = 0
    last: OutputSection | None = None
    """The latest section whose load address follows from this region."""
    overflow: int = field(default=0)
    """By how many bytes the sections are too large."""

    def reset(self) -> None:
        """Empty it for the next pass."""
        self.current, self.last, self.overflow = self.origin, None, 0

    def accepts(self, section: OutputSection) -> bool:
        """Whether its attributes draw in a section for which no region was given."""
        wanted, _, refused = self.attributes.partition("!")
        if not wanted and not refused:
            return False
        return _has(section, wanted) and not _has(section, refused)


def _has(section: OutputSection, letters: str) -> bool:
    """Whether the section has any of the properties; no letters ask for nothing of it.

    GNU ld counts a writable section as data.
    """
    answers = {
        "r": section.read_only,
        "w": section.alloc and not section.read_only and not section.code,
        "x": section.code,
        "a": section.alloc,
        "i": section.load,
        "l": section.load,
    }
    return any(answers.get(letter, False) for letter in letters.lower())


def choose_regions(sections: list[OutputSection], regions: dict[str, Region]) -> None:
    """Give sections the regions that their statements name.

    A section that stays in the region of the one before it is loaded where that is, unless it says otherwise (GNU ld).
    """
    previous: OutputSection | None = None
    for output in sections:
        statement = output.statement
        if statement is None:
            continue
        name = statement.region or (statement.load_region if statement.address is None else "")
        output.chosen = regions.get(name or DEFAULT)
        if statement.load_region:
            output.load_region = regions.get(statement.load_region)
        elif (
            previous is not None
            and statement.load_address is None
            and statement.address is None
            and previous.chosen is output.chosen
        ):
            output.load_region = previous.load_region
        previous = output
