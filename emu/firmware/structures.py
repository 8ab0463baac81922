"""Sizes of C structures, from the DWARF of an ELF."""

from typing import Any

_STRUCTURE, _TYPEDEF = "DW_TAG_structure_type", "DW_TAG_typedef"


def structure_size(elf: Any, name: str) -> int | None:  # pyelftools has no types
    """Bytes of the structure with this tag, or that a typedef of this name stands for; None when there is none."""
    if not elf.has_dwarf_info():
        return None
    wanted = name.encode()
    for unit in elf.get_dwarf_info(relocate_dwarf_sections=False).iter_CUs():
        for entry in unit.get_top_DIE().iter_children():
            if entry.tag not in (_STRUCTURE, _TYPEDEF) or "DW_AT_name" not in entry.attributes:
                continue
            if entry.attributes["DW_AT_name"].value != wanted:
                continue
            while entry.tag == _TYPEDEF and "DW_AT_type" in entry.attributes:
                entry = entry.get_DIE_from_attribute("DW_AT_type")
            if "DW_AT_byte_size" in entry.attributes:
                return int(entry.attributes["DW_AT_byte_size"].value)
    return None
