"""Data: numbers of all widths, floating-point numbers, strings, LEB128, included binary files."""

import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import fields, one_string, optional_number, strings
from linker.assembler.files import find, read_whole
from linker.assembler.instructions import split_operands
from linker.assembler.program import Expr, Fill, Fixup, Leb128
from linker.objects import leb128
from linker.objects.riscv import R

if TYPE_CHECKING:
    from linker.assembler.state import Assembly


def _integers(size: int) -> Directive:
    bits = 8 * size

    def emit(assembly: "Assembly", text: str) -> None:
        for part in split_operands(text):
            value = assembly.value(part or "0")
            known = value if isinstance(value, int) else None
            if known is None:
                data = assembly.fragment.data
                assembly.add_fixup(Fixup(assembly.fragment, len(data), None, value, assembly.mark, size))
                data += bytes(size)
                continue
            if not -(1 << bits) < known < 1 << bits:
                kept = known & (1 << bits) - 1
                assembly.diagnostics.warning(f"value {known:#x} truncated to {kept:#x}", assembly.mark, part)
            if size > 8 and known < 0 and not part.lstrip("( ").startswith("-"):
                known &= (1 << 64) - 1  # as GNU, which takes a computed number for one of 64 bits without a sign
            assembly.fragment.data += (known & (1 << bits) - 1).to_bytes(size, "little")

    return emit


def _thread_offsets(size: int, kind: R) -> Directive:
    def emit(assembly: "Assembly", text: str) -> None:
        for part in split_operands(text):
            data = assembly.fragment.data
            value = assembly.value(part)
            assembly.add_fixup(Fixup(assembly.fragment, len(data), kind, value, assembly.mark, size))
            data += bytes(size)

    return emit


def _floats(code: str) -> Directive:
    def emit(assembly: "Assembly", text: str) -> None:
        for part in split_operands(text):
            assembly.emit(_float_bytes(code, part))

    return emit


def _float_bytes(code: str, text: str) -> bytes:
    number = text.lower()
    if number[:2] in ("0f", "0d", "0e", "0r"):
        number = number[2:]
    if number.lstrip("+-") == "nan":
        # GNU sets every bit of the fraction, Python only the highest
        size = struct.calcsize(f"<{code}")
        return b"\xff" * (size - 1) + (b"\xff" if number.startswith("-") else b"\x7f")
    try:
        value = float.fromhex(number) if number.lstrip("+-").startswith("0x") else float(number.replace("_", "!"))
        return struct.pack(f"<{code}", value)
    except OverflowError:
        return struct.pack(f"<{code}", float("-inf" if number.startswith("-") else "inf"))
    except ValueError:
        raise StatementError(f"{text!r} is not a floating-point number", text) from None


def _text(terminator: bytes, width: int = 1) -> Directive:
    def emit(assembly: "Assembly", text: str) -> None:
        for group in strings(text):
            for body in [*group[:-1], group[-1] + terminator] if terminator else group:
                assembly.emit(b"".join(bytes([byte]) + bytes(width - 1) for byte in body) if width > 1 else body)

    return emit


def _leb128(*, signed: bool) -> Directive:
    def emit(assembly: "Assembly", text: str) -> None:
        if not text:
            raise StatementError("the value is missing")
        for part in split_operands(text):
            value: Expr = assembly.value(part)
            if isinstance(value, int):
                assembly.emit(leb128.written(value, signed=signed))
            else:
                assembly.add_tail(Leb128(value, signed, assembly.mark))

    return emit


_ITEM_SIZES = {"": 2, ".b": 1, ".w": 2, ".l": 4, ".s": 4, ".d": 8, ".p": 12, ".x": 12}
"""Bytes of an item of `.ds` and `.dcb`, by the letter behind the name."""


def _extended(assembly: "Assembly", text: str) -> None:
    for part in split_operands(text):
        assembly.emit(_extended_bytes(part))


def _extended_bytes(text: str) -> bytes:
    """A number in the 80-bit format of GNU's `.dc.x`: sign, 15 bits of exponent, 64 of fraction, the first written."""
    number = text.lower().removeprefix("0f").removeprefix("0d").removeprefix("0e").removeprefix("0r")
    sign = 0x8000 if number.startswith("-") else 0
    try:
        written = Decimal(number)
        if written and not -5000 < written.adjusted() < 5000:
            raise StatementError(f"{text!r} does not fit in 80 bits", text)
        value = abs(Fraction(written))
    except (ArithmeticError, ValueError):
        raise StatementError(f"{text!r} is not a floating-point number", text) from None
    if value == 0:
        return bytes(8) + sign.to_bytes(2, "little")
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if value < Fraction(2) ** exponent:
        exponent -= 1
    fraction = round(value / Fraction(2) ** (exponent - 63))
    if fraction >> 64:
        exponent, fraction = exponent + 1, fraction >> 1
    if not -16382 <= exponent <= 16383:
        raise StatementError(f"{text!r} does not fit in 80 bits", text)
    return fraction.to_bytes(8, "little") + (exponent + 16383 | sign).to_bytes(2, "little")


def _blocks(suffix: str, size: int) -> Directive:
    """`.dcb count, value`: an item so many times."""
    convert = {".s": "f", ".d": "d"}.get(suffix)

    def emit(assembly: "Assembly", text: str) -> None:
        count_text, value_text = fields(text, 1, 2, f".dcb{suffix} count, value")
        count = assembly.absolute(count_text)
        if count <= 0:
            assembly.diagnostics.warning(f"count {count} is not positive: ignored", assembly.mark, count_text)
            return
        assembly.reserve(count * size)
        if suffix == ".x":
            assembly.emit(_extended_bytes(value_text or "0") * count)
        elif convert:
            assembly.emit(_float_bytes(convert, value_text or "0") * count)
        else:
            for _ in range(count):
                integers = _integers(size)
                integers(assembly, value_text or "0")

    return emit


def _storage(size: int) -> Directive:
    """`.ds count[, fill]`: room for so many items."""

    def emit(assembly: "Assembly", text: str) -> None:
        count_text, value_text = fields(text, 1, 2, ".ds count[, fill]")
        count = assembly.absolute(count_text)
        if count <= 0:
            assembly.diagnostics.warning(f"count {count} is not positive: ignored", assembly.mark, count_text)
            return
        fill = optional_number(assembly, value_text, 0) & (1 << 8 * size) - 1
        if not assembly.section.is_nobits:
            assembly.reserve(count * size)
        assembly.add_tail(Fill(count, fill.to_bytes(size, "little"), assembly.mark))

    return emit


def _incbin(assembly: "Assembly", text: str) -> None:
    file, skip_text, count_text = fields(text, 1, 3, '.incbin "file"[, skip[, count]]')
    skip = optional_number(assembly, skip_text, 0)
    count = optional_number(assembly, count_text, -1)
    path = find(one_string(file), Path(assembly.mark.origin.file).parent, assembly.options.include_dirs)
    if path is None:
        raise StatementError(f"cannot find {file}", file, "looked beside the source and in the -I directories")
    try:
        content = read_whole(path)
    except OSError as error:
        raise StatementError(f"cannot read {file}: {error.strerror}", file) from None
    if skip < 0 or skip > len(content) or (count >= 0 and skip + count > len(content)):
        raise StatementError(f"{file} has only {len(content)} bytes", skip_text)
    assembly.reserve(len(content))
    assembly.emit(content[skip : skip + count] if count >= 0 else content[skip:])


DIRECTIVES: dict[str, Directive] = {
    ".byte": _integers(1), ".dc.b": _integers(1),
    ".half": _integers(2), ".short": _integers(2), ".2byte": _integers(2), ".hword": _integers(2),
    ".dc.w": _integers(2), ".dc": _integers(2),
    ".word": _integers(4), ".long": _integers(4), ".int": _integers(4), ".4byte": _integers(4), ".dc.l": _integers(4),
    ".dword": _integers(8), ".quad": _integers(8), ".8byte": _integers(8), ".dc.a": _integers(8),
    ".octa": _integers(16), ".16byte": _integers(16),
    ".dtprelword": _thread_offsets(4, R.TLS_DTPREL32), ".dtpreldword": _thread_offsets(8, R.TLS_DTPREL64),
    ".float": _floats("f"), ".single": _floats("f"), ".dc.s": _floats("f"),
    ".double": _floats("d"), ".dc.d": _floats("d"), ".float16": _floats("e"),
    ".ascii": _text(b""), ".asciz": _text(b"\0"), ".string": _text(b"\0"), ".string8": _text(b"\0"),
    ".string16": _text(b"\0", 2), ".string32": _text(b"\0", 4), ".string64": _text(b"\0", 8),
    ".uleb128": _leb128(signed=False), ".sleb128": _leb128(signed=True),
    ".incbin": _incbin, ".dc.x": _extended,
    **{f".dcb{suffix}": _blocks(suffix, size) for suffix, size in _ITEM_SIZES.items() if suffix != ".p"},
    **{f".ds{suffix}": _storage(size) for suffix, size in _ITEM_SIZES.items()},
}  # fmt: skip
