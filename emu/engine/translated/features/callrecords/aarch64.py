"""What records calls of functions, for AArch64."""

from emu.engine.slots import Slot
from emu.engine.translated.features.callentries import MARKS_OFFSET, PATH_SHIFT, RETURNED
from emu.engine.translated.features.callrecords import layout, reaching
from emu.engine.translated.features.callrecords.elements import aarch64 as elements
from emu.engine.translated.features.callrecords.layout import Field, Own, Shared, State
from emu.engine.translated.features.callrecords.poisoning import aarch64 as poisoning

# x19: the function's words. x20: what all share. x21: the state. x22: the entry. x23: the record. x24: the key of
# what the call means. x16: what addresses of facts count from: 0, or the stack pointer of the outermost call.
KNOWN = f"""{reaching.AARCH64}
known:
    str x30, [sp, #-16]!
    ubfx x9, x1, #{layout.FACT_SHIFT}, #{layout.FACT_BITS}
    ldr x10, [x20, #{8 * Shared.FACTS}]
    add x9, x10, x9, lsl #{layout.SIZE_BITS}
    ldr x10, [x9]
    mov x0, #0
    cmp x10, x1
    b.ne unknown
    ldr x2, [x9, #16]
    cbz x2, unknown
    ldr x3, [x2], #8
each:
    cbz x3, found
    ldr x5, [x2], #8
    ldr x6, [x2], #8
    add x5, x5, x16
    bl reach
    cbz w7, unknown
    ldr x12, [x5]
    cmp x12, x6
    b.ne unknown
    sub x3, x3, #1
    b each
found:
    ldr x0, [x9, #24]
    str x0, [x23, #{Field.DONE}]
    ldr x0, [x9, #8]
unknown:
    ldr x30, [sp], #16
    ret
led:
    str x30, [sp, #-16]!
    mov x16, #0
    mov x13, #0
    mov x8, x22
    ldr x9, [x8, #{MARKS_OFFSET}]
    lsr x9, x9, #{PATH_SHIFT}
    str x9, [x23, #{Field.PATH}]
    add x14, x23, #{Field.LINKS}
    add x15, x23, #{Field.CODE}
link:
    ldr x5, [x8, #8]
    str x5, [x14, x13, lsl #3]
    ldr x9, [x20, #{8 * Shared.HOST_CALLS}]
    cmp x5, x9
    b.eq host
    sub x5, x5, #4
    and x9, x5, #0xfff
    cmp x9, #0xffc
    b.hi unled
    bl reach
    cbz w7, unled
    ldr w9, [x5]
    str w9, [x15, x13, lsl #2]
    add x13, x13, #1
    cmp x13, #{layout.MOST_LINKS}
    b.eq deep
    ldr x9, [x8, #16]
    ldr x10, [x20, #{8 * Shared.END}]
    cmp x9, x10
    b.eq outermost
    mov x8, x9
    b link
outermost:
    ldr x1, [x8, #{MARKS_OFFSET}]
    lsr x1, x1, #{PATH_SHIFT}
    bl known
    cbnz x0, whole
    ldp x16, x1, [x8]
    tst x16, #7
    b.ne unled
    add x1, x1, #1
    ldr x9, [x20, #{8 * Shared.MIX}]
    mul x1, x1, x9
    bl known
    mov x16, #0
    cbz x0, unled
    b whole
host:
    cbz x13, unled
    add x13, x13, #1
deep:
    mov x0, #0
whole:
    orr x0, x0, x13, lsl #32
    str x0, [x23, #{Field.CALLERS}]
    ldr x30, [sp], #16
    ret
unled:
    mov x0, #0
    ldr x30, [sp], #16
    ret
"""
_REGISTERS = "".join(
    f"    ldp x9, x10, [x21, #{State.ARGUMENTS + 8 * number}]\n    stp x9, x10, [x23, #{Field.FIRST + 8 * number}]\n"
    for number in range(0, 8, 2)
)
_SAVE = """
    stp x29, x30, [sp, #-112]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
"""
_RESTORE = """
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #112
"""

# Which facts hold, or to `miss`; the function's number is in x9 then.
_FACTS = f"""
    bl led
    cbz x0, miss
    mov x0, #0
    cbz x24, write
    mov x1, x24
    bl known
    cbz x0, miss
write:
    str x0, [x23, #{Field.MEANING}]
    ldr x9, [x19, #{8 * Own.NUMBER}]
"""

ENTERING = f"""
    ldr x9, [x3, #{8 * Own.STATE}]
    ldr x10, [x3, #{8 * Own.SLOTS}]
    ldr x11, [x3, #{8 * Own.SHARED}]
    ldr x12, [x10, #{8 * Slot.BLOCK_PC}]
    cmp x12, x1
    b.ne python
    ldr x12, [x11, #{8 * Shared.INNERMOST}]
    ldr x12, [x12]
    ldp x13, x14, [x12]
    ldr x15, [x9, #{State.SP}]
    cmp x13, x15
    b.ne python
    ldr x15, [x9, #{State.RA}]
    cmp x14, x15
    b.ne python
    ldr x13, [x12, #{MARKS_OFFSET}]
    ldr x14, [x3, #{8 * Own.INSIDE}]
    tst x13, x14
    b.ne inside
    tbnz w13, #0, python
    ldp x13, x14, [x11, #{8 * Shared.PLACE}]
    cmp x13, x14
    b.hs python
{_SAVE}
    stp x0, x1, [sp, #80]
    str x3, [sp, #96]
    mov x19, x3
    mov x20, x11
    mov x21, x9
    mov x22, x12
    mov x23, x13
    str xzr, [x23, #{Field.CALLERS}]
    str xzr, [x23, #{Field.DONE}]
    ldr x24, [x19, #{8 * Own.SALT}]
    cbz x24, keyed
    ldr x9, [x19, #{8 * Own.ARGUMENT}]
    cbz x9, salted
    ldr x9, [x21, x9]
    eor x24, x24, x9
salted:
    ldr x9, [x20, #{8 * Shared.MIX}]
    mul x24, x24, x9
keyed:
    mov x0, #0
    ldr x9, [x19, #{8 * Own.AT_ENTRY}]
    cbz x9, write
{_FACTS}
    str x9, [x23, #{Field.NUMBER}]
    ldr x10, [x19, #{8 * Own.SLOTS}]
    ldr x9, [x10, #{8 * Slot.COUNT}]
    ldr x11, [x10, #{8 * Slot.BLOCK_LENGTH}]
    sub x9, x9, x11
    str x9, [x23, #{Field.INSTRET}]
    ldr x9, [x21, #{State.TP}]
    str x9, [x23, #{Field.THREAD}]
    ldr x9, [x21, #{State.PRIVILEGE}]
    str x9, [x23, #{Field.MODE}]
    ldr x1, [x21, #{State.RA}]
    ldr x2, [x21, #{State.SP}]
    stp x1, x2, [x23, #{Field.LINK}]
{_REGISTERS}
{elements.ENTERED}
    ldp x1, x2, [x23, #{Field.LINK}]
    ldr x3, [x19, #{8 * Own.MARK}]
    ldr x9, [x22, #{MARKS_OFFSET}]
    orr x9, x9, x3
    str x9, [x22, #{MARKS_OFFSET}]
    tbz w3, #0, unawaited
    ubfx x9, x2, #{layout.PLACE_SHIFT}, #{layout.PLACE_BITS}
    ldr x10, [x20, #{8 * Shared.AWAITED}]
    add x9, x10, x9, lsl #{layout.SIZE_BITS}
    stp x2, x1, [x9]
    stp x19, x24, [x9, #16]
{poisoning.KEEP_ARGUMENTS}
unawaited:
{poisoning.POISON_ENTERED}
    ldr x16, [x20, #{8 * Shared.DRAIN}]
{_RESTORE}
    cbz w0, inside
    br x16
miss:
    ldp x0, x1, [sp, #80]
    ldr x3, [sp, #96]
{_RESTORE}
python:
    ldr x16, [x3, #{8 * Own.LEAVES}]
    br x16
inside:
    ret
"""

RETURNING = f"""
    ldr x11, [x2, #{8 * Slot.RECORDS}]
    ldr x8, [x11, #{8 * Shared.MESSAGE}]
    ldp x9, x10, [x8]
    cbz x9, python
    cmp x10, #{RETURNED}
    b.ne python
    ldp x13, x14, [x11, #{8 * Shared.PLACE}]
    cmp x13, x14
    b.hs python
    ldp x1, x2, [x8, #16]
    ldr x12, [x11, #{8 * Shared.MASK}]
    and x12, x12, x2, lsl #2
    ldr x9, [x11, #{8 * Shared.ENTRIES}]
    add x12, x12, x9
    ldp x9, x10, [x12]
    cmp x9, x2
    b.ne unkept
    cmp x10, x1
    b.ne unkept
    ldr x9, [x12, #{MARKS_OFFSET}]
    tbz w9, #0, python
    ubfx x9, x2, #{layout.PLACE_SHIFT}, #{layout.PLACE_BITS}
    ldr x10, [x11, #{8 * Shared.AWAITED}]
    add x9, x10, x9, lsl #{layout.SIZE_BITS}
    ldp x10, x14, [x9]
    cmp x10, x2
    b.ne python
    cmp x14, x1
    b.ne python
    ldp x3, x4, [x9, #16]
    cbz x3, python
{_SAVE}
    stp x8, x9, [sp, #80]
    mov x19, x3
    mov x20, x11
    mov x21, x0
    mov x22, x12
    mov x23, x13
    mov x24, x4
    str xzr, [x23, #{Field.CALLERS}]
    str xzr, [x23, #{Field.DONE}]
    mov x0, #0
    ldr x9, [x19, #{8 * Own.AT_ENTRY}]
    cbnz x9, write
{_FACTS}
    mov x10, #1
    orr x9, x9, x10, lsl #{layout.ENDED_BIT}
    str x9, [x23, #{Field.NUMBER}]
    ldp x1, x2, [sp, #80]
    ldp x9, x10, [x1, #16]
    stp x9, x10, [x23, #{Field.LINK}]
    ldr x9, [x1, #32]
    str x9, [x23, #{Field.INSTRET}]
{_REGISTERS}
{elements.RETURNED}
    ldp x1, x2, [sp, #80]
    ldr x9, [x20, #{8 * Shared.INNERMOST}]
    ldr x10, [x22, #16]
    str x10, [x9]
    strh wzr, [x22, #{MARKS_OFFSET}]
    str xzr, [x2, #16]
    str xzr, [x1]
{poisoning.POISON_RETURNED}
    ldr x16, [x20, #{8 * Shared.DRAIN}]
{_RESTORE}
    cbz w0, recorded
    br x16
recorded:
    ret
unkept:
    ldr x9, [x11, #{8 * Shared.INNERMOST}]
    ldr x9, [x9]
    ldr x10, [x11, #{8 * Shared.END}]
    cmp x9, x10
    b.ne python
    str xzr, [x8]
    ret
miss:
    mov x11, x20
{_RESTORE}
python:
    ldr x16, [x11, #{8 * Shared.DRAIN}]
    br x16
"""
