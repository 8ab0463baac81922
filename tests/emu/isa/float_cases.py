"""F and D: arithmetic in every rounding mode, comparisons, conversions, moves (unprivileged manual, 11 and 12)."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial

from tests.emu.isa import softfloat
from tests.emu.isa.case import M32, M64, Case, each, extended, signed
from tests.emu.isa.softfloat import DOUBLE, SINGLE, Format

FORMATS: dict[str, Format] = {"s": SINGLE, "d": DOUBLE}
MODES: dict[str, int] = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rmm": 4}
BOX = M64 ^ M32
"""The upper half of a single in a 64-bit register (section 12.2)."""

NUMBERS: dict[str, tuple[int, ...]] = {
    "s": (
        0x0000_0000, 0x8000_0000, 0x3F80_0000, 0xBF80_0000, 0x4040_0000, 0x3DCC_CCCD, 0xC0A0_0001, 0x7F7F_FFFF,
        0x0080_0000, 0x807F_FFFF, 0x0000_0001, 0x3380_0000, 0x7F80_0000, 0xFF80_0000,
    ),
    "d": (
        0, 1 << 63, 0x3FF << 52, 0xBFF << 52, 0x4008 << 48, 0x3FB9_9999_9999_999A, 0xC014_0000_0000_0001,
        0x7FEF_FFFF_FFFF_FFFF, 1 << 52, 0x800F_FFFF_FFFF_FFFF, 1, 0x3CA << 52, 0x7FF << 52, 0xFFF << 52,
    ),
}  # fmt: skip
"""Zeros, ones, 3, 0.1, -5 and a bit, the greatest, the least normal, subnormals, half an ulp of 1, infinities."""
QUIET = {"s": (0x7FC0_0000, 0xFFC1_2345), "d": (0x7FF8 << 48, 0xFFF8_0000_0001_2345)}
SIGNALLING = {"s": (0x7F80_0001, 0xFFBF_FFFF), "d": (0x7FF << 52 | 1, 0xFFF7_FFFF_FFFF_FFFF)}
LOOSE = {"s": (0x3F80_0000, 0xFFFF_FFFE_C000_0000, 0x7FFF_FFFF_0000_0000), "d": ()}
"""Registers that hold no single: their upper half is not all ones."""

BINARY: dict[str, Callable[[Format, int, int, int], softfloat.Result]] = {
    "fadd": softfloat.add, "fsub": softfloat.subtract, "fmul": softfloat.multiply, "fdiv": softfloat.divide,
}  # fmt: skip
FUSED: dict[str, tuple[bool, bool]] = {
    "fmadd": (False, False), "fmsub": (False, True), "fnmsub": (True, False), "fnmadd": (True, True),
}  # fmt: skip
"""Whether the product and whether the addend is negated (section 11.6)."""
SIGNS: dict[str, Callable[[int, int], int]] = {
    "fsgnj": lambda a, b: b, "fsgnjn": lambda a, b: ~b, "fsgnjx": lambda a, b: a ^ b,
}  # fmt: skip
"""Where the sign comes from."""
COMPARISONS: dict[str, tuple[Callable[..., bool], bool]] = {
    "feq": (lambda a, b: a == b, True),
    "flt": (lambda a, b: a < b, False),
    "fle": (lambda a, b: a <= b, False),
    "fgt": (lambda a, b: a > b, False),
    "fge": (lambda a, b: a >= b, False),
}
"""When it holds, and whether a quiet NaN is no error."""
INTEGERS: dict[str, tuple[int, int]] = {
    "w": (-(1 << 31), (1 << 31) - 1), "wu": (0, M32), "l": (-(1 << 63), (1 << 63) - 1), "lu": (0, M64),
}  # fmt: skip


def boxed(width: str, bits: int) -> int:
    """Bits as they stand in a register."""
    return bits | BOX if width == "s" else bits


def _out(register: int, width: str) -> int:
    """The operand in a register: a single that is not boxed counts as the canonical NaN (section 12.2)."""
    if width == "s":
        return register & M32 if register & BOX == BOX else SINGLE.nan
    return register


def everything(width: str) -> tuple[int, ...]:
    """Numbers and NaNs of a width."""
    return (*NUMBERS[width], *QUIET[width], *SIGNALLING[width])


def _inputs(width: str, *registers: str, values: tuple[int, ...] = ()) -> tuple[dict[str, int], ...]:
    """Every value in one register, every pair in two; in three every pair, with the third's values in turn."""
    values_in = [*(boxed(width, bits) for bits in values or everything(width)), *LOOSE[width]]
    if len(registers) == 1:
        return each(registers[0], values_in)
    both = [(a, b) for a in values_in for b in values_in]
    if len(registers) == 2:
        return tuple(dict(zip(registers, pair, strict=True)) for pair in both)
    count = len(values_in)
    return tuple(
        dict(zip(registers, (a, b, values_in[(n + n // count) % count]), strict=True)) for n, (a, b) in enumerate(both)
    )


def _rounded(
    name: str, width: str, registers: tuple[str, ...], result: Callable[..., softfloat.Result], modes: int = 1
) -> Iterator[Case]:
    """An instruction in each rounding mode as it is written, and with what `frm` says; each input in some `modes`."""
    operands = ", ".join(registers)

    def expect(mode: int, **given: int) -> dict[str, int]:
        bits, flags = result(mode, *(_out(given[register], width) for register in registers))
        return {"fa0": boxed(width, bits), "fflags": flags}

    inputs = _inputs(width, *registers)
    for mode, number in MODES.items():
        some = [given for n, given in enumerate(inputs) if (n + number) % 5 < modes]
        yield Case(name, f"{name} fa0, {operands}, {mode}", partial(expect, number), some)
        dynamic = tuple({**given, "a7": number} for given in inputs[number :: 1 + len(inputs) // 16])
        yield Case(name, f"fsrm a7\n {name} fa0, {operands}", lambda a7, **given: expect(a7, **given), dynamic)


def _arithmetic_cases(width: str) -> Iterator[Case]:
    f = FORMATS[width]
    for name, operation in BINARY.items():
        yield from _rounded(f"{name}.{width}", width, ("fa1", "fa2"), partial(operation, f))
    yield from _rounded(f"fsqrt.{width}", width, ("fa1",), partial(softfloat.square_root, f), 5)
    for name, negated in FUSED.items():
        yield from _rounded(f"{name}.{width}", width, ("fa1", "fa2", "fa3"), partial(_fused, f, *negated))
    yield from _invalid_cases(width)


def _invalid_cases(width: str) -> Iterator[Case]:
    """Infinity times zero is invalid, even when what is added is a quiet NaN (section 11.6)."""
    f = FORMATS[width]
    infinity, zero, nan = (boxed(width, bits) for bits in (f.infinity, 0, f.nan))
    inputs = ({"fa1": infinity, "fa2": zero, "fa3": nan}, {"fa1": zero, "fa2": infinity, "fa3": nan})
    for name in FUSED:
        yield Case(
            f"{name}.{width}", f"{name}.{width} fa0, fa1, fa2, fa3",
            lambda **_: {"fa0": nan, "fflags": softfloat.NV}, inputs,
        )  # fmt: skip


def _fused(f: Format, product: bool, addend: bool, mode: int, a: int, b: int, c: int) -> softfloat.Result:
    return softfloat.fused_multiply_add(f, mode, a ^ (f.sign * product), b, c ^ (f.sign * addend))


def _sign_cases(width: str) -> Iterator[Case]:
    f = FORMATS[width]
    kinds = (*NUMBERS[width][:4], f.infinity, f.infinity | f.sign, *QUIET[width], *SIGNALLING[width])
    signs = (*(boxed(width, bits) for bits in kinds), *LOOSE[width])

    def case(name: str, operands: str, sign: Callable[[int, int], int], *registers: str) -> Case:
        def expect(**given: int) -> dict[str, int]:
            a, b = _out(given[registers[0]], width), _out(given[registers[-1]], width)
            return {"fa0": boxed(width, a & ~f.sign | sign(a, b) & f.sign), "fflags": 0}

        inputs = [given for given in _inputs(width, *registers) if len(registers) == 1 or given["fa2"] in signs]
        return Case(f"{name}.{width}", f"{name}.{width} fa0, {operands}", expect, inputs)

    for name, sign in SIGNS.items():
        yield case(name, "fa1, fa2", sign, "fa1", "fa2")
    for alias, name in (("fmv", "fsgnj"), ("fneg", "fsgnjn"), ("fabs", "fsgnjx")):
        yield case(alias, "fa1", SIGNS[name], "fa1")


def _choice_cases(width: str) -> Iterator[Case]:
    """`fmin` and `fmax`."""

    def choose(operation: Callable[..., softfloat.Result], a: int, b: int) -> dict[str, int]:
        bits, flags = operation(FORMATS[width], _out(a, width), _out(b, width))
        return {"fa0": boxed(width, bits), "fflags": flags}

    for name, operation in (("fmin", softfloat.least), ("fmax", softfloat.greatest)):
        yield Case(
            f"{name}.{width}", f"{name}.{width} fa0, fa1, fa2",
            lambda fa1, fa2, o=operation: choose(o, fa1, fa2), _inputs(width, "fa1", "fa2"),
        )  # fmt: skip


def _comparison_cases(width: str) -> Iterator[Case]:
    f = FORMATS[width]

    def compare(holds: Callable[..., bool], quiet: bool, a: int, b: int) -> dict[str, int]:
        value, flags = softfloat.compare(f, _out(a, width), _out(b, width), holds, quiet=quiet)
        return {"a0": value, "fflags": flags}

    for name, (holds, quiet) in COMPARISONS.items():
        yield Case(
            f"{name}.{width}", f"{name}.{width} a0, fa1, fa2",
            lambda fa1, fa2, h=holds, q=quiet: compare(h, q, fa1, fa2), _inputs(width, "fa1", "fa2"),
        )  # fmt: skip
    yield Case(
        f"fclass.{width}", f"fclass.{width} a0, fa1",
        lambda fa1: {"a0": softfloat.classify(f, _out(fa1, width)), "fflags": 0}, _inputs(width, "fa1"),
    )  # fmt: skip


def _around(f: Format, bits: int) -> Iterator[int]:
    """Numbers at and around a power of two, where integers of so many bits end, in both signs."""
    one = f.round(Fraction(1 << bits), 0)[0]
    for near in (one - 1, one, one + 1):
        yield from (near, near | f.sign)


def _fractions(f: Format) -> Iterator[int]:
    """Numbers that each rounding mode makes a different integer of."""
    for quarters in (1, 2, 3, 5, 6, 7, 10, 4 * ((1 << 31) - 1) + 2, 4 * M32 + 3):
        for sign in (1, -1):
            yield f.round(Fraction(sign * quarters, 4), 0)[0]


def _to_integer_cases(width: str) -> Iterator[Case]:
    f = FORMATS[width]
    edges = [bits for power in (0, 31, 32, 63, 64) for bits in _around(f, power)]
    inputs = _inputs(width, "fa1", values=(*everything(width), *edges, *_fractions(f)))

    def expect(kind: str, mode: int, fa1: int) -> dict[str, int]:
        value, flags = softfloat.to_integer(f, mode, _out(fa1, width), *INTEGERS[kind])
        return {"a0": extended(value) if kind[0] == "w" else value & M64, "fflags": flags}

    for kind in INTEGERS:
        name = f"fcvt.{kind}.{width}"
        for mode, number in MODES.items():
            yield Case(name, f"{name} a0, fa1, {mode}", partial(expect, kind, number), inputs)
            yield Case(name, f"fsrmi {number}\n {name} a0, fa1", partial(expect, kind, number), inputs[::7])


_INTEGER_EDGES = (
    0, 1, M64, 1 << 63, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, M32, (1 << 24) + 1, (1 << 25) + 6, (1 << 53) + 1,
    (1 << 54) + 6, -((1 << 24) + 1) & M64, -((1 << 53) + 1) & M64, 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210,
)  # fmt: skip


def _from_integer_cases(width: str) -> Iterator[Case]:
    f = FORMATS[width]

    def expect(kind: str, mode: int, a1: int) -> dict[str, int]:
        bits = 32 if kind[0] == "w" else 64
        value = a1 & ((1 << bits) - 1) if kind.endswith("u") else signed(a1, bits)
        result, flags = softfloat.from_integer(f, mode, value)
        return {"fa0": boxed(width, result), "fflags": flags}

    for kind in INTEGERS:
        name = f"fcvt.{width}.{kind}"
        for mode, number in MODES.items():
            yield Case(name, f"{name} fa0, a1, {mode}", partial(expect, kind, number), each("a1", _INTEGER_EDGES))
        yield Case(name, f"{name} fa0, a1", partial(expect, kind, 0), each("a1", _INTEGER_EDGES))


def _between_formats_cases() -> Iterator[Case]:
    halves = (0x3FF0_0000_1000_0000, 0x3FF0_0000_3000_0000, 0x3FF0_0000_1000_0001, 0x47EF_FFFF_F000_0000, 0x3690 << 48)

    def narrow(mode: int, fa1: int) -> dict[str, int]:
        bits, flags = softfloat.convert(DOUBLE, SINGLE, mode, fa1)
        return {"fa0": boxed("s", bits), "fflags": flags}

    def widen(fa1: int) -> dict[str, int]:
        bits, flags = softfloat.convert(SINGLE, DOUBLE, 0, _out(fa1, "s"))
        return {"fa0": bits, "fflags": flags}

    doubles = each("fa1", (*everything("d"), *halves, *(bits | 1 << 63 for bits in halves)))
    for mode, number in MODES.items():
        yield Case("fcvt.s.d", f"fcvt.s.d fa0, fa1, {mode}", partial(narrow, number), doubles)
        yield Case("fcvt.s.d", f"fsrmi {number}\n fcvt.s.d fa0, fa1", partial(narrow, number), doubles)
    yield Case("fcvt.d.s", "fcvt.d.s fa0, fa1", widen, _inputs("s", "fa1"))
    yield Case("fcvt.d.s", "fcvt.d.s fa0, fa1, rup", widen, _inputs("s", "fa1"))


def _move_cases() -> Iterator[Case]:
    bits = (0, M64, 0x8123_4567_89AB_CDEF, 0x0123_4567_7F80_0001, *everything("d"))
    yield Case("fmv.x.d", "fmv.x.d a0, fa1", lambda fa1: {"a0": fa1, "fflags": 0}, each("fa1", bits))
    yield Case("fmv.d.x", "fmv.d.x fa0, a1", lambda a1: {"fa0": a1, "fflags": 0}, each("a1", bits))
    for name in ("fmv.x.w", "fmv.x.s"):  # moves the bits whether they are boxed or not
        yield Case(name, f"{name} a0, fa1", lambda fa1: {"a0": extended(fa1), "fflags": 0}, each("fa1", bits))
    for name in ("fmv.w.x", "fmv.s.x"):
        yield Case(name, f"{name} fa0, a1", lambda a1: {"fa0": boxed("s", a1 & M32), "fflags": 0}, each("a1", bits))


def _cases() -> Iterator[Case]:
    for width in FORMATS:
        yield from _arithmetic_cases(width)
        yield from _sign_cases(width)
        yield from _choice_cases(width)
        yield from _comparison_cases(width)
        yield from _to_integer_cases(width)
        yield from _from_integer_cases(width)
    yield from _between_formats_cases()
    yield from _move_cases()


CASES = tuple(_cases())
EXPANSION_CASES: tuple[Case, ...] = ()
