"""`sret` of the guest's model in native code, where nothing comes of it but a change of privilege; and fences.

The core has no privileges of the model's and raises an exception for `sret` and `sfence.vma`. The guest says which
instructions these are, by their block and place in it, and has this on while S mode executes and nobody wants to be
told of returns. What needs the model is left to it: an interrupt that is due, MPRV, TSR, a translation context that has
no number yet.
"""

import ctypes

from emu.buffers import words_type
from emu.engine.csrs.layout import LINES
from emu.engine.fills.table import CONTEXT, MARK, NUMBERS, PERMISSION_TABLES, PERMISSIONS
from emu.engine.slots import Slot
from emu.engine.traps import fences
from emu.engine.traps.entries import SEEN_SHIFT
from emu.engine.window import Word
from emu.isa.csrs import Csr
from emu.isa.status import Status

_ILLEGAL = 2
"""The exception's number."""
_PLACES = 256
_BLOCK_SHIFT = 12
_SIE, _SPIE, _SPP = (int(bit).bit_length() - 1 for bit in (Status.SIE, Status.SPIE, Status.SPP))
_REFUSED = int(Status.TSR | Status.MPRV)
_CLEARED = int(Status.SIE | Status.SPP)
_PC, _PRIVILEGE, _RESERVATION = 8 * Word.PC, 8 * Word.PRIVILEGE, 8 * Word.LOAD_RESERVATION

X86_64 = f"""
    cmp esi, {_ILLEGAL}
    jne python
    mov r8, [rax+{8 * Slot.RETURNS}]
    test r8, r8
    jz python
    mov rcx, [rax+{8 * Slot.BLOCK}]
    test rcx, rcx
    jz python
    mov r9, [rdx+16]
    mov r10, [r9+{_PC}]
    sub r10, 4
    sub r10, [rax+{8 * Slot.BLOCK_PC}]
    and r10d, 0xfff
    mov r11d, ecx
    and r11d, {_PLACES - 1}
    shl r11d, 4
    add r8, r11
    shl rcx, {_BLOCK_SHIFT}
    or rcx, r10
    cmp [r8], rcx
    jne python
    cmp qword ptr [r9+{_PRIVILEGE}], 1
    jne python
    mov rcx, [r8+8]
    test rcx, rcx
    jnz fence
    mov r10, [rax+{8 * Slot.MODEL}]
    mov r11, [r10+{8 * Csr.MSTATUS}]
    test r11d, {_REFUSED}
    jnz python
    mov rcx, [r10+{8 * Csr.MIP}]
    or rcx, [r10+{8 * LINES}]
    test rcx, [r10+{8 * Csr.MIE}]
    jnz python
    mov r8, [rax+{8 * Slot.TRANSLATIONS}]
    mov rax, r11
    shr rax, {_SPP}
    and eax, 1
    mov rcx, r11
    shr rcx, {_SPIE - _SIE}
    and ecx, {int(Status.SIE)}
    and r11, {~_CLEARED}
    or r11, rcx
    or r11, {int(Status.SPIE)}
    test eax, eax
    jnz returns
    cmp qword ptr [r8+{8 * CONTEXT}], 0
    je returns
    mov rcx, r11
    shr rcx, {SEEN_SHIFT}
    and ecx, 6
    cmp qword ptr [r8+rcx*8+{8 * NUMBERS}], 0
    je python
    mov rdx, [r8+rcx*8+{8 * NUMBERS}]
    mov [r8+{8 * CONTEXT}], rdx
    shl ecx, 8
    add rcx, [r8+{8 * PERMISSION_TABLES}]
    mov [r8+{8 * PERMISSIONS}], rcx
    mov qword ptr [r8+{8 * MARK}], 0
returns:
    mov [r10+{8 * Csr.MSTATUS}], r11
    mov [r9+{_PRIVILEGE}], rax
    mov rcx, [r10+{8 * Csr.SEPC}]
    mov [r9+{_PC}], rcx
    mov qword ptr [r9+{_RESERVATION}], -1
    ret
    {fences.X86_64}
python:
"""
"""Of the function that gets an exception: rsi is its number, rdx three words, rax the slots (`calls.alone`)."""

AARCH64 = f"""
    cmp w1, #{_ILLEGAL}
    b.ne python
    ldr x10, [x9, #{8 * Slot.RETURNS}]
    cbz x10, python
    ldr x13, [x9, #{8 * Slot.BLOCK}]
    cbz x13, python
    ldr x11, [x2, #16]
    ldr x12, [x11, #{_PC}]
    sub x12, x12, #4
    ldr x14, [x9, #{8 * Slot.BLOCK_PC}]
    sub x12, x12, x14
    and x12, x12, #0xfff
    orr x12, x12, x13, lsl #{_BLOCK_SHIFT}
    and x13, x13, #{_PLACES - 1}
    add x13, x10, x13, lsl #4
    ldp x14, x13, [x13]
    cmp x12, x14
    b.ne python
    ldr x12, [x11, #{_PRIVILEGE}]
    cmp x12, #1
    b.ne python
    cbnz x13, fence
    ldr x12, [x9, #{8 * Slot.MODEL}]
    ldr x13, [x12, #{8 * Csr.MSTATUS}]
    movz w14, #{_REFUSED >> 16}, lsl #16
    tst w13, w14
    b.ne python
    ldr x14, [x12, #{8 * Csr.MIP}]
    ldr x15, [x12, #{8 * LINES}]
    orr x14, x14, x15
    ldr x15, [x12, #{8 * Csr.MIE}]
    tst x14, x15
    b.ne python
    ubfx x14, x13, #{_SPP}, #1
    ubfx x15, x13, #{_SPIE}, #1
    mov x16, #{_CLEARED}
    bic x13, x13, x16
    orr x13, x13, x15, lsl #{_SIE}
    orr x13, x13, #{int(Status.SPIE)}
    cbnz x14, returns
    ldr x15, [x9, #{8 * Slot.TRANSLATIONS}]
    ldr x16, [x15, #{8 * CONTEXT}]
    cbz x16, returns
    lsr x16, x13, #{SEEN_SHIFT}
    and x16, x16, #6
    movz x17, #{8 * NUMBERS & 0xFFFF}
    movk x17, #{8 * NUMBERS >> 16}, lsl #16
    add x17, x17, x15
    ldr x17, [x17, x16, lsl #3]
    cbz x17, python
    str x17, [x15, #{8 * CONTEXT}]
    ldr x17, [x15, #{8 * PERMISSION_TABLES}]
    add x17, x17, x16, lsl #8
    str x17, [x15, #{8 * PERMISSIONS}]
    str xzr, [x15, #{8 * MARK}]
returns:
    str x13, [x12, #{8 * Csr.MSTATUS}]
    str x14, [x11, #{_PRIVILEGE}]
    ldr x13, [x12, #{8 * Csr.SEPC}]
    str x13, [x11, #{_PC}]
    mov x13, #-1
    str x13, [x11, #{_RESERVATION}]
    ret
    {fences.AARCH64}
python:
"""
"""The same: w1 is the number, x2 the words, x9 the slots."""


class Returns:
    """What native code knows of one core's instructions."""

    def __init__(self, slots: memoryview) -> None:
        self._slots = slots
        self._memory = words_type(2 * _PLACES)()
        self._words = memoryview(self._memory).cast("B").cast("Q")

    def note(self, block: int, place: int, word: int) -> None:
        """At an offset from its start, below 4096, a block has an instruction: 0 for `sret`, or see `fences.about`."""
        entry = 2 * (block % _PLACES)
        self._words[entry], self._words[entry + 1] = block << _BLOCK_SHIFT | place, word

    def serve(self, on: bool) -> None:
        """Whether native code carries them out from now on: S mode executes, and nobody wants to be told."""
        self._slots[Slot.RETURNS] = ctypes.addressof(self._memory) if on else 0
