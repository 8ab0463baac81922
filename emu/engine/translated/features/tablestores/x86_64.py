"""The functions of `emu.engine.translated.features.tablestores` for x86-64 (System V ABI).

A store gets the state, the address, the value, what kind of access it is, and where translated code goes on.
"""

from emu.engine.guest import Note
from emu.engine.registers import RESTORE, SAVE
from emu.engine.translated.features.shadow_probes import STORES
from emu.engine.translated.features.tablestores.layout import (
    ALONE,
    CLOCK,
    DIVERTED,
    HOST,
    INVALID,
    IS_STORE,
    LAST_VICTIM,
    MAP,
    MARK,
    PC,
    SIZE,
    STOP,
    TELL,
    WATCHED,
)
from emu.engine.translated.layout import (
    ENGINE_CPU,
    ENV_ENGINE,
    MMU_MODES,
    TLB,
    TLB_ADDEND,
    TLB_STORES,
    VICTIMS,
    VICTIMS_OF_A_MODE,
    X86_64,
)


def functions() -> str:
    """The functions, and what they jump to."""
    stubs = "".join(
        f"store_{size}:\n mov r9d, {size}\n mov r11, [rip+{name}]\n jmp watch\n" for size, name in STORES.items()
    )
    parts = (_watch, _carry_out, _see, _pass, _alone, _entries_of_the_tlb, _words, _fill, _mark)
    return stubs + "".join(part() for part in parts)


def _watch() -> str:
    """The entries of the TLB for the first and the last byte of a store; to `plain` while no page is watched."""
    return f"""
watch:
    mov rax, [rdi+{CLOCK}]
    test rax, rax
    jz plain
    mov r10, [rax+{WATCHED}]
    test r10, r10
    jz plain
    {SAVE}
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
"""


def _carry_out() -> str:
    """The store, by the core, while the entries have no mark: it would come here again."""
    return f"""
found:
    mov rax, [rsp]
    mov rcx, [rsp+8]
    mov edx, [rax+{TLB_STORES}]
    or edx, [rcx+{TLB_STORES}]
    test edx, {MARK}
    jz pass
    mov rax, [rbx+{CLOCK}]
    test byte ptr [rax+{ALONE}], {Note.ALONE}
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
    and qword ptr [rax+{TLB_STORES}], {~MARK}
    mov rax, [rsp+8]
    and qword ptr [rax+{TLB_STORES}], {~MARK}
    mov rdi, rbx
    mov rsi, rbp
    mov rdx, r12
    mov ecx, r13d
    mov r8, r14
    call qword ptr [rsp+56]
    cmp byte ptr [rsp+48], 0
    je unmarked
    mov rax, [rsp]
    or qword ptr [rax+{TLB_STORES}], {MARK}
"""


def _see() -> str:
    """What has changed, in the words of the first and of the last byte."""
    return f"""
unmarked:
    cmp byte ptr [rsp+49], 0
    je marked
    mov rax, [rsp+8]
    or qword ptr [rax+{TLB_STORES}], {MARK}
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
    {RESTORE}
    ret
"""


def _pass() -> str:
    """The store as the core has it."""
    return f"""
pass:
    mov rdi, rbx
    mov rsi, rbp
    mov rdx, r12
    mov ecx, r13d
    mov r8, r14
    mov r11, [rsp+56]
    add rsp, 72
    {RESTORE}
plain:
    jmp r11
"""


def _alone() -> str:
    """The store is to be the first of its block: the engine stops before it."""
    return f"""
alone:
    mov rdi, [rbx+{ENV_ENGINE}]
    mov rdi, [rdi+{ENGINE_CPU}]
    mov rsi, r14
    xor edx, edx
    call qword ptr [rip+cpu_restore_state]
    mov rax, [rbx+{CLOCK}]
    or qword ptr [rax+{ALONE}], {Note.DATA}
    mov rdi, [rbx+{ENV_ENGINE}]
    call qword ptr [rax+{STOP}]
    mov rdi, [rbx+{ENV_ENGINE}]
    mov rdi, [rdi+{ENGINE_CPU}]
    call qword ptr [rip+cpu_loop_exit]
"""


def _entries_of_the_tlb() -> str:
    """`peek` looks up the entry of an address; `reach` has the core fill it."""
    return f"""
peek:
    mov eax, r13d
    and eax, 15
    shl eax, 4
    mov r11, rsi
    shr r11, 6
    and r11, [rbx+rax-{-TLB}]
    add r11, [rbx+rax-{-TLB - 8}]
    mov rax, [r11+{TLB_STORES}]
    and rax, {-INVALID}
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
    mov ecx, {IS_STORE}
    mov r8d, r13d
    and r8d, 15
    mov r9, r14
    call qword ptr [rip+probe_access]
    pop rsi
    call peek
reached:
    ret
"""


def _words() -> str:
    """`cell` reads the word of memory that an address is in, `tell` tells of it if it has changed."""
    return f"""
cell:
    mov rax, rsi
    add rax, [rcx+{TLB_ADDEND}]
    and rax, -8
    test byte ptr [rcx+{TLB_STORES}], {MARK}
    jz unseen
    mov r9, rax
    sub r9, [r15+{HOST}]
    cmp r9, [r15+{SIZE}]
    jae outside
    shr r9, 12
    add r9, [r15+{MAP}]
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
    sub rdi, [r15+{HOST}]
    mov rsi, r13
    mov rdx, r12
    mov rcx, [rbx+{PC}]
    call qword ptr [r15+{TELL}]
    add rsp, 8
same:
    ret
"""


def _fill() -> str:
    """An entry that the core has filled is marked, if its page is watched."""
    return f"""
set_page:
    push rdi
    push rsi
    push r8
    call qword ptr [rip+{DIVERTED}]
    pop r8
    pop rsi
    pop rdi
    mov rax, [rdi+{X86_64.env_pointer}]
    mov rcx, [rax+{CLOCK}]
    test rcx, rcx
    jz set
    mov rcx, [rcx+{WATCHED}]
    test rcx, rcx
    jz set
    shl r8d, 4
    shr rsi, 6
    and rsi, [rax+r8-{-TLB}]
    add rsi, [rax+r8-{-TLB - 8}]
    mov rdx, [rsi+{TLB_STORES}]
    and rdx, -4096
    add rdx, [rsi+{TLB_ADDEND}]
    sub rdx, [rcx+{HOST}]
    cmp rdx, [rcx+{SIZE}]
    jae set
    shr rdx, 12
    add rdx, [rcx+{MAP}]
    cmp byte ptr [rdx], 0
    je set
    or qword ptr [rsi+{TLB_STORES}], {MARK}
set:
    ret
"""


def _mark() -> str:
    """All entries of a page are marked, in every mode and among the victims."""
    return f"""
mark:
    xor r8d, r8d
    lea r9, [rdi-{-VICTIMS}]
mode:
    mov rdx, [rdi+r8-{-TLB}]
    mov rcx, [rdi+r8-{-TLB - 8}]
    add rdx, rcx
    call entries
    mov rcx, r9
    lea rdx, [r9+{LAST_VICTIM}]
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
    or qword ptr [rcx+{TLB_STORES}], {MARK}
following:
    add rcx, 64
    cmp rcx, rdx
    jbe entries
    ret
"""
