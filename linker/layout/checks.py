"""What is wrong with a layout, and what the objects say about it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from linker.errors import Diagnostic
from linker.objects.model import SectionFlag
from linker.parts.regions import DEFAULT
from linker.parts.segments import SegmentFlag
from linker.script.evaluate import WORD
from linker.script.syntax import OutputSectionStatement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from linker.parts.inputs import InputFile
    from linker.parts.regions import Region
    from linker.parts.sections import OutputSection
    from linker.script.syntax import Script

_STACK_NOTE = ".note.GNU-stack"


def overlaps(live: list[OutputSection]) -> Iterator[Diagnostic]:
    """Sections that claim the same place in the load image, or the same memory.

    Two sections that begin at the same address are meant to overlay each other: then memory is not checked (GNU ld).
    """
    solid = [section for section in live if section.alloc and section.size and not section.is_tbss]
    told = set[int]()
    loaded = sorted((s for s in solid if s.load), key=lambda s: (s.lma, s.vma))
    for left, right in pairwise(loaded):
        if right.lma < left.lma + left.size:
            told.add(id(right))
            yield _overlap("load address", right, right.lma, left, left.lma)
    solid.sort(key=lambda s: (s.vma, s.lma))
    if any(left.vma == right.vma for left, right in pairwise(solid)):
        return
    for left, right in pairwise(solid):
        if right.vma < left.vma + left.size and id(right) not in told:
            yield _overlap("address", right, right.vma, left, left.vma)


def wrapping(live: list[OutputSection]) -> Iterator[Diagnostic]:
    """Sections that reach over the end of the address space."""
    for section in live:
        for what, begin in (("address", section.vma), ("load address", section.lma)):
            if section.alloc and begin + section.size > WORD + 1:
                where = section.statement.location if section.statement else None
                message = f"section '{section.name}' ({what} {begin:#x}, {section.size:#x} bytes) wraps around"
                yield Diagnostic(message, where, hint="nothing can lie behind the address 2^64 - 1")
                break


def _overlap(what: str, right: OutputSection, begin: int, left: OutputSection, start: int) -> Diagnostic:
    where = right.statement.location if right.statement else None
    end = start + left.size
    message = f"section '{right.name}' ({what} {begin:#x}) overlaps section '{left.name}', ending at {end:#x}"
    return Diagnostic(message, where)


def outside_of_regions(live: list[OutputSection], regions: Iterable[Region]) -> Iterator[Diagnostic]:
    """Warnings for sections without an address of their own that no region took: they lie where nobody has memory."""
    known = [region for region in regions if region.name != DEFAULT]
    for section in live:
        free = section.address is None and section.alloc and section.size and not section.is_tbss
        if not known or not free or section.region is None or section.region.name != DEFAULT:
            continue
        if not any(region.origin <= section.vma < region.origin + region.length for region in known):
            where = section.statement.location if section.statement else None
            message = f"no memory region is given for section '{section.name}': it begins at {section.vma:#x}"
            hint = "add '>region' behind it, or attributes such as (rwx) to a region"
            yield Diagnostic(message, where, "warning", hint)


def unknown_regions(script: Script, regions: dict[str, Region]) -> Iterable[Diagnostic]:
    """Sections that go to, or are loaded to, a region that MEMORY lacks."""
    for command in script.statements:
        if not isinstance(command, OutputSectionStatement):
            continue
        for name, does in ((command.region, "goes"), (command.load_region, "is loaded")):
            if name and name != DEFAULT and name not in regions:
                verb = "the memory region" if does == "goes" else "region"
                message = f"section '{command.name}' {does} to {verb} '{name}', which MEMORY lacks"
                yield Diagnostic(message, command.location)


def stack_flags(files: list[InputFile]) -> int | None:
    """The flags of PT_GNU_STACK: objects of GCC for Linux, Clang and Rust say whether they need an executable stack."""
    flags = None
    for file in files:
        for section in file.sections:
            if section.name == _STACK_NOTE:
                flags = (flags or 0) | SegmentFlag.READ | SegmentFlag.WRITE
                if section.section.flags & SectionFlag.EXECINSTR:
                    flags |= SegmentFlag.EXECUTE
    return flags
