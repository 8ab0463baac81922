"""Segments: what a program header describes (System V gABI, chapter 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linker.parts.sections import OutputSection


class SegmentType(IntEnum):
    """`p_type`."""

    NULL = 0
    LOAD = 1
    INTERP = 3
    NOTE = 4
    PHDR = 6
    TLS = 7
    GNU_EH_FRAME = 0x6474E550
    GNU_STACK = 0x6474E551
    RISCV_ATTRIBUTES = 0x7000_0003


class SegmentFlag(IntFlag):
    """`p_flags`."""

    EXECUTE = 1
    WRITE = 2
    READ = 4


@dataclass(eq=False, slots=True, repr=False)
class Segment:
    """One program header and the sections that it covers."""

    type: int
    sections: list[OutputSection] = field(default_factory=list)
    includes_file_header: bool = False
    includes_headers: bool = False
    flags: int | None = None
    """When the script fixed them."""
    at: int | None = None
    offset: int = 0
    vaddr: int = 0
    paddr: int = 0
    file_size: int = 0
    memory_size: int = 0
    align: int = 0
    elf_flags: int = 0
