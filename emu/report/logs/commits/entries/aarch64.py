"""Entries of a block for AArch64 (AAPCS64); see `emu.report.logs.commits.entries.layout`."""

from emu.report.logs.commits.aarch64 import MAKE_DIGITS
from emu.report.logs.commits.entries.layout import CLASSES, COMPRESSED, IN_PYTHON
from emu.report.logs.commits.layout import ENTRY_SIZE, HEAD_SIZE, Flag

# x0: the constants; x1 to x2: code, at first its size; x3: the head; x4: the entry; w5: how many are Python's;
# w6: how many are left; x7: the size of the instruction; w8: its flags.
CODE = f"""
    ldr q5, [x0]
    ldr q4, [x0, #48]
    add x2, x2, x1
    add x4, x3, #{HEAD_SIZE}
    mov w5, #0
    ldr w6, [x3]
instruction:
    cbz w6, over
    add x9, x1, #2
    cmp x9, x2
    b.hi over
    ldrh w15, [x1]
    mvn w9, w15
    tst w9, #3
    b.eq long
    and w8, w15, #3
    ubfx w9, w15, #13, #3
    add w8, w9, w8, lsl #3
    add x9, x0, w8, uxtw
    ldrb w8, [x9, #{CLASSES + COMPRESSED}]
short:
    lsl x15, x15, #48
    mov x7, #2
    b text
long:
    mov w8, #{IN_PYTHON}
    add x9, x1, #4
    cmp x9, x2
    b.hi short
    ldr w15, [x1]
    ubfx w9, w15, #2, #5
    add x9, x0, w9, uxtw
    ldrb w8, [x9, #{CLASSES}]
    lsl x15, x15, #32
    mov x7, #4
text:
{MAKE_DIGITS}
    mov w9, #0x2820
    movk w9, #0x7830, lsl #16
    str w9, [x4, #16]
    str d1, [x4, #20]
    add x9, x4, x7, lsl #1
    mov w10, #41
    strb w10, [x9, #20]
    add x9, x4, #16
    str x9, [x4]
    lsl w9, w7, #1
    add w9, w9, #5
    str w9, [x4, #8]
    and w9, w8, #{IN_PYTHON}
    add w5, w5, w9
    and w9, w7, #4
    orr w8, w8, w9, lsl #{int(Flag.LONG).bit_length() - 3}
    lsl w8, w8, #16
    str w8, [x4, #12]
    add x1, x1, x7
    add x4, x4, #{ENTRY_SIZE}
    sub w6, w6, #1
    b instruction
over:
    ldr w9, [x3]
    sub w9, w9, w6
    str w9, [x3, #4]
    mov w0, w5
    ret
"""
