"""Native code that answers the core's TLB fills: from what is kept, by a walk of ordinary page tables, or by asking.

It knows no more of page tables than where a leaf stands: what the leaf grants is looked up in a table of the guest's.
Whatever is out of the ordinary is left to the guest: reserved bits, a leaf that is misaligned or does not grant the
access or has A or D clear, tables and pages outside of the range in which everything is allowed.
"""

from functools import partial

from emu.engine import library
from emu.engine.fills.table import (
    ASK,
    BITS,
    CAUSE_OF_FETCH,
    CAUSE_OF_LOAD,
    CAUSE_OF_STORE,
    CLOCK,
    CONTEXT,
    ENTRIES,
    FETCH,
    FETCHED,
    KEEP,
    LARGE,
    LARGE_PLACES,
    LEAF,
    MARK,
    MARKED,
    MARKS,
    MOST_MARKS,
    NO_EXEC,
    NO_WRITE,
    NOT_PLAIN,
    PERMISSIONS,
    READ,
    ROOT,
    SHIFT,
    SIZE,
    SLOTS,
    START,
    TABLES,
    USER,
    WRITE,
)
from emu.engine.guest import RETURN_ADDRESS, Note
from emu.engine.native import Probe
from emu.engine.registers import RESTORE, SAVE
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE
from emu.engine.window import Word
from emu.mmu import pte


def _aarch64(name: str) -> str:
    from emu.engine.fills import aarch64 as filling_aarch64

    text: str = getattr(filling_aarch64, name)
    return text


def _note_user(free: str, behind: str) -> str:
    """Notes a page of U mode, at rsi, where such entries are to be found again; r8: the table's words."""
    return f"""
    cmp qword ptr [r8+{8 * MARK}], 0
    je {behind}
    mov {free}, [r8+{8 * MARKED}]
    cmp {free}, {MOST_MARKS}
    jae {behind}_noted
    mov [r8+{free}*8+{8 * MARKS}], rsi
{behind}_noted:
    inc qword ptr [r8+{8 * MARKED}]
{behind}:
"""


_FIND = f"""
    mov r9, [r8+{8 * CONTEXT}]
    test r9, r9
    jz ask
    mov rax, rsi
    shr rax, 12
    mov r10, rax
    shr r10, {BITS}
    xor r10, rax
    and r10d, {SLOTS - 1}
    lea r11d, [rdx-16]
    shl r11d, {BITS}
    or r10d, r11d
    shl r10, 4
    shl r9, 52
    or r9, rax
    cmp [r8+r10+{8 * ENTRIES}], r9
    jne walk
    mov rax, [r8+r10+{8 * ENTRIES + 8}]
    mov r11, rax
    and r11, -4096
    mov [rcx], r11
    mov r11d, eax
    and eax, 7
    mov [rcx+8], rax
    test r11d, {USER}
    jz kept
{_note_user("rax", "kept")}
    mov eax, 1
    ret
walk:
    cmp qword ptr [r8+{8 * SHIFT}], 0
    je ask
    push rbx
    push rcx
    push rdi
    mov rcx, [r8+{8 * SHIFT}]
    add ecx, 8
    mov rax, rsi
    sar rax, cl
    inc rax
    cmp rax, 1
    ja astray
    sub ecx, 8
    mov r11, [r8+{8 * ROOT}]
level:
    sub r11, [r8+{8 * START}]
    cmp r11, [r8+{8 * SIZE}]
    jae astray
    add r11, [r8+{8 * TABLES}]
    mov rax, rsi
    shr rax, cl
    and eax, 511
    mov rax, [r11+rax*8]
    mov rdi, rax
    shr rdi, 54
    jnz astray
    mov r11, rax
    shr r11, {pte.PPN_SHIFT}
    shl r11, 12
    test al, {LEAF}
    jnz leaf
    test al, {pte.V}
    jz astray
    test al, {NOT_PLAIN}
    jnz astray
    sub ecx, 9
    cmp ecx, 12
    jae level
astray:
    pop rdi
    pop rcx
    pop rbx
    jmp ask
leaf:
    mov edi, 1
    shl rdi, cl
    dec rdi
    test r11, rdi
    jnz astray
    and rdi, rsi
    and rdi, -4096
    or r11, rdi
    mov rdi, [r8+{8 * PERMISSIONS}]
    mov ebx, eax
    movzx eax, al
    movzx eax, byte ptr [rdi+rax]
    lea edi, [rdx-{READ}]
    bt eax, edi
    jnc astray
    mov rdi, r11
    sub rdi, [r8+{8 * START}]
    cmp rdi, [r8+{8 * SIZE}]
    jae astray
    test bl, {pte.U}
    jz not_users
    or eax, {USER}
{_note_user("rdi", "not_users")}
    cmp ecx, 12
    je small
    mov rdi, rsi
    shr rdi, cl
    mov rbx, rdi
    shr rbx, 12
    xor rdi, rbx
    xor edi, ecx
    and edi, {LARGE_PLACES - 1}
    mov byte ptr [r8+rdi+{8 * LARGE}], 1
small:
    mov rbx, r11
    shr rbx, 12
    add rbx, [r8+{8 * FETCHED}]
    cmp edx, {FETCH}
    jne data
    mov byte ptr [rbx], 1
    jmp no_store
data:
    cmp byte ptr [rbx], 0
    je no_fetch
    cmp edx, {WRITE}
    je granted
no_store:
    and eax, {NO_WRITE}
    jmp granted
no_fetch:
    and eax, {NO_EXEC}
granted:
    pop rdi
    pop rcx
    pop rbx
    mov [rcx], r11
    mov edi, eax
    and edi, 7
    mov [rcx+8], rdi
    or r11, rax
    mov [r8+r10+{8 * ENTRIES}], r9
    mov [r8+r10+{8 * ENTRIES + 8}], r11
    mov eax, 1
    ret
"""
"""Gets the engine, the address, the access (16, 17, 18: load, store, fetch), where the answer goes, and the table."""

_ASK = f"""
    mov rax, [r8+{8 * CLOCK}]
    test byte ptr [rax+{8 * Slot.ALONE}], {Note.ALONE}
    jnz alone
    push rbx
    push rbp
    push r12
    push r13
    sub rsp, 8
    mov rbx, r8
    mov rbp, rsi
    mov r12d, edx
    mov r13, rcx
    mov qword ptr [r8+{8 * KEEP}], 0
    call qword ptr [r8+{8 * ASK}]
    test al, al
    jz refused
    cmp qword ptr [rbx+{8 * KEEP}], 0
    je answered
    mov r9, [rbx+{8 * CONTEXT}]
    test r9, r9
    jz answered
    shr rbp, 12
    mov r10, rbp
    shr r10, {BITS}
    xor r10, rbp
    and r10d, {SLOTS - 1}
    sub r12d, 16
    shl r12d, {BITS}
    or r10d, r12d
    shl r10, 4
    shl r9, 52
    or r9, rbp
    mov [rbx+r10+{8 * ENTRIES}], r9
    mov rax, [r13]
    and rax, -4096
    mov r11, [r13+8]
    and r11d, 7
    lea rax, [rax+r11+{USER}]
    mov [rbx+r10+{8 * ENTRIES + 8}], rax
answered:
    mov eax, 1
    jmp left
refused:
    xor eax, eax
left:
    add rsp, 8
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
alone:
    mov r9d, {Note.DATA}
    cmp edx, {library.MEM_FETCH}
    jne noted
    mov r9d, {Note.FETCH}
    mov r10, {RETURN_ADDRESS:#x}
    cmp rsi, r10
    jne noted
    mov r9d, {Note.RETURNED}
noted:
    or [rax+{8 * Slot.ALONE}], r9
    xor eax, eax
    ret
"""

FILL = Probe("fill", x86_64=_FIND + "ask:" + _ASK, aarch64=partial(_aarch64, "FILL"))

# In the place of the core's function: what it says of the core is not put in order for an answer that nobody is asked
# for. It gets the core, the address, a size, the access, the MMU's mode, whether nothing is to be raised, and where the
# host's code goes on.
TLB_FILL = Probe(
    "tlb_fill",
    x86_64=f"""
    mov rax, [rdi+{CORE_STATE["x86_64"] + 8 * Word.RDTIME_FUNCTION:#x}]
    test rax, rax
    jz core
    mov r10, [rax+{8 * Slot.TRANSLATIONS}]
    test r10, r10
    jz core
    {SAVE}
    sub rsp, 24
    mov rbx, rdi
    mov rbp, rsi
    mov r12d, ecx
    mov r13d, r8d
    mov r14d, r9d
    mov r15, rax
    and rsi, -4096
    lea edx, [r12+{READ}]
    mov rcx, rsp
    mov r8, r10
    call find
    test eax, eax
    jnz found
    test r14b, r14b
    jnz unasked
    cmp qword ptr [r15+{8 * Slot.RAISES}], 0
    je unasked
    test byte ptr [r15+{8 * Slot.ALONE}], {Note.ALONE}
    jnz unasked
    mov rsi, rbp
    and rsi, -4096
    lea edx, [r12+{READ}]
    mov rcx, rsp
    mov r8, [r15+{8 * Slot.TRANSLATIONS}]
    call asks
    test al, al
    jz raise
found:
    mov rdi, rbx
    mov rsi, rbp
    and rsi, -4096
    mov rdx, [rsp]
    and rdx, -4096
    mov ecx, [rsp+8]
    and ecx, 7
    mov r8d, r13d
    mov r9d, 4096
    mov rax, [r15+{8 * Slot.SET_PAGE}]
    call qword ptr [rax]
    mov eax, 1
    add rsp, 24
    {RESTORE}
    ret
raise:
    lea rdi, [rbx+{CORE_STATE["x86_64"]:#x}]
    mov esi, {CAUSE_OF_LOAD}
    cmp r12d, 1
    jb raised
    mov esi, {CAUSE_OF_STORE}
    je raised
    mov esi, {CAUSE_OF_FETCH}
raised:
    mov rdx, [rsp+80]
    call qword ptr [r15+{8 * Slot.RAISE}]
unasked:
    mov rdi, rbx
    mov rsi, rbp
    mov ecx, r12d
    mov r8d, r13d
    mov r9d, r14d
    mov rax, r15
    add rsp, 24
    {RESTORE}
core:
    jmp qword ptr [rip+own]
find:
    {_FIND}
ask:
    xor eax, eax
    ret
asks:
    {_ASK}
own: .quad 0
""",
    aarch64=partial(_aarch64, "TLB_FILL"),
)
"""It ends with the address of the core's function."""
