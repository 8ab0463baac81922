"""Which memory region an output section goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.parts.regions import DEFAULT, Region

if TYPE_CHECKING:
    from linker.parts.sections import OutputSection


def accepts(region: Region, section: OutputSection) -> bool:
    """Whether its attributes draw in a section for which no region was given (GNU ld, lang_memory_default)."""
    wanted, refused = region.letters
    return bool(wanted) and _has(section, wanted) and not _has(section, refused)


def _has(section: OutputSection, letters: frozenset[str]) -> bool:
    """Whether the section has any of the properties. GNU ld counts a writable section as data."""
    answers = {
        "r": section.read_only,
        "w": (section.alloc and not section.read_only and not section.code) or section.data,
        "x": section.code,
        "a": section.alloc,
        "i": section.load,
        "l": section.load,
    }
    return any(answers.get(letter, False) for letter in letters)


def choose_regions(sections: list[OutputSection], regions: dict[str, Region]) -> None:
    """Give sections the regions that their statements name.

    A section that stays in the region of the one before it is loaded where that is, unless it says otherwise (GNU ld,
    lang_propagate_lma_regions).
    """
    for output in sections:
        statement, like = output.statement, output.like
        if statement is not None:
            own = statement.address is None or bool(statement.overlay)
            name = statement.region or (statement.load_region if own else "")
            output.region = regions.get(name or DEFAULT)
            output.load_region = regions.get(statement.load_region) if statement.load_region else None
        elif like is not None:
            output.region, output.load_region = like.region, like.load_region
        else:
            output.region = regions[DEFAULT]
    previous: OutputSection | None = None
    for output in sections:
        follows = output.load_region is None and output.address is None and output.load_address is None
        if previous is not None and follows and output.region is previous.region:
            output.load_region = previous.load_region
        previous = output
