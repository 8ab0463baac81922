"""Native functions that see stores to pages of a map: entries of the core's TLB for them are marked.

A marked entry answers no store in translated code, so that each comes to the core's own function for stores, and one of
these stands in front of that: it has the store carried out, and tells of the words that have changed. Nothing is added
to other stores. The mark is a bit that no flag of the core's TLB has.
"""

from enum import IntEnum

from emu.engine.guest import Note
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.layout import (
    AARCH64,
    ENGINE_CPU,
    ENV_ENGINE,
    MMU_MODES,
    TLB,
    TLB_ADDEND,
    TLB_STORES,
    VICTIM_ENTRIES,
    VICTIMS,
    VICTIMS_OF_A_MODE,
    X86_64,
)
from emu.engine.translated.shadow_probes import STORES
from emu.engine.window import Word as StateWord

DIVERTED = "tlb_set_page"
CALLED = (*STORES.values(), DIVERTED, "probe_access", "cpu_restore_state", "cpu_loop_exit")
ENTRIES = (*STORES.values(), DIVERTED, "mark")
"""What there is a jump for behind the table of what is called; `mark` gets the state, and a page in the host."""
_MARK_BIT = 5
_MARK = 1 << _MARK_BIT
_CLOCK, _PC = 8 * StateWord.RDTIME_FUNCTION, 8 * StateWord.PC
_WATCHED, _ALONE, _STOP = 8 * Slot.TABLES, 8 * Slot.ALONE, 8 * Slot.STOP
_IS_STORE = 1
"""The core's number of this kind of access."""
_INVALID = 0x800
"""The flag of an entry that answers nothing."""
_LAST_VICTIM = 64 * (VICTIM_ENTRIES - 1)


class Word(IntEnum):
    """Index of a 64-bit word of what a core watches."""

    HOST = 0
    """Where the host has RAM."""
    SIZE = 1
    """How many bytes that is."""
    MAP = 2
    """The address of a byte for each page of RAM: not 0 if it is watched."""
    TELL = 3
    """What to call: with the place in RAM of 8 bytes, what they were, what they are, and the pc."""


_HOST, _SIZE, _MAP, _TELL = (8 * word for word in Word)


# A store gets the state, the address, the value, what kind of access it is, and where translated code goes on.
def _x86_64() -> str:
    stubs = "".join(
        f"store_{size}:\n mov r9d, {size}\n mov r11, [rip+{name}]\n jmp watch\n" for size, name in STORES.items()
    )
    return (
        stubs
        + f"""
watch:
    mov rax, [rdi+{_CLOCK}]
    test rax, rax
    jz plain
    mov r10, [rax+{_WATCHED}]
    test r10, r10
    jz plain
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 72
    mov rbx, rdi
    mov rbp, rsi
    mov r12, rdx
    mov r13d, ecx
    mov r14, r8
    mov r15, r10
    mov [rsp+56], r11
    lea r9, [rsi+r9-1]
    mov [rsp+64], r9
    call reach
    jne pass
    mov [rsp], r11
    mov [rsp+8], r11
    mov rsi, [rsp+64]
    mov rax, rsi
    xor rax, rbp
    shr rax, 12
    jz found
    call reach
    jne pass
    mov rsi, rbp
    call peek
    jne pass
    mov [rsp], r11
    mov rsi, [rsp+64]
    call peek
    mov [rsp+8], r11
found:
    mov rax, [rsp]
    mov rcx, [rsp+8]
    mov edx, [rax+{TLB_STORES}]
    or edx, [rcx+{TLB_STORES}]
    test edx, {_MARK}
    jz pass
    mov rax, [rbx+{_CLOCK}]
    test byte ptr [rax+{_ALONE}], {Note.ALONE}
    jnz alone
    mov rcx, [rsp]
    mov rsi, rbp
    call cell
    setne byte ptr [rsp+48]
    mov [rsp+16], rax
    mov [rsp+32], rdx
    mov rcx, [rsp+8]
    mov rsi, [rsp+64]
    call cell
    setne byte ptr [rsp+49]
    mov [rsp+24], rax
    mov [rsp+40], rdx
    cmp rax, [rsp+16]
    jne two
    mov byte ptr [rsp+49], 0
two:
    mov rax, [rsp]
    and qword ptr [rax+{TLB_STORES}], {~_MARK}
    mov rax, [rsp+8]
    and qword ptr [rax+{TLB_STORES}], {~_MARK}
    mov rdi, rbx
    mov rsi, rbp
    mov rdx, r12
    mov ecx, r13d
    mov r8, r14
    call qword ptr [rsp+56]
    cmp byte ptr [rsp+48], 0
    je unmarked
    mov rax, [rsp]
    or qword ptr [rax+{TLB_STORES}], {_MARK}
unmarked:
    cmp byte ptr [rsp+49], 0
    je marked
    mov rax, [rsp+8]
    or qword ptr [rax+{TLB_STORES}], {_MARK}
marked:
    cmp byte ptr [rsp+48], 0
    je second
    mov rbp, [rsp+16]
    mov r13, [rsp+32]
    call tell
second:
    cmp byte ptr [rsp+49], 0
    je done
    mov rbp, [rsp+24]
    mov r13, [rsp+40]
    call tell
done:
    add rsp, 72
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
pass:
    mov rdi, rbx
    mov rsi, rbp
    mov rdx, r12
    mov ecx, r13d
    mov r8, r14
    mov r11, [rsp+56]
    add rsp, 72
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
plain:
    jmp r11
alone:
    mov rdi, [rbx+{ENV_ENGINE}]
    mov rdi, [rdi+{ENGINE_CPU}]
    mov rsi, r14
    xor edx, edx
    call qword ptr [rip+cpu_restore_state]
    mov rax, [rbx+{_CLOCK}]
    or qword ptr [rax+{_ALONE}], {Note.DATA}
    mov rdi, [rbx+{ENV_ENGINE}]
    call qword ptr [rax+{_STOP}]
    mov rdi, [rbx+{ENV_ENGINE}]
    mov rdi, [rdi+{ENGINE_CPU}]
    call qword ptr [rip+cpu_loop_exit]
peek:
    mov eax, r13d
    and eax, 15
    shl eax, 4
    mov r11, rsi
    shr r11, 6
    and r11, [rbx+rax-{-TLB}]
    add r11, [rbx+rax-{-TLB - 8}]
    mov rax, [r11+{TLB_STORES}]
    and rax, {-_INVALID}
    mov r9, rsi
    and r9, -4096
    cmp rax, r9
    ret
reach:
    call peek
    je reached
    push rsi
    mov rdi, rbx
    xor edx, edx
    mov ecx, {_IS_STORE}
    mov r8d, r13d
    and r8d, 15
    mov r9, r14
    call qword ptr [rip+probe_access]
    pop rsi
    call peek
reached:
    ret
cell:
    mov rax, rsi
    add rax, [rcx+{TLB_ADDEND}]
    and rax, -8
    test byte ptr [rcx+{TLB_STORES}], {_MARK}
    jz unseen
    mov r9, rax
    sub r9, [r15+{_HOST}]
    cmp r9, [r15+{_SIZE}]
    jae outside
    shr r9, 12
    add r9, [r15+{_MAP}]
    mov rdx, [rax]
    cmp byte ptr [r9], 0
unseen:
    ret
outside:
    xor edx, edx
    ret
tell:
    mov r12, [rbp]
    cmp r12, r13
    je same
    sub rsp, 8
    mov rdi, [rbx+{ENV_ENGINE}]
    mov rdi, [rdi+{ENGINE_CPU}]
    mov rsi, r14
    xor edx, edx
    call qword ptr [rip+cpu_restore_state]
    mov rdi, rbp
    sub rdi, [r15+{_HOST}]
    mov rsi, r13
    mov rdx, r12
    mov rcx, [rbx+{_PC}]
    call qword ptr [r15+{_TELL}]
    add rsp, 8
same:
    ret
set_page:
    push rdi
    push rsi
    push r8
    call qword ptr [rip+{DIVERTED}]
    pop r8
    pop rsi
    pop rdi
    mov rax, [rdi+{X86_64.env_pointer}]
    mov rcx, [rax+{_CLOCK}]
    test rcx, rcx
    jz set
    mov rcx, [rcx+{_WATCHED}]
    test rcx, rcx
    jz set
    shl r8d, 4
    shr rsi, 6
    and rsi, [rax+r8-{-TLB}]
    add rsi, [rax+r8-{-TLB - 8}]
    mov rdx, [rsi+{TLB_STORES}]
    and rdx, -4096
    add rdx, [rsi+{TLB_ADDEND}]
    sub rdx, [rcx+{_HOST}]
    cmp rdx, [rcx+{_SIZE}]
    jae set
    shr rdx, 12
    add rdx, [rcx+{_MAP}]
    cmp byte ptr [rdx], 0
    je set
    or qword ptr [rsi+{TLB_STORES}], {_MARK}
set:
    ret
mark:
    xor r8d, r8d
    lea r9, [rdi-{-VICTIMS}]
mode:
    mov rdx, [rdi+r8-{-TLB}]
    mov rcx, [rdi+r8-{-TLB - 8}]
    add rdx, rcx
    call entries
    mov rcx, r9
    lea rdx, [r9+{_LAST_VICTIM}]
    call entries
    add r9, {VICTIMS_OF_A_MODE}
    add r8d, 16
    cmp r8d, {16 * MMU_MODES}
    jb mode
    ret
entries:
    mov rax, [rcx+{TLB_STORES}]
    and rax, -4096
    add rax, [rcx+{TLB_ADDEND}]
    cmp rax, rsi
    jne following
    or qword ptr [rcx+{TLB_STORES}], {_MARK}
following:
    add rcx, 64
    cmp rcx, rdx
    jbe entries
    ret
"""
    )


def _aarch64() -> str:
    stubs = "".join(f"store_{size}:\n mov w9, #{size}\n ldr x10, {name}\n b watch\n" for size, name in STORES.items())
    page, invalid, marked = f"#{-4096 & (1 << 64) - 1:#x}", f"#{-_INVALID & (1 << 64) - 1:#x}", f"#{_MARK}"
    return (
        stubs
        + f"""
watch:
    ldr x11, [x0, #{_CLOCK}]
    cbz x11, plain
    ldr x12, [x11, #{_WATCHED}]
    cbz x12, plain
    stp x29, x30, [sp, #-144]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    mov x19, x0
    mov x20, x1
    mov x21, x2
    mov w22, w3
    mov x23, x4
    mov x24, x12
    mov x25, x10
    add x26, x1, x9
    sub x26, x26, #1
    bl reach
    b.ne pass
    mov x27, x11
    mov x28, x11
    eor x9, x20, x26
    lsr x9, x9, #12
    cbz x9, found
    mov x1, x26
    bl reach
    b.ne pass
    mov x1, x20
    bl peek
    b.ne pass
    mov x27, x11
    mov x1, x26
    bl peek
    mov x28, x11
found:
    ldr x9, [x27, #{TLB_STORES}]
    ldr x10, [x28, #{TLB_STORES}]
    orr x9, x9, x10
    tbz w9, #{_MARK_BIT}, pass
    ldr x9, [x19, #{_CLOCK}]
    ldr x10, [x9, #{_ALONE}]
    tbnz w10, #0, alone
    mov x2, x27
    mov x1, x20
    bl cell
    stp x0, x3, [sp, #96]
    str x4, [sp, #112]
    mov x2, x28
    mov x1, x26
    bl cell
    ldr x5, [sp, #96]
    cmp x0, x5
    csel x4, x4, xzr, ne
    str x4, [sp, #120]
    stp x0, x3, [sp, #128]
    mov x10, {marked}
    ldr x9, [x27, #{TLB_STORES}]
    bic x9, x9, x10
    str x9, [x27, #{TLB_STORES}]
    ldr x9, [x28, #{TLB_STORES}]
    bic x9, x9, x10
    str x9, [x28, #{TLB_STORES}]
    mov x0, x19
    mov x1, x20
    mov x2, x21
    mov w3, w22
    mov x4, x23
    blr x25
    ldr x4, [sp, #112]
    ldr x9, [x27, #{TLB_STORES}]
    orr x9, x9, x4, lsl #{_MARK_BIT}
    str x9, [x27, #{TLB_STORES}]
    ldr x5, [sp, #120]
    ldr x9, [x28, #{TLB_STORES}]
    orr x9, x9, x5, lsl #{_MARK_BIT}
    str x9, [x28, #{TLB_STORES}]
    cbz x4, second
    ldp x0, x1, [sp, #96]
    bl tell
second:
    ldr x4, [sp, #120]
    cbz x4, done
    ldp x0, x1, [sp, #128]
    bl tell
done:
    ldp x27, x28, [sp, #80]
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #144
    ret
pass:
    mov x0, x19
    mov x1, x20
    mov x2, x21
    mov w3, w22
    mov x4, x23
    mov x10, x25
    ldp x27, x28, [sp, #80]
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #144
plain:
    br x10
alone:
    ldr x0, [x19, #{ENV_ENGINE}]
    ldr x0, [x0, #{ENGINE_CPU}]
    mov x1, x23
    mov w2, #0
    ldr x9, cpu_restore_state
    blr x9
    ldr x9, [x19, #{_CLOCK}]
    ldr x10, [x9, #{_ALONE}]
    mov x11, #{Note.DATA}
    orr x10, x10, x11
    str x10, [x9, #{_ALONE}]
    ldr x0, [x19, #{ENV_ENGINE}]
    ldr x9, [x9, #{_STOP}]
    blr x9
    ldr x0, [x19, #{ENV_ENGINE}]
    ldr x0, [x0, #{ENGINE_CPU}]
    ldr x9, cpu_loop_exit
    blr x9
peek:
    and x9, x22, #15
    add x9, x19, x9, lsl #4
    ldur x10, [x9, #{TLB}]
    ldur x12, [x9, #{TLB + 8}]
    and x11, x10, x1, lsr #6
    add x11, x12, x11
    ldr x9, [x11, #{TLB_STORES}]
    and x9, x9, {invalid}
    and x10, x1, {page}
    cmp x9, x10
    ret
reach:
    stp x29, x30, [sp, #-32]!
    mov x29, sp
    str x1, [sp, #16]
    bl peek
    b.eq reached
    mov x0, x19
    ldr x1, [sp, #16]
    mov w2, #0
    mov w3, #{_IS_STORE}
    and w4, w22, #15
    mov x5, x23
    ldr x9, probe_access
    blr x9
    ldr x1, [sp, #16]
    bl peek
reached:
    ldp x29, x30, [sp], #32
    ret
cell:
    ldr x0, [x2, #{TLB_ADDEND}]
    add x0, x0, x1
    and x0, x0, #0xfffffffffffffff8
    mov x3, #0
    mov x4, #0
    ldr x9, [x2, #{TLB_STORES}]
    tbz w9, #{_MARK_BIT}, unseen
    ldr x9, [x24, #{_HOST}]
    sub x9, x0, x9
    ldr x10, [x24, #{_SIZE}]
    cmp x9, x10
    b.hs unseen
    ldr x10, [x24, #{_MAP}]
    lsr x9, x9, #12
    ldrb w9, [x10, x9]
    cmp w9, #0
    cset x4, ne
    ldr x3, [x0]
unseen:
    ret
tell:
    ldr x2, [x0]
    cmp x1, x2
    b.eq same
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    str x2, [sp, #32]
    ldr x0, [x19, #{ENV_ENGINE}]
    ldr x0, [x0, #{ENGINE_CPU}]
    mov x1, x23
    mov w2, #0
    ldr x9, cpu_restore_state
    blr x9
    ldp x0, x1, [sp, #16]
    ldr x2, [sp, #32]
    ldr x9, [x24, #{_HOST}]
    sub x0, x0, x9
    ldr x3, [x19, #{_PC}]
    ldr x9, [x24, #{_TELL}]
    blr x9
    ldp x29, x30, [sp], #48
same:
    ret
set_page:
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    str x4, [sp, #32]
    ldr x9, {DIVERTED}
    blr x9
    ldp x0, x1, [sp, #16]
    ldr x4, [sp, #32]
    ldp x29, x30, [sp], #48
    ldr x9, [x0, #{AARCH64.env_pointer}]
    ldr x10, [x9, #{_CLOCK}]
    cbz x10, set
    ldr x10, [x10, #{_WATCHED}]
    cbz x10, set
    and x4, x4, #15
    add x11, x9, x4, lsl #4
    ldur x12, [x11, #{TLB}]
    ldur x13, [x11, #{TLB + 8}]
    and x12, x12, x1, lsr #6
    add x12, x13, x12
    ldr x13, [x12, #{TLB_STORES}]
    and x14, x13, {page}
    ldr x15, [x12, #{TLB_ADDEND}]
    add x14, x14, x15
    ldr x15, [x10, #{_HOST}]
    sub x14, x14, x15
    ldr x15, [x10, #{_SIZE}]
    cmp x14, x15
    b.hs set
    ldr x15, [x10, #{_MAP}]
    lsr x14, x14, #12
    ldrb w14, [x15, x14]
    cbz w14, set
    orr x13, x13, {marked}
    str x13, [x12, #{TLB_STORES}]
set:
    ret
mark:
    mov x16, x30
    mov x2, #0
    sub x3, x0, #{-VICTIMS}
mode:
    add x4, x0, x2
    ldur x5, [x4, #{TLB}]
    ldur x6, [x4, #{TLB + 8}]
    add x5, x6, x5
    bl entries
    add x5, x3, #{_LAST_VICTIM}
    mov x6, x3
    bl entries
    add x3, x3, #{VICTIMS_OF_A_MODE}
    add x2, x2, #16
    cmp x2, #{16 * MMU_MODES}
    b.lo mode
    br x16
entries:
    ldr x7, [x6, #{TLB_STORES}]
    and x8, x7, {page}
    ldr x9, [x6, #{TLB_ADDEND}]
    add x8, x8, x9
    cmp x8, x1
    b.ne following
    orr x7, x7, {marked}
    str x7, [x6, #{TLB_STORES}]
following:
    add x6, x6, #64
    cmp x6, x5
    b.ls entries
    ret
"""
    )


_QUADS = "".join(f"{name}: .quad 0\n" for name in CALLED)
_TARGETS = (*(f"store_{size}" for size in STORES), "set_page", "mark")
WATCHES = Probe(
    "watches",
    x86_64=lambda: _QUADS + "".join(f"jmp {name}\n .p2align 3\n" for name in _TARGETS) + _x86_64(),
    aarch64=lambda: _QUADS + "".join(f"b {name}\n nop\n" for name in _TARGETS) + _aarch64(),
)
"""A table of addresses, to be filled in; a jump to each function, in the order of `ENTRIES`; the functions."""
