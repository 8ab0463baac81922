"""Small objects made in memory, for tests that need no other program."""

from linker.objects.model import (
    Group,
    ObjectFile,
    Relocation,
    Section,
    SectionFlag,
    SectionType,
    Special,
    Symbol,
    SymbolBinding,
    SymbolType,
    SymbolVisibility,
)
from linker.objects.riscv import R

TEXT = SectionFlag.ALLOC | SectionFlag.EXECINSTR
DATA = SectionFlag.ALLOC | SectionFlag.WRITE
RODATA = SectionFlag.ALLOC
NOP = bytes.fromhex("13000000")


class Maker:
    """Puts an object together piece by piece."""

    def __init__(self, name: str = "a.o", flags: int = 0x5) -> None:
        self.object = ObjectFile(name, flags=flags)

    def section(self, name: str, data: bytes = b"", flags: int = DATA, align: int = 1, **more: int) -> Section:
        kind = more.pop("type", SectionType.PROGBITS)
        section = Section(name, kind, flags, align, data=bytearray(data), **more)
        self.object.sections.append(section)
        return section

    def zeros(self, name: str, size: int, align: int = 1) -> Section:
        section = Section(name, SectionType.NOBITS, DATA, align, nobits_size=size)
        self.object.sections.append(section)
        return section

    def symbol(self, name: str, section: Section | Special, value: int = 0, **more: object) -> Symbol:
        more.setdefault("binding", SymbolBinding.GLOBAL)
        symbol = Symbol(name, section, value, **more)  # type: ignore[arg-type]
        self.object.symbols.append(symbol)
        return symbol

    def local(self, name: str, section: Section | Special, value: int = 0, **more: object) -> Symbol:
        return self.symbol(name, section, value, binding=SymbolBinding.LOCAL, **more)

    def undefined(self, name: str, *, weak: bool = False) -> Symbol:
        binding = SymbolBinding.WEAK if weak else SymbolBinding.GLOBAL
        return self.symbol(name, Special.UNDEFINED, binding=binding)

    def common(self, name: str, size: int, align: int) -> Symbol:
        return self.symbol(name, Special.COMMON, align, size=size, type=SymbolType.OBJECT)


def relocate(section: Section, offset: int, kind: R | int, symbol: Symbol | None, addend: int = 0) -> None:
    """Add a relocation to a section."""
    section.relocations.append(Relocation(offset, int(kind), symbol, addend))


__all__ = ["DATA", "NOP", "RODATA", "TEXT", "Group", "Maker", "R", "SymbolVisibility", "relocate"]
