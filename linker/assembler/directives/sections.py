"""Sections: `.section` with flags and types, the short forms, the section stack, subsections."""

import re
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import optional_number, unescape
from linker.assembler.instructions import split_operands
from linker.assembler.program import SectionBuilder
from linker.objects.model import SectionFlag, SectionType

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

_A, _W, _X, _T = SectionFlag.ALLOC, SectionFlag.WRITE, SectionFlag.EXECINSTR, SectionFlag.TLS

_FLAGS = {
    "a": _A, "w": _W, "x": _X, "M": SectionFlag.MERGE, "S": SectionFlag.STRINGS, "G": SectionFlag.GROUP, "T": _T,
    "o": SectionFlag.LINK_ORDER, "e": 0x8000_0000, "R": 0x20_0000, "d": 0x10_0000,
}  # fmt: skip
"""GNU as manual, ".section name"; `e` excludes from the output, `R` retains."""

_TYPES = {
    "progbits": SectionType.PROGBITS, "nobits": SectionType.NOBITS, "note": SectionType.NOTE,
    "init_array": SectionType.INIT_ARRAY, "fini_array": SectionType.FINI_ARRAY,
    "preinit_array": SectionType.PREINIT_ARRAY,
}  # fmt: skip

_KNOWN: tuple[tuple[str, int, int, int], ...] = (
    (".text", SectionType.PROGBITS, _A | _X, 0),
    (".init", SectionType.PROGBITS, _A | _X, 0),
    (".fini", SectionType.PROGBITS, _A | _X, 0),
    (".data", SectionType.PROGBITS, _A | _W, 0),
    (".data1", SectionType.PROGBITS, _A | _W, 0),
    (".rodata", SectionType.PROGBITS, _A, 0),
    (".rodata1", SectionType.PROGBITS, _A, 0),
    (".bss", SectionType.NOBITS, _A | _W, 0),
    (".tdata", SectionType.PROGBITS, _A | _W | _T, 0),
    (".tbss", SectionType.NOBITS, _A | _W | _T, 0),
    (".init_array", SectionType.INIT_ARRAY, _A | _W, 8),
    (".fini_array", SectionType.FINI_ARRAY, _A | _W, 8),
    (".preinit_array", SectionType.PREINIT_ARRAY, _A | _W, 8),
    (".note", SectionType.NOTE, 0, 0),
)
"""Sections that ELF gives a meaning (System V gABI, "Special Sections"), also with a dot and more behind the name."""

_EXACT_ONLY = (".data1", ".rodata1")


def _known(name: str) -> tuple[int, int, int]:
    """Type, flags and entry size that a section has by its name."""
    for known, kind, flags, entry_size in _KNOWN:
        if name == known or (known not in _EXACT_ONLY and name.startswith(known + ".")):
            return kind, flags, entry_size
    return SectionType.PROGBITS, 0, 0


def _section(assembly: "Assembly", text: str) -> None:
    section, subsection = _parse(assembly, text)
    assembly.switch(section, subsection)


def _push(assembly: "Assembly", text: str) -> None:
    saved = (assembly.section, assembly.subsection, assembly.previous)
    section, subsection = _parse(assembly, text, with_subsection=True)
    assembly.section_stack.append(saved)
    assembly.switch(section, subsection)


def _pop(assembly: "Assembly", text: str) -> None:
    if not assembly.section_stack:
        raise StatementError("'.popsection' without '.pushsection' before it", text)
    section, subsection, previous = assembly.section_stack.pop()
    assembly.enter(section, subsection)
    assembly.previous = previous


def _back(assembly: "Assembly", text: str) -> None:  # noqa: ARG001
    assembly.switch(*assembly.previous)


def _parse(assembly: "Assembly", text: str, *, with_subsection: bool = False) -> tuple[SectionBuilder, int]:
    parts = split_operands(text)
    if not parts or not parts[0]:
        raise StatementError("a section name is missing", text)
    name = _name(parts.pop(0))
    subsection = 0
    if with_subsection and parts and re.fullmatch(r"-?\d+", parts[0]):
        subsection = int(parts.pop(0))
    if not parts:
        return _find_or_make(assembly, name), subsection
    return _declared(assembly, name, parts), subsection


def _name(text: str) -> str:
    return unescape(text[1:-1]).decode("utf-8", "surrogateescape") if text.startswith('"') else text


def _find_or_make(assembly: "Assembly", name: str) -> SectionBuilder:
    first = assembly.first_sections.get(name)
    if first is not None:
        return first
    kind, flags, entry_size = _known(name)
    return assembly.add_section((name, None), SectionBuilder(name, kind, flags, entry_size))


def _declared(assembly: "Assembly", name: str, parts: list[str]) -> SectionBuilder:
    """The section of a name with flags, a type, and what those need behind them."""
    if not parts[0]:
        raise StatementError("the flags of the section are missing", name, 'expected .section name, "flags", @type')
    letters = parts.pop(0).strip('"')
    kind, known_flags, entry_size = _known(name)
    flags = known_flags | _flags(letters)
    if parts and re.match(r"[@%\"]", parts[0]):
        word = parts.pop(0).strip('@%"')
        kind = _type(word, name)
    if flags & SectionFlag.MERGE and not entry_size:
        if not parts:
            raise StatementError(f"the entry size of mergeable section {name!r} is missing", name)
        entry_size = assembly.absolute(parts.pop(0))
    link_order = parts.pop(0) if flags & SectionFlag.LINK_ORDER and parts else None
    group: str | None = None
    comdat = False
    if flags & SectionFlag.GROUP:
        if not parts:
            raise StatementError(f"the group name of section {name!r} is missing", name)
        group = parts.pop(0).strip('"')
        comdat = bool(parts) and parts.pop(0) == "comdat"
    if parts:
        raise StatementError(f"unexpected {', '.join(parts)!r} behind the section", parts[0] or name)
    key = (name, "\0".join(filter(None, (group, link_order))) or None)
    section = assembly.sections.get(key)
    if section is not None:
        if letters and flags != section.flags:
            raise StatementError(
                f"section {name!r} had other flags before", letters, "name it without flags, or with the same ones"
            )
        return section
    section = SectionBuilder(name, kind, flags, entry_size, group=group, comdat=comdat, link_order=link_order)
    return assembly.add_section(key, section)


def _flags(letters: str) -> int:
    flags = 0
    if letters[:1].isdigit():
        return int(letters, 0) if re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", letters) else 0
    for letter in letters:
        if letter not in _FLAGS:
            raise StatementError(f"unknown section flag {letter!r}", letters, "known flags: " + "".join(_FLAGS))
        flags |= _FLAGS[letter]
    return flags


_LAST_TYPE = 0xFFFF_FFFF


def _type(word: str, name: str) -> int:
    if word.lower() in _TYPES:
        return _TYPES[word.lower()]
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}|0|[1-9]\d{0,9}", word) and int(word, 0) <= _LAST_TYPE:
        return int(word, 0)
    raise StatementError(f"unknown type {word!r} of section {name!r}", word, "known types: @" + ", @".join(_TYPES))


def _fixed(name: str) -> Directive:
    def enter(assembly: "Assembly", text: str) -> None:
        assembly.switch(_find_or_make(assembly, name), optional_number(assembly, text, 0))

    return enter


def _subsection(assembly: "Assembly", text: str) -> None:
    assembly.switch(assembly.section, optional_number(assembly, text, 0))


def _struct(assembly: "Assembly", text: str) -> None:
    offset = assembly.absolute(text)
    assembly.switch(assembly.offsets.builder)
    assembly.offsets.start(offset)


DIRECTIVES: dict[str, Directive] = {
    ".struct": _struct, ".offset": _struct, ".sect": _section, ".sect.s": _section, ".section.s": _section,
    ".section": _section, ".pushsection": _push, ".popsection": _pop, ".previous": _back, ".subsection": _subsection,
    **{name: _fixed(name) for name in (".text", ".data", ".bss", ".rodata", ".sdata", ".sbss", ".tdata", ".tbss")},
}  # fmt: skip
