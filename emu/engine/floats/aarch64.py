"""The functions of `emu.engine.floats` for AArch64 (AAPCS64): env in x0, operands in x1, x2 and x3.

Of a single-precision operand the lower half of its register counts. `@` before a label stands for the function's name.
"""

from collections.abc import Iterable

from emu.engine.floats.layout import (
    ENGINE,
    EXPECTED,
    FLAGS,
    FRM,
    FS,
    FULL,
    INVALID,
    MARKED,
    MSTATUS,
    NAN,
    OPERATIONS_MADE,
    RESERVED_0,
    RESERVED_1,
    ROUNDING,
    ROUNDINGS,
    SD,
    STATUS,
    TRANSLATOR,
    UPPER,
    Operation,
)


def _load_byte(offset: int) -> str:
    return f"""
    mov x0, x19
    add x1, x20, #{offset}
    ldr x9, cpu_ldub_code
    blr x9
    orr w21, w21, w0, lsl #{8 * offset}"""


# The translator reads sixteen bits of code: the address is in x1. Where there is no code, the load leaves this
# function for good, before anything is noted; RAM may be read twice.
#
# An instruction that lies across the end of a page has a block of its own: in a block with others, a fault of its upper
# half would come before they have executed. So a block that comes to stand before one is taken for full.
_FETCH = f"""
    orr x9, x1, #1
    ldr x10, [x0, #{EXPECTED}]
    cmp x9, x10
    b.ne @first
    str xzr, [x0, #{EXPECTED}]
    ldr w0, [x0, #{UPPER}]
    ret
@first:
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    str x21, [sp, #32]
    mov x19, x0
    mov x20, x1
    and w9, w1, #0xfff
    cmp w9, #0xffc
    b.hi @end
    ldr x9, cpu_ldl_code
    blr x9
    mov w21, w0
    and w9, w21, #3
    cmp w9, #3
    b.eq @wide
@narrow:
    mov w10, #{RESERVED_0[0]}
    and w9, w21, w10
    mov w10, #{RESERVED_0[1]}
    cmp w9, w10
    b.eq @reserved
    mov w10, #{RESERVED_1[0]}
    and w9, w21, w10
    mov w10, #{RESERVED_1[1]}
    cmp w9, w10
    b.eq @reserved
    ldr w9, [x19, #{MSTATUS}]
    tst w9, #{FS}
    b.ne @done
    mov w10, #0x6001
    and w9, w21, w10
    cmp w9, #2, lsl #12
    b.ne @done
@reserved:
    mov w21, wzr
    b @done
@end:
    mov w21, wzr
    {_load_byte(0)}
    {_load_byte(1)}
    and w9, w21, #3
    cmp w9, #3
    b.ne @narrow
    {_load_byte(2)}
    {_load_byte(3)}
@wide:
    and w9, w21, #0x7f
    cmp w9, #0x53
    b.eq @floating
    mov w10, #0x73
    and w9, w9, w10
    cmp w9, #0x43
    b.ne @note
@floating:
    ubfx w10, w21, #12, #3
    cmp w10, #5
    b.eq @illegal
    cmp w10, #6
    b.eq @illegal
    cmp w9, #0x53
    b.ne @note
    lsr w9, w21, #25
    cmp w9, #0x10
    b.eq @sign
    cmp w9, #0x78
    b.eq @move
    cmp w9, #0x11
    b.ne @note
    cbnz w10, @note
    ldr w9, [x19, #{MSTATUS}]
    tst w9, #{FS}
    b.ne @note
@illegal:
    orr w21, w21, #0xffff0000
    b @note
@sign:
    cmp w10, #2
    b.hi @note
    mov w12, #0x8fff
    movk w12, #0x1ff, lsl #16
    and w21, w21, w12
    orr w21, w21, w10, lsl #27
    mov w12, #0x5000
    orr w21, w21, w12
    b @note
@move:
    mov w12, #0x7000
    movk w12, #0x1f0, lsl #16
    tst w21, w12
    b.ne @note
    mov w12, #0x8fff
    movk w12, #0x1ff, lsl #16
    and w21, w21, w12
    mov w12, #0x5000
    movk w12, #0xd000, lsl #16
    orr w21, w21, w12
@note:
    add x9, x20, #3
    str x9, [x19, #{EXPECTED}]
    lsr w9, w21, #16
    str w9, [x19, #{UPPER}]
@done:
    add x1, x20, #2
    and w9, w21, #3
    cmp w9, #3
    b.ne @following
    add x1, x1, #2
@following:
    and w9, w1, #0xfff
    mov w10, #0xffe
    cmp w9, w10
    b.ne @given
    mov x0, x19
    ldr x9, cpu_ldub_code
    blr x9
    and w9, w0, #3
    cmp w9, #3
    b.ne @given
    sub x9, x19, #{-ENGINE:#x}
    ldr x9, [x9]
    ldr x9, [x9, #{TRANSLATOR}]
    ldr w10, [x9, #{OPERATIONS_MADE}]
    orr w10, w10, #{FULL:#x}
    str w10, [x9, #{OPERATIONS_MADE}]
@given:
    and w0, w21, #0xffff
    ldr x21, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
    ret
"""

# Each translation begins with this: what an abandoned one has noted is no longer true.
_BEGIN = f"""
    str xzr, [x0, #{EXPECTED}]
    mov x2, xzr
    ldr x9, get_page_addr_code_hostp
    br x9
"""

_SET_ROUNDING = f"""
    mov w1, w1
    cmp w1, #5
    b.eq @mark
    cmp w1, #7
    b.ne @known
    ldr x1, [x0, #{FRM}]
@known:
    cmp x1, #4
    b.hi @illegal
    lsl w9, w1, #3
    mov x10, #{ROUNDINGS & 0xFFFF}
    movk x10, #{ROUNDINGS >> 16 & 0xFFFF}, lsl #16
    movk x10, #{ROUNDINGS >> 32}, lsl #32
    lsr x10, x10, x9
    strb w10, [x0, #{ROUNDING}]
    ret
@mark:
    mov w9, #{MARKED}
    strb w9, [x0, #{ROUNDING}]
    ret
@illegal:
    mov x2, x30
    mov w1, #2
    ldr x9, riscv_raise_exception
    br x9
"""

_CLASSIFY_SINGLE = """
    mov w10, #9
    asr x9, x0, #32
    cmn x9, #1
    b.ne @shift
    and w9, w0, #0x7fffffff
    mov w11, #0x7f800000
    cmp w9, w11
    b.hi @nan
    mov w10, #0
    b.eq @signed
    mov w10, #1
    mov w11, #0x800000
    cmp w9, w11
    b.hs @signed
    mov w10, #2
    cbnz w9, @signed
    mov w10, #3
@signed:
    tbnz w0, #31, @shift
    eor w10, w10, #7
    b @shift
@nan:
    tbnz w0, #22, @shift
    mov w10, #8
@shift:
    mov w9, #1
    lsl w0, w9, w10
    ret
"""

_BOX = "mov w0, w0\n orr x0, x0, #0xffffffff00000000"
_RAISE_INVALID = f"ldrb w9, [x0, #{FLAGS}]\n orr w9, w9, #{INVALID}\n strb w9, [x0, #{FLAGS}]"
_ARGUMENTS = {
    1: "mov x0, x1\n mov x1, x9",
    2: "mov x0, x1\n mov x1, x2\n mov x2, x9",
    3: "mov x0, x1\n mov x1, x2\n mov x2, x3\n mov w3, #{negated}\n mov x4, x9",
}
_SIGNS = {
    "fadd_s": "and w1, w1, #0x7fffffff\n and w2, w2, #0x80000000\n orr w0, w1, w2",
    "fsub_s": "mvn w2, w2\n and w1, w1, #0x7fffffff\n and w2, w2, #0x80000000\n orr w0, w1, w2",
    "fmul_s": "and w2, w2, #0x80000000\n eor w0, w1, w2",
    "fcvt_s_w": "mov w0, w1",
}
"""What marked instructions do in truth: `fsgnj.s`, `fsgnjn.s`, `fsgnjx.s`, `fmv.w.x`."""


def _unboxed(register: int) -> str:
    """A single whose upper half is not all ones is the canonical NaN (section 12.2)."""
    return f"""
        asr x9, x{register}, #32
        cmn x9, #1
        mov w10, #{NAN:#x}
        csel w{register}, w{register}, w10, eq"""


def _quietened(register: int, *, single: bool) -> str:
    """Make a signalling NaN quiet and raise the invalid flag for it (`fmin` and `fmax`, section 11.6)."""
    r, high, shift = ("w", 0xFF00, 16) if single else ("x", 0xFFE0, 48)
    span, quiet = ((1 << 23) - 1, 1 << 22) if single else ((1 << 52) - 1, 1 << 51)
    return f"""
        mov {r}9, #1
        movk {r}9, #{high:#x}, lsl #{shift}
        add {r}10, {r}{register}, {r}{register}
        sub {r}10, {r}10, {r}9
        orr {r}9, {r}zr, #{span:#x}
        cmp {r}10, {r}9
        b.hs @quiet_{register}
        orr {r}{register}, {r}{register}, #{quiet:#x}
        {_RAISE_INVALID}
    @quiet_{register}:"""


def _infinity_times_zero(*, single: bool) -> str:
    """Raise the invalid flag for infinity times zero, which the core forgets beside a quiet NaN (section 11.6)."""
    r, high, shift = ("w", 0xFF00, 16) if single else ("x", 0xFFE0, 48)
    return f"""
        movz {r}11, #{high:#x}, lsl #{shift}
        add {r}9, {r}3, {r}3
        cmp {r}9, {r}11
        b.ls @valid
        add {r}9, {r}1, {r}1
        add {r}10, {r}2, {r}2
        cbz {r}9, @zero
        cbnz {r}10, @valid
    @zero:
        orr {r}9, {r}9, {r}10
        cmp {r}9, {r}11
        b.ne @valid
        {_RAISE_INVALID}
    @valid:"""


def _function(operation: Operation) -> str:
    registers = range(1, operation.operands + 1)
    single = operation.takes_singles
    lines = [_unboxed(register) for register in registers] if single else []
    if operation.kind in ("fmin", "fmax"):
        lines += [_quietened(register, single=single) for register in registers]
    if operation.operands == 3:
        lines.append(_infinity_times_zero(single=single))
    sign = _SIGNS.get(operation.name)
    if sign is not None:
        lines.append(f"ldrb w9, [x0, #{ROUNDING}]\n cmp w9, #{MARKED}\n b.eq @marked")
    arguments = _ARGUMENTS[operation.operands].format(negated=operation.negated)
    call = f"add x9, x0, #{STATUS}\n {arguments}\n ldr x10, {operation.softfloat}\n blr x10"
    if operation.gives_integer:  # the others turn FS dirty by themselves
        lines.append(f"""
            stp x29, x30, [sp, #-32]!
            mov x29, sp
            stp x19, x20, [sp, #16]
            mov x19, x0
            ldrb w20, [x0, #{FLAGS}]
            {call}
            ldrb w9, [x19, #{FLAGS}]
            cmp w9, w20
            b.eq @same
            ldr x9, [x19, #{MSTATUS}]
            orr x9, x9, #{FS:#x}
            orr x9, x9, #{SD:#x}
            str x9, [x19, #{MSTATUS}]
        @same:
            {"sxtw x0, w0" if operation.gives_word else ""}
            ldp x19, x20, [sp, #16]
            ldp x29, x30, [sp], #32
            ret""")
    else:
        lines.append(f"""
            stp x29, x30, [sp, #-16]!
            mov x29, sp
            {call}
            ldp x29, x30, [sp], #16
            {_BOX if operation.gives_single else ""}
            ret""")
    if sign is not None:
        lines.append(f"@marked:\n {sign}\n {_BOX}\n ret")
    return "\n".join(lines)


def source(operations: Iterable[Operation]) -> str:
    """All functions, each at a label with its name."""
    functions = {
        "cpu_lduw_code": _FETCH,
        "get_page_addr_code": _BEGIN,
        "helper_set_rounding_mode": _SET_ROUNDING,
        "helper_fclass_s": _CLASSIFY_SINGLE,
        **{f"helper_{operation.name}": _function(operation) for operation in operations},
    }
    return "\n".join(f"{name}:\n{body.replace('@', f'{name}_')}" for name, body in functions.items())
