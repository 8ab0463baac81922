"""The bytes of the output sections: relocated inputs, data statements, filled gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.layout.inputs import InputSection
from linker.layout.sections import DataItem

if TYPE_CHECKING:
    from linker.layout.sections import OutputSection
    from linker.relocate.apply import Relocator
    from linker.relocate.got import GlobalOffsetTable

_MAX_SIZE = 1 << 31
"""Bytes: no file that a kernel is loaded from is larger."""


def fill_sections(
    sections: list[OutputSection], relocator: Relocator, got: GlobalOffsetTable | None
) -> list[tuple[OutputSection, bytes]]:
    """Each section with its bytes; those without bytes in the file have none."""
    if got is not None and got.section.output is not None:
        got.fill(relocator.key_address, relocator.tls_base)
    return [(section, b"" if section.is_nobits else _contents(section, relocator)) for section in sections]


def _contents(section: OutputSection, relocator: Relocator) -> bytes:
    if section.size > _MAX_SIZE:
        from linker.errors import Diagnostic

        message = f"section '{section.name}' would have {section.size:#x} bytes in the file"
        where = section.statement.location if section.statement else None
        relocator.errors.append(Diagnostic(message, where, hint="is an assignment to '.' meant to be outside of it?"))
        return b""
    data = bytearray(section.size)
    for offset, size, pattern in section.pads:
        if pattern.strip(b"\0"):
            data[offset : offset + size] = (pattern * (size // len(pattern) + 1))[:size]
    for item in section.items:
        if isinstance(item, InputSection) and not item.is_nobits and item.size:
            data[item.offset : item.offset + item.size] = relocator.contents(item)
        elif isinstance(item, DataItem):
            width = item.data.size
            value = item.value & ((1 << 8 * width) - 1)
            data[item.offset : item.offset + width] = value.to_bytes(width, "little")
    return bytes(data)
