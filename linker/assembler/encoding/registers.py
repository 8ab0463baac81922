"""Register names (unprivileged manual, chapter "Assembly Programmer's Handbook"; psABI, "Register Convention")."""

_ABI_INTEGER = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{n}" for n in range(8)),
    *(f"s{n}" for n in range(2, 12)),
    *("t3", "t4", "t5", "t6"),
)
_ABI_FLOAT = (
    *(f"ft{n}" for n in range(8)),
    *("fs0", "fs1"),
    *(f"fa{n}" for n in range(8)),
    *(f"fs{n}" for n in range(2, 12)),
    *("ft8", "ft9", "ft10", "ft11"),
)

INTEGER: dict[str, int] = {f"x{n}": n for n in range(32)} | {name: n for n, name in enumerate(_ABI_INTEGER)} | {"fp": 8}
"""Integer registers by both names; `fp` is `s0`."""

FLOAT: dict[str, int] = {f"f{n}": n for n in range(32)} | {name: n for n, name in enumerate(_ABI_FLOAT)}
"""Floating-point registers by both names."""

ROUNDING_MODES: dict[str, int] = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rmm": 4, "dyn": 7}
"""Unprivileged manual, table "Rounding mode encoding"."""
