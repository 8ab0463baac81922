"""Data: numbers of all widths, floating-point numbers, strings, LEB128, included binary files."""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import fields, one_string, optional_number, strings
from linker.assembler.expressions import Expr
from linker.assembler.files import find
from linker.assembler.instructions import split_operands
from linker.assembler.layout import leb128
from linker.assembler.sections import Fixup, Leb128
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
        for part in split_operands(text):
            value: Expr = assembly.value(part)
            if isinstance(value, int):
                assembly.emit(leb128(value, signed=signed))
            else:
                assembly.add_tail(Leb128(value, signed, assembly.mark))

    return emit


def _incbin(assembly: "Assembly", text: str) -> None:
    file, skip_text, count_text = fields(text, 1, 3, '.incbin "file"[, skip[, count]]')
    skip = optional_number(assembly, skip_text, 0)
    count = optional_number(assembly, count_text, -1)
    path = find(one_string(file), Path(assembly.mark.origin.file).parent, assembly.options.include_dirs)
    if path is None:
        raise StatementError(f"cannot find {file}", file, "looked beside the source and in the -I directories")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StatementError(f"cannot read {file}: {error.strerror}", file) from None
    if skip < 0 or skip > len(content) or (count >= 0 and skip + count > len(content)):
        raise StatementError(f"{file} has only {len(content)} bytes", skip_text)
    assembly.reserve(len(content))
    assembly.emit(content[skip : skip + count] if count >= 0 else content[skip:])


DIRECTIVES: dict[str, Directive] = {
    ".byte": _integers(1), ".dc.b": _integers(1),
    ".half": _integers(2), ".short": _integers(2), ".2byte": _integers(2), ".hword": _integers(2),
    ".dc.w": _integers(2), ".value": _integers(2), ".uahalf": _integers(2), ".dc": _integers(2),
    ".word": _integers(4), ".long": _integers(4), ".int": _integers(4), ".4byte": _integers(4), ".dc.l": _integers(4),
    ".uaword": _integers(4),
    ".dword": _integers(8), ".quad": _integers(8), ".8byte": _integers(8), ".dc.a": _integers(8),
    ".octa": _integers(16), ".16byte": _integers(16),
    ".dtprelword": _thread_offsets(4, R.TLS_DTPREL32), ".dtpreldword": _thread_offsets(8, R.TLS_DTPREL64),
    ".float": _floats("f"), ".single": _floats("f"), ".dc.s": _floats("f"),
    ".double": _floats("d"), ".dc.d": _floats("d"), ".float16": _floats("e"),
    ".ascii": _text(b""), ".asciz": _text(b"\0"), ".string": _text(b"\0"), ".string8": _text(b"\0"),
    ".string16": _text(b"\0", 2), ".string32": _text(b"\0", 4), ".string64": _text(b"\0", 8),
    ".uleb128": _leb128(signed=False), ".sleb128": _leb128(signed=True),
    ".incbin": _incbin,
}  # fmt: skip
