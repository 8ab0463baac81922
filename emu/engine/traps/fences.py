"""`sfence.vma` of one address in native code, for the guest's model.

It is a part of the function of `emu.engine.traps.returns`, which has found the instruction among those that the guest
has named, and S mode executing. Left to the guest are TVM, and addresses that a leaf of more than a page may map.
"""

from emu.engine.fills.table import BITS, ENTRIES, LARGE, LARGE_PLACES, SLOTS
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE
from emu.engine.window import Word
from emu.isa.csrs import Csr
from emu.isa.status import Status

_TVM = int(Status.TVM)
_SHIFTS = range(21, 49, 9)
"""Of what leaves of more than a page map, in Sv57: see `Translations.note_large`."""
_OF_ACCESS = 16 << BITS
"""Octets of the table for each kind of access."""
AHEAD_SHIFT, REGISTER_SHIFT = 8, 1
"""Where a word about such an instruction has how many instructions of its block have not retired, itself among them,
and the number of the register with the address. Bit 0 is set."""


def about(ahead: int, register: int) -> int:
    """The word about such an instruction."""
    return ahead << AHEAD_SHIFT | register << REGISTER_SHIFT | 1


X86_64 = f"""
fence:
    mov r10, [rax+{8 * Slot.MODEL}]
    test dword ptr [r10+{8 * Csr.MSTATUS}], {_TVM}
    jnz python
    cmp qword ptr [rax+{8 * Slot.BLOCK_LENGTH}], 0
    je python
    mov r8, [rax+{8 * Slot.TRANSLATIONS}]
    movzx r11d, cl
    shr r11d, {REGISTER_SHIFT}
    mov r11, [r9+r11*8]
    push rcx
    mov ecx, {_SHIFTS.start}
fence_large:
    mov r10, r11
    shr r10, cl
    mov rsi, r10
    shr rsi, 12
    xor r10, rsi
    xor r10d, ecx
    and r10d, {LARGE_PLACES - 1}
    cmp byte ptr [r8+r10+{8 * LARGE}], 0
    jne fence_asks
    add ecx, {_SHIFTS.step}
    cmp ecx, {_SHIFTS.stop}
    jb fence_large
    pop rcx
    mov r10, r11
    shr r10, 12
    mov rsi, r10
    shr rsi, {BITS}
    xor r10, rsi
    and r10d, {SLOTS - 1}
    shl r10d, 4
    add r10, r8
    mov qword ptr [r10+{8 * ENTRIES}], 0
    mov qword ptr [r10+{8 * ENTRIES + _OF_ACCESS}], 0
    mov qword ptr [r10+{8 * ENTRIES + 2 * _OF_ACCESS}], 0
    shr rcx, {AHEAD_SHIFT}
    dec rcx
    sub [rax+{8 * Slot.COUNT}], rcx
    mov rcx, [r9+{8 * Word.PC}]
    mov [rax+{8 * Slot.BLOCK_PC}], rcx
    mov qword ptr [rax+{8 * Slot.BLOCK_LENGTH}], 0
    inc qword ptr [rax+{8 * Slot.FENCES}]
    lea rdi, [r9-{CORE_STATE["x86_64"]}]
    mov rsi, r11
    and rsi, -4096
    jmp qword ptr [rax+{8 * Slot.FORGET_PAGE}]
fence_asks:
    pop rcx
    mov esi, 2
    jmp python
"""
"""rax are the slots, rcx is the word about the instruction, r9 the state."""

AARCH64 = f"""
fence:
    ldr x12, [x9, #{8 * Slot.MODEL}]
    ldr x12, [x12, #{8 * Csr.MSTATUS}]
    tbnz x12, #{_TVM.bit_length() - 1}, python
    ldr x12, [x9, #{8 * Slot.BLOCK_LENGTH}]
    cbz x12, python
    ldr x14, [x9, #{8 * Slot.TRANSLATIONS}]
    ubfx x15, x13, #{REGISTER_SHIFT}, #5
    ldr x15, [x11, x15, lsl #3]
    mov w16, #{_SHIFTS.start}
    movz x17, #{8 * LARGE & 0xFFFF}
    movk x17, #{8 * LARGE >> 16}, lsl #16
    add x17, x17, x14
fence_large:
    lsr x12, x15, x16
    eor x12, x12, x12, lsr #12
    eor x12, x12, x16
    and x12, x12, #{LARGE_PLACES - 1:#x}
    ldrb w12, [x17, x12]
    cbnz w12, python
    add w16, w16, #{_SHIFTS.step}
    cmp w16, #{_SHIFTS.stop}
    b.lo fence_large
    lsr x12, x15, #12
    eor x12, x12, x12, lsr #{BITS}
    and x12, x12, #{SLOTS - 1:#x}
    add x14, x14, x12, lsl #4
    str xzr, [x14, #{8 * ENTRIES}]
    mov x16, #{_OF_ACCESS}
    add x14, x14, x16
    str xzr, [x14, #{8 * ENTRIES}]
    add x14, x14, x16
    str xzr, [x14, #{8 * ENTRIES}]
    lsr x13, x13, #{AHEAD_SHIFT}
    sub x13, x13, #1
    ldr x12, [x9, #{8 * Slot.COUNT}]
    sub x12, x12, x13
    str x12, [x9, #{8 * Slot.COUNT}]
    ldr x12, [x11, #{8 * Word.PC}]
    str x12, [x9, #{8 * Slot.BLOCK_PC}]
    str xzr, [x9, #{8 * Slot.BLOCK_LENGTH}]
    ldr x12, [x9, #{8 * Slot.FENCES}]
    add x12, x12, #1
    str x12, [x9, #{8 * Slot.FENCES}]
    mov x12, #{CORE_STATE["aarch64"]}
    sub x0, x11, x12
    and x1, x15, #0xfffffffffffff000
    ldr x9, [x9, #{8 * Slot.FORGET_PAGE}]
    br x9
"""
"""x9 are the slots, x11 is the state, x13 the word about the instruction."""
