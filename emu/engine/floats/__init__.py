"""Floating point by version 2.2 of F and D, in a core that predates it (unprivileged manual, chapters 11 and 12).

Unicorn's core takes single-precision operands without a look at their upper half, leaves zeros above single-precision
results, has older rules for `fmin`, `fmax` and the fused instructions, does not turn FS dirty for flags that a
comparison or conversion raises, and executes some instructions with FS off. So the functions that its translated code
calls for such instructions are replaced, once in a process: the rules are the same for every machine in it, cost
nothing where there is no floating point, and little where there is.

`fsgnj.s`, its relatives and `fmv.w.x` are no functions in the core. Its translator is given other instructions for
them, ones that are functions, with the reserved rounding mode 5 as a mark; where it finds that mode in a program's own
code, or an instruction that it would execute with FS off, it is given an illegal instruction.
"""

import ctypes
from functools import cache
from threading import Lock

from emu.engine import library, native
from emu.engine.floats.layout import Operation
from emu.engine.native import Probe

_LOCK = Lock()
_INTEGERS = {"w": "int32", "wu": "uint32", "l": "int64", "lu": "uint64"}
_NEGATED_ADDEND, _NEGATED_PRODUCT = 1, 2
_FUSED = {
    "fmadd": 0, "fmsub": _NEGATED_ADDEND, "fnmsub": _NEGATED_PRODUCT, "fnmadd": _NEGATED_ADDEND | _NEGATED_PRODUCT,
}  # fmt: skip
_FORMATS = {"s": "float32", "d": "float64"}
_CHOICES = {"fmin": "minnum", "fmax": "maxnum"}
_COMPARISONS = {"feq": "eq_quiet", "flt": "lt", "fle": "le"}


def _operations() -> list[Operation]:
    found = []
    for width, f in _FORMATS.items():
        found += [Operation(f"{name}_{width}", f"{f}_{does}", 2) for name, does in (_CHOICES | _COMPARISONS).items()]
        found += [Operation(f"{name}_{width}", f"{f}_muladd", 3, negated) for name, negated in _FUSED.items()]
        found += [Operation(f"fcvt_{kind}_{width}", f"{f}_to_{integer}", 1) for kind, integer in _INTEGERS.items()]
    found += [Operation(f"fcvt_s_{kind}", f"{integer}_to_float32", 1) for kind, integer in _INTEGERS.items()]
    found += [Operation(f"f{name}_s", f"float32_{name}", 2) for name in ("add", "sub", "mul", "div")]
    found += [
        Operation("fsqrt_s", "float32_sqrt", 1),
        Operation("fcvt_s_d", "float64_to_float32", 1),
        Operation("fcvt_d_s", "float32_to_float64", 1),
    ]
    return found


OPERATIONS = tuple(_operations())
"""The instructions that are replaced by functions of one form; the other functions are written out."""
REPLACED = (
    "cpu_lduw_code", "get_page_addr_code", "helper_set_rounding_mode", "helper_fclass_s",
    *(f"helper_{operation.name}" for operation in OPERATIONS),
)  # fmt: skip
"""The core's functions, in the order of the probe's."""

CALLED = tuple(sorted((
    "cpu_ldl_code", "cpu_ldub_code", "get_page_addr_code_hostp", "riscv_raise_exception",
    *(f"float32_{name}" for name in ("add", "div", "mul", "sqrt", "sub", "to_float64")), "float64_to_float32",
    *(f"{f}_{does}" for f in _FORMATS.values() for does in (*_CHOICES.values(), *_COMPARISONS.values(), "muladd")),
    *(f"{f}_to_{integer}" for f in _FORMATS.values() for integer in _INTEGERS.values()),
    *(f"{integer}_to_float32" for integer in _INTEGERS.values()),
)))  # fmt: skip
"""The core's functions that these call, in the order of the table with which the probe begins."""


def _x86_64() -> str:
    from emu.engine.floats import x86_64

    return _table() + "".join(f"jmp {name}\n .p2align 3\n" for name in REPLACED) + x86_64.source(OPERATIONS)


def _aarch64() -> str:
    from emu.engine.floats import aarch64

    return _table() + "".join(f"b {name}\n nop\n" for name in REPLACED) + aarch64.source(OPERATIONS)


def _table() -> str:
    return "".join(f"{name}: .quad 0\n" for name in CALLED)


FLOATS = Probe("floats", _x86_64, _aarch64)
"""A table of addresses, to be filled in; a jump to each function, eight bytes long; the functions."""


def replace() -> None:
    """Replace the core's functions: once in a process, and before any engine has translated code."""
    with _LOCK:
        _replace()


@cache
def _replace() -> None:
    table = native.load(FLOATS)
    jumps = table + 8 * len(CALLED)
    (ctypes.c_uint64 * len(CALLED)).from_address(table)[:] = [library.function_address(name) for name in CALLED]
    native.replace_functions({library.function_address(name): jumps + 8 * n for n, name in enumerate(REPLACED)})
