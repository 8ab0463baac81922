"""The integer and floating-point registers and their ABI names (psABI, section 1.1)."""

INTEGER_REGISTERS = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
)  # fmt: skip
"""ABI names of x0 to x31."""

FLOAT_REGISTERS = (
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
)  # fmt: skip
"""ABI names of f0 to f31."""

REGISTER_NUMBERS: dict[str, int] = {
    **{name: number for number, name in enumerate(INTEGER_REGISTERS)},
    **{f"x{number}": number for number in range(32)},
    "fp": 8,
}
"""Number of an integer register by ABI name, architectural name, or `fp`.

>>> REGISTER_NUMBERS["a0"], REGISTER_NUMBERS["x10"], REGISTER_NUMBERS["fp"]
(10, 10, 8)
"""

FLOAT_NUMBERS: dict[str, int] = {
    **{name: number for number, name in enumerate(FLOAT_REGISTERS)},
    **{f"f{number}": number for number in range(32)},
}
"""Number of a floating-point register by ABI name or architectural name."""

RA, SP, GP, TP, A0, A1, A7 = 1, 2, 3, 4, 10, 11, 17
