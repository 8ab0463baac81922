"""Accrued floating-point exceptions: the order of bits in `fflags`, and in the core's softfloat."""

_PAIRS = ((16, 1), (8, 4), (4, 8), (2, 16), (1, 32))
"""(`fflags`, softfloat) for NV, DZ, OF, UF and NX (unprivileged manual, section 11.2)."""


def riscv_flags(softfloat: int) -> int:
    """`fflags` for the core's own flags.

    >>> riscv_flags(1 | 32) == 16 | 1
    True
    """
    return sum(riscv for riscv, native in _PAIRS if softfloat & native)


def softfloat_flags(riscv: int) -> int:
    """The core's own flags for `fflags`.

    >>> softfloat_flags(31)
    61
    """
    return sum(native for bit, native in _PAIRS if riscv & bit)
