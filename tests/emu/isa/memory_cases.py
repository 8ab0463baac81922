"""Loads, stores and atomics, with compressed forms and those that name a symbol (manual, chapters 2, 5, 8, 16)."""

from collections.abc import Callable, Iterator

from tests.emu.isa.case import DATA, M32, M64, Case, extended, signed

PATTERN = bytes((0x80 + 7 * n) & 0xFF for n in range(520))
"""What memory holds before: every byte differs from its neighbours, the first has its sign bit set."""

LOADS: dict[str, tuple[int, bool]] = {
    "lb": (1, True), "lbu": (1, False), "lh": (2, True), "lhu": (2, False),
    "lw": (4, True), "lwu": (4, False), "ld": (8, True),
}  # fmt: skip
STORES: dict[str, int] = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}
FLOAT_SIZES: dict[str, int] = {"flw": 4, "fld": 8, "fsw": 4, "fsd": 8}

SHORT_LOADS: dict[str, tuple[int, str, tuple[str, ...]]] = {
    "c.lw": (4, "a0", ("0(a1)", "124(a1)")),
    "c.ld": (8, "a0", ("0(a1)", "248(a1)")),
    "c.fld": (8, "fa0", ("0(a1)", "248(a1)")),
    "c.lwsp": (4, "t6", ("0(sp)", "252(sp)")),
    "c.ldsp": (8, "t6", ("0(sp)", "504(sp)")),
    "c.fldsp": (8, "ft11", ("0(sp)", "504(sp)")),
}
"""Size, register and addresses up to the last that the compressed form reaches."""
SHORT_STORES: dict[str, tuple[int, str, tuple[str, ...]]] = {
    "c.sw": SHORT_LOADS["c.lw"], "c.sd": SHORT_LOADS["c.ld"], "c.fsd": SHORT_LOADS["c.fld"],
    "c.swsp": SHORT_LOADS["c.lwsp"], "c.sdsp": SHORT_LOADS["c.ldsp"], "c.fsdsp": SHORT_LOADS["c.fldsp"],
}  # fmt: skip

VALUES = (0, 1, M64, 0x8786_8584_8382_8180, 0x0123_4567_89AB_CDEF)

ATOMICS: dict[str, Callable[[int, int], int]] = {
    "amoswap": lambda old, new: new,
    "amoadd": lambda old, new: old + new,
    "amoxor": lambda old, new: old ^ new,
    "amoand": lambda old, new: old & new,
    "amoor": lambda old, new: old | new,
    "amomin": min,
    "amomax": max,
    "amominu": min,
    "amomaxu": max,
}
"""What is stored, from what was there and rs2, both signed, for those with `u` both unsigned."""
ORDERINGS = ("", ".aq", ".rl", ".aqrl")
AT_EXTREMES = (0, 1, M64, 1 << 63, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, M32, 0x0123_4567_89AB_CDEF)


def _at(offset: int, size: int) -> int:
    return int.from_bytes(PATTERN[offset : offset + size], "little")


def _loaded(offset: int, size: int, *, sign: bool) -> int:
    value = _at(offset, size)
    return extended(value, 8 * size) if sign else value


def _boxed(offset: int, size: int) -> int:
    """What a floating-point register holds: a single has ones above (section 12.2)."""
    return _at(offset, size) | (M64 ^ M32 if size == 4 else 0)


def _load(name: str, register: str, address: str, base: str, offset: int, value: int) -> Case:
    """A load from the pattern, whose register `base` is so far below that the offset leads into it."""
    pointer = DATA + 8 - signed(offset, 12)
    return Case(name, f"{name} {register}, {address}", lambda **_: {register: value}, ({base: pointer},), PATTERN)


def _load_cases() -> Iterator[Case]:
    for name, (size, sign) in LOADS.items():
        for offset in (0, -2048, 2047, 1):
            yield _load(name, "a0", f"{offset}(a1)", "a1", offset, _loaded(8, size, sign=sign))
        yield Case(
            name, f"{name} a1, (a1)", lambda a1, n=size, s=sign: {"a1": _loaded(a1 - DATA, n, sign=s)},
            tuple({"a1": DATA + n} for n in range(9)), PATTERN,
        )  # fmt: skip
    for name in ("flw", "fld"):
        for offset in (0, -2048, 2047):
            yield _load(name, "fa0", f"{offset}(a1)", "a1", offset, _boxed(8, FLOAT_SIZES[name]))
    for name, (size, register, addresses) in SHORT_LOADS.items():
        for address in addresses:
            offset, base = int(address.split("(")[0]), address[-3:-1]
            value = _loaded(offset, size, sign=not register.startswith("f"))
            yield Case(
                name, f"{name} {register}, {address}", lambda r=register, v=value, **_: {r: v, "pc": 2},
                ({base: DATA},), PATTERN,
            )  # fmt: skip


def _store(name: str, size: int, register: str, address: str, base: str, pointer: int, at: int) -> Case:
    """A store over the pattern, of which the eight bytes there and the eight behind them are read back."""
    kept = _at(at, 16) >> 8 * size << 8 * size

    def expect(**registers: int) -> dict[str, int]:
        stored = registers[register] & ((1 << 8 * size) - 1) | kept
        return {"t1": stored & M64, "t2": stored >> 64}

    return Case(
        name,
        f"{name} {register}, {address}\n ld t1, 0(t0)\n ld t2, 8(t0)",
        expect,
        tuple({register: value, base: pointer, "t0": DATA + at} for value in VALUES),
        PATTERN,
    )


def _store_cases() -> Iterator[Case]:
    for name, size in (*STORES.items(), ("fsw", 4), ("fsd", 8)):
        register = "fa0" if name in FLOAT_SIZES else "a0"
        for offset in (0, -2048, 2047, 3):
            yield _store(name, size, register, f"{offset}(a1)", "a1", DATA + 16 - offset, 16)
    for name, (size, register, addresses) in SHORT_STORES.items():
        for address in addresses:
            offset, base = int(address.split("(")[0]), address[-3:-1]
            yield _store(name, size, register, address, base, DATA, offset)


def _atomic(name: str, size: int, operation: Callable[[int, int], int]) -> Case:
    bits = 8 * size
    values = AT_EXTREMES if name.endswith((".w", ".d")) else AT_EXTREMES[:4]  # the ordering changes no result
    unsigned = name.startswith(("amominu", "amomaxu"))

    def expect(a1: int, a2: int, a4: int) -> dict[str, int]:
        old, new = (n & ((1 << bits) - 1) if unsigned else signed(n, bits) for n in (a4, a2))
        stored = operation(old, new) & ((1 << bits) - 1) | a4 >> bits << bits
        return {"a0": extended(a4, bits), "a3": stored}

    return Case(
        name,
        f"sd a4, (a1)\n {name} a0, a2, (a1)\n ld a3, (a1)",
        expect,
        tuple({"a1": DATA, "a2": new, "a4": old} for new in values for old in values),
        bytes(8),
    )


def _reservation(suffix: str, ordering: str) -> Iterator[Case]:
    """Load-reserved and store-conditional of one width and ordering (section 8.2)."""
    bits = 64 if suffix == ".d" else 32
    load, store = f"lr{suffix}{ordering}", f"sc{suffix}{ordering}"
    unchanged = int.from_bytes(PATTERN[8:16], "little")

    def changed(value: int) -> int:
        return value & ((1 << bits) - 1) | unchanged >> bits << bits

    yield Case(load, f"{load} a0, (a1)", lambda **_: {"a0": extended(unchanged, bits)}, ({"a1": DATA + 8},), PATTERN)
    values = tuple({"a1": DATA + 8, "a3": value} for value in VALUES)
    yield Case(
        store,
        f"lr{suffix} a0, (a1)\n {store} a2, a3, (a1)\n ld a4, (a1)",
        lambda a1, a3: {"a2": 0, "a4": changed(a3)},
        values,
        PATTERN,
    )
    # without a reservation, for another address than the reserved one, and after another store-conditional
    for preparation in (
        "nop",
        f"addi a5, a1, 16\n lr{suffix} a0, (a5)",
        f"lr{suffix} a0, (a1)\n sc{suffix} a0, a0, (a1)",
    ):
        yield Case(
            store,
            f"{preparation}\n {store} a2, a3, (a1)\n ld a4, (a1)",
            lambda **_: {"a2": 1, "a4": unchanged},
            ({"a1": DATA + 8, "a3": 0x55},),
            PATTERN,
        )


def _atomic_cases() -> Iterator[Case]:
    for suffix, size in ((".w", 4), (".d", 8)):
        for ordering in ORDERINGS:
            for name, operation in ATOMICS.items():
                yield _atomic(name + suffix + ordering, size, operation)
            yield from _reservation(suffix, ordering)


def _symbol_cases() -> Iterator[Case]:
    """Loads and stores that name a symbol, and become two instructions."""
    there = f"_start + {DATA + 16 - 0x8020_0000:#x}"
    for name, (size, sign) in LOADS.items():
        value = _loaded(16, size, sign=sign)
        yield Case(name, f"{name} a0, {there}", lambda v=value: {"a0": v, "pc": 8}, memory=PATTERN)
    for name in ("flw", "fld"):
        value = _boxed(16, FLOAT_SIZES[name])
        yield Case(name, f"{name} fa0, {there}, t1", lambda v=value: {"fa0": v, "pc": 8}, memory=PATTERN)
    for name, size in (*STORES.items(), ("fsw", 4), ("fsd", 8)):
        register = "fa0" if name in FLOAT_SIZES else "a0"
        yield _store(name, size, register, f"{there}, t1", "a1", 0, 16)


CASES = (*_load_cases(), *_store_cases(), *_atomic_cases())
EXPANSION_CASES = tuple(_symbol_cases())
"""Those of pseudo-instructions that become several instructions."""
