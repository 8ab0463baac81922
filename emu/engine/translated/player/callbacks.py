"""What stands between the core and Python's callbacks: native code that leaves the core when it is to be left.

Unicorn's translator calls `helper_check_exit_request` behind each load and store, because a refused store, or a stop
that a callback has asked for, would let the block run on. Here the callback leaves by itself, and nothing is called.
A memory callback's pc is exact before it is called, so that nothing has to be restored.
"""

from emu.engine import port
from emu.engine.guest import RETURN_ADDRESS, Note
from emu.engine.slots import Slot
from emu.engine.translated import layout
from emu.engine.window import Word

_WRITE_UNMAPPED, _FETCH_UNMAPPED, _WRITE_PROTECTED, _READ_PROTECTED, _FETCH_PROTECTED = 20, 21, 22, 23, 24
_ERROR_WRITE_UNMAPPED, _ERROR_WRITE_PROTECTED = 7, 12
_CLOCK, _PC = 8 * Word.RDTIME_FUNCTION, 8 * Word.PC

# `late` gets the core's state and the block. `memory` and `code` get what Unicorn gives to such callbacks; their last
# argument is the address of two words: the address of Python's callback, and that of the slots.
X86_64 = f"""
late:
    mov rdx, [rdi+{_CLOCK}]
    movzx eax, word ptr [rsi+{layout.BLOCK_LENGTH}]
    mov rcx, [rdx+{8 * Slot.COUNT}]
    sub rcx, rax
    mov [rdx+{8 * Slot.COUNT}], rcx
    mov r8, [rsi]
    mov [rdi+{_PC}], r8
    cmp dword ptr [rdi-{-layout.ENV_EXIT_REQUEST}], 0
    jl late_done
    add rax, rcx
    cmp rax, [rdx+{8 * Slot.DEADLINE}]
    jg late_deadline
    mov rax, [rdx+{8 * Slot.DRAIN}]
    test rax, rax
    jz late_done
    jmp rax
late_deadline:
    cmp rax, [rdx+{8 * Slot.LIMIT}]
    ja late_stop
    mov qword ptr [rdx+{8 * Slot.LIMIT}], 0
    mov [rdx+{8 * Slot.DEADLINE}], rax
late_done:
    ret
late_stop:
    mov qword ptr [rdx+{8 * Slot.HIT}], 1
    mov rdi, [rdi+{layout.ENV_ENGINE}]
    jmp qword ptr [rip+uc_emu_stop]
memory:
    mov rax, [r9+8]
    mov r10, [rax+{8 * Slot.PORT}]
    test r10, r10
    jz memory_asks
    test byte ptr [rax+{8 * Slot.ALONE}], {Note.ALONE}
    jnz memory_asks
    cmp ecx, 1
    jne memory_asks
    cmp esi, {_WRITE_PROTECTED}
    jne memory_looks
    cmp rdx, [r10+{8 * port.PUT_AT}]
    jne memory_asks
    mov r11, [r10+{8 * port.COUNT}]
    cmp r11, [r10+{8 * port.FREE}]
    jae memory_asks
    mov [r10+r11+{8 * port.SENT}], r8b
    inc r11
    mov [r10+{8 * port.COUNT}], r11
    mov rax, [r10+{8 * port.MOST_LOOKS}]
    mov [r10+{8 * port.LOOKS}], rax
    mov eax, 1
    ret
memory_looks:
    cmp esi, {_READ_PROTECTED}
    jne memory_asks
    cmp rdx, [r10+{8 * port.LOOK_AT}]
    jne memory_asks
    cmp qword ptr [r10+{8 * port.LOOKS}], 0
    je memory_asks
    dec qword ptr [r10+{8 * port.LOOKS}]
    mov r11, [r10+{8 * port.ANSWER}]
    mov rax, [r10+{8 * port.STATUS}]
    mov [r11], rax
    mov [r11+8], rdx
    mov eax, 1
    ret
memory_asks:
    push rbx
    push r12
    push r13
    mov rbx, rdi
    mov r12d, esi
    mov r13, rdx
    mov rax, [r9+8]
    test byte ptr [rax+{8 * Slot.ALONE}], {Note.ALONE}
    jnz memory_alone
    call qword ptr [r9]
    test al, al
    jz memory_refused
    cmp byte ptr [rbx+{layout.ENGINE_STOP_REQUEST}], 0
    jne leave
    mov eax, 1
    jmp memory_done
memory_refused:
    mov eax, {_ERROR_WRITE_UNMAPPED}
    cmp r12d, {_WRITE_UNMAPPED}
    je memory_note
    mov eax, {_ERROR_WRITE_PROTECTED}
    cmp r12d, {_WRITE_PROTECTED}
    je memory_note
    xor eax, eax
memory_done:
    pop r13
    pop r12
    pop rbx
    ret
memory_alone:
    mov ecx, {Note.DATA}
    cmp r12d, {_FETCH_UNMAPPED}
    je memory_fetch
    cmp r12d, {_FETCH_PROTECTED}
    jne memory_left
memory_fetch:
    mov ecx, {Note.FETCH}
    mov rdx, {RETURN_ADDRESS:#x}
    cmp r13, rdx
    jne memory_left
    mov ecx, {Note.RETURNED}
memory_left:
    or [rax+{8 * Slot.ALONE}], rcx
    jmp memory_refused
memory_note:
    mov [rbx+{layout.ENGINE_INVALID_ERROR}], eax
    mov [rbx+{layout.ENGINE_INVALID_ADDRESS}], r13
leave:
    mov rdi, [rbx+{layout.ENGINE_CPU}]
    call qword ptr [rip+cpu_exit]
    mov rdi, [rbx+{layout.ENGINE_CPU}]
    call qword ptr [rip+cpu_loop_exit]
code:
    push rbx
    mov rbx, rdi
    call qword ptr [rcx]
    cmp byte ptr [rbx+{layout.ENGINE_STOP_REQUEST}], 0
    jne code_leave
    pop rbx
    ret
code_leave:
    mov rdi, [rbx+{layout.ENGINE_CPU}]
    call qword ptr [rip+cpu_loop_exit]
"""

AARCH64 = f"""
late:
    ldr x2, [x0, #{_CLOCK}]
    ldrh w9, [x1, #{layout.BLOCK_LENGTH}]
    ldr x10, [x2, #{8 * Slot.COUNT}]
    sub x10, x10, x9
    str x10, [x2, #{8 * Slot.COUNT}]
    ldr x11, [x1]
    str x11, [x0, #{_PC}]
    ldur w11, [x0, #{layout.ENV_EXIT_REQUEST}]
    tbnz w11, #31, late_done
    add x9, x9, x10
    ldr x11, [x2, #{8 * Slot.DEADLINE}]
    cmp x9, x11
    b.gt late_deadline
    ldr x9, [x2, #{8 * Slot.DRAIN}]
    cbz x9, late_done
    br x9
late_deadline:
    ldr x11, [x2, #{8 * Slot.LIMIT}]
    cmp x9, x11
    b.hi late_stop
    str xzr, [x2, #{8 * Slot.LIMIT}]
    str x9, [x2, #{8 * Slot.DEADLINE}]
late_done:
    ret
late_stop:
    mov x9, #1
    str x9, [x2, #{8 * Slot.HIT}]
    ldr x0, [x0, #{layout.ENV_ENGINE}]
    ldr x9, uc_emu_stop
    br x9
memory:
    ldr x9, [x5, #8]
    ldr x10, [x9, #{8 * Slot.PORT}]
    cbz x10, memory_asks
    ldr x11, [x9, #{8 * Slot.ALONE}]
    tbnz w11, #0, memory_asks
    cmp w3, #1
    b.ne memory_asks
    cmp w1, #{_WRITE_PROTECTED}
    b.ne memory_looks
    ldr x11, [x10, #{8 * port.PUT_AT}]
    cmp x2, x11
    b.ne memory_asks
    ldr x11, [x10, #{8 * port.COUNT}]
    ldr x12, [x10, #{8 * port.FREE}]
    cmp x11, x12
    b.hs memory_asks
    add x12, x10, x11
    strb w4, [x12, #{8 * port.SENT}]
    add x11, x11, #1
    str x11, [x10, #{8 * port.COUNT}]
    ldr x11, [x10, #{8 * port.MOST_LOOKS}]
    str x11, [x10, #{8 * port.LOOKS}]
    mov w0, #1
    ret
memory_looks:
    cmp w1, #{_READ_PROTECTED}
    b.ne memory_asks
    ldr x11, [x10, #{8 * port.LOOK_AT}]
    cmp x2, x11
    b.ne memory_asks
    ldr x11, [x10, #{8 * port.LOOKS}]
    cbz x11, memory_asks
    sub x11, x11, #1
    str x11, [x10, #{8 * port.LOOKS}]
    ldr x11, [x10, #{8 * port.ANSWER}]
    ldr x12, [x10, #{8 * port.STATUS}]
    stp x12, x2, [x11]
    mov w0, #1
    ret
memory_asks:
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    str x21, [sp, #32]
    mov x19, x0
    mov w20, w1
    mov x21, x2
    ldr x9, [x5, #8]
    ldr x10, [x9, #{8 * Slot.ALONE}]
    tbnz w10, #0, memory_alone
    ldr x9, [x5]
    blr x9
    tst w0, #255
    b.eq memory_refused
    ldrb w9, [x19, #{layout.ENGINE_STOP_REQUEST}]
    cbnz w9, leave
    mov w0, #1
    b memory_done
memory_refused:
    mov w0, #{_ERROR_WRITE_UNMAPPED}
    cmp w20, #{_WRITE_UNMAPPED}
    b.eq memory_note
    mov w0, #{_ERROR_WRITE_PROTECTED}
    cmp w20, #{_WRITE_PROTECTED}
    b.eq memory_note
    mov w0, #0
memory_done:
    ldr x21, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
    ret
memory_alone:
    mov x11, #{Note.DATA}
    cmp w20, #{_FETCH_UNMAPPED}
    b.eq memory_fetch
    cmp w20, #{_FETCH_PROTECTED}
    b.ne memory_left
memory_fetch:
    mov x11, #{Note.FETCH}
    movz x12, #{RETURN_ADDRESS >> 48:#x}, lsl #48
    movk x12, #{RETURN_ADDRESS >> 32 & 0xFFFF:#x}, lsl #32
    movk x12, #{RETURN_ADDRESS >> 16 & 0xFFFF:#x}, lsl #16
    cmp x21, x12
    b.ne memory_left
    mov x11, #{Note.RETURNED}
memory_left:
    orr x10, x10, x11
    str x10, [x9, #{8 * Slot.ALONE}]
    b memory_refused
memory_note:
    str w0, [x19, #{layout.ENGINE_INVALID_ERROR}]
    str x21, [x19, #{layout.ENGINE_INVALID_ADDRESS}]
leave:
    ldr x0, [x19, #{layout.ENGINE_CPU}]
    ldr x9, cpu_exit
    blr x9
    ldr x0, [x19, #{layout.ENGINE_CPU}]
    ldr x9, cpu_loop_exit
    blr x9
code:
    stp x29, x30, [sp, #-32]!
    mov x29, sp
    str x19, [sp, #16]
    mov x19, x0
    ldr x9, [x3]
    blr x9
    ldrb w9, [x19, #{layout.ENGINE_STOP_REQUEST}]
    cbnz w9, code_leave
    ldr x19, [sp, #16]
    ldp x29, x30, [sp], #32
    ret
code_leave:
    ldr x0, [x19, #{layout.ENGINE_CPU}]
    ldr x9, cpu_loop_exit
    blr x9
"""
