"""Entries of a block for x86-64 (System V ABI); see `emu.report.logs.commits.entries.layout`."""

from emu.engine.registers import RESTORE, SAVE
from emu.report.logs.commits.entries.layout import CLASSES, COMPRESSED, IN_PYTHON
from emu.report.logs.commits.layout import ENTRY_SIZE, HEAD_SIZE, Flag
from emu.report.logs.commits.x86_64 import MAKE_DIGITS, ready

# rdi: the constants; rsi to rdx: code, at first its size; rcx: the head; r8: the entry; r9: how many are Python's;
# r10: how many are left; rbp: the size of the instruction; rbx: its flags.
CODE = f"""
    {SAVE}
    {ready("rdi")}
    add rdx, rsi
    lea r8, [rcx+{HEAD_SIZE}]
    xor r9d, r9d
    mov r10d, [rcx]
instruction:
    test r10d, r10d
    jz over
    lea rax, [rsi+2]
    cmp rax, rdx
    ja over
    movzx eax, word ptr [rsi]
    mov ebx, eax
    and ebx, 3
    cmp ebx, 3
    je long
    mov ebp, eax
    shr ebp, 13
    lea ebx, [rbp+rbx*8]
    movzx ebx, byte ptr [rdi+rbx+{CLASSES + COMPRESSED}]
short:
    shl rax, 48
    mov ebp, 2
    jmp text
long:
    mov ebx, {IN_PYTHON}
    lea rbp, [rsi+4]
    cmp rbp, rdx
    ja short
    mov eax, [rsi]
    mov ebx, eax
    shr ebx, 2
    and ebx, 31
    movzx ebx, byte ptr [rdi+rbx+{CLASSES}]
    shl rax, 32
    mov ebp, 4
text:
{MAKE_DIGITS}
    mov dword ptr [r8+16], 0x78302820
    movq qword ptr [r8+20], xmm1
    mov byte ptr [r8+rbp*2+20], 41
    lea rax, [r8+16]
    mov [r8], rax
    lea eax, [rbp*2+5]
    mov [r8+8], eax
    mov eax, ebx
    and eax, {IN_PYTHON}
    add r9d, eax
    mov eax, ebp
    and eax, 4
    shl eax, {int(Flag.LONG).bit_length() - 3}
    or eax, ebx
    shl eax, 16
    mov [r8+12], eax
    add rsi, rbp
    add r8, {ENTRY_SIZE}
    dec r10d
    jmp instruction
over:
    mov eax, [rcx]
    sub eax, r10d
    mov [rcx+4], eax
    mov eax, r9d
    {RESTORE}
    ret
"""
