"""Symbols: their values, binding, visibility, type and size, and common blocks."""

import re
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import fields, name, names
from linker.assembler.instructions import split_operands
from linker.assembler.program import Align
from linker.objects.model import SymbolBinding, SymbolType, SymbolVisibility

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

_TYPES = {
    "function": SymbolType.FUNC, "object": SymbolType.OBJECT, "notype": SymbolType.NOTYPE,
    "tls_object": SymbolType.TLS,
    "gnu_indirect_function": SymbolType.GNU_IFUNC, "common": SymbolType.OBJECT, "gnu_unique_object": SymbolType.OBJECT,
    "stt_func": SymbolType.FUNC, "stt_object": SymbolType.OBJECT, "stt_notype": SymbolType.NOTYPE,
    "stt_tls": SymbolType.TLS, "stt_gnu_ifunc": SymbolType.GNU_IFUNC,
    "stt_common": SymbolType.OBJECT,
}  # fmt: skip


def _set(*, once: bool) -> Directive:
    def assign(assembly: "Assembly", text: str) -> None:
        target, _, value = text.partition(",")
        if not value.strip():
            raise StatementError("the value is missing", text, "expected 'symbol, expression'")
        assembly.assign(name(target), assembly.value(value.strip()), once=once)

    return assign


def _bind(binding: SymbolBinding) -> Directive:
    def bind(assembly: "Assembly", text: str) -> None:
        for symbol in names(text):
            assembly.make_global(symbol, binding)

    return bind


def _show(visibility: SymbolVisibility) -> Directive:
    def show(assembly: "Assembly", text: str) -> None:
        for symbol in names(text):
            assembly.symbol(symbol).visibility = visibility

    return show


def _type(assembly: "Assembly", text: str) -> None:
    match = re.fullmatch(r'\s*("[^"]+"|[\w.$]+)\s*[,\s]\s*(?:[@%#]?(\w+)|"(\w+)")\s*', text)
    kind = _TYPES.get((match[2] or match[3]).lower()) if match else None
    if match is None or kind is None:
        raise StatementError(
            f"{text!r} does not name a symbol and its type",
            text,
            "expected 'symbol, @function' or '@object' or '@notype'",
        )
    assembly.symbol(name(match[1])).type = kind


def _size(assembly: "Assembly", text: str) -> None:
    symbol, size = fields(text, 2, 2, ".size symbol, expression")
    assembly.symbol(name(symbol)).size = assembly.value(size)


def _alignment(assembly: "Assembly", text: str, size: int) -> int:
    if not text:
        # as GNU: the largest power of two that is in the size, at most a quadword's
        alignment = 1
        while alignment * 2 <= size and alignment < 16:
            alignment *= 2
        return alignment
    alignment = assembly.absolute(text)
    if alignment < 1 or alignment & (alignment - 1):
        raise StatementError(f"alignment {alignment} is not a power of two", text)
    return alignment


def _common(assembly: "Assembly", text: str) -> None:
    symbol_name, size_text, alignment_text = fields(text, 2, 3, ".comm symbol, size[, alignment]")
    size = assembly.absolute(size_text)
    if size < 0:
        raise StatementError(f"size {size} is negative", size_text)
    symbol = assembly.symbol(name(symbol_name))
    if symbol.fragment is not None or symbol.expression is not None:
        raise StatementError(f"symbol {symbol.name!r} is already defined", symbol_name)
    if symbol.binding is SymbolBinding.LOCAL:
        _allocate(assembly, symbol.name, size, _alignment(assembly, alignment_text, size))
        return
    symbol.common = size, _alignment(assembly, alignment_text, size)
    symbol.size, symbol.type = size, SymbolType.OBJECT


def _thread_local_common(assembly: "Assembly", text: str) -> None:
    _common(assembly, text)
    assembly.symbol(name(split_operands(text)[0])).type = SymbolType.TLS


def _local_common(assembly: "Assembly", text: str) -> None:
    symbol_name, size_text, alignment_text = fields(text, 2, 3, ".lcomm symbol, size[, alignment]")
    size = assembly.absolute(size_text)
    if size < 0:
        raise StatementError(f"size {size} is negative", size_text)
    alignment = _alignment(assembly, alignment_text, min(size, 8))
    _allocate(assembly, name(symbol_name), size, alignment)


def _allocate(assembly: "Assembly", symbol_name: str, size: int, alignment: int) -> None:
    """Give a symbol its own bytes in `.bss`, in the subsection where GNU puts them, behind what the source writes."""
    back = assembly.section, assembly.subsection
    assembly.enter(assembly.sections[".bss", None], 1)
    assembly.section.align = max(assembly.section.align, alignment)
    assembly.add_tail(Align(alignment, b"\0", 0, assembly.mark))
    assembly.define_label(symbol_name)
    symbol = assembly.symbol(symbol_name)
    symbol.size, symbol.type = size, SymbolType.OBJECT
    assembly.reserve(size)
    assembly.emit(bytes(size))
    assembly.enter(*back)


def _weakref(assembly: "Assembly", text: str) -> None:
    alias, target = fields(text, 2, 2, ".weakref alias, target")
    symbol = assembly.symbols.find_or_make(name(target), assembly.mark)  # weak, unless it is mentioned elsewhere too
    assembly.assign(name(alias), symbol)


def _lsym(assembly: "Assembly", text: str) -> None:
    target, value = fields(text, 2, 2, ".lsym symbol, expression")
    assembly.assign(name(target), assembly.value(value))


def _extern(assembly: "Assembly", text: str) -> None:
    """Undefined symbols are external without being told so."""


DIRECTIVES: dict[str, Directive] = {
    ".set": _set(once=False), ".equ": _set(once=False), ".equiv": _set(once=True), ".eqv": _set(once=True),
    ".globl": _bind(SymbolBinding.GLOBAL), ".global": _bind(SymbolBinding.GLOBAL), ".local": _bind(SymbolBinding.LOCAL),
    ".weak": _bind(SymbolBinding.WEAK), ".extern": _extern, ".xref": _extern, ".xdef": _bind(SymbolBinding.GLOBAL),
    ".hidden": _show(SymbolVisibility.HIDDEN), ".internal": _show(SymbolVisibility.INTERNAL),
    ".protected": _show(SymbolVisibility.PROTECTED),
    ".type": _type, ".size": _size, ".comm": _common, ".common": _common, ".xcom": _common,
    ".tls_common": _thread_local_common, ".lcomm": _local_common,
    ".weakref": _weakref, ".lsym": _lsym,
}  # fmt: skip
