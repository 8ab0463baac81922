"""IEEE 754 arithmetic in exact fractions with one rounding, and the results of the unprivileged manual, chapter 11."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
"""Bits of `fflags`."""
RNE, RTZ, RDN, RUP, RMM = range(5)
"""Rounding modes (table 11.1)."""

Result = tuple[int, int]
"""Bits of the result, and flags."""


@dataclass(frozen=True)
class Format:
    """A binary interchange format."""

    exponent_bits: int
    fraction_bits: int

    @property
    def width(self) -> int:
        """Bits in all."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << (self.width - 1)

    @property
    def infinity(self) -> int:
        """Positive infinity; everything above it but the sign is NaN."""
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @property
    def nan(self) -> int:
        """The canonical NaN (section 11.3)."""
        return self.infinity | self.quiet

    @property
    def quiet(self) -> int:
        """The bit that a signalling NaN lacks."""
        return 1 << (self.fraction_bits - 1)

    @property
    def least_exponent(self) -> int:
        """Of normal numbers."""
        return 2 - (1 << (self.exponent_bits - 1))

    def is_nan(self, bits: int) -> bool:
        """Whether these bits are not a number."""
        return bits & ~self.sign > self.infinity

    def is_signalling(self, bits: int) -> bool:
        """Whether these bits are a signalling NaN."""
        return self.is_nan(bits) and not bits & self.quiet

    def is_infinite(self, bits: int) -> bool:
        """Whether these bits are an infinity of either sign."""
        return bits & ~self.sign == self.infinity

    def value(self, bits: int) -> Fraction:
        """The number that finite bits stand for."""
        fraction = bits & ((1 << self.fraction_bits) - 1)
        exponent = (bits & self.infinity) >> self.fraction_bits
        if exponent:
            fraction |= 1 << self.fraction_bits
        power = max(exponent, 1) - 1 + self.least_exponent - self.fraction_bits
        magnitude = Fraction(fraction) * Fraction(2) ** power
        return -magnitude if bits & self.sign else magnitude

    def round(self, value: Fraction, mode: int) -> Result:
        """The nearest representable number in a rounding mode, for any value but 0."""
        negative, magnitude = value < 0, abs(value)
        sign = self.sign if negative else 0
        exponent = _floor_log2(magnitude)
        quantum = max(exponent, self.least_exponent) - self.fraction_bits
        scaled = magnitude / Fraction(2) ** quantum
        units = round_to_integer(scaled, mode, negative=negative)
        inexact = NX if units != scaled else 0
        # adding the units, with their leading 1, to the exponent field carries into it where rounding does
        field = max(exponent, self.least_exponent) - self.least_exponent
        bits = (field << self.fraction_bits) + units
        if bits >= self.infinity:
            away = mode in (RNE, RMM) or mode == (RDN if negative else RUP)
            return sign | (self.infinity if away else self.infinity - 1), OF | NX
        if inexact and exponent < self.least_exponent and self._is_tiny(magnitude, exponent, mode, negative=negative):
            return sign | bits, UF | NX
        return sign | bits, inexact

    def _is_tiny(self, magnitude: Fraction, exponent: int, mode: int, *, negative: bool) -> bool:
        """Whether it stays below the normal numbers when rounded with any exponent: tininess after rounding."""
        quantum = Fraction(2) ** (exponent - self.fraction_bits)
        return (
            round_to_integer(magnitude / quantum, mode, negative=negative) * quantum
            < Fraction(2) ** self.least_exponent
        )


SINGLE, DOUBLE = Format(8, 23), Format(11, 52)


def _floor_log2(value: Fraction) -> int:
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if Fraction(2) ** guess <= value else guess - 1


def round_to_integer(magnitude: Fraction, mode: int, *, negative: bool) -> int:
    """A magnitude rounded as the signed number is."""
    whole = magnitude.numerator // magnitude.denominator
    rest = magnitude - whole
    half = Fraction(1, 2)
    up = {
        RNE: rest > half or (rest == half and whole & 1),
        RTZ: False,
        RDN: negative and rest,
        RUP: not negative and rest,
        RMM: rest >= half,
    }[mode]
    return whole + bool(up)


def _nan_result(f: Format, *operands: int) -> Result | None:
    """The result when an operand is a NaN: the canonical one, invalid if any was signalling."""
    if not any(f.is_nan(bits) for bits in operands):
        return None
    return f.nan, NV if any(f.is_signalling(bits) for bits in operands) else 0


def add(f: Format, mode: int, a: int, b: int) -> Result:
    """a + b."""
    if (nan := _nan_result(f, a, b)) is not None:
        return nan
    if f.is_infinite(a) or f.is_infinite(b):
        if f.is_infinite(a) and f.is_infinite(b) and a != b:
            return f.nan, NV
        return (a if f.is_infinite(a) else b), 0
    total = f.value(a) + f.value(b)
    if total:
        return f.round(total, mode)
    if not f.value(a) and (a & f.sign) == (b & f.sign):
        return a, 0
    return (f.sign if mode == RDN else 0), 0


def subtract(f: Format, mode: int, a: int, b: int) -> Result:
    """a - b."""
    return add(f, mode, a, b if f.is_nan(b) else b ^ f.sign)


def multiply(f: Format, mode: int, a: int, b: int) -> Result:
    """a * b."""
    if (nan := _nan_result(f, a, b)) is not None:
        return nan
    sign = (a ^ b) & f.sign
    if f.is_infinite(a) or f.is_infinite(b):
        zero = not (a & ~f.sign and b & ~f.sign)
        return (f.nan, NV) if zero else (sign | f.infinity, 0)
    product = f.value(a) * f.value(b)
    return f.round(product, mode) if product else (sign, 0)


def divide(f: Format, mode: int, a: int, b: int) -> Result:
    """a / b."""
    if (nan := _nan_result(f, a, b)) is not None:
        return nan
    sign = (a ^ b) & f.sign
    if f.is_infinite(a):
        return (f.nan, NV) if f.is_infinite(b) else (sign | f.infinity, 0)
    if f.is_infinite(b):
        return sign, 0
    if not f.value(b):
        return (sign | f.infinity, DZ) if f.value(a) else (f.nan, NV)
    return f.round(f.value(a) / f.value(b), mode) if f.value(a) else (sign, 0)


def square_root(f: Format, mode: int, a: int) -> Result:
    """The square root of a."""
    if (nan := _nan_result(f, a)) is not None:
        return nan
    if not a & ~f.sign:
        return a, 0
    if a & f.sign:
        return f.nan, NV
    if f.is_infinite(a):
        return a, 0
    # far more digits than a format has, and one more that stands for all behind it when the root is not exact
    scale = 1 << 1200
    square = f.value(a) * scale * scale
    root = isqrt(square.numerator // square.denominator)
    exact = Fraction(root) ** 2 == square
    return f.round(Fraction(2 * root + (not exact), 2 * scale), mode)


def fused_multiply_add(f: Format, mode: int, a: int, b: int, c: int) -> Result:
    """a * b + c with one rounding; infinity times zero is invalid even when c is a quiet NaN (section 11.6)."""
    infinite, zero = f.is_infinite(a) or f.is_infinite(b), not (a & ~f.sign and b & ~f.sign)
    if infinite and zero and not f.is_nan(a) and not f.is_nan(b):
        return f.nan, NV
    if (nan := _nan_result(f, a, b, c)) is not None:
        return nan
    sign = (a ^ b) & f.sign
    if infinite:
        return add(f, mode, sign | f.infinity, c)
    if f.is_infinite(c):
        return c, 0
    total = f.value(a) * f.value(b) + f.value(c)
    if total:
        return f.round(total, mode)
    if zero:
        return add(f, mode, sign, c)
    # an exact cancellation, or a c of 0 under a product of 0, which was the case before
    return (f.sign if mode == RDN else 0), 0


def least(f: Format, a: int, b: int) -> Result:
    """`fmin` of version 2.2: the number if one is a NaN, the canonical NaN if both are; -0 below +0 (section 11.6)."""
    return _choose(f, a, b, lambda x, y: x < y)


def greatest(f: Format, a: int, b: int) -> Result:
    """`fmax`, likewise."""
    return _choose(f, a, b, lambda x, y: x > y)


def _choose(f: Format, a: int, b: int, first: Callable[[int, int], bool]) -> Result:
    flags = NV if f.is_signalling(a) or f.is_signalling(b) else 0
    if f.is_nan(a):
        return (f.nan if f.is_nan(b) else b), flags
    if f.is_nan(b):
        return a, flags
    return (a if first(_order(f, a), _order(f, b)) else b), flags


def _order(f: Format, bits: int) -> int:
    """A key that orders all numbers, -0 below +0."""
    return -1 - (bits & ~f.sign) if bits & f.sign else bits


def compare(f: Format, a: int, b: int, holds: Callable[[Fraction, Fraction], bool], *, quiet: bool) -> Result:
    """`feq` (quiet), `flt`, `fle`: 0 for a NaN, invalid for a signalling one or, unless quiet, any (section 11.8)."""
    if f.is_nan(a) or f.is_nan(b):
        signalling = f.is_signalling(a) or f.is_signalling(b)
        return 0, 0 if quiet and not signalling else NV
    ends = Fraction(2) ** 2000
    x, y = ((-ends if n & f.sign else ends) if f.is_infinite(n) else f.value(n) for n in (a, b))
    return int(holds(x, y)), 0


def classify(f: Format, a: int) -> int:
    """`fclass` (table 11.5)."""
    if f.is_nan(a):
        return 1 << (8 if f.is_signalling(a) else 9)
    magnitude = a & ~f.sign
    if magnitude == f.infinity:
        kind = 0
    elif magnitude >> f.fraction_bits:
        kind = 1
    else:
        kind = 2 if magnitude else 3
    return 1 << (kind if a & f.sign else 7 - kind)


def to_integer(f: Format, mode: int, a: int, low: int, high: int) -> Result:
    """Rounded to an integer from low to high; what is outside becomes the nearer end, a NaN the upper (table 11.4)."""
    if f.is_nan(a):
        return high, NV
    if f.is_infinite(a):
        return (low if a & f.sign else high), NV
    value = f.value(a)
    rounded = round_to_integer(abs(value), mode, negative=value < 0) * (-1 if value < 0 else 1)
    if not low <= rounded <= high:
        return (low if rounded < low else high), NV
    return rounded, NX if rounded != value else 0


def from_integer(f: Format, mode: int, value: int) -> Result:
    """An integer as a floating-point number."""
    return f.round(Fraction(value), mode) if value else (0, 0)


def convert(source: Format, target: Format, mode: int, a: int) -> Result:
    """One format to another."""
    if source.is_nan(a):
        return target.nan, NV if source.is_signalling(a) else 0
    sign = target.sign if a & source.sign else 0
    if source.is_infinite(a):
        return sign | target.infinity, 0
    return target.round(source.value(a), mode) if a & ~source.sign else (sign, 0)
