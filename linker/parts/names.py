"""Sections whose names fix their ELF type and flags (gABI "Special Sections"; BFD, special_sections)."""

from functools import lru_cache

from linker.objects.model import SectionFlag, SectionType

_A = int(SectionFlag.ALLOC)
_WA = int(SectionFlag.ALLOC | SectionFlag.WRITE)
_AX = int(SectionFlag.ALLOC | SectionFlag.EXECINSTR)
_WAT = int(SectionFlag.ALLOC | SectionFlag.WRITE | SectionFlag.TLS)

_FAMILIES = {
    ".bss": (SectionType.NOBITS, _WA),
    ".data": (SectionType.PROGBITS, _WA),
    ".fini_array": (SectionType.FINI_ARRAY, _WA),
    ".gnu.linkonce.b": (SectionType.NOBITS, _WA),
    ".gnu.linkonce.n": (SectionType.NOBITS, _WA),
    ".gnu.linkonce.p": (SectionType.PROGBITS, _WA),
    ".init_array": (SectionType.INIT_ARRAY, _WA),
    ".noinit": (SectionType.NOBITS, _WA),
    ".persistent": (SectionType.PROGBITS, _WA),
    ".preinit_array": (SectionType.PREINIT_ARRAY, _WA),
    ".rodata": (SectionType.PROGBITS, _A),
    ".sbss": (SectionType.NOBITS, _WA),
    ".sdata": (SectionType.PROGBITS, _WA),
    ".tbss": (SectionType.NOBITS, _WAT),
    ".tdata": (SectionType.PROGBITS, _WAT),
    ".text": (SectionType.PROGBITS, _AX),
}
"""By the name, or the name before a dot and more."""
_NAMES = {
    ".comment": (SectionType.PROGBITS, 0),
    ".data1": (SectionType.PROGBITS, _WA),
    ".fini": (SectionType.PROGBITS, _AX),
    ".got": (SectionType.PROGBITS, _WA),
    ".init": (SectionType.PROGBITS, _AX),
    ".interp": (SectionType.PROGBITS, 0),
    ".line": (SectionType.PROGBITS, 0),
    ".note.GNU-stack": (SectionType.PROGBITS, 0),
    ".persistent.bss": (SectionType.NOBITS, _WA),
    ".plt": (SectionType.PROGBITS, _AX),
    ".rodata1": (SectionType.PROGBITS, _A),
    ".debug": (SectionType.PROGBITS, 0),
    ".debug_abbrev": (SectionType.PROGBITS, 0),
    ".debug_aranges": (SectionType.PROGBITS, 0),
    ".debug_info": (SectionType.PROGBITS, 0),
    ".debug_line": (SectionType.PROGBITS, 0),
}
_BEGINNINGS = {".note": (SectionType.NOTE, 0), ".rela": (SectionType.RELA, 0)}


@lru_cache(maxsize=4096)
def named_kind(name: str) -> tuple[int, int]:
    """Type and flags that a name asks for; SHT_NULL and 0 for an ordinary name.

    >>> named_kind(".bss.buffers") == (SectionType.NOBITS, SectionFlag.ALLOC | SectionFlag.WRITE)
    True
    >>> named_kind(".bssx")
    (0, 0)
    """
    if name in _NAMES:
        return _plain(_NAMES[name])
    for family, kind in _FAMILIES.items():
        if name == family or name.startswith(family + "."):
            return _plain(kind)
    for beginning, kind in _BEGINNINGS.items():
        if name.startswith(beginning):
            return _plain(kind)
    return (0, 0)


def _plain(kind: tuple[SectionType, int]) -> tuple[int, int]:
    return int(kind[0]), kind[1]
