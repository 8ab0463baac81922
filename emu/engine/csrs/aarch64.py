"""The functions of `emu.engine.csrs` for AArch64 (AAPCS64)."""

from emu.engine.csrs.layout import (
    CLOCK,
    FORCED,
    FREE,
    FS,
    KINDS,
    LINES,
    MOVED,
    MOVED_BY,
    MPP,
    MSTATUS,
    NOT_OF_GUEST,
    NUMBER,
    OPERATIONS,
    PRIVILEGE,
    SD,
    SUM,
    TIME_BIT,
    Kind,
)
from emu.engine.fills.table import CONTEXT, MARK, MARKED, MARKS, MOST_MARKS, NUMBERS, PERMISSION_TABLES, PERMISSIONS
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE
from emu.engine.traps.entries import SEEN_SHIFT
from emu.isa.csrs import Csr
from emu.isa.status import MSTATUS_WRITE, SSTATUS_READ, SSTATUS_WRITE

# The core's state, and the number of the CSR; a negative answer makes the instruction illegal.
MAY_ACCESS = f"""
    ldr x10, [x0, #{CLOCK}]
    cbz x10, core
    ldr x11, [x10, #{8 * Slot.MODEL}]
    cbz x11, core
    add x9, x11, #{KINDS >> 12}, lsl #12
    ldrb w9, [x9, w1, uxtw]
    cmp w9, #{Kind.CORE}
    b.eq core
    cmp w9, #{Kind.TIME}
    b.eq time
    cmp w9, #0
    csetm w0, eq
    ret
time:
    ldr x9, [x10, #{8 * Slot.TICK}]
    cbz x9, refused
    ldr x9, [x11, #{8 * Csr.MCOUNTEREN}]
    tbz w9, #{TIME_BIT.bit_length() - 1}, refused
    ldr x9, [x0, #{PRIVILEGE}]
    cbnz x9, allowed
    ldr x9, [x11, #{8 * Csr.SCOUNTEREN}]
    tbz w9, #{TIME_BIT.bit_length() - 1}, refused
allowed:
    mov w0, #0
    ret
refused:
    movn w0, #0
    ret
core:
    ldr x9, table
    add x9, x9, w1, uxtw #4
    add x9, x9, w1, uxtw #4
    ldr x9, [x9]
    br x9
table: .quad 0
"""

# The same, where the old value goes (or 0), a new value, and which of its bits are written.
ACCESS = f"""
    ldr x9, [x0, #{CLOCK}]
    cbz x9, core
    ldr x9, [x9, #{8 * Slot.MODEL}]
    cbz x9, core
    add x10, x9, #{KINDS >> 12}, lsl #12
    ldrb w10, [x10, w1, uxtw]
    cmp w10, #{Kind.PLAIN}
    b.eq plain
    cmp w10, #{Kind.EVEN}
    b.eq even
    cmp w10, #{Kind.SSTATUS}
    b.eq supervisor
    cmp w10, #{Kind.STATUS_IN_CORE}
    b.eq status
    cmp w10, #{Kind.EVEN_IN_CORE}
    b.ne core
    and x3, x3, #0xfffffffffffffffe
core:
    ldr x9, table
    add x9, x9, w1, uxtw #4
    add x9, x9, w1, uxtw #4
    ldr x10, [x9, #24]
    cbz x10, separate
    br x10
separate:
    ldr x10, [x9, #8]
    cbz x10, refuse
    stp x29, x30, [sp, #-80]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    mov x19, x0
    mov w20, w1
    mov x21, x2
    mov x22, x3
    mov x23, x4
    mov x24, x9
    add x2, sp, #64
    blr x10
    tbnz w0, #31, left
    cbz x23, read
    ldr x10, [x24, #16]
    cbz x10, read
    ldr x2, [sp, #64]
    bic x2, x2, x23
    and x22, x22, x23
    orr x2, x2, x22
    mov x0, x19
    mov w1, w20
    blr x10
    tbnz w0, #31, left
read:
    mov w0, #0
    cbz x21, left
    ldr x9, [sp, #64]
    str x9, [x21]
left:
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #80
    ret
refuse:
    movn w0, #0
    ret
even:
    and x3, x3, #0xfffffffffffffffe
plain:
    ldr x10, [x9, w1, uxtw #3]
    cbz x4, told
    and x3, x3, x4
    bic x11, x10, x4
    orr x3, x3, x11
    str x3, [x9, w1, uxtw #3]
told:
    cbz x2, done
    str x10, [x2]
done:
    mov w0, #0
    ret
supervisor:
    mov x12, #{FS}
    mov x13, #0
    ldr x10, [x9, #{8 * Csr.MSTATUS}]
    ands x11, x10, x12
    b.eq clean
    cmp x11, x12
    b.eq dirty
    ldr x11, [x0, #{MSTATUS}]
    and x11, x11, x12
    cmp x11, x12
    b.ne clean
dirty:
    orr x10, x10, x12
    mov x13, #{SD}
clean:
    mov x11, #{SSTATUS_WRITE & 0xFFFF}
    movk x11, #{SSTATUS_WRITE >> 16}, lsl #16
    ands x4, x4, x11
    b.eq seen
    and x3, x3, x4
    bic x11, x10, x4
    orr x3, x3, x11
    eor x11, x3, x10
    mov x12, #{FREE & 0xFFFF}
    movk x12, #{FREE >> 16}, lsl #16
    bic x11, x11, x12
    cbnz x11, refuse
    tbz x3, #1, written
    tbnz x10, #1, written
    ldr x11, [x9, #{8 * Csr.MIP}]
    ldr x12, [x9, #{8 * LINES}]
    orr x11, x11, x12
    ldr x12, [x9, #{8 * Csr.MIE}]
    tst x11, x12
    b.ne refuse
written:
    eor x11, x3, x10
    tbz x11, #{SUM}, stored
    ldr x11, [x0, #{CLOCK}]
    ldr x11, [x11, #{8 * Slot.TRANSLATIONS}]
    tbnz x3, #{SUM}, fits
    ldr x12, [x11, #{8 * MARKED}]
    cmp x12, #{MOST_MARKS}
    b.hi refuse
fits:
    ldr x12, [x11, #{8 * CONTEXT}]
    cbz x12, fitted
    lsr x12, x3, #{SEEN_SHIFT}
    and x12, x12, #6
    add x12, x12, #1
    movz x14, #{8 * NUMBERS & 0xFFFF}
    movk x14, #{8 * NUMBERS >> 16}, lsl #16
    add x14, x14, x11
    ldr x14, [x14, x12, lsl #3]
    cbz x14, refuse
    str x14, [x11, #{8 * CONTEXT}]
    ldr x14, [x11, #{8 * PERMISSION_TABLES}]
    add x14, x14, x12, lsl #8
    str x14, [x11, #{8 * PERMISSIONS}]
    ubfx x12, x12, #1, #1
    str x12, [x11, #{8 * MARK}]
fitted:
    tbnz x3, #{SUM}, stored
    ldr x12, [x11, #{8 * MARKED}]
    cbz x12, stored
    stp x29, x30, [sp, #-96]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x0, x2, [sp, #32]
    stp x3, x9, [sp, #48]
    stp x10, x13, [sp, #64]
    mov x19, x11
forgets:
    ldr x20, [x19, #{8 * MARKED}]
    sub x20, x20, #1
    str x20, [x19, #{8 * MARKED}]
    movz x9, #{8 * MARKS & 0xFFFF}
    movk x9, #{8 * MARKS >> 16}, lsl #16
    add x9, x9, x19
    ldr x1, [x9, x20, lsl #3]
    ldr x0, [sp, #32]
    ldr x9, [x0, #{CLOCK}]
    ldr x9, [x9, #{8 * Slot.FORGET_PAGE}]
    mov x10, #{CORE_STATE["aarch64"]}
    sub x0, x0, x10
    blr x9
    cbnz x20, forgets
    ldp x10, x13, [sp, #64]
    ldp x3, x9, [sp, #48]
    ldp x0, x2, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #96
stored:
    str x3, [x9, #{8 * Csr.MSTATUS}]
    mov x12, #{FS}
    and x11, x3, x12
    ldr x14, [x0, #{MSTATUS}]
    bic x14, x14, x12
    orr x14, x14, x11
    str x14, [x0, #{MSTATUS}]
seen:
    orr x10, x10, x13
    ldr x11, visible
    and x10, x10, x11
    b told
status:
    ldr x10, [x0, #{MSTATUS}]
    ldr x11, guests
    and x10, x10, x11
    mov x12, #{FS}
    and x11, x10, x12
    cmp x11, x12
    b.ne shown
    orr x10, x10, #{SD:#x}
shown:
    mov x11, x10
    cmp w1, #{int(Csr.SSTATUS)}
    b.ne machine
    ldr x12, visible
    and x11, x11, x12
    mov x12, #{SSTATUS_WRITE & 0xFFFF}
    movk x12, #{SSTATUS_WRITE >> 16}, lsl #16
    and x4, x4, x12
machine:
    mov x12, #{MSTATUS_WRITE & 0xFFFF}
    movk x12, #{MSTATUS_WRITE >> 16}, lsl #16
    and x4, x4, x12
    cbz x2, change
    str x11, [x2]
change:
    cbz x4, done
    and x3, x3, x4
    bic x11, x10, x4
    orr x3, x3, x11
    ubfx x11, x3, #11, #2
    cmp x11, #2
    b.ne known
    and x10, x10, #{MPP:#x}
    and x3, x3, #{~MPP & (1 << 64) - 1:#x}
    orr x3, x3, x10
known:
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    str x21, [sp, #32]
    mov x19, x0
    mov x20, x3
    mov x21, x9
    mov x2, x3
    mov w1, #{NUMBER}
    ldr x9, table
    mov x10, #{NUMBER * OPERATIONS + 16}
    ldr x9, [x9, x10]
    blr x9
    and x9, x20, #{MOVED:#x}
    orr x20, x20, x9, lsl #{MOVED_BY}
    ldr x9, [x21, #{8 * FORCED}]
    orr x20, x20, x9
    str x20, [x19, #{MSTATUS}]
    ldr x21, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
    mov w0, #0
    ret
visible: .quad {SSTATUS_READ:#x}
guests: .quad {NOT_OF_GUEST:#x}
table: .quad 0
"""
