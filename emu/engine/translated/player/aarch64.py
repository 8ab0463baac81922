"""The player for AArch64 (AAPCS64); see `emu.engine.translated.player`."""

from emu.engine.slots import Slot
from emu.engine.translated import layout
from emu.engine.translated.layout import AARCH64 as LAYOUT
from emu.engine.translated.layout import OP_ARGUMENTS, OP_NEXT, OP_PARAMETERS, TEMP_SIZE, Global
from emu.engine.translated.opcodes import OPCODES, TB_EXIT_REQUESTED
from emu.engine.translated.plan import LABELS, TEMPORARIES, Kind, Known, Part
from emu.engine.translated.player.leaving import first_aarch64, second_aarch64
from emu.engine.translated.player.playing_aarch64 import playing
from emu.engine.window import Word

_SAVED = 96
_KNOWN = _SAVED
_TEMPS = _KNOWN + 8 * len(Known)
_LABELS = _TEMPS + 8 * TEMPORARIES
_ZEROED = len(Known) + TEMPORARIES + LABELS
_FIRST = _KNOWN + 8 * _ZEROED
_NEXT, _LAST, _INSTRUCTION, _HOST, _LINK = range(_FIRST + 8, _FIRST + 48, 8)
_FRAME = _FIRST + 48 + 15 & ~15


def _known(known: Known) -> str:
    return f"[sp, #{_KNOWN + 8 * known}]"


def _play(part: Part, *, before: str) -> str:
    return f"""
    ldr x22, [x20, #{8 * part}]
    {before}
    bl play"""


_HERE, _BEHIND = "mov x23, x21", f"ldr x23, [sp, #{_NEXT}]"

# Temporaries that are free by now were in use where a list is played: the player takes none of them, but new ones.
# x19: the context. x20: the plan. x21: an operation of the block. x22: what comes next in a list. x23: the operation
# that operations are written in front of. x24: operands to come. x25: where the next one goes. x26: the frame.
SOURCE = f"""
gen_code:
    mov x9, #{LAYOUT.engine & ~0xFFF}
    add x9, x0, x9
    ldr x9, [x9, #{LAYOUT.engine & 0xFFF}]
    ldr x9, [x9, #{layout.ENGINE_CPU}]
    ldr x9, [x9, #{LAYOUT.env_pointer}]
    ldr x9, [x9, #{8 * Word.RDTIME_FUNCTION}]
    cbz x9, untouched
    ldr x10, [x9, #{8 * Slot.PLAN}]
    cbz x10, untouched
    sub sp, sp, #{_FRAME}
    stp x29, x30, [sp]
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    mov x19, x0
    mov x20, x10
    add x11, sp, #{_KNOWN}
    mov x12, #{_ZEROED}
clear:
    str xzr, [x11], #8
    subs x12, x12, #1
    b.ne clear
    str x1, {_known(Known.BLOCK)}
    add x11, x19, #{LAYOUT.free_temps}
    stp xzr, xzr, [x11]
    stp xzr, xzr, [x11, #16]
    stp xzr, xzr, [x11, #32]
    stp xzr, xzr, [x11, #48]
    mov x22, #0
    mov x11, #{LAYOUT.ops & ~0xFFF}
    add x11, x19, x11
    ldr x21, [x11, #{LAYOUT.ops & 0xFFF}]
look:
    ldrb w12, [x21]
    cmp w12, #{OPCODES["insn_start"]}
    b.eq begins
    cmp w12, #{OPCODES["call"]}
    b.ne look_on
    ldrb w12, [x21, #{OP_PARAMETERS}]
    and x13, x12, #15
    add x13, x13, x12, lsr #4
    add x13, x21, x13, lsl #3
    ldr x13, [x13, #{OP_ARGUMENTS}]
    ldr x14, helper_check_exit_request
    cmp x13, x14
    csel x22, x21, x22, eq
look_on:
    ldr x21, [x21, #{OP_NEXT}]
    cbnz x21, look
    b finish
begins:
    ldr x12, [x11, #{(LAYOUT.ops & 0xFFF) + 8}]
    sub x12, x12, #{OP_NEXT}
    ldrb w13, [x12]
    cmp w13, #{OPCODES["exit_tb"]}
    b.ne finish
    ldr x13, [x12, #{OP_ARGUMENTS}]
    add x14, x1, #{TB_EXIT_REQUESTED}
    cmp x13, x14
    b.ne finish
    str x9, {_known(Known.SLOTS)}
    ldr x12, [x9, #{8 * Slot.SERIAL}]
    add x12, x12, #1
    str x12, [x9, #{8 * Slot.SERIAL}]
    str x12, {_known(Known.SERIAL)}
    ldr x13, [x9, #{8 * Slot.FIRST}]
    ldr x14, [x9, #{8 * Slot.MOST}]
    sub x12, x12, x13
    cmp x12, x14
    csel x12, x14, x12, hi
    str x12, {_known(Known.NUMBER)}
    ldr x12, [x1]
    str x12, {_known(Known.BLOCK_PC)}
    ldrh w12, [x1, #{layout.BLOCK_LENGTH}]
    str x12, {_known(Known.LENGTH)}
    movn x12, #0
    str x12, {_known(Known.POSITION)}
    str x12, [sp, #{_LAST}]
    str x21, [sp, #{_FIRST}]
    cbz x22, unchecked
    mov x0, x19
    mov x1, x22
    ldr x9, tcg_op_remove
    blr x9
unchecked:
    ldr x9, [x20, #{8 * Part.CLASSES}]
    cbz x9, ends
each:
    ldr x10, [x21, #{OP_NEXT}]
    str x10, [sp, #{_NEXT}]
    ldrb w10, [x21]
    ldr x9, [x20, #{8 * Part.CLASSES}]
    ldrb w10, [x9, x10]
    cbz w10, advance
    cmp w10, #{Kind.COMPARISON}
    b.eq is_comparison
    cmp w10, #{Kind.LOAD}
    b.lo is_instruction
    b.eq is_load
    cmp w10, #{Kind.RESULT}
    b.lo is_store
    b.eq is_result
    ldrb w10, [x21, #{OP_PARAMETERS}]
    tst w10, #0xf0
    b.eq advance
is_result:
    ldr x9, [x20, #{8 * Part.WRITTEN}]
    cbz x9, advance
    ldr x9, [x21, #{OP_ARGUMENTS}]
    sub x9, x9, x19
    sub x9, x9, #{LAYOUT.registers}
    cmp x9, #{TEMP_SIZE * (Global.END - Global.X0 - 1)}
    b.hs advance
    mov x10, #{TEMP_SIZE}
    udiv x9, x9, x10
    add x9, x9, #1
    str x9, {_known(Known.REGISTER)}
    ldr x10, {_known(Known.POSITION)}
    orr x10, x9, x10, lsl #8
    ldr x11, [sp, #{_LAST}]
    cmp x10, x11
    b.ne another
    ldr x11, {_known(Known.TAKEN)}
    sub x11, x11, #1
    str x11, {_known(Known.TAKEN)}
another:
    str x10, [sp, #{_LAST}]
    {_play(Part.WRITTEN, before=_BEHIND)}
    b advance
is_instruction:
    str x21, [sp, #{_INSTRUCTION}]
    ldr x10, {_known(Known.POSITION)}
    add x10, x10, #1
    str x10, {_known(Known.POSITION)}
    ldr x11, {_known(Known.LENGTH)}
    sub x11, x11, x10
    str x11, {_known(Known.REMAINING)}
    ldr x10, [x21, #{OP_ARGUMENTS}]
    str x10, {_known(Known.PC)}
    {_play(Part.INSTRUCTION, before=_BEHIND)}
    b advance
is_comparison:
    {_play(Part.BEFORE_COMPARISON, before=_HERE)}
    b advance
is_load:
    bl measure
    {_play(Part.BEFORE_LOAD, before=_HERE)}
    {_play(Part.AFTER_LOAD, before=_BEHIND)}
    b is_result
is_store:
    bl measure
    {_play(Part.BEFORE_STORE, before=_HERE)}
    {_play(Part.AFTER_STORE, before=_BEHIND)}
advance:
    ldr x21, [sp, #{_NEXT}]
    cbnz x21, each{first_aarch64(_known)}
find:
    ldr x21, [sp, #{_INSTRUCTION}]
find_on:
    mov x23, x21
    ldr x21, [x21, #{OP_NEXT}]
    ldrb w9, [x21]
    sub w9, w9, #{OPCODES["exit_tb"]}
    cmp w9, #{OPCODES["goto_ptr"] - OPCODES["exit_tb"]}
    b.hi find_on
    ldr x9, [x21, #{OP_NEXT}]
    cbz x9, ends
    ldrb w9, [x21]
    cmp w9, #{OPCODES["goto_ptr"]}
    csel x23, x23, x21, eq
    bl play{second_aarch64(_known)}
ends:
    ldr x21, [sp, #{_FIRST}]
    {_play(Part.HEAD, before=_HERE)}
    mov x9, #{LAYOUT.ops & ~0xFFF}
    add x9, x19, x9
    ldr x9, [x9, #{(LAYOUT.ops & 0xFFF) + 8}]
    {_play(Part.TAIL, before=f"sub x23, x9, #{OP_NEXT}")}
finish:
    mov x0, x19
    ldr x1, {_known(Known.BLOCK)}
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp]
    add sp, sp, #{_FRAME}
untouched:
    ldr x9, tcg_gen_code
    br x9
fetch:
    str x30, [sp, #{_LINK}]
    mov x9, #{LAYOUT.engine & ~0xFFF}
    add x9, x19, x9
    ldr x9, [x9, #{LAYOUT.engine & 0xFFF}]
    ldr x9, [x9, #{layout.ENGINE_CPU}]
    ldr x0, [x9, #{LAYOUT.env_pointer}]
    add x2, sp, #{_HOST}
    str xzr, [x2]
    ldr x9, get_page_addr_code_hostp
    blr x9
    mov w0, #0
    ldr x9, [sp, #{_HOST}]
    cbz x9, fetched
    ldrh w0, [x9]
fetched:
    ldr x30, [sp, #{_LINK}]
    ret
measure:
    ldr w9, [x21, #{OP_ARGUMENTS + 16}]
    and x10, x9, #15
    str x10, {_known(Known.MMU)}
    ubfx x9, x9, #4, #2
    str x9, {_known(Known.SIZE)}
    mov x10, #1
    lsl x11, x10, x9
    sub x12, x11, #1
    str x12, {_known(Known.LAST_BYTE)}
    mov x12, #64
    sub x12, x12, x11
    str x12, {_known(Known.TO_TOP)}
    lsl x11, x10, x11
    sub x11, x11, #1
    str x11, {_known(Known.MASK)}
    ret
""" + playing(_KNOWN, _TEMPS, _LABELS)
