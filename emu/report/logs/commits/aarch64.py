"""Lines of Spike's log for AArch64 (AAPCS64); see `emu.report.logs.commits.layout`."""

from emu.isa.status import FS_DIRTY, SSTATUS_WRITE
from emu.report.logs.commits.layout import (
    ACCESS,
    ADDRESS_OF_ACCESS,
    COPIED,
    ENTRY_SIZE,
    HEAD_SIZE,
    LABEL,
    LENGTH_OF_HEAD,
    MOST_ACCESSES,
    PRIVILEGE_IN_HEAD,
    SOURCE,
    STATUS,
    STORE,
    TIME_OF_ACCESS,
    TIME_OF_WRITE,
    VALUE_OF_ACCESS,
    VALUE_OF_WRITE,
    WRITE,
    Answer,
    Flag,
    Shared,
)


def _at(word: Shared) -> str:
    return f"[x0, #{8 * word}]"


MAKE_DIGITS = """
    rev x15, x15
    fmov d0, x15
    ushr v1.8b, v0.8b, #4
    and v0.8b, v0.8b, v5.8b
    zip1 v1.16b, v1.16b, v0.16b
    tbl v1.16b, {v4.16b}, v1.16b
"""
"""x15 in 16 digits, in q1; q4 has the digits, q5 is 0x0f in each byte. Uses q0."""
DIGITS = f"""
{MAKE_DIGITS}
    str q1, [x7]
"""
"""Writes them to where x7 points."""


# x1: the entry; x2: instret; x3 to x4: writes; x5 to x6: accesses; x7: output; x8: instructions left; w9: flags;
# x10: the register or -1; x11: its value; x12, x13: behind the writes and accesses of the instruction.
CODE = f"""
    ldr x2, {_at(Shared.INSTRET)}
    ldr x3, {_at(Shared.WRITES)}
    ldr x4, {_at(Shared.WRITES_END)}
    ldr x5, {_at(Shared.ACCESSES)}
    ldr x6, {_at(Shared.ACCESSES_END)}
    ldr x7, {_at(Shared.OUTPUT)}
    ldr x1, {_at(Shared.ENTRY)}
    ldr x8, {_at(Shared.LEFT)}
    ldr q5, [x0, #{8 * Shared.CONSTANTS}]
    ldr q4, [x0, #{8 * Shared.CONSTANTS + 48}]
instruction:
    cbz x8, block
    ldrh w9, [x1, #14]
    ldr x15, {_at(Shared.STOP_AT)}
    cmp x2, x15
    b.hs python
    tst w9, #{int(Flag.PYTHON)}
    b.ne python
    ldr x15, {_at(Shared.OUTPUT_LIMIT)}
    cmp x7, x15
    b.hi full
old_write:
    cmp x3, x4
    b.hs seen_writes
    ldr x15, [x3, #{TIME_OF_WRITE}]
    cmp x15, x2
    b.hs seen_writes
    add x3, x3, #{WRITE}
    b old_write
seen_writes:
    mov x12, x3
    mov x10, #-1
    cmp x3, x4
    b.hs seen_write
    ldr x15, [x3, #{TIME_OF_WRITE}]
    cmp x15, x2
    b.ne seen_write
    ldrb w10, [x3]
    ldr x15, {_at(Shared.PLAIN)}
    cmp x10, x15
    b.hs python
same_write:
    ldr x11, [x12, #{VALUE_OF_WRITE}]
    add x12, x12, #{WRITE}
    cmp x12, x4
    b.hs seen_write
    ldr x15, [x12, #{TIME_OF_WRITE}]
    cmp x15, x2
    b.ne seen_write
    ldrb w15, [x12]
    cmp w15, w10
    b.ne python
    b same_write
seen_write:
    mov x13, x5
    tst w9, #{int(Flag.ACCESSES)}
    b.eq seen_all
old_access:
    cmp x5, x6
    b.hs no_access
    ldr x15, [x5, #{TIME_OF_ACCESS}]
    cmp x15, x2
    b.hs no_older
    add x5, x5, #{ACCESS}
    b old_access
no_older:
    mov x13, x5
    b.ne no_access
    mov x14, #0
another:
    add x14, x14, #1
    cmp x14, #{MOST_ACCESSES}
    b.hi python
    add x13, x13, #{ACCESS}
    cmp x13, x6
    b.hs seen_all
    ldr x15, [x13, #{TIME_OF_ACCESS}]
    cmp x15, x2
    b.eq another
    b seen_all
no_access:
    mov x13, x5
    tst w9, #{int(Flag.SC)}
    b.eq python
seen_all:
    mov x3, x12
    tst w9, #{int(Flag.STATUS)}
    b.eq written
    ldr x15, {_at(Shared.KNOWS_STATUS)}
    cbz x15, written
    ldr x14, {_at(Shared.REGISTERS)}
    ubfx x15, x9, #{SOURCE}, #5
    tst w9, #{int(Flag.IMMEDIATE)}
    b.ne operand
    ldr x15, [x14, x15, lsl #3]
operand:
    ldr x16, [x14, #{STATUS}]
    movz w17, #{SSTATUS_WRITE >> 16:#x}, lsl #16
    movk w17, #{SSTATUS_WRITE & 0xFFFF:#x}
    and x15, x15, x17
    tst w9, #{int(Flag.CLEARS)}
    b.ne clear
    tst w9, #{int(Flag.SETS)}
    b.ne set
    bic x16, x16, x17
set:
    orr x16, x16, x15
    b changed
clear:
    bic x16, x16, x15
changed:
    str x16, [x14, #{STATUS}]
    mvn x16, x16
    tst x16, #{FS_DIRTY}
    mov x15, #64
    mov x16, #32
    csel x15, x15, x16, eq
    str x15, {_at(Shared.PLAIN)}
written:
    tbnz x10, #63, hidden
    ldr x15, {_at(Shared.REGISTERS)}
    str x11, [x15, x10, lsl #3]
hidden:
    tst w9, #{int(Flag.HIDDEN)}
    b.ne silent
    ldr x15, {_at(Shared.SHOW_FROM)}
    cmp x2, x15
    b.lo silent
    ldr x14, {_at(Shared.WRITES_PC)}
    cbz x14, template
    ldr q0, [x0, #{8 * Shared.HEAD}]
    str q0, [x7]
    ldr x16, {_at(Shared.PRIVILEGE)}
    strb w16, [x7, #{PRIVILEGE_IN_HEAD}]
    add x7, x7, #{LENGTH_OF_HEAD}
    ldr x15, {_at(Shared.PC)}
{DIGITS}
    add x7, x7, #16
template:
    ldr x14, [x1]
    ldr w15, [x1, #8]
    mov x16, #0
copy:
    ldr q0, [x14, x16]
    str q0, [x7, x16]
    add x16, x16, #{COPIED}
    cmp x16, x15
    b.lo copy
    ldr x14, {_at(Shared.WRITES_PC)}
    cbnz x14, copied
    ldrh w14, [x1, #12]
    ldr x16, {_at(Shared.PRIVILEGE)}
    strb w16, [x7, x14]
copied:
    add x7, x7, x15
    tbnz x10, #63, access
    ldr x15, {_at(Shared.NAMES)}
    ldr x15, [x15, x10, lsl #3]
    str x15, [x7]
    add x7, x7, #{LABEL}
    mov x15, x11
{DIGITS}
    add x7, x7, #16
access:
    cmp x5, x13
    b.hs end
    ldrb w14, [x5]
    tst w14, #{STORE}
    b.ne told
    tst w9, #{int(Flag.SC)}
    b.ne next_access
told:
    ldr x15, {_at(Shared.MEMORY)}
    str x15, [x7]
    add x7, x7, #{LABEL}
    ldr x15, [x5, #{ADDRESS_OF_ACCESS}]
{DIGITS}
    add x7, x7, #16
    tst w14, #{STORE}
    b.eq next_access
    mov w15, #0x3020
    movk w15, #0x78, lsl #16
    str w15, [x7]
    add x7, x7, #3
    and w14, w14, #3
    mov w16, #1
    lsl w14, w16, w14
    lsl w16, w14, #3
    neg w16, w16
    ldr x15, [x5, #{VALUE_OF_ACCESS}]
    lsl x15, x15, x16
{DIGITS}
    add x7, x7, x14, lsl #1
next_access:
    add x5, x5, #{ACCESS}
    b access
end:
    tst w9, #{int(Flag.STATUS)}
    b.eq ended
    ldr x15, {_at(Shared.KNOWS_STATUS)}
    cbz x15, ended
    ldr q0, [x0, #{8 * Shared.STATUS_NAME}]
    str q0, [x7], #16
    ldr x15, {_at(Shared.REGISTERS)}
    ldr x15, [x15, #{STATUS}]
    mvn x16, x15
    tst x16, #{FS_DIRTY}
    b.ne clean
    orr x15, x15, #{1 << 63:#x}
clean:
{DIGITS}
    add x7, x7, #16
ended:
    mov w15, #10
    strb w15, [x7], #1
silent:
    ldr x15, {_at(Shared.PC)}
    ubfx x14, x9, #{int(Flag.LONG).bit_length() - 1}, #1
    add x14, x14, #1
    add x15, x15, x14, lsl #1
    str x15, {_at(Shared.PC)}
    mov x5, x13
    add x2, x2, #1
    add x1, x1, #{ENTRY_SIZE}
    sub x8, x8, #1
    b instruction
block:
    ldr x2, {_at(Shared.BLOCK_END)}
next_word:
    ldr x14, {_at(Shared.WORDS)}
    ldr x15, {_at(Shared.WORDS_END)}
    cmp x14, x15
    b.hs done
    ldr w10, [x14], #4
    tbz w10, #31, number
    str x14, {_at(Shared.WORDS)}
    b next_word
number:
    mov x11, #0
    cmp x14, x15
    b.lo look
    ldr x15, {_at(Shared.IS_LAST)}
    cbz x15, done
    b whole
look:
    ldr w15, [x14]
    tbz w15, #31, whole
    add x14, x14, #4
    lsl w15, w15, #1
    asr w15, w15, #1
    sxtw x11, w15
whole:
    ldr x15, {_at(Shared.TABLE_SIZE)}
    cmp x10, x15
    b.hs unknown
    ldr x15, {_at(Shared.TABLE)}
    ldr x12, [x15, x10, lsl #3]
    cbz x12, unknown
    ldr x15, {_at(Shared.MODE_AT)}
    cmp x2, x15
    b.hs mode
    str x14, {_at(Shared.WORDS)}
    str x10, {_at(Shared.BLOCK)}
    ldr w15, [x12]
    sub x15, x15, x11
    add x14, x2, x15
    str x14, {_at(Shared.BLOCK_END)}
    ldr w8, [x12, #4]
    cmp x15, x8
    csel x8, x15, x8, lt
    cmp x8, #0
    csel x8, xzr, x8, lt
    ldr x15, [x12, #8]
    cbnz x15, digit
    ldr x15, {_at(Shared.SUPERVISOR)}
digit:
    str x15, {_at(Shared.PRIVILEGE)}
    ldr x15, [x12, #16]
    str x15, {_at(Shared.PC)}
    add x1, x12, #{HEAD_SIZE}
    b instruction
done:
    mov x15, #{Answer.DONE}
    b leave
full:
    mov x15, #{Answer.FULL}
    b leave
python:
    mov x15, #{Answer.INSTRUCTION}
    b leave
unknown:
    mov x15, #{Answer.BLOCK}
    b leave
mode:
    mov x15, #{Answer.MODE}
leave:
    str x2, {_at(Shared.INSTRET)}
    str x3, {_at(Shared.WRITES)}
    str x5, {_at(Shared.ACCESSES)}
    str x7, {_at(Shared.OUTPUT)}
    str x1, {_at(Shared.ENTRY)}
    str x8, {_at(Shared.LEFT)}
    mov x0, x15
    ret
"""
