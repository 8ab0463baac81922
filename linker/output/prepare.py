"""What has to agree among all objects: the ELF header's flags and the RISC-V attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.objects.model import Section
from linker.output.attributes import merge
from linker.parts.inputs import InputSection

if TYPE_CHECKING:
    from linker.parts.inputs import InputFile
    from linker.parts.sections import OutputSection

ATTRIBUTES = ".riscv.attributes"
_RVC = 0x1
_FLOAT_ABI = 0x6
_RVE = 0x8
_ABI_NAMES = {0x0: "soft-float", 0x2: "single-float", 0x4: "double-float", 0x6: "quad-float"}


def merge_flags(files: list[InputFile], errors: list[Diagnostic]) -> int:
    """`e_flags` of the program: compressed when any object is; all must pass floats alike (psABI, "ELF header")."""
    result: int | None = None
    for file in files:
        flags = file.object.flags
        # An object that holds nothing but data fits any ABI.
        if not any(section.section.flags & 0x4 and section.size for section in file.sections):
            continue
        if result is None:
            result = flags
            continue
        if (flags ^ result) & (_FLOAT_ABI | _RVE):
            own, other = _ABI_NAMES[flags & _FLOAT_ABI], _ABI_NAMES[result & _FLOAT_ABI]
            message = f"it is compiled for the {own} ABI, earlier objects for {other}"
            errors.append(Diagnostic(message, Location(file.name), hint="compile all with the same -mabi"))
        result |= flags & _RVC
    return files[0].object.flags if result is None else result


def merge_attributes(files: list[InputFile]) -> list[Diagnostic]:
    """Replace the attribute sections of all objects by one; returns warnings.

    Until `settle_attributes` it is as long as those that it replaces: GNU ld lays out so.
    """
    every = [s for f in files for s in f.sections if s.name == ATTRIBUTES]
    found = [s for s in every if not s.discarded]
    if not found:
        return []
    data, problems = merge(every)  # also of objects of which nothing else is linked
    first = found[0]
    source = Section(ATTRIBUTES, first.section.type, first.section.flags, first.section.align, data=bytearray(data))
    for section in found:
        section.discarded = True
    sections = first.file.sections
    sections[sections.index(first)] = InputSection(
        source, first.file, ATTRIBUTES, first.align, sum(section.size for section in found), linker_made=True
    )
    return [Diagnostic(p.message, p.location, severity="warning") for p in problems]


def settle_attributes(sections: list[OutputSection]) -> None:
    """Behind the layout, give the attributes the size that they have."""
    for section in sections:
        if section.name == ATTRIBUTES:
            for item in section.inputs():
                item.size = item.section.size
                section.size = item.offset + item.size
