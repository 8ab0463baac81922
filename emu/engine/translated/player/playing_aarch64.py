"""How the player for AArch64 writes a list of operations into a block; see `emu.engine.translated.player.aarch64`."""

from emu.engine.translated import layout
from emu.engine.translated.layout import OP_ARGUMENTS, OP_PARAMETERS
from emu.engine.translated.plan import Source


def playing(known: int, temporaries: int, labels: int) -> str:
    """The function `play`; where its caller's frame has what is `Known`, the list's temporaries and its labels."""
    return _operations() + _values(known, temporaries) + _labels(labels)


def _operations() -> str:
    """Each operation of the list is inserted; `operand` asks where each of its arguments comes from."""
    return f"""\
play:
    cbz x22, played
    mov x26, sp
    str x30, [sp, #-16]!
write:
    ldr x9, [x22]
    cbz x9, written
    mov x0, x19
    mov x1, x23
    and w2, w9, #255
    ldr x9, tcg_op_insert_before
    blr x9
    ldr x9, [x22], #8
    ubfx x24, x9, #8, #8
    lsr x9, x9, #16
    strb w9, [x0, #{OP_PARAMETERS}]
    add x25, x0, #{OP_ARGUMENTS}
operand:
    cbz x24, write
    sub x24, x24, #1
    ldrb w10, [x22]
    ldrb w11, [x22, #1]
    cmp w10, #{Source.TEMPORARY}
    b.lo value
    b.eq temporary
    cmp w10, #{Source.ARGUMENT}
    b.lo global
    b.eq argument
    cmp w10, #{Source.NEXT}
    b.lo label
"""


def _values(known: int, temporaries: int) -> str:
    """What is known, a global of the core, an argument of the operation behind, a temporary."""
    return f"""\
value:
    ldrb w12, [x22, #2]
    add x13, x26, x11, lsl #3
    ldr x0, [x13, #{known}]
    cmp w10, #{Source.NEXT}
    b.ne same
    add x14, x0, #1
    str x14, [x13, #{known}]
same:
    lsl x0, x0, x12
    ldr x14, [x22, #8]
    add x0, x0, x14
    b made
global:
    ldr x14, [x22, #8]
    add x0, x19, x14
    b made
argument:
    add x13, x21, x11, lsl #3
    ldr x0, [x13, #{OP_ARGUMENTS}]
    b made
temporary:
    add x13, x26, x11, lsl #3
    ldr x0, [x13, #{temporaries}]
    cbnz x0, made
    mov x0, x19
    mov w1, #1
    mov w2, #0
    ldr x9, tcg_temp_new_internal
    blr x9
    ldrb w11, [x22, #1]
    add x13, x26, x11, lsl #3
    str x0, [x13, #{temporaries}]
    b made
"""


def _labels(labels: int) -> str:
    """A label of the list, whose uses are counted; `made` gives the argument to its operation."""
    return f"""\
label:
    add x13, x26, x11, lsl #3
    ldr x0, [x13, #{labels}]
    cbnz x0, labelled
    mov x0, x19
    ldr x9, gen_new_label
    blr x9
    ldrb w11, [x22, #1]
    add x13, x26, x11, lsl #3
    str x0, [x13, #{labels}]
labelled:
    ldrb w10, [x22]
    cmp w10, #{Source.BRANCH}
    b.ne made
    ldrh w10, [x0, #{layout.LABEL_USES}]
    add w10, w10, #1
    strh w10, [x0, #{layout.LABEL_USES}]
made:
    str x0, [x25], #8
    add x22, x22, #16
    b operand
written:
    ldr x30, [sp], #16
played:
    ret
"""
