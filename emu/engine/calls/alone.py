"""Calls of guest functions in one native step: the core executes, and Python is asked nothing until it has stopped.

Registers are saved, arguments passed, the function executed and the registers put back by native code. While it lasts
nobody calls Python: whatever needs it leaves a note (`Note`) in the slot ALONE and stops the core, which is
then run on in the usual way. So no handler of a signal can run, and raise, in the middle of a call.
"""

import ctypes

from emu.engine import library, native
from emu.engine.calls import frame as layout
from emu.engine.calls.frame import Frame
from emu.engine.guest import NUMBER_SHIFT, RETURN_ADDRESS, Note
from emu.engine.library import Handle
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.traps import entries, returns
from emu.engine.window import Word

REGISTERS = Word.PC + 1
"""Words that are saved: integer and floating-point registers and pc, at the beginning of the state."""
_A0, _FA0 = 10, Word.F0 + 10
_PAGE_FAULT = 12
"""The number of an exception: an instruction cannot be fetched."""
_PC, _ALONE, _STOP = 8 * Word.PC, 8 * Slot.ALONE, 8 * Slot.STOP
_RETURN_MOVED = (RETURN_ADDRESS >> 48, RETURN_ADDRESS >> 32 & 0xFFFF, RETURN_ADDRESS >> 16 & 0xFFFF)


def _return_address(register: str) -> str:
    """AArch64 code that loads RETURN_ADDRESS."""
    high, middle, low = _RETURN_MOVED
    return f"movz {register}, #{high}, lsl #48\n movk {register}, #{middle}, lsl #32\n movk {register}, #{low}, lsl #16"


# The address of the frame.
CALL = Probe(
    "call_alone",
    x86_64=f"""
    push rbx
    push r12
    push r13
    cld
    mov rbx, rdi
    mov r12, [rbx+{8 * layout.STATE}]
    mov r13, [rbx+{8 * layout.SLOTS}]
    mov rsi, r12
    lea rdi, [rbx+{8 * layout.SAVED}]
    mov ecx, {REGISTERS}
    rep movsq
    lea rsi, [rbx+{8 * layout.INTEGERS}]
    lea rdi, [r12+{8 * _A0}]
    mov rcx, [rbx+{8 * layout.GIVEN}]
    rep movsq
    lea rsi, [rbx+{8 * layout.IN_FLOATS}]
    lea rdi, [r12+{8 * _FA0}]
    mov rcx, [rbx+{8 * layout.FLOATS}]
    rep movsq
    mov rax, {RETURN_ADDRESS:#x}
    mov [r12+8], rax
    mov rsi, [rbx+{8 * layout.FUNCTION}]
    mov [r12+{_PC}], rsi
    mov qword ptr [r13+{8 * Slot.HIT}], 0
    mov qword ptr [r13+{_ALONE}], {Note.ALONE}
    mov rdi, [rbx+{8 * layout.ENGINE}]
    xor edx, edx
    xor ecx, ecx
    xor r8d, r8d
    call qword ptr [rbx+{8 * layout.START}]
    mov eax, eax
    mov [rbx+{8 * layout.ERROR}], rax
    mov rax, [r13+{_ALONE}]
    mov qword ptr [r13+{_ALONE}], 0
    test eax, {Note.RETURNED}
    jz left
    mov rcx, {RETURN_ADDRESS:#x}
    cmp [r12+{_PC}], rcx
    jne left
    mov [r13+{8 * Slot.BLOCK_PC}], rcx
    mov qword ptr [r13+{8 * Slot.BLOCK_LENGTH}], 0
    mov rdx, [r12+{8 * _A0}]
    mov [rbx+{8 * layout.RESULTS}], rdx
    mov rdx, [r12+{8 * (_A0 + 1)}]
    mov [rbx+{8 * (layout.RESULTS + 1)}], rdx
    mov rdx, [r12+{8 * _FA0}]
    mov [rbx+{8 * (layout.RESULTS + 2)}], rdx
    mov rdx, [r12+{8 * (_FA0 + 1)}]
    mov [rbx+{8 * (layout.RESULTS + 3)}], rdx
    lea rsi, [rbx+{8 * layout.SAVED}]
    mov rdi, r12
    mov ecx, {REGISTERS}
    rep movsq
    mov qword ptr [r12+{8 * Word.LOAD_RESERVATION}], -1
    mov eax, {Note.RETURNED}
left:
    mov [rbx+{8 * layout.DONE}], rax
    pop r13
    pop r12
    pop rbx
    ret
""",
    aarch64=f"""
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    str x21, [sp, #32]
    mov x19, x0
    ldr x20, [x19, #{8 * layout.STATE}]
    ldr x21, [x19, #{8 * layout.SLOTS}]
    add x9, x19, #{8 * layout.SAVED}
    mov x10, x20
    mov w11, #{REGISTERS}
save:
    ldr x12, [x10], #8
    str x12, [x9], #8
    subs w11, w11, #1
    b.ne save
    add x9, x19, #{8 * layout.INTEGERS}
    add x10, x20, #{8 * _A0}
    ldr x11, [x19, #{8 * layout.GIVEN}]
    cbz x11, given
give:
    ldr x12, [x9], #8
    str x12, [x10], #8
    subs x11, x11, #1
    b.ne give
given:
    add x9, x19, #{8 * layout.IN_FLOATS}
    add x10, x20, #{8 * _FA0}
    ldr x11, [x19, #{8 * layout.FLOATS}]
    cbz x11, ready
float:
    ldr x12, [x9], #8
    str x12, [x10], #8
    subs x11, x11, #1
    b.ne float
ready:
    {_return_address("x9")}
    str x9, [x20, #8]
    ldr x1, [x19, #{8 * layout.FUNCTION}]
    str x1, [x20, #{_PC}]
    str xzr, [x21, #{8 * Slot.HIT}]
    mov x9, #{Note.ALONE}
    str x9, [x21, #{_ALONE}]
    ldr x0, [x19, #{8 * layout.ENGINE}]
    mov x2, #0
    mov x3, #0
    mov x4, #0
    ldr x9, [x19, #{8 * layout.START}]
    blr x9
    mov w0, w0
    str x0, [x19, #{8 * layout.ERROR}]
    ldr x0, [x21, #{_ALONE}]
    str xzr, [x21, #{_ALONE}]
    tst x0, #{Note.RETURNED}
    b.eq left
    {_return_address("x9")}
    ldr x10, [x20, #{_PC}]
    cmp x9, x10
    b.ne left
    str x9, [x21, #{8 * Slot.BLOCK_PC}]
    str xzr, [x21, #{8 * Slot.BLOCK_LENGTH}]
    ldr x9, [x20, #{8 * _A0}]
    str x9, [x19, #{8 * layout.RESULTS}]
    ldr x9, [x20, #{8 * (_A0 + 1)}]
    str x9, [x19, #{8 * (layout.RESULTS + 1)}]
    ldr x9, [x20, #{8 * _FA0}]
    str x9, [x19, #{8 * (layout.RESULTS + 2)}]
    ldr x9, [x20, #{8 * (_FA0 + 1)}]
    str x9, [x19, #{8 * (layout.RESULTS + 3)}]
    add x9, x19, #{8 * layout.SAVED}
    mov x10, x20
    mov w11, #{REGISTERS}
restore:
    ldr x12, [x9], #8
    str x12, [x10], #8
    subs w11, w11, #1
    b.ne restore
    mov x9, #-1
    str x9, [x20, #{8 * Word.LOAD_RESERVATION}]
    mov x0, #{Note.RETURNED}
left:
    str x0, [x19, #{8 * layout.DONE}]
    ldr x21, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
    ret
""",
)

# The engine, the number of the exception, and three words: Python's callback, the slots, the state.
EXCEPTION = Probe(
    "exception_alone",
    x86_64=f"""
    mov rax, [rdx+8]
    test byte ptr [rax+{_ALONE}], {Note.ALONE}
    jnz alone
    {entries.X86_64}
    {returns.X86_64}
    jmp qword ptr [rdx]
alone:
    mov ecx, esi
    shl rcx, {NUMBER_SHIFT}
    or rcx, {Note.EXCEPTION}
    cmp esi, {_PAGE_FAULT}
    jne noted
    mov r8, {RETURN_ADDRESS + 4:#x}
    mov r9, [rdx+16]
    cmp [r9+{_PC}], r8
    jne noted
    sub r8, 4
    mov [r9+{_PC}], r8
    mov ecx, {Note.RETURNED}
noted:
    or [rax+{_ALONE}], rcx
    jmp qword ptr [rax+{_STOP}]
""",
    aarch64=f"""
    ldr x9, [x2, #8]
    ldr x10, [x9, #{_ALONE}]
    tbnz w10, #0, alone
    {entries.AARCH64}
    {returns.AARCH64}
    ldr x9, [x2]
    br x9
alone:
    mov w11, w1
    lsl x11, x11, #{NUMBER_SHIFT}
    orr x11, x11, #{Note.EXCEPTION}
    cmp w1, #{_PAGE_FAULT}
    b.ne noted
    ldr x12, [x2, #16]
    {_return_address("x13")}
    ldr x14, [x12, #{_PC}]
    sub x14, x14, #4
    cmp x13, x14
    b.ne noted
    str x13, [x12, #{_PC}]
    mov x11, #{Note.RETURNED}
noted:
    orr x10, x10, x11
    str x10, [x9, #{_ALONE}]
    ldr x9, [x9, #{_STOP}]
    br x9
""",
)

# The engine, and the same words.
INVALID = Probe(
    "invalid_alone",
    x86_64=f"""
    mov rax, [rsi+8]
    test byte ptr [rax+{_ALONE}], {Note.ALONE}
    jnz alone
    jmp qword ptr [rsi]
alone:
    or qword ptr [rax+{_ALONE}], {Note.BREAKPOINT}
    sub rsp, 8
    call qword ptr [rax+{_STOP}]
    add rsp, 8
    mov eax, 1
    ret
""",
    aarch64=f"""
    ldr x9, [x1, #8]
    ldr x10, [x9, #{_ALONE}]
    tbnz w10, #0, alone
    ldr x9, [x1]
    br x9
alone:
    orr x10, x10, #{Note.BREAKPOINT}
    str x10, [x9, #{_ALONE}]
    ldr x9, [x9, #{_STOP}]
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    blr x9
    ldp x29, x30, [sp], #16
    mov w0, #1
    ret
""",
)

_Call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class LoneCalls:
    """The calls of one core, whose state and slots lie at these addresses of the host."""

    def __init__(self, handle: Handle, state: int, slots: int, frame: Frame) -> None:
        self._frame, self._words = frame, frame.words
        words = frame.words
        words[layout.START] = library.function_address("uc_emu_start", "")
        words[layout.ENGINE], words[layout.STATE], words[layout.SLOTS] = handle.value or 0, state, slots
        self.call = _Call(native.load(CALL))
        """Given the frame's address calls what the frame says, at most until the deadline; `forget` what was before."""

    @property
    def is_left(self) -> bool:
        """Whether the last call has stopped in the middle."""
        return self._words[layout.DONE] not in (layout.RETURNED, layout.NOT_BEGUN)

    def forget(self) -> None:
        """The last call has been gone on with, or given up."""
        self._words[layout.DONE] = layout.NOT_BEGUN

    @property
    def note(self) -> int:
        """Why the last call has left the core: bits of `Note`."""
        return self._words[layout.DONE]

    @property
    def error(self) -> int:
        """What the engine said then."""
        return self._words[layout.ERROR]

    @property
    def saved_registers(self) -> bytes:
        """The registers before the call, for `HartCore.restore_registers`."""
        return self._frame.octets[8 * layout.SAVED :].tobytes()
