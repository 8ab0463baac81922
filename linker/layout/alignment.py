"""R_RISCV_ALIGN: the assembler leaves more nops than an alignment needs, the linker deletes those too many.

Also with relaxation off (psABI, "Linker relaxation"): without it, code behind an `.align` would not be aligned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.objects.riscv import R

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linker.parts.inputs import InputSection

_NOP = (0x0000_0013).to_bytes(4, "little")
_C_NOP = (0x0001).to_bytes(2, "little")


def align_code(sections: Iterable[InputSection]) -> list[Diagnostic]:
    """Delete superfluous nops; says what could not be aligned.

    A section starts at a multiple of its own alignment, which the assembler made at least that of its contents:
    so offsets decide, and no address is needed yet. SUBALIGN can break that: see `realign_code`.
    """
    return [error for section in sections for error in _align_section(section, 0)]


def realign_code(sections: Iterable[InputSection]) -> bool:
    """Align again, by their addresses, the sections that were not put at a multiple of their alignment.

    Whether any was: then the layout has to be made anew.
    """
    changed = False
    for section in sections:
        if section.output is None or section.discarded or section.address % section.align == section.aligned_at:
            continue
        if any(relocation.type == R.ALIGN for relocation in section.relocations):
            list(_align_section(section, section.address % section.align))
            changed = True
    return changed


def _align_section(section: InputSection, start: int) -> Iterable[Diagnostic]:
    """`start` is the address of the section, modulo its alignment."""
    section.edits.clear()
    section.deleted_at.clear()
    section.deleted_before.clear()
    section.aligned_at = start
    gone = 0
    for relocation in section.relocations:
        room = relocation.addend
        if relocation.type != R.ALIGN or room <= 0:
            continue
        offset = relocation.offset
        alignment = 1 << room.bit_length()
        needed = -(start + offset - gone) % alignment
        if needed > room or offset + room > len(section.section.data):
            message = f"{needed} bytes are required for alignment to {alignment} bytes, but only {room} are present"
            yield Diagnostic(message, Location(section.describe(offset)))
            continue
        if needed == room:
            continue
        nops = _NOP * (needed // 4) + _C_NOP * (needed % 4 // 2)
        section.edits.append((offset - gone, nops.ljust(needed, b"\0")))
        gone += room - needed
        section.deleted_at.append(offset + needed)
        section.deleted_before.append(gone)
    section.size = section.section.size - gone
