"""What records the elements that a call is given, for AArch64."""

from emu.engine.translated.features.callrecords.layout import ELEMENT_BIT, RECORD_SIZE, Field, Own, Shared
from emu.engine.translated.features.callrecords.poisoning.layout import Plan


def _shared(word: Shared) -> str:
    return f"[x20, #{8 * word}]"


def _own(word: Own) -> str:
    return f"[x19, #{8 * word}]"


def _recorded(is_told: str, call: str) -> str:
    """The record, and those of elements unless `is_told` jumps because others are; `call` finds its registers."""
    return f"""
    str xzr, [x23, #{Field.ELEMENT}]
    ldr x9, {_own(Own.ELEMENTS)}
    cbz x9, alone
    ldr x9, {_own(Own.AT_ENTRY)}
    {is_told} x9, alone
    {call}
    bl elements
    cbz w0, miss
alone:
    ldr x9, [x23, #{Field.ELEMENT}]
    add x9, x9, #{RECORD_SIZE}
    add x9, x9, x23
    str x9, {_shared(Shared.PLACE)}
"""


ENTERED = _recorded("cbz", f"add x1, x23, #{Field.FIRST}")
RETURNED = _recorded(
    "cbnz",
    f"""
    ldr x2, [sp, #88]
    ldr x9, {_shared(Shared.AWAITED)}
    sub x1, x2, x9
    ldr x9, {_shared(Shared.ARGUMENTS)}
    add x1, x9, x1, lsl #1
""",
)
"""What takes room for the record in x23, and for those of its elements; where they are left to Python, to `miss`."""

ELEMENTS = f"""
elements:
    stp x30, x25, [sp, #-64]!
    stp x26, x27, [sp, #16]
    stp x28, x22, [sp, #32]
    str x24, [sp, #48]
    ldr x9, {_shared(Shared.AT_ONCE)}
    cbnz x9, untold
    ldr x22, [x23, #{Field.DONE}]
    cbnz x22, described
    ldr x22, {_own(Own.PLAN)}
    cbz x22, untold
described:
    mov x25, x23
    add x3, x23, #{Field.FIRST}
    ldr x2, [x22, #{8 * Plan.FIRST}]
    bl number
    cmp w9, #1
    b.hi untold
    b.eq complete
    cbz x0, complete
    mov x26, x0
    mov x27, x0
    ldr x24, [x22, #{8 * Plan.COUNT}]
    cbz x24, at_node
    mov x2, x24
    add x3, x23, #{Field.FIRST}
    bl number
    cmp w9, #1
    b.hi untold
    b.eq complete
    mov x28, x0
at_word:
    cbz x28, complete
    sub x28, x28, #1
    mov x0, x27
    add x27, x27, #8
    b at_element
at_node:
    tst x27, #7
    b.ne untold
    mov x5, x27
    bl reach
    cbz w7, untold
    ldr x0, [x5]
    cmp x0, x26
    b.eq complete
    mov x27, x0
    ldr x9, [x22, #{8 * Plan.NODE}]
    sub x0, x0, x9
at_element:
    add x25, x25, #{RECORD_SIZE}
    ldr x9, {_shared(Shared.LIMIT)}
    cmp x25, x9
    b.hs untold
    mov x9, x23
    mov x10, x25
    add x11, x23, #{RECORD_SIZE}
copy:
    ldr x12, [x9], #8
    str x12, [x10], #8
    cmp x9, x11
    b.ne copy
    str x0, [x25, #{Field.FIRST}]
    add x3, x25, #{Field.FIRST}
    ldr x2, [x22, #{8 * Plan.AT}]
    bl number
    ldr x10, [x23, #{Field.FIRST}]
    str x10, [x25, #{Field.FIRST}]
    cmp w9, #1
    b.hi untold
    b.eq at_none
    cbz x0, at_none
    str x0, [x25, #{Field.ELEMENT}]
    str xzr, [x25, #{Field.DONE}]
    ldr x9, {_own(Own.NUMBER)}
    orr x9, x9, #{1 << ELEMENT_BIT}
    str x9, [x25, #{Field.NUMBER}]
    b further
at_none:
    sub x25, x25, #{RECORD_SIZE}
further:
    cbz x24, at_node
    b at_word
complete:
    sub x25, x25, x23
    str x25, [x23, #{Field.ELEMENT}]
    mov w0, #1
recorded_all:
    ldr x24, [sp, #48]
    ldp x28, x22, [sp, #32]
    ldp x26, x27, [sp, #16]
    ldp x30, x25, [sp], #64
    ret
untold:
    mov w0, #0
    b recorded_all
"""
"""`elements` writes them, and how many bytes they take into the record's `ELEMENT`; w0 is 0 where they are left to
Python. x1: the registers of the call. x19: the function's words. x20: what all share. x21: the state. x23: the record,
whose `DONE` has its plan, or 0."""
