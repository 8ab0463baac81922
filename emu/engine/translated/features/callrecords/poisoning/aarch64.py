"""What poisons memory at recorded calls, for AArch64."""

from emu.engine.translated.features.callentries import MARKS_OFFSET
from emu.engine.translated.features.callrecords.layout import RECORD_SIZE, Field, Own, Shared
from emu.engine.translated.features.callrecords.poisoning import layout
from emu.engine.translated.features.callrecords.poisoning.layout import Effect, Plan, Step, Table


def _shared(word: Shared) -> str:
    return f"[x20, #{8 * word}]"


def _table(word: Table) -> str:
    return f"[x24, #{8 * word}]"


# x9: the place of an awaited call; the registers of the record are kept for its return.
KEEP_ARGUMENTS = f"""
    ldr x10, {_shared(Shared.AWAITED)}
    sub x9, x9, x10
    ldr x10, {_shared(Shared.ARGUMENTS)}
    add x9, x10, x9, lsl #1
""" + "".join(
    f"    ldp x10, x11, [x23, #{Field.FIRST + offset}]\n    stp x10, x11, [x9, #{offset}]\n"
    for offset in range(0, layout.ARGUMENTS_SIZE, 16)
)

# What was recorded takes effect, at the entry, or at the return (x2: its place); w0: whether Python is to read it.
POISON_ENTERED = f"""
    ldr x0, [x19, #{8 * Own.AT_ENTRY}]
    cbz x0, quiet
    add x1, x23, #{Field.FIRST}
    bl poisoned
quiet:
"""
POISON_RETURNED = f"""
    mov w0, #0
    ldr x9, [x19, #{8 * Own.AT_ENTRY}]
    cbnz x9, quiet
    ldr x9, {_shared(Shared.AWAITED)}
    sub x1, x2, x9
    ldr x9, {_shared(Shared.ARGUMENTS)}
    add x1, x9, x1, lsl #1
    bl poisoned
quiet:
"""

# `poisoned` carries out the plan of a record that tells something; w0 is 1 if Python is to read it now. x1: the
# registers of the call. x19: the function's words. x20: what all share. x23: the record. x22 and x24 are used.
POISONED = f"""
poisoned:
    str x30, [sp, #-16]!
    ldr x22, [x23, #{Field.DONE}]
    str xzr, [x23, #{Field.DONE}]
    ldr x9, {_shared(Shared.AT_ONCE)}
    cbnz x9, refused
    ldr x24, {_shared(Shared.TABLES)}
    cbz x24, later
    cbnz x22, planned
    ldr x22, [x19, #{8 * Own.PLAN}]
    cbz x22, refused
planned:
    ldr x9, {_table(Table.SHOWN)}
    ldr x9, [x9]
    ldr x10, {_table(Table.BITS)}
    cmp x9, x10
    b.ne refused
    ldr x9, [x19, #{8 * Own.ELEMENTS}]
    cbnz x9, in_order
    add x3, x23, #{Field.FIRST}
    ldr x2, [x22, #{8 * Plan.AT}]
    bl number
    cmp w9, #1
    b.eq done
    b.hi refused
    cbz x0, done
placed:
    mov x8, x0
    mov x3, x1
    ldr x2, [x22, #{8 * Plan.EXTENT}]
    bl number
    cbnz w9, refused
    mov x13, x0
    ldr x14, [x22, #{8 * Plan.EFFECT}]
    cmp x14, #{Effect.BLOCK_ALLOCATED}
    b.hs block
    ldr x9, {_shared(Shared.RAM)}
    sub x15, x8, x9, lsr #12
    ldr x9, {_shared(Shared.RAM_SIZE)}
    lsr x9, x9, #12
    cmp x15, x9
    b.hs refused
    sub x9, x9, x15
    cbz x13, refused
    cmp x13, x9
    b.hi refused
    ldr x9, {_table(Table.OFFSET)}
    add x9, x9, x8, lsl #12
    ldr x10, {_table(Table.MASK)}
    and x9, x10, x9, lsr #3
    cbz x9, refused
    lsl x11, x13, #9
    add x12, x9, x11
    cmp x12, x10
    b.hi refused
    ldr x10, {_table(Table.BITS)}
    add x9, x9, x10
    ldr x10, {_table(Table.PAGES)}
    add x10, x10, x15
    ldrb w12, [x10]
    cmp x14, #{Effect.FRAMES_FREED}
    b.ne frames
    tbnz w12, #{layout.FREED.bit_length() - 1}, refused
frames:
    mov x0, #-1
    mov w2, #{layout.DONE}
    mov w3, #{layout.FREED}
    cmp x14, #{Effect.FRAMES_ALLOCATED}
    b.ne fill
    mov w3, #0
    ldr x12, {_shared(Shared.INNERMOST)}
    ldr x12, [x12]
    ldr x12, [x12, #{MARKS_OFFSET}]
    ldr x4, {_table(Table.HEAP)}
    mov w2, #{layout.DONE | layout.FOR_HEAP}
    tst x12, x4
    b.ne fill
    mov w2, #{layout.DONE}
    mov x0, #0
fill:
    str x0, [x9], #8
    subs x11, x11, #8
    b.ne fill
    ldr x11, {_table(Table.HELD)}
    add x11, x11, x15, lsl #11
page:
    ldrb w12, [x10]
    add x4, x11, #{4 * layout.PAGE_WORDS}
    tbz w12, #{layout.HAS_BLOCKS.bit_length() - 1}, bare
forget:
    str xzr, [x11], #8
    cmp x11, x4
    b.ne forget
bare:
    mov x11, x4
    strb w3, [x10], #1
    subs x13, x13, #1
    b.ne page
    str x2, [x23, #{Field.DONE}]
later:
    mov w0, #0
    ldr x30, [sp], #16
    ret
block:
    ldr x9, {_table(Table.LINEAR)}
    cbz x9, refused
    tst x8, #7
    b.ne refused
    mov x5, x8
    bl reach
    cbz w7, refused
    ldr x9, {_shared(Shared.HOST)}
    sub x5, x5, x9
    sub x9, x8, x5
    ldr x10, {_shared(Shared.RAM)}
    sub x9, x9, x10
    ldr x10, {_table(Table.OFFSET)}
    cmp x9, x10
    b.ne refused
    ldr x15, {_table(Table.PAGES)}
    add x15, x15, x5, lsr #12
    lsr x5, x5, #3
    ldr x10, {_table(Table.HELD)}
    add x10, x10, x5, lsl #2
    ldr x11, {_table(Table.MASK)}
    and x9, x11, x8, lsr #3
    cbz x9, refused
    cmp x14, #{Effect.BLOCK_FREED}
    b.eq freed
    cbz x13, refused
    lsr x12, x13, #32
    cbnz x12, refused
    lsr x12, x13, #3
    add x4, x9, x12
    cmp x4, x11
    b.hs refused
    str w13, [x10]
    ldr x4, {_table(Table.ALLOCATED)}
    add x4, x4, #1
    str x4, {_table(Table.ALLOCATED)}
    ldrb w4, [x15]
    orr w4, w4, #{layout.HAS_BLOCKS}
    strb w4, [x15]
    ldr x4, {_table(Table.BITS)}
    add x9, x9, x4
    add x4, x9, x12
cleared:
    cmp x9, x4
    b.eq behind
    strb wzr, [x9], #1
    b cleared
behind:
    ands x12, x13, #7
    b.eq done
    mov w4, #0xff
    lsl w4, w4, w12
    strb w4, [x9]
    b done
freed:
    ldr w12, [x10]
    cbz w12, refused
    cbz x13, sized
    cmp x13, x12
    b.ne refused
sized:
    mov x13, x12
    lsr x12, x13, #3
    add x4, x9, x12
    cmp x4, x11
    b.hs refused
    str wzr, [x10]
    ldr x4, {_table(Table.BITS)}
    add x9, x9, x4
    add x4, x9, x12
    mov w11, #0xff
set:
    cmp x9, x4
    b.eq last
    strb w11, [x9], #1
    b set
last:
    ands x12, x13, #7
    b.eq done
    mov w4, #1
    lsl w4, w4, w12
    sub w4, w4, #1
    ldrb w11, [x9]
    orr w11, w11, w4
    strb w11, [x9]
done:
    mov x9, #{layout.DONE}
    str x9, [x23, #{Field.DONE}]
    b later
refused:
    mov w0, #1
    ldr x30, [sp], #16
    ret
in_order:
    ldr x9, [x23, #{Field.ELEMENT}]
    add x9, x9, x23
    str x9, [sp, #-32]!
    str x1, [sp, #8]
    mov w0, #0
one:
    ldr x9, [sp]
    cmp x23, x9
    b.eq all_done
    add x23, x23, #{RECORD_SIZE}
    ldr x0, [x23, #{Field.ELEMENT}]
    ldr x1, [sp, #8]
    adr x30, one_done
    str x30, [sp, #-16]!
    b placed
one_done:
    cbz w0, one
all_done:
    add sp, sp, #32
    ldr x30, [sp], #16
    ret
number:
    mov w9, #0
    mov x10, sp
step:
    ldp x4, x0, [x2], #16
    cmp x4, #{Step.CONSTANT}
    b.eq pushed
    cmp x4, #{Step.REGISTER}
    b.eq of_now
    cmp x4, #{Step.ARGUMENT}
    b.eq of_call
    cbz x4, ended
    ldr x5, [sp], #16
    cmp x4, #{Step.NEED}
    b.eq needed
    cmp x4, #{Step.LOAD}
    b.eq loading
    ldr x0, [sp], #16
    cmp x4, #{Step.ADD}
    b.eq adding
    cmp x4, #{Step.SUBTRACT}
    b.eq subtracting
    cmp x4, #{Step.MULTIPLY}
    b.eq multiplying
    cmp x4, #{Step.DIVIDE}
    b.eq dividing
    cmp x4, #{Step.LEFT}
    b.eq to_left
    cmp x4, #{Step.RIGHT}
    b.eq to_right
    eor x0, x0, x5
    b pushed
adding:
    adds x0, x0, x5
    b.hs odd
    b pushed
subtracting:
    subs x0, x0, x5
    b.lo odd
    b pushed
multiplying:
    umulh x6, x0, x5
    cbnz x6, odd
    mul x0, x0, x5
    b pushed
dividing:
    cbz x5, odd
    udiv x6, x0, x5
    msub x7, x6, x5, x0
    cbnz x7, odd
    mov x0, x6
    b pushed
to_left:
    lsl x6, x0, x5
    lsr x7, x6, x5
    cmp x7, x0
    b.ne odd
    mov x0, x6
    b pushed
to_right:
    lsr x0, x0, x5
    b pushed
of_now:
    ldr x0, [x3, x0]
    b pushed
of_call:
    ldr x0, [x1, x0]
pushed:
    str x0, [sp, #-16]!
    b step
loading:
    tst x5, #7
    b.ne odd
    stp x30, x10, [sp, #-16]!
    bl reach
    ldp x30, x10, [sp], #16
    cbz w7, odd
    ldr x0, [x5]
    b pushed
needed:
    cbnz x5, step
    mov w9, #1
    mov sp, x10
    ret
odd:
    mov w9, #2
    mov sp, x10
    ret
ended:
    ldr x0, [sp], #16
    ret
"""
