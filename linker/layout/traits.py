"""What decides about the neighbourhood of a section."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from linker.objects.model import SectionFlag

if TYPE_CHECKING:
    from linker.parts.inputs import InputSection
    from linker.parts.sections import OutputSection

_DEBUG = (".debug", ".gnu.debuglto_.debug_", ".gnu.linkonce.wi.", ".line", ".stab", ".gdb_index")


@dataclass(frozen=True, slots=True)
class Traits:
    """The properties that GNU ld compares when it looks for a place."""

    alloc: bool
    load: bool
    contents: bool
    read_only: bool
    code: bool
    tls: bool
    debug: bool = False
    small: bool = False
    """Small data; no RISC-V input says so, only the name `.sdata` promises it."""

    @staticmethod
    def of_input(section: InputSection) -> Traits:
        """Those of an input section."""
        flags = section.section.flags
        alloc, nobits = bool(flags & SectionFlag.ALLOC), section.is_nobits
        return Traits(
            alloc,
            alloc and not nobits,
            not nobits,
            not flags & SectionFlag.WRITE,
            bool(flags & SectionFlag.EXECINSTR),
            bool(flags & SectionFlag.TLS),
            not alloc and section.name.startswith(_DEBUG),
        )

    @staticmethod
    def of_output(section: OutputSection) -> Traits:
        """Those of an output section that exists."""
        return Traits(
            section.alloc,
            section.load,
            section.has_contents,
            section.read_only,
            section.code,
            section.tls,
            section.has_input and not section.alloc and section.name.startswith(_DEBUG),
        )

    def differs(self, other: Traits, *names: str) -> bool:
        """Whether any of the named traits differs."""
        return any(getattr(self, name) != getattr(other, name) for name in names)


NOTHING = Traits(alloc=False, load=False, contents=False, read_only=False, code=False, tls=False)
_RODATA = Traits(alloc=True, load=True, contents=True, read_only=True, code=False, tls=False)
_DATA = replace(_RODATA, read_only=False)
PROMISED = {
    ".text": replace(_RODATA, code=True),
    ".rodata": _RODATA,
    ".tdata": replace(_DATA, tls=True),
    ".data": _DATA,
    ".bss": replace(NOTHING, alloc=True),
    ".interp": _RODATA,
    ".sdata": replace(_DATA, small=True),
    ".comment": replace(NOTHING, contents=True),
}
"""What the names of empty sections promise."""
