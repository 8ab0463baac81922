"""What the manual demands of F and D where the core that executes them follows older rules, or none."""

from collections.abc import Iterator

from tests.emu.isa import float_cases, softfloat
from tests.emu.isa.case import M32, M64, Case
from tests.emu.isa.float_cases import FORMATS, FUSED, half
from tests.emu.isa.softfloat import SINGLE

ONE, TWO, NAN = 0x3F80_0000, 0x4000_0000, SINGLE.nan
BOXED_ONE, BOXED_TWO = float_cases.BOX | ONE, float_cases.BOX | TWO
LOOSE = tuple({"fa1": upper << 32 | ONE, "fa2": BOXED_TWO, "fa3": BOXED_TWO} for upper in (0, 1, 0x7FFF_FFFF, M32 - 1))
"""A single whose upper half is not all ones: as an operand it is the canonical NaN (section 12.2)."""

_ARITHMETIC = ("fadd.s", "fsub.s", "fmul.s", "fdiv.s")
_FUSED = tuple(f"{name}.s" for name in FUSED)
_SIGN_ALIASES = ("fmv.s", "fneg.s", "fabs.s")
_FROM_INTEGER = tuple(f"fcvt.s.{kind}" for kind in float_cases.INTEGERS)
_FROM_BITS = ("fmv.w.x", "fmv.s.x")


def _signalling_cases() -> Iterator[Case]:
    """`fmin` and `fmax` return the number beside a signalling NaN (section 11.6)."""
    for width in FORMATS:
        yield from float_cases.choices(width, float_cases.signalling_inputs(width))


def _invalid_cases() -> Iterator[Case]:
    """Infinity times zero is invalid, even when what is added is a quiet NaN (section 11.6)."""
    for width, f in FORMATS.items():
        key = half("fa0", width)
        infinity, zero, nan = (float_cases.boxed(width, bits) for bits in (f.infinity, 0, f.nan))
        inputs = ({"fa1": infinity, "fa2": zero, "fa3": nan}, {"fa1": zero, "fa2": infinity, "fa3": nan})
        for name in FUSED:
            yield Case(
                f"{name}.{width}", f"{name}.{width} fa0, fa1, fa2, fa3",
                lambda k=key, n=f.nan, **_: {k: n, "fflags": softfloat.NV}, inputs,
            )  # fmt: skip


def _result_cases() -> Iterator[Case]:
    """A single in a register has ones above it (section 12.2)."""
    three = ({"fa1": BOXED_ONE, "fa2": BOXED_TWO, "fa3": BOXED_TWO},)
    upper = f"fa0&{float_cases.BOX:#x}"

    def case(name: str, operands: str, inputs: tuple[dict[str, int], ...]) -> Case:
        return Case(name, f"{name} fa0, {operands}", lambda **_: {upper: float_cases.BOX}, inputs)

    for name in (*_ARITHMETIC, "fsgnjn.s", "fsgnjx.s", "fmin.s", "fmax.s"):
        yield case(name, "fa1, fa2", three)
    for name in _FUSED:
        yield case(name, "fa1, fa2, fa3", three)
    for name in ("fsqrt.s", "fneg.s", "fabs.s"):
        yield case(name, "fa1", three)
    yield case("fcvt.s.d", "fa1", ({"fa1": 0x3FF << 52},))
    for name in (*_FROM_INTEGER, *_FROM_BITS):
        yield case(name, "a1", ({"a1": 1}, {"a1": 0x1234_5678_0000_0001}))


def _operand_cases() -> Iterator[Case]:
    """A loose operand counts as the canonical NaN."""

    def case(name: str, operands: str, key: str, value: int, flags: int = 0) -> Case:
        return Case(name, f"{name} {operands}", lambda **_: {key: value, "fflags": flags}, LOOSE)

    single = half("fa0", "s")
    for name in _ARITHMETIC:
        yield case(name, "fa0, fa1, fa2", single, NAN)
    for name in _FUSED:
        yield case(name, "fa0, fa1, fa2, fa3", single, NAN)
    yield case("fsqrt.s", "fa0, fa1", single, NAN)
    yield case("fmin.s", "fa0, fa1, fa2", single, TWO)
    yield Case("fmax.s", "fmax.s fa0, fa1, fa2", lambda **_: {single: ONE}, ({"fa1": TWO, "fa2": BOXED_ONE},))
    for name in ("fsgnj.s", "fsgnjx.s"):
        yield case(name, "fa0, fa1, fa2", single, NAN)
    yield case("fsgnjn.s", "fa0, fa1, fa2", single, NAN | SINGLE.sign)
    for name, value in zip(_SIGN_ALIASES, (NAN, NAN | SINGLE.sign, NAN), strict=True):
        yield case(name, "fa0, fa1", single, value)
    yield case("feq.s", "a0, fa1, fa1", "a0", 0)
    for name in ("flt.s", "fle.s", "fgt.s", "fge.s"):
        yield case(name, "a0, fa2, fa1" if name[1] == "g" else "a0, fa1, fa2", "a0", 0, softfloat.NV)
    yield case("fclass.s", "a0, fa1", "a0", 1 << 9)
    yield case("fcvt.d.s", "fa0, fa1", "fa0", softfloat.DOUBLE.nan)
    for kind, (_, high) in float_cases.INTEGERS.items():
        greatest = M64 if kind == "wu" else high
        yield case(f"fcvt.{kind}.s", "a0, fa1", "a0", greatest, softfloat.NV)


DEVIATIONS: dict[str, tuple[Case, ...]] = {
    "the core's fmin and fmax make a NaN of a signalling NaN and a number": tuple(_signalling_cases()),
    "the core sets no NV for infinity * 0 + quiet NaN": tuple(_invalid_cases()),
    "the core puts zeros above single-precision results": tuple(_result_cases()),
    "the core does not look whether single-precision operands are boxed": tuple(_operand_cases()),
}
"""Cases by what is wrong."""
