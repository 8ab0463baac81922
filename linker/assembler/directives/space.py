"""Space and alignment: `.align` and its kin, `.org`, `.fill`, `.skip`."""

from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import fields, optional_number
from linker.assembler.program import Align, Fill, Fixup, Org
from linker.objects.riscv import R

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

_EXPAND_UP_TO = 1 << 16
"""Bytes of a fill that are written at once; longer ones wait for layout, as their section may have no bytes at all."""

_MAX_POWER = 31


def _aligned(*, power: bool, width: int = 0) -> Directive:
    def align(assembly: "Assembly", text: str) -> None:
        amount, fill, maximum = fields(text, 1, 3, "alignment[, fill[, maximum]]")
        number = assembly.absolute(amount)
        if power:
            if number > _MAX_POWER:
                assembly.diagnostics.warning(
                    f"alignment 2**{number} is too large: 2**{_MAX_POWER} assumed", assembly.mark
                )
            number = 1 << min(max(number, 0), _MAX_POWER)
        if number & (number - 1) or number < 0:
            raise StatementError(f"alignment {number} is not a power of two", amount)
        pattern: bytes | None = None
        if fill:
            size = width or 1
            pattern = (assembly.absolute(fill) & (1 << 8 * size) - 1).to_bytes(size, "little")
        _align(assembly, max(number, 1), pattern, optional_number(assembly, maximum, 0))

    return align


def _align(assembly: "Assembly", number: int, pattern: bytes | None, maximum: int) -> None:
    section = assembly.section
    section.align = max(section.align, number)
    code = section.is_code and pattern is None
    smallest = 2 if assembly.compressed else 4
    if code and number <= smallest:
        return  # as GNU: instructions are aligned so anyway
    if code and assembly.modes.relax:
        worst = number - smallest
        data = assembly.fragment.data
        assembly.add_fixup(Fixup(assembly.fragment, len(data), R.ALIGN, worst, assembly.mark, worst))
        data += nops(worst)
        assembly.end_run()
        return
    assembly.add_tail(Align(number, pattern if pattern is not None or code else b"\0", maximum, assembly.mark))


def nops(size: int) -> bytes:
    """Padding in code: zeros up to an even address, at most one compressed `nop`, then long ones.

    >>> nops(7).hex()
    '00010013000000'
    """
    return bytes(size % 2) + b"\x01\x00" * (size % 4 // 2) + b"\x13\0\0\0" * (size // 4)


def _org(assembly: "Assembly", text: str) -> None:
    target, fill = fields(text, 1, 2, ".org offset[, fill]")
    assembly.add_tail(Org(assembly.value(target), optional_number(assembly, fill, 0) & 0xFF, assembly.mark))


def _skip(assembly: "Assembly", text: str) -> None:
    count, fill = fields(text, 1, 2, "size[, fill]")
    value = optional_number(assembly, fill, 0) & 0xFF
    if value and assembly.section.is_nobits:
        assembly.diagnostics.warning(f"section {assembly.section.name!r} holds only zeros", assembly.mark, fill)
        value = 0
    _fill(assembly, count, bytes([value]))


def _fill_directive(assembly: "Assembly", text: str) -> None:
    count, size_text, value_text = fields(text, 1, 3, ".fill count[, size[, value]]")
    size = optional_number(assembly, size_text, 1)
    value = optional_number(assembly, value_text, 0)
    if size < 0:
        raise StatementError(f"size {size} is negative", size_text)
    # GNU takes four bytes of the value and fills up with zeros, at most eight in all
    size = min(size, 8)
    pattern = (value & 0xFFFF_FFFF).to_bytes(8, "little")[:size]
    _fill(assembly, count, pattern)


def _fill(assembly: "Assembly", count_text: str, pattern: bytes) -> None:
    count = assembly.value(count_text)
    known = assembly.known(count)
    if known is None:
        assembly.add_tail(Fill(count, pattern, assembly.mark))
        return
    if known < 0:
        assembly.diagnostics.warning(f"count {known} is negative: ignored", assembly.mark, count_text)
        return
    if not known * len(pattern):
        return
    if not assembly.section.is_nobits:
        assembly.reserve(known * len(pattern))
    if known * len(pattern) <= _EXPAND_UP_TO:
        assembly.emit(pattern * known)
        assembly.end_run()
    else:
        assembly.add_tail(Fill(known, pattern, assembly.mark))


DIRECTIVES: dict[str, Directive] = {
    ".align": _aligned(power=True), ".p2align": _aligned(power=True), ".balign": _aligned(power=False),
    ".p2alignw": _aligned(power=True, width=2), ".p2alignl": _aligned(power=True, width=4),
    ".balignw": _aligned(power=False, width=2), ".balignl": _aligned(power=False, width=4),
    ".org": _org, ".skip": _skip, ".space": _skip, ".zero": _skip, ".fill": _fill_directive,
}  # fmt: skip
