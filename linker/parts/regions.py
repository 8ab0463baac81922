"""Memory regions: where MEMORY says that there is memory, and how far each is filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linker.errors import Location
    from linker.parts.placed import Placed

DEFAULT = "*default*"


@dataclass(eq=False, slots=True, repr=False)
class Region:
    """A region and its fill level in the current pass."""

    name: str
    origin: int
    length: int
    attributes: str = ""
    location: Location | None = None
    current: int = 0
    last: Placed | None = None
    """The latest section whose load address follows from this region."""
    overflow: int = 0
    """By how many bytes the sections are too large."""

    def reset(self) -> None:
        """Empty it for the next pass."""
        self.current, self.last, self.overflow = self.origin, None, 0

    @property
    def letters(self) -> tuple[frozenset[str], frozenset[str]]:
        """The attributes that draw a section in, and those that keep it out; each `!` changes sides."""
        wanted, refused = set[str](), set[str]()
        target, other = wanted, refused
        for letter in self.attributes.lower():
            if letter == "!":
                target, other = other, target
            elif letter.isalpha():
                target.add(letter)
        return frozenset(wanted), frozenset(refused)
