"""The functions of `emu.engine.csrs` for x86-64 (System V ABI)."""

from emu.engine.csrs.layout import (
    CLOCK,
    FORCED,
    FREE,
    FS,
    KINDS,
    LINES,
    MOVED,
    MOVED_BY,
    MPP,
    MSTATUS,
    NOT_OF_GUEST,
    NUMBER,
    OPERATIONS,
    PRIVILEGE,
    SIE,
    SUM,
    TIME_BIT,
    Kind,
)
from emu.engine.fills.table import CONTEXT, MARK, MARKED, MARKS, MOST_MARKS, NUMBERS, PERMISSION_TABLES, PERMISSIONS
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE
from emu.engine.traps.entries import SEEN_SHIFT
from emu.isa.csrs import Csr
from emu.isa.status import MSTATUS_WRITE, SSTATUS_READ, SSTATUS_WRITE

# The core's state, and the number of the CSR; a negative answer makes the instruction illegal.
MAY_ACCESS = f"""
    mov rdx, [rdi+{CLOCK}]
    test rdx, rdx
    jz core
    mov r8, [rdx+{8 * Slot.MODEL}]
    test r8, r8
    jz core
    mov ecx, esi
    movzx eax, byte ptr [r8+rcx+{KINDS}]
    cmp eax, {Kind.CORE}
    je core
    cmp eax, {Kind.TIME}
    je time
    cmp eax, 1
    sbb eax, eax
    ret
time:
    mov eax, -1
    cmp qword ptr [rdx+{8 * Slot.TICK}], 0
    je refused
    test byte ptr [r8+{8 * Csr.MCOUNTEREN}], {TIME_BIT}
    jz refused
    cmp qword ptr [rdi+{PRIVILEGE}], 0
    jne allowed
    test byte ptr [r8+{8 * Csr.SCOUNTEREN}], {TIME_BIT}
    jz refused
allowed:
    xor eax, eax
refused:
    ret
core:
    mov ecx, esi
    shl rcx, 5
    add rcx, [rip+table]
    jmp qword ptr [rcx]
table: .quad 0
"""

# The same, where the old value goes (or 0), a new value, and which of its bits are written.
ACCESS = f"""
    mov rax, [rdi+{CLOCK}]
    test rax, rax
    jz core
    mov r9, [rax+{8 * Slot.MODEL}]
    test r9, r9
    jz core
    mov eax, esi
    movzx eax, byte ptr [r9+rax+{KINDS}]
    cmp eax, {Kind.PLAIN}
    je plain
    cmp eax, {Kind.EVEN}
    je even
    cmp eax, {Kind.SSTATUS}
    je supervisor
    cmp eax, {Kind.STATUS_IN_CORE}
    je status
    cmp eax, {Kind.EVEN_IN_CORE}
    jne core
    and rcx, -2
core:
    mov eax, esi
    shl rax, 5
    add rax, [rip+table]
    mov r10, [rax+24]
    test r10, r10
    jz separate
    jmp r10
separate:
    cmp qword ptr [rax+8], 0
    je refuse
    push rbx
    push rbp
    push r12
    push r13
    push r14
    sub rsp, 16
    mov rbx, rdi
    mov ebp, esi
    mov r12, rdx
    mov r13, rcx
    mov r14, r8
    mov [rsp+8], rax
    mov rdx, rsp
    call qword ptr [rax+8]
    test eax, eax
    js left
    test r14, r14
    jz read
    mov rax, [rsp+8]
    mov rax, [rax+16]
    test rax, rax
    jz read
    and r13, r14
    not r14
    mov rdx, [rsp]
    and rdx, r14
    or rdx, r13
    mov rdi, rbx
    mov esi, ebp
    call rax
    test eax, eax
    js left
read:
    xor eax, eax
    test r12, r12
    jz left
    mov rcx, [rsp]
    mov [r12], rcx
left:
    add rsp, 16
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
refuse:
    mov eax, -1
    ret
even:
    and rcx, -2
plain:
    mov eax, esi
    mov r10, [r9+rax*8]
    test r8, r8
    jz told
    and rcx, r8
    not r8
    and r8, r10
    or rcx, r8
    mov [r9+rax*8], rcx
told:
    test rdx, rdx
    jz done
    mov [rdx], r10
done:
    xor eax, eax
    ret
supervisor:
    mov r10, [r9+{8 * Csr.MSTATUS}]
    xor r11d, r11d
    mov eax, r10d
    and eax, {FS}
    jz clean
    cmp eax, {FS}
    je dirty
    mov eax, [rdi+{MSTATUS}]
    and eax, {FS}
    cmp eax, {FS}
    jne clean
dirty:
    or r10, {FS}
    inc r11d
    shl r11, 63
clean:
    and r8, {SSTATUS_WRITE}
    jz seen
    and rcx, r8
    not r8
    and r8, r10
    or rcx, r8
    mov rax, rcx
    xor rax, r10
    test rax, {~FREE}
    jnz refuse
    test cl, {SIE}
    jz written
    test r10b, {SIE}
    jnz written
    mov rax, [r9+{8 * Csr.MIP}]
    or rax, [r9+{8 * LINES}]
    test rax, [r9+{8 * Csr.MIE}]
    jnz refuse
written:
    mov rax, rcx
    xor rax, r10
    bt eax, {SUM}
    jnc stored
    mov r8, [rdi+{CLOCK}]
    mov r8, [r8+{8 * Slot.TRANSLATIONS}]
    bt ecx, {SUM}
    jc fits
    cmp qword ptr [r8+{8 * MARKED}], {MOST_MARKS}
    ja refuse
fits:
    cmp qword ptr [r8+{8 * CONTEXT}], 0
    je fitted
    mov rax, rcx
    shr rax, {SEEN_SHIFT}
    and eax, 6
    inc eax
    mov rsi, [r8+rax*8+{8 * NUMBERS}]
    test rsi, rsi
    jz refuse
    mov [r8+{8 * CONTEXT}], rsi
    mov esi, eax
    shl esi, 8
    add rsi, [r8+{8 * PERMISSION_TABLES}]
    mov [r8+{8 * PERMISSIONS}], rsi
    shr eax, 1
    and eax, 1
    mov [r8+{8 * MARK}], rax
fitted:
    bt ecx, {SUM}
    jnc forget
stored:
    mov [r9+{8 * Csr.MSTATUS}], rcx
    mov rax, [rdi+{MSTATUS}]
    xor rax, rcx
    and rax, {~FS}
    xor rax, rcx
    mov [rdi+{MSTATUS}], rax
seen:
    or r10, r11
    movabs rax, {SSTATUS_READ:#x}
    and r10, rax
    jmp told
forget:
    cmp qword ptr [r8+{8 * MARKED}], 0
    je stored
    push rbx
    push rbp
    push rdi
    push rdx
    push rcx
    push r9
    push r10
    push r11
    sub rsp, 8
    mov rbx, r8
forgets:
    mov rbp, [rbx+{8 * MARKED}]
    dec rbp
    mov rsi, [rbx+rbp*8+{8 * MARKS}]
    mov [rbx+{8 * MARKED}], rbp
    mov rdi, [rsp+48]
    mov rax, [rdi+{CLOCK}]
    sub rdi, {CORE_STATE["x86_64"]}
    call qword ptr [rax+{8 * Slot.FORGET_PAGE}]
    test rbp, rbp
    jnz forgets
    add rsp, 8
    pop r11
    pop r10
    pop r9
    pop rcx
    pop rdx
    pop rdi
    pop rbp
    pop rbx
    jmp stored
status:
    mov r10, [rdi+{MSTATUS}]
    movabs rax, {NOT_OF_GUEST:#x}
    and r10, rax
    mov eax, r10d
    and eax, {FS}
    cmp eax, {FS}
    jne shown
    bts r10, 63
shown:
    mov r11, r10
    cmp esi, {int(Csr.SSTATUS):#x}
    jne machine
    movabs rax, {SSTATUS_READ:#x}
    and r11, rax
    and r8, {SSTATUS_WRITE}
machine:
    and r8, {MSTATUS_WRITE}
    test rdx, rdx
    jz change
    mov [rdx], r11
change:
    test r8, r8
    jz done
    and rcx, r8
    not r8
    and r8, r10
    or rcx, r8
    mov eax, ecx
    and eax, {MPP}
    cmp eax, {2 << 11}
    jne known
    and rcx, {~MPP}
    and r10d, {MPP}
    or rcx, r10
known:
    push rbx
    push rbp
    push r12
    mov rbx, rdi
    mov rbp, rcx
    mov r12, r9
    mov rdx, rcx
    mov esi, {NUMBER:#x}
    mov rax, [rip+table]
    call qword ptr [rax+{NUMBER * OPERATIONS + 16}]
    mov eax, ebp
    and eax, {MOVED}
    shl rax, {MOVED_BY}
    or rbp, rax
    or rbp, [r12+{8 * FORCED}]
    mov [rbx+{MSTATUS}], rbp
    pop r12
    pop rbp
    pop rbx
    xor eax, eax
    ret
table: .quad 0
"""
