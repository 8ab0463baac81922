"""The bytes of the output sections: relocated inputs, data statements, filled gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from linker.errors import Diagnostic
from linker.parts.inputs import InputSection
from linker.parts.sections import DataItem

if TYPE_CHECKING:
    from linker.parts.sections import OutputSection

_MAX_SIZE = 1 << 28
"""Bytes: no file that a kernel is loaded from is larger."""


class Source(Protocol):
    """Who knows the bytes of the input sections."""

    def contents(self, section: InputSection) -> bytes | bytearray:
        """Those that the output gets."""
        ...


def check_file_size(sections: list[OutputSection]) -> list[Diagnostic]:
    """Errors for sections that would make the file larger than any kernel's; nothing of it is in memory yet."""
    errors = []
    for section in sections:
        where = section.statement.location if section.statement else None
        stored = 0 if section.is_nobits else section.size
        if stored > _MAX_SIZE:
            message = f"section '{section.name}' would have {section.size:#x} bytes in the file"
            hint = "inside a section, a number assigned to '.' counts from the section's start"
            errors.append(Diagnostic(message, where, hint=hint))
        elif stored and section.file_offset > _MAX_SIZE:
            message = f"section '{section.name}' would stand at offset {section.file_offset:#x} of the file"
            hint = "sections of one segment lie far apart, or an alignment is huge"
            errors.append(Diagnostic(message, where, hint=hint))
    return errors


def fill_sections(sections: list[OutputSection], source: Source) -> list[tuple[OutputSection, bytes]]:
    """Each section with its bytes; those without bytes in the file have none."""
    return [(section, b"" if section.is_nobits else _contents(section, source)) for section in sections]


def _contents(section: OutputSection, source: Source) -> bytes:
    data = bytearray(section.size)
    for offset, size, pattern in section.pads:
        if pattern.strip(b"\0") and section.has_contents:  # room alone is not filled
            data[offset : offset + size] = (pattern * (size // len(pattern) + 1))[:size]
    for item in section.items:
        if isinstance(item, InputSection) and not item.is_nobits and item.size:
            data[item.offset : item.offset + item.size] = source.contents(item)
        elif isinstance(item, DataItem):
            width = item.data.size
            value = item.value & ((1 << 8 * width) - 1)
            data[item.offset : item.offset + width] = value.to_bytes(width, "little")
    return bytes(data)
