"""Pseudo-instructions that become several instructions (unprivileged manual, "Assembly Programmer's Handbook")."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from linker.assembler.advice import for_register
from linker.assembler.diagnostics import StatementError
from linker.assembler.encoding.registers import FLOAT, INTEGER
from linker.assembler.expressions import ExpressionError, wrap
from linker.assembler.program import Expr
from linker.objects.riscv import R

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

Expansion = Callable[["Assembly", str, list[str]], None]

_AUIPC = 0x17
_LOADS = ("lb", "lbu", "lh", "lhu", "lw", "lwu", "ld")
_STORES = ("sb", "sh", "sw", "sd")
_FLOAT_LOADS = ("flw", "fld")
_FLOAT_STORES = ("fsw", "fsd")


def _count(mnemonic: str, operands: list[str], form: str) -> None:
    if len(operands) != form.count(",") + 1:
        several = "s" * (len(operands) != 1)
        raise StatementError(
            f"{mnemonic!r} does not take {len(operands)} operand{several}", mnemonic, f"expected '{form}'"
        )


def _register(text: str, names: dict[str, int] = INTEGER) -> int:
    number = names.get(text)
    if number is None:
        kind = "an integer" if names is INTEGER else "a floating-point"
        advice = for_register(text, names)
        raise StatementError(
            f"{text!r} is not {kind} register", text, f"expected {kind} register" + (f"; {advice}" if advice else "")
        )
    return number


def _symbol(assembly: "Assembly", text: str) -> Expr:
    try:
        return assembly.expression(text)
    except ExpressionError as error:
        raise StatementError(f"{text!r} is not a symbol: {error}", text, "expected a symbol") from None


def load_constant(assembly: "Assembly", register: int, value: int) -> None:
    """Write the sequence with which GNU loads a constant.

    It takes off the low 12 bits, shifts out the zeros above them, and does so again until 32 bits are left.
    """
    low = ((value & 0xFFF) ^ 0x800) - 0x800
    upper = wrap(value - low)
    name = f"x{register}"
    if not -(1 << 31) <= value < 1 << 31:
        shift = 12
        while not upper >> shift & 1:
            shift += 1
        load_constant(assembly, register, upper >> shift)
        assembly.encoder.instruction("slli", [name, name, str(shift)])
        if low:
            assembly.encoder.instruction("addi", [name, name, str(low)])
        return
    source = "x0"
    if upper:
        assembly.encoder.instruction("lui", [name, str((upper & 0xFFFF_FFFF) >> 12)])
        source = name
    if low or source == "x0":
        assembly.encoder.instruction("addiw", [name, source, str(low)])


def _li(assembly: "Assembly", mnemonic: str, operands: list[str]) -> None:
    _count(mnemonic, operands, "li rd, constant")
    register = _register(operands[0])
    try:
        value = assembly.known(assembly.expression(operands[1]))
    except ExpressionError as error:
        raise StatementError(f"{operands[1]!r} is not a constant: {error}", operands[1]) from None
    if value is None:
        raise StatementError(
            f"the value of {operands[1]!r} is not known here",
            operands[1],
            "expected a constant; for an address use 'la'",
        )
    if not -(1 << 63) <= value < 1 << 64:
        raise StatementError(f"{operands[1]!r} does not fit in 64 bits", operands[1], "expected a 64-bit constant")
    load_constant(assembly, register, wrap(value))


def _pair(assembly: "Assembly", first: int, symbol: Expr, high: R, second: int, low: R) -> None:
    """`auipc` with the high part of a symbol, and an instruction that adds the low part."""
    label = assembly.place_here()
    assembly.encoder.emit_relocated(_AUIPC | first << 7, 4, high, symbol)
    assembly.encoder.emit_relocated(second, 4, low, label)


_ADDI = 0x13
_LD = 0x3003


def _address_of(high: R, instruction: int) -> Expansion:
    def expand(assembly: "Assembly", mnemonic: str, operands: list[str]) -> None:
        _count(mnemonic, operands, f"{mnemonic} rd, symbol")
        register = _register(operands[0])
        symbol = _symbol(assembly, operands[1])
        if isinstance(symbol, int) and mnemonic in ("la", "lla"):
            load_constant(assembly, register, wrap(symbol))
            return
        kind, low = high, instruction
        if mnemonic == "la" and assembly.position_independent:
            kind, low = R.GOT_HI20, _LD
        _pair(assembly, register, symbol, kind, low | register << 7 | register << 15, R.PCREL_LO12_I)

    return expand


def _jump(assembly: "Assembly", symbol: Expr, link: int, scratch: int) -> None:
    assembly.encoder.emit_relocated(_AUIPC | scratch << 7, 4, R.CALL_PLT, symbol)
    assembly.emit((0x67 | link << 7 | scratch << 15).to_bytes(4, "little"))


def _function(assembly: "Assembly", text: str) -> Expr:
    return _symbol(assembly, text.removesuffix("@plt"))


def _call(assembly: "Assembly", mnemonic: str, operands: list[str]) -> None:
    if len(operands) == 2:
        link = _register(operands[0])
        _jump(assembly, _function(assembly, operands[1]), link, 6)
        return
    _count(mnemonic, operands, "call symbol")
    _jump(assembly, _function(assembly, operands[0]), 1, 1)


def _tail(assembly: "Assembly", mnemonic: str, operands: list[str]) -> None:
    _count(mnemonic, operands, "tail symbol")
    _jump(assembly, _function(assembly, operands[0]), 0, 6)


def _jump_through(assembly: "Assembly", mnemonic: str, operands: list[str]) -> None:
    _count(mnemonic, operands, "jump symbol, rt")
    _jump(assembly, _symbol(assembly, operands[0]), 0, _register(operands[1]))


def _load(assembly: "Assembly", mnemonic: str, operands: list[str]) -> None:
    """`lw rd, symbol`, and with a floating-point register `flw rd, symbol, rt`."""
    word = assembly.table.rows[mnemonic][0].word
    if mnemonic in _FLOAT_LOADS:
        _count(mnemonic, operands, f"{mnemonic} frd, symbol, rt")
        target, scratch = _register(operands[0], FLOAT), _register(operands[2])
    else:
        _count(mnemonic, operands, f"{mnemonic} rd, symbol")
        target = scratch = _register(operands[0])
    symbol = _address_symbol(assembly, mnemonic, operands[1])
    _pair(assembly, scratch, symbol, R.PCREL_HI20, word | target << 7 | scratch << 15, R.PCREL_LO12_I)


def _store(assembly: "Assembly", mnemonic: str, operands: list[str]) -> None:
    """`sw rs, symbol, rt`."""
    word = assembly.table.rows[mnemonic][0].word
    _count(mnemonic, operands, f"{mnemonic} rs, symbol, rt")
    source = _register(operands[0], FLOAT if mnemonic in _FLOAT_STORES else INTEGER)
    scratch = _register(operands[2])
    symbol = _address_symbol(assembly, mnemonic, operands[1])
    _pair(assembly, scratch, symbol, R.PCREL_HI20, word | source << 20 | scratch << 15, R.PCREL_LO12_S)


def _address_symbol(assembly: "Assembly", mnemonic: str, text: str) -> Expr:
    symbol = _symbol(assembly, text)
    if isinstance(symbol, int):
        raise StatementError(
            f"{mnemonic!r} cannot reach the fixed address {text!r} by itself",
            text,
            "expected an address such as 8(a0), or a symbol; load a fixed address with 'li' first",
        )
    return symbol


def _extend(instruction: str, bits: int) -> Expansion:
    def expand(assembly: "Assembly", mnemonic: str, operands: list[str]) -> None:
        _count(mnemonic, operands, f"{mnemonic} rd, rs")
        target, source = f"x{_register(operands[0])}", f"x{_register(operands[1])}"
        assembly.encoder.instruction("slli", [target, source, str(64 - bits)])
        assembly.encoder.instruction(instruction, [target, target, str(64 - bits)])

    return expand


NEEDS_INSTRUCTION = frozenset((*_LOADS, *_STORES, *_FLOAT_LOADS, *_FLOAT_STORES))
"""Names that expand only where the instruction of the same name is enabled."""

EXPANSIONS: dict[str, Expansion] = {
    "li": _li,
    "la": _address_of(R.PCREL_HI20, _ADDI),
    "lla": _address_of(R.PCREL_HI20, _ADDI),
    "la.tls.gd": _address_of(R.TLS_GD_HI20, _ADDI),
    "la.tls.ie": _address_of(R.TLS_GOT_HI20, _LD),
    "call": _call,
    "tail": _tail,
    "jump": _jump_through,
    "sext.b": _extend("srai", 8),
    "sext.h": _extend("srai", 16),
    "zext.h": _extend("srli", 16),
    "zext.w": _extend("srli", 32),
    **dict.fromkeys((*_LOADS, *_FLOAT_LOADS), _load),
    **dict.fromkeys((*_STORES, *_FLOAT_STORES), _store),
}
"""Tried when no single instruction of the name fits."""
