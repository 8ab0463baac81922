"""The functions of `emu.engine.translated.features.tablestores` for AArch64 (AAPCS64).

A store gets the state, the address, the value, what kind of access it is, and where translated code goes on.
"""

from emu.engine.guest import Note
from emu.engine.translated.features.shadow_probes import STORES
from emu.engine.translated.features.tablestores.layout import (
    ALONE,
    CLOCK,
    DIVERTED,
    HOST,
    INVALID,
    IS_STORE,
    LAST_VICTIM,
    MAP,
    MARK,
    MARK_BIT,
    PC,
    SIZE,
    STOP,
    TELL,
    WATCHED,
)
from emu.engine.translated.layout import (
    AARCH64,
    ENGINE_CPU,
    ENV_ENGINE,
    MMU_MODES,
    TLB,
    TLB_ADDEND,
    TLB_STORES,
    VICTIMS,
    VICTIMS_OF_A_MODE,
)

_PAGE, _INVALID, _MARKED = f"#{-4096 & (1 << 64) - 1:#x}", f"#{-INVALID & (1 << 64) - 1:#x}", f"#{MARK}"


def functions() -> str:
    """The functions, and what they jump to."""
    stubs = "".join(f"store_{size}:\n mov w9, #{size}\n ldr x10, {name}\n b watch\n" for size, name in STORES.items())
    parts = (_watch, _carry_out, _see, _pass, _alone, _entries_of_the_tlb, _words, _fill, _mark)
    return stubs + "".join(part() for part in parts)


def _watch() -> str:
    """The entries of the TLB for the first and the last byte of a store; to `plain` while no page is watched."""
    return f"""
watch:
    ldr x11, [x0, #{CLOCK}]
    cbz x11, plain
    ldr x12, [x11, #{WATCHED}]
    cbz x12, plain
    stp x29, x30, [sp, #-144]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    mov x19, x0
    mov x20, x1
    mov x21, x2
    mov w22, w3
    mov x23, x4
    mov x24, x12
    mov x25, x10
    add x26, x1, x9
    sub x26, x26, #1
    bl reach
    b.ne pass
    mov x27, x11
    mov x28, x11
    eor x9, x20, x26
    lsr x9, x9, #12
    cbz x9, found
    mov x1, x26
    bl reach
    b.ne pass
    mov x1, x20
    bl peek
    b.ne pass
    mov x27, x11
    mov x1, x26
    bl peek
    mov x28, x11
"""


def _carry_out() -> str:
    """The store, by the core, while the entries have no mark: it would come here again."""
    return f"""
found:
    ldr x9, [x27, #{TLB_STORES}]
    ldr x10, [x28, #{TLB_STORES}]
    orr x9, x9, x10
    tbz w9, #{MARK_BIT}, pass
    ldr x9, [x19, #{CLOCK}]
    ldr x10, [x9, #{ALONE}]
    tbnz w10, #0, alone
    mov x2, x27
    mov x1, x20
    bl cell
    stp x0, x3, [sp, #96]
    str x4, [sp, #112]
    mov x2, x28
    mov x1, x26
    bl cell
    ldr x5, [sp, #96]
    cmp x0, x5
    csel x4, x4, xzr, ne
    str x4, [sp, #120]
    stp x0, x3, [sp, #128]
    mov x10, {_MARKED}
    ldr x9, [x27, #{TLB_STORES}]
    bic x9, x9, x10
    str x9, [x27, #{TLB_STORES}]
    ldr x9, [x28, #{TLB_STORES}]
    bic x9, x9, x10
    str x9, [x28, #{TLB_STORES}]
    mov x0, x19
    mov x1, x20
    mov x2, x21
    mov w3, w22
    mov x4, x23
    blr x25
    ldr x4, [sp, #112]
    ldr x9, [x27, #{TLB_STORES}]
    orr x9, x9, x4, lsl #{MARK_BIT}
    str x9, [x27, #{TLB_STORES}]
    ldr x5, [sp, #120]
    ldr x9, [x28, #{TLB_STORES}]
    orr x9, x9, x5, lsl #{MARK_BIT}
    str x9, [x28, #{TLB_STORES}]
    cbz x4, second
    ldp x0, x1, [sp, #96]
    bl tell
"""


def _see() -> str:
    """What has changed in the word of the last byte."""
    return """
second:
    ldr x4, [sp, #120]
    cbz x4, done
    ldp x0, x1, [sp, #128]
    bl tell
done:
    ldp x27, x28, [sp, #80]
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #144
    ret
"""


def _pass() -> str:
    """The store as the core has it."""
    return """
pass:
    mov x0, x19
    mov x1, x20
    mov x2, x21
    mov w3, w22
    mov x4, x23
    mov x10, x25
    ldp x27, x28, [sp, #80]
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #144
plain:
    br x10
"""


def _alone() -> str:
    """The store is to be the first of its block: the engine stops before it."""
    return f"""
alone:
    ldr x0, [x19, #{ENV_ENGINE}]
    ldr x0, [x0, #{ENGINE_CPU}]
    mov x1, x23
    mov w2, #0
    ldr x9, cpu_restore_state
    blr x9
    ldr x9, [x19, #{CLOCK}]
    ldr x10, [x9, #{ALONE}]
    mov x11, #{Note.DATA}
    orr x10, x10, x11
    str x10, [x9, #{ALONE}]
    ldr x0, [x19, #{ENV_ENGINE}]
    ldr x9, [x9, #{STOP}]
    blr x9
    ldr x0, [x19, #{ENV_ENGINE}]
    ldr x0, [x0, #{ENGINE_CPU}]
    ldr x9, cpu_loop_exit
    blr x9
"""


def _entries_of_the_tlb() -> str:
    """`peek` looks up the entry of an address; `reach` has the core fill it."""
    return f"""
peek:
    and x9, x22, #15
    add x9, x19, x9, lsl #4
    ldur x10, [x9, #{TLB}]
    ldur x12, [x9, #{TLB + 8}]
    and x11, x10, x1, lsr #6
    add x11, x12, x11
    ldr x9, [x11, #{TLB_STORES}]
    and x9, x9, {_INVALID}
    and x10, x1, {_PAGE}
    cmp x9, x10
    ret
reach:
    stp x29, x30, [sp, #-32]!
    mov x29, sp
    str x1, [sp, #16]
    bl peek
    b.eq reached
    mov x0, x19
    ldr x1, [sp, #16]
    mov w2, #0
    mov w3, #{IS_STORE}
    and w4, w22, #15
    mov x5, x23
    ldr x9, probe_access
    blr x9
    ldr x1, [sp, #16]
    bl peek
reached:
    ldp x29, x30, [sp], #32
    ret
"""


def _words() -> str:
    """`cell` reads the word of memory that an address is in, `tell` tells of it if it has changed."""
    return f"""
cell:
    ldr x0, [x2, #{TLB_ADDEND}]
    add x0, x0, x1
    and x0, x0, #0xfffffffffffffff8
    mov x3, #0
    mov x4, #0
    ldr x9, [x2, #{TLB_STORES}]
    tbz w9, #{MARK_BIT}, unseen
    ldr x9, [x24, #{HOST}]
    sub x9, x0, x9
    ldr x10, [x24, #{SIZE}]
    cmp x9, x10
    b.hs unseen
    ldr x10, [x24, #{MAP}]
    lsr x9, x9, #12
    ldrb w9, [x10, x9]
    cmp w9, #0
    cset x4, ne
    ldr x3, [x0]
unseen:
    ret
tell:
    ldr x2, [x0]
    cmp x1, x2
    b.eq same
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    str x2, [sp, #32]
    ldr x0, [x19, #{ENV_ENGINE}]
    ldr x0, [x0, #{ENGINE_CPU}]
    mov x1, x23
    mov w2, #0
    ldr x9, cpu_restore_state
    blr x9
    ldp x0, x1, [sp, #16]
    ldr x2, [sp, #32]
    ldr x9, [x24, #{HOST}]
    sub x0, x0, x9
    ldr x3, [x19, #{PC}]
    ldr x9, [x24, #{TELL}]
    blr x9
    ldp x29, x30, [sp], #48
same:
    ret
"""


def _fill() -> str:
    """An entry that the core has filled is marked, if its page is watched."""
    return f"""
set_page:
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    str x4, [sp, #32]
    ldr x9, {DIVERTED}
    blr x9
    ldp x0, x1, [sp, #16]
    ldr x4, [sp, #32]
    ldp x29, x30, [sp], #48
    ldr x9, [x0, #{AARCH64.env_pointer}]
    ldr x10, [x9, #{CLOCK}]
    cbz x10, set
    ldr x10, [x10, #{WATCHED}]
    cbz x10, set
    and x4, x4, #15
    add x11, x9, x4, lsl #4
    ldur x12, [x11, #{TLB}]
    ldur x13, [x11, #{TLB + 8}]
    and x12, x12, x1, lsr #6
    add x12, x13, x12
    ldr x13, [x12, #{TLB_STORES}]
    and x14, x13, {_PAGE}
    ldr x15, [x12, #{TLB_ADDEND}]
    add x14, x14, x15
    ldr x15, [x10, #{HOST}]
    sub x14, x14, x15
    ldr x15, [x10, #{SIZE}]
    cmp x14, x15
    b.hs set
    ldr x15, [x10, #{MAP}]
    lsr x14, x14, #12
    ldrb w14, [x15, x14]
    cbz w14, set
    orr x13, x13, {_MARKED}
    str x13, [x12, #{TLB_STORES}]
set:
    ret
"""


def _mark() -> str:
    """All entries of a page are marked, in every mode and among the victims."""
    return f"""
mark:
    mov x16, x30
    mov x2, #0
    sub x3, x0, #{-VICTIMS}
mode:
    add x4, x0, x2
    ldur x5, [x4, #{TLB}]
    ldur x6, [x4, #{TLB + 8}]
    add x5, x6, x5
    bl entries
    add x5, x3, #{LAST_VICTIM}
    mov x6, x3
    bl entries
    add x3, x3, #{VICTIMS_OF_A_MODE}
    add x2, x2, #16
    cmp x2, #{16 * MMU_MODES}
    b.lo mode
    br x16
entries:
    ldr x7, [x6, #{TLB_STORES}]
    and x8, x7, {_PAGE}
    ldr x9, [x6, #{TLB_ADDEND}]
    add x8, x8, x9
    cmp x8, x1
    b.ne following
    orr x7, x7, {_MARKED}
    str x7, [x6, #{TLB_STORES}]
following:
    add x6, x6, #64
    cmp x6, x5
    b.ls entries
    ret
"""
