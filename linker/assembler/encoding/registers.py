"""Register names (unprivileged manual, chapter "Assembly Programmer's Handbook"; psABI, "Register Convention")."""

_ABI_INTEGER = [
    "zero",
    "ra",
    "sp",
    "gp",
    "tp",
    "t0",
    "t1",
    "t2",
    "s0",
    "s1",
    "a0",
    "a1",
    "a2",
    "a3",
    "a4",
    "a5",
    "a6",
    "a7",
    "s2",
    "s3",
    "s4",
    "s5",
    "s6",
    "s7",
    "s8",
    "s9",
    "s10",
    "s11",
    "t3",
    "t4",
    "t5",
    "t6",
]
_ABI_FLOAT = [
    "ft0",
    "ft1",
    "ft2",
    "ft3",
    "ft4",
    "ft5",
    "ft6",
    "ft7",
    "fs0",
    "fs1",
    "fa0",
    "fa1",
    "fa2",
    "fa3",
    "fa4",
    "fa5",
    "fa6",
    "fa7",
    "fs2",
    "fs3",
    "fs4",
    "fs5",
    "fs6",
    "fs7",
    "fs8",
    "fs9",
    "fs10",
    "fs11",
    "ft8",
    "ft9",
    "ft10",
    "ft11",
]

INTEGER: dict[str, int] = {f"x{n}": n for n in range(32)} | {name: n for n, name in enumerate(_ABI_INTEGER)} | {"fp": 8}
"""Integer registers by both names; `fp` is `s0`."""

FLOAT: dict[str, int] = {f"f{n}": n for n in range(32)} | {name: n for n, name in enumerate(_ABI_FLOAT)}
"""Floating-point registers by both names."""

ROUNDING_MODES: dict[str, int] = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rmm": 4, "dyn": 7}
"""Unprivileged manual, table "Rounding mode encoding"."""
