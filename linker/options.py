"""What a caller can ask of a link, and what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from linker.errors import Diagnostic


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Options of a link, each named after GNU ld's."""

    entry: str | None = None
    """`-e`: a symbol or a number; the script's ENTRY otherwise."""
    defines: tuple[tuple[str, str], ...] = ()
    """`--defsym`: symbols and their expressions, evaluated before the script."""
    undefined: tuple[str, ...] = ()
    """`-u`: symbols that archives must deliver."""
    gc_sections: bool = False
    include_dirs: tuple[Path, ...] = ()
    """`-L`: where INCLUDE looks."""
    segment_starts: tuple[tuple[str, int], ...] = ()
    """`-Ttext-segment` and its like: what SEGMENT_START answers."""
    section_starts: tuple[tuple[str, int], ...] = ()
    """`-Ttext`, `-Tdata`, `-Tbss`, `--section-start`."""
    page_size: int = 0x1000
    """`-z max-page-size`, in bytes, a power of two."""
    relocatable: bool = False
    """`-r`: join the objects into one object, which another link takes."""
    define_common: bool = False
    """`-d`: give COMMON symbols their places even in a relocatable output."""
    paged: bool = True
    """Not with `-n` and `-N`: segments lie in the file at addresses modulo a page."""
    writable_text: bool = False
    """`-N`: `.text` may be written."""
    strip_all: bool = False
    """`-s`: no symbol table and no debug sections."""
    strip_debug: bool = False
    """`-S`: no debug sections."""
    discard_locals: bool = False
    """`-x`: no local symbols; those that begin with `.L` are never kept."""
    allow_multiple_definition: bool = False
    warn_rwx: bool = False
    """Warn of segments that are both writable and executable, as GNU ld does."""
    check_regions: bool = True
    eh_frame_hdr: bool = False
    """`--eh-frame-hdr`: a table that finds the unwind entry of an address, in a segment of its own."""


@dataclass(frozen=True, slots=True)
class LinkResult:
    """A finished link."""

    elf: bytes
    """The executable; with `relocatable`, the object."""
    map: str
    """The memory map, in the form of GNU ld's `-Map`."""
    symbols: dict[str, int] = field(default_factory=dict)
    """Addresses of the global symbols."""
    warnings: tuple[Diagnostic, ...] = ()
