"""Lines of Spike's log for x86-64 (System V ABI); see `emu.report.logs.commits.layout`."""

from emu.engine.registers import RESTORE, SAVE
from emu.isa.status import FS_DIRTY, SSTATUS_WRITE
from emu.report.logs.commits.layout import (
    ACCESS,
    ADDRESS_OF_ACCESS,
    COPIED,
    ENTRY_SIZE,
    HEAD_SIZE,
    LABEL,
    LENGTH_OF_HEAD,
    MOST_ACCESSES,
    PRIVILEGE_IN_HEAD,
    SOURCE,
    STATUS,
    STORE,
    TIME_OF_ACCESS,
    TIME_OF_WRITE,
    VALUE_OF_ACCESS,
    VALUE_OF_WRITE,
    WRITE,
    Answer,
    Flag,
    Shared,
)


def _at(word: Shared) -> str:
    return f"[rdi+{8 * word}]"


MAKE_DIGITS = """
    bswap rax
    movq xmm0, rax
    movdqa xmm1, xmm0
    psrlw xmm1, 4
    pand xmm0, xmm5
    pand xmm1, xmm5
    punpcklbw xmm1, xmm0
    movdqa xmm0, xmm1
    pcmpgtb xmm0, xmm6
    pand xmm0, xmm7
    paddb xmm1, xmm4
    paddb xmm1, xmm0
"""
"""rax in 16 digits, in xmm1; xmm4 to xmm7 have `READY`."""
DIGITS = f"""
{MAKE_DIGITS}
    movdqu [r13], xmm1
"""
"""Writes them to where r13 points."""


def ready(constants: str) -> str:
    """Make ready for digits, by `Shared.CONSTANTS`, whose address stands in a register; uses rax."""
    return f"""
    movdqu xmm5, [{constants}]
    movdqu xmm6, [{constants}+16]
    movdqu xmm7, [{constants}+32]
    mov rax, 0x3030303030303030
    movq xmm4, rax
    punpcklqdq xmm4, xmm4
    """


# rsi: the entry; r8: instret; r9 to r10: writes; r11 to r12: accesses; r13: output; r14: instructions left; r15: flags.
CODE = f"""
    {SAVE}
    mov r8, {_at(Shared.INSTRET)}
    mov r9, {_at(Shared.WRITES)}
    mov r10, {_at(Shared.WRITES_END)}
    mov r11, {_at(Shared.ACCESSES)}
    mov r12, {_at(Shared.ACCESSES_END)}
    mov r13, {_at(Shared.OUTPUT)}
    mov rsi, {_at(Shared.ENTRY)}
    mov r14, {_at(Shared.LEFT)}
    {ready(f"rdi+{8 * Shared.CONSTANTS}")}
instruction:
    test r14, r14
    jz block
    movzx r15d, word ptr [rsi+14]
    cmp r8, {_at(Shared.STOP_AT)}
    jae python
    test r15b, {int(Flag.PYTHON)}
    jnz python
    cmp r13, {_at(Shared.OUTPUT_LIMIT)}
    ja full
old_write:
    cmp r9, r10
    jae seen_writes
    cmp [r9+{TIME_OF_WRITE}], r8
    jae seen_writes
    add r9, {WRITE}
    jmp old_write
seen_writes:
    mov rbx, r9
    mov edx, -1
    cmp r9, r10
    jae seen_write
    cmp [r9+{TIME_OF_WRITE}], r8
    jne seen_write
    movzx edx, byte ptr [r9]
    cmp rdx, {_at(Shared.PLAIN)}
    jae python
same_write:
    mov rbp, [rbx+{VALUE_OF_WRITE}]
    add rbx, {WRITE}
    cmp rbx, r10
    jae seen_write
    cmp [rbx+{TIME_OF_WRITE}], r8
    jne seen_write
    cmp dl, [rbx]
    jne python
    jmp same_write
seen_write:
    mov rcx, r11
    test r15b, {int(Flag.ACCESSES)}
    jz seen_all
old_access:
    cmp r11, r12
    jae no_access
    cmp [r11+{TIME_OF_ACCESS}], r8
    jae no_older
    add r11, {ACCESS}
    jmp old_access
no_older:
    mov rcx, r11
    jne no_access
    xor eax, eax
another:
    inc eax
    cmp eax, {MOST_ACCESSES}
    ja python
    add rcx, {ACCESS}
    cmp rcx, r12
    jae seen_all
    cmp [rcx+{TIME_OF_ACCESS}], r8
    je another
    jmp seen_all
no_access:
    mov rcx, r11
    test r15b, {int(Flag.SC)}
    jz python
seen_all:
    mov r9, rbx
    test r15b, {int(Flag.STATUS)}
    jz written
    cmp qword ptr {_at(Shared.KNOWS_STATUS)}, 0
    je written
    mov rbx, {_at(Shared.REGISTERS)}
    mov eax, r15d
    shr eax, {SOURCE}
    and eax, 31
    test r15b, {int(Flag.IMMEDIATE)}
    jnz operand
    mov rax, [rbx+rax*8]
operand:
    and eax, {SSTATUS_WRITE}
    test r15b, {int(Flag.CLEARS)}
    jnz clear
    test r15b, {int(Flag.SETS)}
    jnz set
    and qword ptr [rbx+{STATUS}], {~SSTATUS_WRITE}
set:
    or [rbx+{STATUS}], rax
    jmp changed
clear:
    not rax
    and [rbx+{STATUS}], rax
changed:
    mov eax, [rbx+{STATUS}]
    not eax
    test eax, {FS_DIRTY}
    mov eax, 64
    mov ebx, 32
    cmovnz eax, ebx
    mov {_at(Shared.PLAIN)}, rax
written:
    cmp edx, -1
    je hidden
    mov rax, {_at(Shared.REGISTERS)}
    mov [rax+rdx*8], rbp
hidden:
    test r15b, {int(Flag.HIDDEN)}
    jnz silent
    cmp r8, {_at(Shared.SHOW_FROM)}
    jb silent
    mov {_at(Shared.KEPT)}, rcx
    cmp qword ptr {_at(Shared.WRITES_PC)}, 0
    je template
    movdqu xmm0, [rdi+{8 * Shared.HEAD}]
    movdqu [r13], xmm0
    mov rcx, {_at(Shared.PRIVILEGE)}
    mov [r13+{PRIVILEGE_IN_HEAD}], cl
    add r13, {LENGTH_OF_HEAD}
    mov rax, {_at(Shared.PC)}
{DIGITS}
    add r13, 16
template:
    mov rbx, [rsi]
    mov eax, [rsi+8]
    xor ecx, ecx
copy:
    movdqu xmm0, [rbx+rcx]
    movdqu [r13+rcx], xmm0
    add ecx, {COPIED}
    cmp ecx, eax
    jb copy
    cmp qword ptr {_at(Shared.WRITES_PC)}, 0
    jne copied
    movzx ebx, word ptr [rsi+12]
    mov ecx, {_at(Shared.PRIVILEGE)}
    mov [r13+rbx], cl
copied:
    add r13, rax
    mov rcx, {_at(Shared.KEPT)}
    cmp edx, -1
    je access
    mov rax, {_at(Shared.NAMES)}
    mov rax, [rax+rdx*8]
    mov [r13], rax
    add r13, {LABEL}
    mov rax, rbp
{DIGITS}
    add r13, 16
access:
    cmp r11, rcx
    jae end
    movzx ebx, byte ptr [r11]
    test bl, {STORE}
    jnz told
    test r15b, {int(Flag.SC)}
    jnz next_access
told:
    mov rax, {_at(Shared.MEMORY)}
    mov [r13], rax
    add r13, {LABEL}
    mov rax, [r11+{ADDRESS_OF_ACCESS}]
{DIGITS}
    add r13, 16
    test bl, {STORE}
    jz next_access
    mov dword ptr [r13], 0x783020
    add r13, 3
    mov {_at(Shared.KEPT)}, rcx
    mov ecx, ebx
    and ecx, 3
    mov ebx, 1
    shl ebx, cl
    lea ecx, [rbx*8]
    neg ecx
    mov rax, [r11+{VALUE_OF_ACCESS}]
    shl rax, cl
    mov rcx, {_at(Shared.KEPT)}
{DIGITS}
    lea r13, [r13+rbx*2]
next_access:
    add r11, {ACCESS}
    jmp access
end:
    test r15b, {int(Flag.STATUS)}
    jz ended
    cmp qword ptr {_at(Shared.KNOWS_STATUS)}, 0
    je ended
    movdqu xmm0, [rdi+{8 * Shared.STATUS_NAME}]
    movdqu [r13], xmm0
    add r13, 16
    mov rbx, {_at(Shared.REGISTERS)}
    mov rax, [rbx+{STATUS}]
    mov ebx, eax
    not ebx
    test ebx, {FS_DIRTY}
    jnz clean
    bts rax, 63
clean:
{DIGITS}
    add r13, 16
ended:
    mov byte ptr [r13], 10
    inc r13
silent:
    mov eax, r15d
    and eax, {int(Flag.LONG)}
    shr eax, {int(Flag.LONG).bit_length() - 2}
    add eax, 2
    add {_at(Shared.PC)}, rax
    mov r11, rcx
    inc r8
    add rsi, {ENTRY_SIZE}
    dec r14
    jmp instruction
block:
    mov r8, {_at(Shared.BLOCK_END)}
next_word:
    mov rax, {_at(Shared.WORDS)}
    mov rbx, {_at(Shared.WORDS_END)}
    cmp rax, rbx
    jae done
    lea rcx, [rax+4]
    mov eax, [rax]
    test eax, eax
    jns number
    mov {_at(Shared.WORDS)}, rcx
    jmp next_word
number:
    xor edx, edx
    cmp rcx, rbx
    jb look
    cmp qword ptr {_at(Shared.IS_LAST)}, 0
    je done
    jmp whole
look:
    mov ebp, [rcx]
    test ebp, ebp
    jns whole
    add rcx, 4
    add ebp, ebp
    sar ebp, 1
    movsxd rdx, ebp
whole:
    cmp rax, {_at(Shared.TABLE_SIZE)}
    jae unknown
    mov rbx, {_at(Shared.TABLE)}
    mov rbx, [rbx+rax*8]
    test rbx, rbx
    jz unknown
    cmp r8, {_at(Shared.MODE_AT)}
    jae mode
    mov {_at(Shared.WORDS)}, rcx
    mov {_at(Shared.BLOCK)}, rax
    mov eax, [rbx]
    sub rax, rdx
    lea rcx, [r8+rax]
    mov {_at(Shared.BLOCK_END)}, rcx
    mov r14d, [rbx+4]
    cmp rax, r14
    cmovl r14, rax
    xor eax, eax
    test r14, r14
    cmovs r14, rax
    mov rax, [rbx+8]
    test rax, rax
    jnz digit
    mov rax, {_at(Shared.SUPERVISOR)}
digit:
    mov {_at(Shared.PRIVILEGE)}, rax
    mov rax, [rbx+16]
    mov {_at(Shared.PC)}, rax
    lea rsi, [rbx+{HEAD_SIZE}]
    jmp instruction
done:
    mov eax, {Answer.DONE}
    jmp leave
full:
    mov eax, {Answer.FULL}
    jmp leave
python:
    mov eax, {Answer.INSTRUCTION}
    jmp leave
unknown:
    mov eax, {Answer.BLOCK}
    jmp leave
mode:
    mov eax, {Answer.MODE}
leave:
    mov {_at(Shared.INSTRET)}, r8
    mov {_at(Shared.WRITES)}, r9
    mov {_at(Shared.ACCESSES)}, r11
    mov {_at(Shared.OUTPUT)}, r13
    mov {_at(Shared.ENTRY)}, rsi
    mov {_at(Shared.LEFT)}, r14
    {RESTORE}
    ret
"""
