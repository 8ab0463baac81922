"""Entry of the handler of an `ecall` in native code, where nothing comes of it but what the manual says.

The core raises an exception for each `ecall`, which Python would be called for. One of U mode that `medeleg` gives to
S mode is entered here while the guest has this on (`ENTRIES` in its slots), because nobody wants to be told. What needs
the guest is left to it: MPRV, a translation context that has no number yet, a trap that comes without an instruction
retired since the last one, and the trap that a run is to end behind.
"""

from emu.engine.fills.table import CONTEXT, MARK, NUMBERS, PERMISSION_TABLES, PERMISSIONS
from emu.engine.slots import Slot
from emu.engine.translated.features.callentries import Table
from emu.engine.translated.features.interrupted import Context
from emu.engine.window import Word
from emu.isa.causes import ExceptionCause
from emu.isa.csrs import Csr
from emu.isa.registers import SP
from emu.isa.status import Status

BY_CORE, BY_MODEL = 1, 2
"""Whose CSRs a trap changes: those in the core's state, or the model's; then contexts change with the privilege."""
CALL = 8
"""The number of the core's exception; for U mode it is the cause, too."""
SEEN_SHIFT = int(Status.SUM).bit_length() - 2
"""How far SUM and MXR stand above their places, bits 1 and 2, in the index of a context (see `NUMBERS`)."""
_SIE = int(Status.SIE).bit_length() - 1
_STACKED_BY = int(Status.SPIE).bit_length() - 1 - _SIE
_CLEARED = int(Status.SIE | Status.SPIE | Status.SPP)
_MPRV = int(Status.MPRV).bit_length() - 1
_SP = 8 * SP
_PC, _PRIVILEGE, _RESERVATION = 8 * Word.PC, 8 * Word.PRIVILEGE, 8 * Word.LOAD_RESERVATION
_MODEL = {name: 8 * int(Csr[name]) for name in ("MSTATUS", "MEDELEG", "SEPC", "SCAUSE", "STVAL", "STVEC", "SATP")}
_CORE = {
    "MSTATUS": 8 * Word.MSTATUS, "MEDELEG": 8 * Word.MEDELEG, "SEPC": 8 * Word.SEPC, "SCAUSE": 8 * Word.SCAUSE,
    "STVAL": 8 * Word.STVAL, "STVEC": 8 * Word.STVEC, "SATP": 8 * Word.SATP,
}  # fmt: skip
assert ExceptionCause.ECALL_FROM_U == CALL


def _x86_64(registers: dict[str, int], base: str, ready: str) -> str:
    """Code for one of both: `ready` looks for the last reasons to leave it to Python, and is done with the context."""
    return f"""
    test byte ptr [{base}+{registers["MEDELEG"] + CALL // 8}], {1 << CALL % 8}
    jz python
    mov r8, [{base}+{registers["MSTATUS"]}]
    bt r8d, {_MPRV}
    jc python
    {ready}
    mov edx, r8d
    and edx, {1 << _SIE}
    shl edx, {_STACKED_BY}
    and r8, {~_CLEARED}
    or r8, rdx
    mov [{base}+{registers["MSTATUS"]}], r8
    mov rdx, [r9+{_PC}]
    sub rdx, 4
    mov [{base}+{registers["SEPC"]}], rdx
    mov qword ptr [{base}+{registers["SCAUSE"]}], {CALL}
    mov qword ptr [{base}+{registers["STVAL"]}], 0
    mov rsi, [{base}+{registers["STVEC"]}]
    mov r8, [{base}+{registers["SATP"]}]
"""


_X86_CONTEXT = f"""
    mov r11, [rax+{8 * Slot.TRANSLATIONS}]
    cmp qword ptr [r11+{8 * CONTEXT}], 0
    je known
    mov rsi, r8
    shr rsi, {SEEN_SHIFT}
    and esi, 6
    cmp qword ptr [r11+rsi*8+{8 * (NUMBERS + 1)}], 0
    je unknown
    mov rdx, [r11+rsi*8+{8 * (NUMBERS + 1)}]
    mov [r11+{8 * CONTEXT}], rdx
    mov edx, esi
    shr edx, 1
    and edx, 1
    mov [r11+{8 * MARK}], rdx
    inc esi
    shl esi, 8
    add rsi, [r11+{8 * PERMISSION_TABLES}]
    mov [r11+{8 * PERMISSIONS}], rsi
known:
"""

X86_64 = f"""
    cmp esi, {CALL}
    jne no_call
    mov r8, [rax+{8 * Slot.ENTRIES}]
    test r8, r8
    jz python
    mov r9, [rdx+16]
    cmp qword ptr [r9+{_PRIVILEGE}], 0
    jne python
    mov rcx, [rax+{8 * Slot.COUNT}]
    dec rcx
    cmp rcx, [rax+{8 * Slot.TRAPPED_AT}]
    je python
    mov r10, [rax+{8 * Slot.TRAPS}]
    inc r10
    cmp r10, [rax+{8 * Slot.LAST_TRAP}]
    je python
    mov r10, [rax+{8 * Slot.KEPT}]
    test r10, r10
    jz has_room
    mov r10, [r10+{8 * Table.CONTEXTS}]
    cmp qword ptr [r10+{8 * Context.COUNT}], {Context.MOST_SEEN}
    jae python
has_room:
    cmp r8d, {BY_CORE}
    je by_core
    mov r10, [rax+{8 * Slot.MODEL}]
    {_x86_64(_MODEL, "r10", _X86_CONTEXT)}
    jmp entered
unknown:
    mov esi, {CALL}
    jmp python
by_core:
    {_x86_64(_CORE, "r9", "")}
entered:
    mov r10, [rax+{8 * Slot.KEPT}]
    test r10, r10
    jz entry_noted
    mov r11, [r10+{8 * Table.INNERMOST}]
    mov rdi, [r10+{8 * Table.OUTERMOST}]
    mov [r10+{8 * Table.INNERMOST}], rdi
    mov r10, [r10+{8 * Table.CONTEXTS}]
    mov [r10+{8 * Context.INTERRUPTED}], r11
    mov rdi, [r10+{8 * Context.COUNT}]
    inc qword ptr [r10+{8 * Context.COUNT}]
    lea rdi, [rdi+rdi*2]
    lea rdi, [r10+rdi*8+{8 * Context.SEEN}]
    mov [rdi+8], r8
    mov [rdi+16], r11
    mov r8, [r9+{_SP}]
    mov [rdi], r8
    shr r8d, {Context.STACK_SHIFT}
    and r8d, {(1 << Context.PLACE_BITS) - 1}
    shl r8d, 5
    add r10, r8
    mov r8, [rdi]
    mov [r10+{8 * Context.PLACES}], r8
    mov r8, [rdi+8]
    mov [r10+{8 * Context.PLACES + 8}], r8
    mov [r10+{8 * Context.PLACES + 16}], r11
entry_noted:
    and rsi, -4
    mov [r9+{_PC}], rsi
    mov qword ptr [r9+{_PRIVILEGE}], 1
    mov qword ptr [r9+{_RESERVATION}], -1
    mov [rax+{8 * Slot.COUNT}], rcx
    mov [rax+{8 * Slot.TRAPPED_AT}], rcx
    mov qword ptr [rax+{8 * Slot.TRAPPED}], 1
    inc qword ptr [rax+{8 * Slot.TRAPS}]
    mov [rax+{8 * Slot.BLOCK_PC}], rsi
    mov qword ptr [rax+{8 * Slot.BLOCK_LENGTH}], 0
    mov qword ptr [rax+{8 * Slot.FIRST_TRAP}], {CALL}
    mov qword ptr [rax+{8 * (Slot.FIRST_TRAP + 1)}], 0
    mov [rax+{8 * (Slot.FIRST_TRAP + 2)}], rdx
    mov qword ptr [rax+{8 * (Slot.FIRST_TRAP + 3)}], 0
    mov qword ptr [rax+{8 * (Slot.FIRST_TRAP + 4)}], 1
    mov [rax+{8 * (Slot.FIRST_TRAP + 5)}], rsi
    ret
no_call:
"""
"""Of the function that gets an exception: esi is its number, rdx three words, rax the slots (`calls.alone`)."""


def _aarch64(registers: dict[str, int], base: str, ready: str) -> str:
    return f"""
    ldr x14, [{base}, #{registers["MEDELEG"]}]
    tbz x14, #{CALL}, python
    ldr x14, [{base}, #{registers["MSTATUS"]}]
    tbnz x14, #{_MPRV}, python
    {ready}
    ubfx x15, x14, #{_SIE}, #1
    mov x16, #{_CLEARED}
    bic x14, x14, x16
    orr x14, x14, x15, lsl #{_SIE + _STACKED_BY}
    str x14, [{base}, #{registers["MSTATUS"]}]
    ldr x14, [x11, #{_PC}]
    sub x14, x14, #4
    str x14, [{base}, #{registers["SEPC"]}]
    mov x15, #{CALL}
    str x15, [{base}, #{registers["SCAUSE"]}]
    str xzr, [{base}, #{registers["STVAL"]}]
    ldr x15, [{base}, #{registers["STVEC"]}]
    ldr x3, [{base}, #{registers["SATP"]}]
"""


_AARCH64_CONTEXT = f"""
    ldr x13, [x9, #{8 * Slot.TRANSLATIONS}]
    ldr x15, [x13, #{8 * CONTEXT}]
    cbz x15, known
    lsr x15, x14, #{SEEN_SHIFT}
    and x15, x15, #6
    movz x16, #{8 * (NUMBERS + 1) & 0xFFFF}
    movk x16, #{8 * (NUMBERS + 1) >> 16}, lsl #16
    add x16, x16, x13
    ldr x16, [x16, x15, lsl #3]
    cbz x16, python
    str x16, [x13, #{8 * CONTEXT}]
    ubfx x16, x15, #1, #1
    str x16, [x13, #{8 * MARK}]
    add x15, x15, #1
    ldr x16, [x13, #{8 * PERMISSION_TABLES}]
    add x15, x16, x15, lsl #8
    str x15, [x13, #{8 * PERMISSIONS}]
known:
"""

AARCH64 = f"""
    cmp w1, #{CALL}
    b.ne no_call
    ldr x13, [x9, #{8 * Slot.ENTRIES}]
    cbz x13, python
    ldr x11, [x2, #16]
    ldr x10, [x11, #{_PRIVILEGE}]
    cbnz x10, python
    ldr x10, [x9, #{8 * Slot.COUNT}]
    sub x10, x10, #1
    ldr x12, [x9, #{8 * Slot.TRAPPED_AT}]
    cmp x10, x12
    b.eq python
    ldr x17, [x9, #{8 * Slot.TRAPS}]
    add x17, x17, #1
    ldr x12, [x9, #{8 * Slot.LAST_TRAP}]
    cmp x17, x12
    b.eq python
    ldr x12, [x9, #{8 * Slot.KEPT}]
    cbz x12, has_room
    ldr x12, [x12, #{8 * Table.CONTEXTS}]
    ldr x12, [x12, #{8 * Context.COUNT}]
    cmp x12, #{Context.MOST_SEEN}
    b.hs python
has_room:
    cmp x13, #{BY_CORE}
    b.eq by_core
    ldr x12, [x9, #{8 * Slot.MODEL}]
    {_aarch64(_MODEL, "x12", _AARCH64_CONTEXT)}
    b entered
by_core:
    {_aarch64(_CORE, "x11", "")}
entered:
    ldr x0, [x9, #{8 * Slot.KEPT}]
    cbz x0, entry_noted
    ldr x1, [x0, #{8 * Table.INNERMOST}]
    ldr x2, [x0, #{8 * Table.OUTERMOST}]
    str x2, [x0, #{8 * Table.INNERMOST}]
    ldr x0, [x0, #{8 * Table.CONTEXTS}]
    str x1, [x0, #{8 * Context.INTERRUPTED}]
    ldr x2, [x0, #{8 * Context.COUNT}]
    add x4, x2, #1
    str x4, [x0, #{8 * Context.COUNT}]
    add x2, x2, x2, lsl #1
    add x2, x0, x2, lsl #3
    add x2, x2, #{8 * Context.SEEN}
    ldr x4, [x11, #{_SP}]
    stp x4, x3, [x2]
    str x1, [x2, #16]
    ubfx x2, x4, #{Context.STACK_SHIFT}, #{Context.PLACE_BITS}
    add x2, x0, x2, lsl #5
    add x2, x2, #{8 * Context.PLACES}
    stp x4, x3, [x2]
    str x1, [x2, #16]
entry_noted:
    and x15, x15, #0xfffffffffffffffc
    str x15, [x11, #{_PC}]
    mov x16, #1
    str x16, [x11, #{_PRIVILEGE}]
    mov x13, #-1
    str x13, [x11, #{_RESERVATION}]
    str x10, [x9, #{8 * Slot.COUNT}]
    str x10, [x9, #{8 * Slot.TRAPPED_AT}]
    str x16, [x9, #{8 * Slot.TRAPPED}]
    str x17, [x9, #{8 * Slot.TRAPS}]
    str x15, [x9, #{8 * Slot.BLOCK_PC}]
    str xzr, [x9, #{8 * Slot.BLOCK_LENGTH}]
    mov x13, #{CALL}
    str x13, [x9, #{8 * Slot.FIRST_TRAP}]
    str xzr, [x9, #{8 * (Slot.FIRST_TRAP + 1)}]
    str x14, [x9, #{8 * (Slot.FIRST_TRAP + 2)}]
    str xzr, [x9, #{8 * (Slot.FIRST_TRAP + 3)}]
    str x16, [x9, #{8 * (Slot.FIRST_TRAP + 4)}]
    str x15, [x9, #{8 * (Slot.FIRST_TRAP + 5)}]
    ret
no_call:
"""
"""The same: w1 is the number, x2 the words, x9 the slots."""
