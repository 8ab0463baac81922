"""The functions of `emu.engine.fills.filling` for AArch64 (AAPCS64)."""

from emu.engine import library
from emu.engine.fills.table import (
    ASK,
    BITS,
    CAUSE_OF_FETCH,
    CAUSE_OF_LOAD,
    CAUSE_OF_STORE,
    CLOCK,
    CONTEXT,
    ENTRIES,
    FETCH,
    FETCHED,
    KEEP,
    LARGE,
    LARGE_PLACES,
    LEAF,
    MARK,
    MARKED,
    MARKS,
    MOST_MARKS,
    NO_EXEC,
    NO_WRITE,
    NOT_PLAIN,
    PERMISSIONS,
    READ,
    ROOT,
    SHIFT,
    SIZE,
    SLOTS,
    START,
    TABLES,
    USER,
    WRITE,
)
from emu.engine.guest import RETURN_ADDRESS, Note
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE
from emu.engine.window import Word
from emu.mmu import pte

_FIND = f"""
    ldr x9, [x4, #{8 * CONTEXT}]
    cbz x9, ask
    lsr x10, x1, #12
    eor x11, x10, x10, lsr #{BITS}
    and x11, x11, #{SLOTS - 1:#x}
    sub w12, w2, #16
    add x11, x11, x12, lsl #{BITS}
    add x11, x4, x11, lsl #4
    orr x9, x10, x9, lsl #52
    ldr x10, [x11, #{8 * ENTRIES}]
    cmp x9, x10
    b.ne walk
    ldr x10, [x11, #{8 * ENTRIES + 8}]
    and x11, x10, #0xfffffffffffff000
    str x11, [x3]
    and x11, x10, #7
    str x11, [x3, #8]
    tbz w10, #{USER.bit_length() - 1}, kept
    ldr x9, [x4, #{8 * MARK}]
    cbz x9, kept
    ldr x10, [x4, #{8 * MARKED}]
    cmp x10, #{MOST_MARKS}
    b.hs counted
    movz x11, #{8 * MARKS & 0xFFFF}
    movk x11, #{8 * MARKS >> 16}, lsl #16
    add x11, x11, x4
    str x1, [x11, x10, lsl #3]
counted:
    add x10, x10, #1
    str x10, [x4, #{8 * MARKED}]
kept:
    mov w0, #1
    ret
walk:
    ldr x5, [x4, #{8 * SHIFT}]
    cbz x5, ask
    add x6, x5, #8
    asr x7, x1, x6
    add x7, x7, #1
    cmp x7, #1
    b.hi ask
    ldr x6, [x4, #{8 * START}]
    ldr x7, [x4, #{8 * SIZE}]
    ldr x8, [x4, #{8 * TABLES}]
    ldr x10, [x4, #{8 * ROOT}]
level:
    sub x10, x10, x6
    cmp x10, x7
    b.hs ask
    add x10, x8, x10
    lsr x12, x1, x5
    and x12, x12, #511
    ldr x12, [x10, x12, lsl #3]
    lsr x13, x12, #54
    cbnz x13, ask
    lsr x10, x12, #{pte.PPN_SHIFT}
    lsl x10, x10, #12
    tst x12, #{LEAF}
    b.ne leaf
    tbz w12, #0, ask
    mov w13, #{NOT_PLAIN}
    tst w12, w13
    b.ne ask
    sub x5, x5, #9
    cmp x5, #12
    b.hs level
    b ask
leaf:
    mov x13, #-1
    lsl x13, x13, x5
    bic x14, x10, x13
    cbnz x14, ask
    bic x13, x1, x13
    and x13, x13, #0xfffffffffffff000
    orr x10, x10, x13
    ldr x13, [x4, #{8 * PERMISSIONS}]
    mov x15, x12
    and x12, x12, #0xff
    ldrb w12, [x13, x12]
    sub w13, w2, #{READ}
    lsr w13, w12, w13
    tbz w13, #0, ask
    sub x13, x10, x6
    cmp x13, x7
    b.hs ask
    tbz w15, #{pte.U.bit_length() - 1}, not_users
    orr w12, w12, #{USER}
    ldr x13, [x4, #{8 * MARK}]
    cbz x13, not_users
    ldr x14, [x4, #{8 * MARKED}]
    cmp x14, #{MOST_MARKS}
    b.hs noted_user
    movz x13, #{8 * MARKS & 0xFFFF}
    movk x13, #{8 * MARKS >> 16}, lsl #16
    add x13, x13, x4
    str x1, [x13, x14, lsl #3]
noted_user:
    add x14, x14, #1
    str x14, [x4, #{8 * MARKED}]
not_users:
    cmp x5, #12
    b.eq small
    lsr x13, x1, x5
    eor x13, x13, x13, lsr #12
    eor x13, x13, x5
    and x13, x13, #{LARGE_PLACES - 1:#x}
    movz x14, #{8 * LARGE & 0xFFFF}
    movk x14, #{8 * LARGE >> 16}, lsl #16
    add x13, x13, x14
    mov w14, #1
    strb w14, [x4, x13]
small:
    ldr x13, [x4, #{8 * FETCHED}]
    add x13, x13, x10, lsr #12
    cmp w2, #{FETCH}
    b.ne data
    mov w14, #1
    strb w14, [x13]
    b no_store
data:
    ldrb w14, [x13]
    cbz w14, no_fetch
    cmp w2, #{WRITE}
    b.eq granted
no_store:
    and w12, w12, #{NO_WRITE & 0xFFFF_FFFF:#x}
    b granted
no_fetch:
    and w12, w12, #{NO_EXEC & 0xFFFF_FFFF:#x}
granted:
    str x10, [x3]
    and x13, x12, #7
    str x13, [x3, #8]
    orr x10, x10, x12
    str x9, [x11, #{8 * ENTRIES}]
    str x10, [x11, #{8 * ENTRIES + 8}]
    mov w0, #1
    ret
"""
"""Gets the engine, the address, the access, where the answer goes, and the table."""

_ASK = f"""
    ldr x9, [x4, #{8 * CLOCK}]
    ldr x10, [x9, #{8 * Slot.ALONE}]
    tbnz w10, #0, alone
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    mov x19, x4
    mov x20, x1
    mov w21, w2
    mov x22, x3
    str xzr, [x4, #{8 * KEEP}]
    ldr x9, [x4, #{8 * ASK}]
    blr x9
    ands w0, w0, #0xff
    b.eq left
    mov w0, #1
    ldr x9, [x19, #{8 * KEEP}]
    cbz x9, left
    ldr x9, [x19, #{8 * CONTEXT}]
    cbz x9, left
    lsr x10, x20, #12
    eor x11, x10, x10, lsr #{BITS}
    and x11, x11, #{SLOTS - 1:#x}
    sub w12, w21, #16
    add x11, x11, x12, lsl #{BITS}
    add x11, x19, x11, lsl #4
    orr x9, x10, x9, lsl #52
    str x9, [x11, #{8 * ENTRIES}]
    ldr x9, [x22]
    and x9, x9, #0xfffffffffffff000
    ldr x10, [x22, #8]
    and x10, x10, #7
    orr x10, x10, #{USER}
    orr x9, x9, x10
    str x9, [x11, #{8 * ENTRIES + 8}]
left:
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
    ret
alone:
    mov x11, #{Note.DATA}
    cmp w2, #{library.MEM_FETCH}
    b.ne noted
    mov x11, #{Note.FETCH}
    movz x12, #{RETURN_ADDRESS >> 48:#x}, lsl #48
    movk x12, #{RETURN_ADDRESS >> 32 & 0xFFFF:#x}, lsl #32
    movk x12, #{RETURN_ADDRESS >> 16 & 0xFFFF:#x}, lsl #16
    cmp x1, x12
    b.ne noted
    mov x11, #{Note.RETURNED}
noted:
    orr x10, x10, x11
    str x10, [x9, #{8 * Slot.ALONE}]
    mov w0, #0
    ret
"""

FILL = _FIND + "ask:\n" + _ASK

TLB_FILL = f"""
    mov x9, #{CORE_STATE["aarch64"]}
    add x9, x9, x0
    ldr x9, [x9, #{8 * Word.RDTIME_FUNCTION}]
    cbz x9, core
    ldr x10, [x9, #{8 * Slot.TRANSLATIONS}]
    cbz x10, core
    stp x29, x30, [sp, #-112]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    str x25, [sp, #64]
    mov x19, x0
    mov x20, x1
    mov w21, w3
    mov w22, w4
    and w23, w5, #0xff
    mov x24, x6
    mov x25, x9
    and x1, x1, #0xfffffffffffff000
    add w2, w3, #{READ}
    add x3, sp, #80
    mov x4, x10
    bl find
    cbnz w0, found
    cbnz w23, unasked
    ldr x9, [x25, #{8 * Slot.RAISES}]
    cbz x9, unasked
    ldr x9, [x25, #{8 * Slot.ALONE}]
    tbnz w9, #0, unasked
    mov x0, x19
    and x1, x20, #0xfffffffffffff000
    add w2, w21, #{READ}
    add x3, sp, #80
    ldr x4, [x25, #{8 * Slot.TRANSLATIONS}]
    bl asks
    tst w0, #0xff
    b.eq raise
found:
    mov x0, x19
    and x1, x20, #0xfffffffffffff000
    ldp x2, x3, [sp, #80]
    and x2, x2, #0xfffffffffffff000
    and w3, w3, #7
    mov w4, w22
    mov x5, #4096
    ldr x9, [x25, #{8 * Slot.SET_PAGE}]
    ldr x9, [x9]
    blr x9
    mov w0, #1
    ldr x25, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #112
    ret
raise:
    mov x9, #{CORE_STATE["aarch64"]}
    add x0, x19, x9
    mov w1, #{CAUSE_OF_LOAD}
    cbz w21, raised
    mov w1, #{CAUSE_OF_STORE}
    cmp w21, #1
    b.eq raised
    mov w1, #{CAUSE_OF_FETCH}
raised:
    mov x2, x24
    ldr x9, [x25, #{8 * Slot.RAISE}]
    blr x9
unasked:
    mov x0, x19
    mov x1, x20
    mov w2, #0
    mov w3, w21
    mov w4, w22
    mov w5, w23
    mov x6, x24
    ldr x25, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #112
core:
    ldr x9, own
    br x9
find:
    {_FIND}
ask:
    mov w0, #0
    ret
asks:
    {_ASK}
own: .quad 0
"""
