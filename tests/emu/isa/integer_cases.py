"""Integer arithmetic: RV64I and M with aliases and compressed forms (unprivileged manual, chapters 2, 5, 7, 16)."""

from collections.abc import Callable, Iterator

from tests.emu.isa.case import CODE, M32, M64, Case, each, extended, pairs, signed

Binary = Callable[[int, int], int]


def _quotient(a: int, b: int) -> int:
    """Rounded towards zero; division by zero gives all ones (table 7.1)."""
    if b == 0:
        return -1
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _remainder(a: int, b: int) -> int:
    return a if b == 0 else a - b * _quotient(a, b)


def _word(operation: Binary) -> Binary:
    """The same on the low 32 bits as signed numbers, sign-extended."""
    return lambda a, b: extended(operation(signed(a, 32), signed(b, 32)))


def _word_unsigned(operation: Binary) -> Binary:
    return lambda a, b: extended(operation(a & M32, b & M32))


def _signed(operation: Binary) -> Binary:
    return lambda a, b: operation(signed(a), signed(b))


REGISTER: dict[str, Binary] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "sll": lambda a, b: a << (b & 63),
    "slt": _signed(lambda a, b: a < b),
    "sltu": lambda a, b: a < b,
    "xor": lambda a, b: a ^ b,
    "srl": lambda a, b: a >> (b & 63),
    "sra": lambda a, b: signed(a) >> (b & 63),
    "or": lambda a, b: a | b,
    "and": lambda a, b: a & b,
    "addw": _word(lambda a, b: a + b),
    "subw": _word(lambda a, b: a - b),
    "sllw": _word(lambda a, b: a << (b & 31)),
    "srlw": _word_unsigned(lambda a, b: a >> (b & 31)),
    "sraw": _word(lambda a, b: a >> (b & 31)),
    "mul": lambda a, b: a * b,
    "mulh": _signed(lambda a, b: a * b >> 64),
    "mulhsu": lambda a, b: signed(a) * b >> 64,
    "mulhu": lambda a, b: a * b >> 64,
    "mulw": _word(lambda a, b: a * b),
    "div": _signed(_quotient),
    "divu": _quotient,
    "rem": _signed(_remainder),
    "remu": _remainder,
    "divw": _word(_quotient),
    "divuw": _word_unsigned(_quotient),
    "remw": _word(_remainder),
    "remuw": _word_unsigned(_remainder),
    "sgt": _signed(lambda a, b: a > b),
    "sgtu": lambda a, b: a > b,
}
"""`name rd, rs1, rs2`, on unsigned 64-bit numbers; what does not fit a register falls off."""

IMMEDIATE: dict[str, str] = {
    "addi": "add", "slti": "slt", "sltiu": "sltu", "xori": "xor", "ori": "or", "andi": "and", "addiw": "addw",
    "add": "add", "slt": "slt", "sltu": "sltu", "xor": "xor", "or": "or", "and": "and", "addw": "addw",
}  # fmt: skip
"""`name rd, rs1, imm12` and the instruction between registers that does the same; so assemblers write them too."""

SHIFT: dict[str, tuple[str, int]] = {
    "slli": ("sll", 64), "srli": ("srl", 64), "srai": ("sra", 64),
    "slliw": ("sllw", 32), "srliw": ("srlw", 32), "sraiw": ("sraw", 32),
    "sll": ("sll", 64), "srl": ("srl", 64), "sra": ("sra", 64),
    "sllw": ("sllw", 32), "srlw": ("srlw", 32), "sraw": ("sraw", 32),
}  # fmt: skip
"""`name rd, rs1, shamt`, likewise, and the width that the amount stays below."""

UNARY: dict[str, Callable[[int], int]] = {
    "mv": lambda a: a,
    "move": lambda a: a,
    "not": lambda a: ~a,
    "neg": lambda a: -a,
    "negw": lambda a: extended(-a),
    "sext.w": extended,
    "zext.b": lambda a: a & 0xFF,
    "seqz": lambda a: a == 0,
    "snez": lambda a: a != 0,
    "sltz": lambda a: signed(a) < 0,
    "sgtz": lambda a: signed(a) > 0,
}
"""`name rd, rs`."""

EXTENSIONS: dict[str, Callable[[int], int]] = {
    "sext.b": lambda a: extended(a, 8),
    "sext.h": lambda a: extended(a, 16),
    "zext.h": lambda a: a & 0xFFFF,
    "zext.w": lambda a: a & M32,
}
"""The same, for those that the assembler writes as two shifts."""

COMPRESSED: dict[str, str] = {
    "c.add": "add", "c.sub": "sub", "c.xor": "xor", "c.or": "or", "c.and": "and", "c.subw": "subw", "c.addw": "addw",
}  # fmt: skip
COMPRESSED_IMMEDIATE: dict[str, str] = {"c.addi": "add", "c.addiw": "addw", "c.andi": "and"}
COMPRESSED_SHIFT: dict[str, str] = {"c.slli": "sll", "c.srli": "srl", "c.srai": "sra"}
"""`name rd, ...`, where rd is the first operand of the longer instruction too."""

CONSTANTS = (
    0, 1, -1, 31, -32, 32, 2047, -2048, 2048, 0x1000, 0x7FFF_FFFF, -(1 << 31), 0x8000_0000, M32, 1 << 32,
    0x0123_4567_89AB_CDEF, 1 << 63, M64, (1 << 63) - 1,
)  # fmt: skip


def _register_cases() -> Iterator[Case]:
    def case(name: str, operation: Binary) -> Iterator[Case]:
        yield Case(name, f"{name} a0, a1, a2", lambda a1, a2: {"a0": operation(a1, a2) & M64}, pairs("a1", "a2"))
        yield Case(name, f"{name} t6, t6, t6", lambda t6: {"t6": operation(t6, t6) & M64}, each("t6"))
        yield Case(name, f"{name} zero, a1, a2", lambda a1, a2: {"zero": 0}, ({"a1": 7, "a2": 3},))

    for name, operation in REGISTER.items():
        yield from case(name, operation)


def _immediate_cases() -> Iterator[Case]:
    def case(name: str, operation: Binary, number: int) -> Case:
        return Case(name, f"{name} a0, a1, {number}", lambda a1: {"a0": operation(a1, number & M64) & M64}, each("a1"))

    for name, same in IMMEDIATE.items():
        for number in (-2048, -1, 0, 1, 0x555, 2047):
            yield case(name, REGISTER[same], number)
    for name, (same, width) in SHIFT.items():
        for number in (0, 1, width // 2, width - 1):
            yield case(name, REGISTER[same], number)


def _unary(name: str, operation: Callable[[int], int]) -> Iterator[Case]:
    for source in ("a1", "t6"):
        yield Case(name, f"{name} a0, {source}", lambda **x: {"a0": operation(*x.values()) & M64}, each(source))


def _unary_cases() -> Iterator[Case]:
    for name, operation in UNARY.items():
        yield from _unary(name, operation)
    # what is never compressed: a move from the register that reads 0
    for name in ("mv", "move"):
        yield Case(name, f"{name} a0, zero", lambda a0: {"a0": 0}, ({"a0": 5},))


def _compressed_cases() -> Iterator[Case]:
    def registers(name: str, operation: Binary) -> Case:
        return Case(name, f"{name} a0, a1", lambda a0, a1: {"a0": operation(a0, a1) & M64, "pc": 2}, pairs("a0", "a1"))

    def immediate(name: str, operation: Binary, number: int) -> Case:
        return Case(
            name, f"{name} a0, {number}", lambda a0: {"a0": operation(a0, number & M64) & M64, "pc": 2}, each("a0")
        )

    for name, same in COMPRESSED.items():
        yield registers(name, REGISTER[same])
    for name, same in COMPRESSED_IMMEDIATE.items():
        yield from (immediate(name, REGISTER[same], number) for number in (-32, -1, 0, 1, 31))
    for name, same in COMPRESSED_SHIFT.items():
        yield from (immediate(name, REGISTER[same], number) for number in (1, 31, 32, 63))
    # shifts by 0 and no-operations with operands are hints: nothing changes (table 16.8)
    for name in ("c.slli64", "c.srli64", "c.srai64"):
        yield Case(name, f"{name} a0", lambda a0: {"a0": a0, "pc": 2}, each("a0"))
    yield Case("c.nop", "c.nop", lambda: {"pc": 2, **dict.fromkeys(("ra", "a0", "t6"), 0)})
    yield Case("c.nop", "c.nop 5", lambda: {"pc": 2, "zero": 0})
    yield Case("c.mv", "c.mv a0, t6", lambda t6: {"a0": t6, "pc": 2}, each("t6"))
    yield Case("c.addi4spn", "c.addi4spn a0, sp, 1020", lambda sp: {"a0": (sp + 1020) & M64, "pc": 2}, each("sp"))
    for number in (-512, 16, 496):
        yield _stack_adjustment(number)


def _stack_adjustment(number: int) -> Case:
    return Case("c.addi16sp", f"c.addi16sp sp, {number}", lambda sp: {"sp": (sp + number) & M64, "pc": 2}, each("sp"))


def _constant_cases() -> Iterator[Case]:
    def constant(name: str, source: str, value: int) -> Case:
        return Case(name, source, lambda: {"a0": value & M64})

    for upper in (0, 1, 31, 0x12345, 0x7FFFF, 0x80000, 0xFFFFF):
        yield constant("lui", f"lui a0, {upper:#x}", extended(upper << 12))
        yield constant("auipc", f"auipc a0, {upper:#x}", CODE + extended(upper << 12))
    for upper in (1, 31, 0xFFFE0, 0xFFFFF):
        yield constant("c.lui", f"c.lui a0, {upper:#x}", extended(upper << 12))
    for number in (-32, -1, 0, 31):
        yield constant("c.li", f"c.li a0, {number}", number)
    for number in CONSTANTS:
        if -2048 <= number < 2048:
            yield constant("li", f"li a0, {number}", number)
    yield Case("nop", "nop", lambda a0: {"a0": a0, "pc": 2}, each("a0", (M64,)))
    own = '.pushsection .tbss, "awT", @nobits; own: .zero 8; .popsection'
    yield Case(
        "add", f"add a0, a1, tp, %tprel_add(own); {own}", lambda a1, tp: {"a0": (a1 + tp) & M64}, pairs("a1", "tp")
    )


def _expansion_cases() -> Iterator[Case]:
    def constant(value: int) -> Case:
        return Case("li", f"li a0, {value}", lambda: {"a0": value & M64})

    yield from map(constant, CONSTANTS)
    for name, operation in EXTENSIONS.items():
        yield from _unary(name, operation)


CASES = (
    *_register_cases(),
    *_immediate_cases(),
    *_unary_cases(),
    *_compressed_cases(),
    *_constant_cases(),
)
EXPANSION_CASES = tuple(_expansion_cases())
"""Those of pseudo-instructions that become several instructions."""
