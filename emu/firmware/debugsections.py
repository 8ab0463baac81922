"""The sections of an ELF file as pyelftools has them, but those of debug information read only when they are used.

All of a Linux's have 40 MB, and most questions are about one of them.
"""

from functools import cached_property
from io import BytesIO
from typing import Any

from elftools.elf.elffile import ELFFile


class SectionsFile(ELFFile):  # type: ignore[misc, unused-ignore]  # pyelftools has no types
    """An open file."""

    def _read_dwarf_section(self, section: Any, relocate_dwarf_sections: bool) -> Any:
        if relocate_dwarf_sections or section.name.startswith(".z") or self.has_phantom_bytes():
            return super()._read_dwarf_section(section, relocate_dwarf_sections)
        return _Unread(section)


class _Unread:
    """What pyelftools calls a DebugSectionDescriptor."""

    def __init__(self, section: Any) -> None:
        self._section = section
        self.name, self.global_offset = section.name, section["sh_offset"]
        self.size, self.address = section.data_size, section["sh_addr"]

    @cached_property
    def stream(self) -> BytesIO:
        """Its contents."""
        return BytesIO(self._section.data())
