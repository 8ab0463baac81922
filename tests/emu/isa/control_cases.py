"""Branches, jumps, fences, CSR instructions, returns from traps (unprivileged manual; privileged manual, chapter 3)."""

from collections.abc import Callable, Iterator

from tests.emu.isa.case import CODE, DATA, EDGES, M64, Case, each, pairs, signed

BRANCHES: dict[str, Callable[[int, int], bool]] = {
    "beq": lambda a, b: a == b,
    "bne": lambda a, b: a != b,
    "blt": lambda a, b: signed(a) < signed(b),
    "bge": lambda a, b: signed(a) >= signed(b),
    "bltu": lambda a, b: a < b,
    "bgeu": lambda a, b: a >= b,
    "bgt": lambda a, b: signed(a) > signed(b),
    "ble": lambda a, b: signed(a) <= signed(b),
    "bgtu": lambda a, b: a > b,
    "bleu": lambda a, b: a <= b,
}
"""`name rs1, rs2, label`: when it is taken."""

ZERO_BRANCHES: dict[str, Callable[[int], bool]] = {
    "beqz": lambda a: a == 0,
    "bnez": lambda a: a != 0,
    "blez": lambda a: signed(a) <= 0,
    "bgez": lambda a: signed(a) >= 0,
    "bltz": lambda a: signed(a) < 0,
    "bgtz": lambda a: signed(a) > 0,
    "c.beqz": lambda a: a == 0,
    "c.bnez": lambda a: a != 0,
}
"""`name rs, label`."""

SMALL_EDGES = (0, 1, M64, 1 << 63, (1 << 63) - 1)


def _branch_cases() -> Iterator[Case]:
    def two(name: str, taken: Callable[[int, int], bool], distance: int) -> Case:
        return Case(
            name,
            f"{name} a1, t6, .{distance:+}",
            lambda a1, t6: {"pc": distance if taken(a1, t6) else 4},
            pairs("a1", "t6", SMALL_EDGES),
        )

    def one(name: str, taken: Callable[[int], bool], register: str, distance: int, length: int) -> Case:
        return Case(
            name,
            f"{name} {register}, .{distance:+}",
            lambda **x: {"pc": distance if taken(x[register]) else length},
            each(register, SMALL_EDGES),
        )

    for name, when in BRANCHES.items():
        for distance in (64, -4096, 4094):
            yield two(name, when, distance)
    for name, holds in ZERO_BRANCHES.items():
        short = name.startswith("c.")
        for distance in (64, -256, 254) if short else (64, -4096, 4094):
            yield one(name, holds, "a0" if short else "t6", distance, 2 if short else 4)


def _jump(name: str, operands: str, target: int, link: int, **registers: int) -> Case:
    """A jump to an offset from its pc; `link` is the instruction's length if it links through `ra`, else 0."""
    after = {"pc": target, "ra": CODE + link if link else registers.get("ra", 0)}
    return Case(name, f"{name} {operands}", lambda **_: after, (registers,))


def _jump_cases() -> Iterator[Case]:
    for distance in (64, -0x10_0000, 0xF_FFFE):
        yield _jump("jal", f"ra, .{distance:+}", distance, 4)
        yield _jump("jal", f".{distance:+}", distance, 4)
        yield _jump("j", f".{distance:+}", distance, 0)
    for distance in (64, -2048, 2046):
        yield _jump("c.j", f".{distance:+}", distance, 0)
    there = CODE + 0x200
    yield _jump("jalr", "ra, 8(t6)", 0x208, 4, t6=there)
    yield _jump("jalr", "ra, -2048(t6)", 0x200 - 2048, 4, t6=there + 1)  # the lowest bit is dropped
    yield _jump("jalr", "8(t6)", 0x208, 4, t6=there)
    yield _jump("jalr", "ra, t6", 0x200, 4, t6=there)
    yield _jump("jalr", "ra, t6, 8", 0x208, 4, t6=there)
    yield _jump("jalr", "t6, 8", 0x208, 4, t6=there)
    yield _jump("jalr", "t6", 0x200, 2, t6=there)
    yield Case("jalr", "jalr t6, 8(t6)", lambda t6: {"pc": 0x208, "t6": CODE + 4}, ({"t6": there},))
    yield _jump("jr", "t6", 0x200, 0, t6=there + 1)
    yield _jump("jr", "8(t6)", 0x208, 0, t6=there)
    yield _jump("jr", "t6, 8", 0x208, 0, t6=there)
    for name in ("jr", "jalr"):  # to address 0, where no memory is: the fetch from there comes next
        yield Case(name, f"{name} zero", lambda: {"pc": -CODE, "mcause": 0})
    yield _jump("ret", "", 0x200, 0, ra=there)
    yield _jump("c.jr", "t6", 0x200, 0, t6=there)
    yield _jump("c.jalr", "t6", 0x200, 2, t6=there)
    yield Case("c.jalr", "c.jalr ra", lambda ra: {"pc": 0x200, "ra": CODE + 2}, ({"ra": there},))


def _csr_cases() -> Iterator[Case]:
    """Each on `mscratch`, which holds t0 before and is read into t1 afterwards (table 9.1)."""
    changes: dict[str, Callable[[int, int], int]] = {
        "w": lambda old, new: new,
        "s": lambda old, new: old | new,
        "c": lambda old, new: old & ~new,
    }

    def case(name: str, operands: str, change: Callable[[int, int], int], *, returns: bool, source: int | None) -> Case:
        def expect(t0: int, a1: int) -> dict[str, int]:
            after = {"t1": change(t0, a1 if source is None else source)}
            return {**after, "a0": t0} if returns else after

        return Case(
            name, f"csrw mscratch, t0\n {name} {operands}\n csrr t1, mscratch", expect, pairs("t0", "a1", SMALL_EDGES)
        )

    for letter, change in changes.items():
        register, immediate = f"csrr{letter}", f"csrr{letter}i"
        yield case(register, "a0, mscratch, a1", change, returns=True, source=None)
        yield case(register, "zero, mscratch, a1", change, returns=False, source=None)
        yield case(register, "a0, mscratch, zero", change, returns=True, source=0)
        yield case(f"csr{letter}", "mscratch, a1", change, returns=False, source=None)
        for number in (0, 1, 31):
            yield case(immediate, f"a0, mscratch, {number}", change, returns=True, source=number)
            yield case(register, f"a0, mscratch, {number}", change, returns=True, source=number)
            yield case(f"csr{letter}i", f"mscratch, {number}", change, returns=False, source=number)
            yield case(f"csr{letter}", f"mscratch, {number}", change, returns=False, source=number)
    yield case("csrr", "a0, mscratch", lambda old, new: old, returns=True, source=0)
    for name, distance in (("rdcycle", 1), ("rdinstret", 1), ("rdtime", 10)):
        # one tick of `time` is ten instructions; the others count instructions
        yield Case(
            name,
            f"{name} a1\n .rept {10 * distance - 1}\n nop\n .endr\n {name} a0\n sub a0, a0, a1",
            lambda: {"a0": 10},
        )


def _float_csr_cases() -> Iterator[Case]:
    """Fields of `fcsr`: `fflags` 4..0, `frm` 7..5 (section 11.2)."""
    fields = {"fscsr": (0, 0xFF), "fssr": (0, 0xFF), "fsrm": (5, 7), "fsflags": (0, 0x1F)}
    readers = {"frcsr": (0, 0xFF), "frsr": (0, 0xFF), "frrm": (5, 7), "frflags": (0, 0x1F)}
    values = pairs("t0", "a1", (0, 1, 0x1F, 0x60, 0xFF, 0xA5, M64))

    def write(name: str, operands: str, shift: int, mask: int, *, returns: bool, number: int | None = None) -> Case:
        def expect(t0: int, a1: int) -> dict[str, int]:
            new = ((a1 if number is None else number) & mask) << shift
            after = {"t1": t0 & 0xFF & ~(mask << shift) | new}
            return {**after, "a0": t0 >> shift & mask} if returns else after

        return Case(name, f"csrw fcsr, t0\n {name} {operands}\n csrr t1, fcsr", expect, values)

    def get(name: str, shift: int, mask: int) -> Case:
        return Case(name, f"csrw fcsr, t0\n {name} a0", lambda t0, a1: {"a0": t0 >> shift & mask}, values)

    for name, (shift, mask) in fields.items():
        yield write(name, "a1", shift, mask, returns=False)
        yield write(name, "a0, a1", shift, mask, returns=True)
    for name in ("fsrm", "fsflags"):
        for number in (0, 5, 31):
            yield write(f"{name}i", f"{number}", *fields[name], returns=False, number=number)
            yield write(f"{name}i", f"a0, {number}", *fields[name], returns=True, number=number)
    for name, (shift, mask) in readers.items():
        yield get(name, shift, mask)


def _fence_cases() -> Iterator[Case]:
    """A single hart sees its own accesses in order: fences change nothing but pc."""
    for name, operands in (("fence", ""), ("fence", "rw, w"), ("fence", "i, o"), ("fence.tso", "")):
        yield Case(
            name,
            f"sd a0, (a1)\n {name} {operands}\n ld a2, (a1)",
            lambda a0, a1: {"a2": a0},
            tuple({"a0": value, "a1": DATA} for value in EDGES),
            bytes(8),
        )
    yield Case("pause", ".option arch, +zihintpause\n pause\n li a0, 1", lambda: {"a0": 1, "pc": 6})
    # `addi a0, a0, 5` written over `addi a0, a0, 1`, which was executed before
    yield Case(
        "fence.i",
        ".option norvc\n j 2f\n 1: addi a0, a0, 1\n ret\n 2: jal 1b\n lla t0, 1b\n sw a1, (t0)\n fence.i\n jal 1b\n"
        " .rept 2\n nop\n .endr",
        lambda a1: {"a0": 6},
        ({"a1": 0x0055_0513},),
    )


def _return(name: str, epc: str, before: int, after: int, privilege: int) -> Case:
    """A return from a trap with these stacks of privileges and interrupt enables before and after it."""
    return Case(
        name,
        f"csrw {epc}, a1\n csrc mstatus, a2\n csrs mstatus, a3\n {name}",
        lambda **_: {"pc": 0x200, "mstatus&0x19aa": after, "privilege": privilege},
        ({"a1": CODE + 0x200, "a2": 0x19AA, "a3": before},),
    )


def _privileged_cases() -> Iterator[Case]:
    """Bits of `mstatus`: SIE 1, MIE 3, SPIE 5, MPIE 7, SPP 8, MPP 12..11 (section 3.1.6)."""
    user, supervisor, machine = 0, 1, 3
    yield _return("mret", "mepc", 0x1880, 0x0088, machine)
    yield _return("mret", "mepc", 0x0800, 0x0080, supervisor)
    yield _return("mret", "mepc", 0x0080, 0x0088, user)
    yield _return("sret", "sepc", 0x0120, 0x0022, supervisor)
    yield _return("sret", "sepc", 0x0000, 0x0020, user)
    # an interrupt that is pending and enabled ends the wait, though `mstatus` keeps it from being taken
    yield Case(
        "wfi",
        "csrw mie, a1\n csrw mip, a1\n wfi\n li a0, 1\n csrw mip, zero\n csrw mie, zero",
        lambda a1: {"a0": 1, "mcause": 0},
        ({"a1": 2},),
    )
    for operands in ("", "t0", "t0, zero"):
        yield _new_mapping(operands)


def _new_mapping(operands: str) -> Case:
    """A page-table entry changed under a loaded translation, with which MPRV makes M mode load as S mode does.

    The root's entry 1 leads to the table behind it, whose entry 0 is a leaf of 2 MiB: first DATA's, then RAM's first.
    """
    leaf = 0xC7  # D, A, W, R, V
    second = CODE >> 12 << 10 | leaf
    first = (CODE - 0x20_0000) >> 12 << 10 | leaf
    table = bytes(8) + ((DATA + 0x1000) >> 12 << 10 | 1).to_bytes(8, "little") + bytes(0x1000 - 16)
    memory = table + second.to_bytes(8, "little") + bytes(0x1000 - 8) + (0x1234).to_bytes(8, "little")
    load = "csrs mstatus, a2\n ld {}, (t0)\n csrc mstatus, a2\n"
    return Case(
        "sfence.vma",
        f"sd zero, (a5)\n csrw satp, a1\n sfence.vma\n {load.format('a6')} sd a3, (a4)\n sfence.vma {operands}\n"
        f"{load.format('a7')} csrw satp, zero\n sfence.vma",
        lambda **_: {"a6": 0x1234, "a7": 0, "mcause": 0},
        (
            {
                "a1": 8 << 60 | DATA >> 12,
                "a2": 1 << 17 | 1 << 11,
                "a3": first,
                "a4": DATA + 0x1000,
                "a5": DATA + 0x2000 - 0x20_0000,
                "t0": 0x4000_0000 + (DATA + 0x2000 - CODE),
            },
        ),
        memory,
    )


def _expansion_cases() -> Iterator[Case]:
    """`call` and its like, and addresses of symbols."""
    for distance in (64, 0x12_3800, -0x12_3456):
        yield Case("call", f"call .{distance:+}", lambda d=distance: {"pc": d, "ra": CODE + 8})
        yield Case("call", f"call t0, .{distance:+}", lambda d=distance: {"pc": d, "t0": CODE + 8, "ra": 0})
        yield Case("tail", f"tail .{distance:+}", lambda d=distance: {"pc": d, "ra": 0})
        yield Case("jump", f"jump .{distance:+}, t0", lambda d=distance: {"pc": d, "ra": 0})
        for name in ("la", "lla"):
            yield Case(name, f"{name} a0, .{distance:+}", lambda d=distance: {"a0": CODE + d})
            yield Case(name, f"{name} a0, {CODE + distance}", lambda d=distance: {"a0": CODE + d})
    variable = '\n 1: j 1b\n .section .tdata, "awT", @progbits\n .zero 24\n v: .quad 5'
    yield Case("la", ".option pic\n la a0, _start\n 1: j 1b", lambda: {"a0": CODE})
    yield Case("la.tls.ie", f"la.tls.ie a0, v{variable}", lambda: {"a0": 24})
    # the pair of words that __tls_get_addr takes: module 1, and the offset less 0x800 (psABI, "TLS")
    yield Case(
        "la.tls.gd",
        f"la.tls.gd a0, v\n ld a1, (a0)\n ld a2, 8(a0){variable}",
        lambda: {"a1": 1, "a2": 24 - 0x800 & M64},
    )


CASES = (
    *_branch_cases(),
    *_jump_cases(),
    *_csr_cases(),
    *_float_csr_cases(),
    *_fence_cases(),
    *_privileged_cases(),
)
EXPANSION_CASES = tuple(_expansion_cases())
"""Those of pseudo-instructions that become several instructions."""
