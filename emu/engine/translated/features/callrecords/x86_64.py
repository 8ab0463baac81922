"""What records calls of functions, for x86-64."""

from emu.engine.slots import Slot
from emu.engine.translated.features.callentries import MARKS_OFFSET, PATH_SHIFT, RETURNED
from emu.engine.translated.features.callrecords import layout, reaching
from emu.engine.translated.features.callrecords.elements import x86_64 as elements
from emu.engine.translated.features.callrecords.layout import Field, Own, Shared, State
from emu.engine.translated.features.callrecords.poisoning import x86_64 as poisoning


def _shared(word: Shared) -> str:
    return f"[rbp+{8 * word}]"


def _own(word: Own) -> str:
    return f"[rbx+{8 * word}]"


# `known` says by which number the facts of a key go; 0 if there are none that hold. `led` writes who has led to the
# call; 0 if that cannot be known. rbx: the function's words. rbp: what all share. r12: the state. r13: the entry of the
# call. r14: the record. r15: what addresses of facts count from: 0, or the stack pointer of the outermost call.
KNOWN = f"""{reaching.X86_64}
known:
    mov rax, rsi
    shr rax, {layout.FACT_SHIFT}
    and eax, {(1 << layout.FACT_BITS) - 1}
    shl eax, {layout.SIZE_BITS}
    add rax, {_shared(Shared.FACTS)}
    cmp [rax], rsi
    jne unknown
    mov rdx, [rax+16]
    test rdx, rdx
    jz unknown
    mov r11, [rdx]
each:
    test r11, r11
    jz found
    add rdx, 16
    mov rdi, [rdx-8]
    add rdi, r15
    call reach
    jc unknown
    mov rdi, [rdi]
    cmp rdi, [rdx]
    jne unknown
    dec r11
    jmp each
found:
    mov rdx, [rax+24]
    mov [r14+{Field.DONE}], rdx
    mov rax, [rax+8]
    ret
unknown:
    xor eax, eax
    ret
led:
    xor r15d, r15d
    xor r11d, r11d
    mov r8, r13
    mov rax, [r8+{MARKS_OFFSET}]
    shr rax, {PATH_SHIFT}
    mov [r14+{Field.PATH}], rax
link:
    mov rdi, [r8+8]
    mov [r14+r11*8+{Field.LINKS}], rdi
    cmp rdi, {_shared(Shared.HOST_CALLS)}
    je host
    sub rdi, 4
    mov ecx, edi
    and ecx, 0xfff
    cmp ecx, 0xffc
    ja unled
    call reach
    jc unled
    mov edi, [rdi]
    mov [r14+r11*4+{Field.CODE}], edi
    inc r11d
    cmp r11d, {layout.MOST_LINKS}
    je deep
    mov rax, [r8+16]
    cmp rax, {_shared(Shared.END)}
    je outermost
    mov r8, rax
    jmp link
outermost:
    mov rsi, [r8+{MARKS_OFFSET}]
    shr rsi, {PATH_SHIFT}
    push r11
    call known
    test eax, eax
    jnz beyond
    mov rsi, [r8]
    test sil, 7
    jnz beyond
    mov r15, rsi
    mov rsi, [r8+8]
    inc rsi
    imul rsi, {_shared(Shared.MIX)}
    call known
    xor r15d, r15d
beyond:
    pop r11
    test eax, eax
    jz unled
    jmp whole
host:
    test r11d, r11d
    jz unled
    inc r11d
deep:
    xor eax, eax
whole:
    shl r11, 32
    or rax, r11
    mov [r14+{Field.CALLERS}], rax
    ret
unled:
    xor eax, eax
    ret
"""
_REGISTERS = "".join(
    f"    mov rax, [r12+{State.ARGUMENTS + 8 * number}]\n    mov [r14+{Field.FIRST + 8 * number}], rax\n"
    for number in range(8)
)
_NOTHING_KNOWN = f"""\
    xor eax, eax
    mov [r14+{Field.CALLERS}], rax
    mov [r14+{Field.DONE}], rax
    cmp qword ptr {_own(Own.AT_ENTRY)}, 0
"""
_KEY, _AWAITED_KEY = "mov rsi, [rsp]", "mov rsi, [rsp]\n    mov rsi, [rsi+24]"
_PUSHED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_PUSH = "".join(f"    push {name}\n" for name in _PUSHED)
_POP = "".join(f"    pop {name}\n" for name in reversed(_PUSHED))


def _facts(key: str) -> str:
    """Who has led to the call, and by which facts, of the key in rsi, it means what it does."""
    return f"""\
    call led
    test rax, rax
    jz miss
    xor eax, eax
    {key}
    test rsi, rsi
    jz write
    call known
    test eax, eax
    jz miss
write:
    mov [r14+{Field.MEANING}], rax"""


# What a code callback gets: the engine, the address, the size, the function's words.
ENTERING = f"""
    mov r8, [rcx+{8 * Own.STATE}]
    mov r9, [rcx+{8 * Own.SLOTS}]
    mov rax, [rcx+{8 * Own.SHARED}]
    cmp [r9+{8 * Slot.BLOCK_PC}], rsi
    jne python
    mov r10, [rax+{8 * Shared.INNERMOST}]
    mov r10, [r10]
    mov rdx, [r8+{State.SP}]
    cmp [r10], rdx
    jne python
    mov rdx, [r8+{State.RA}]
    cmp [r10+8], rdx
    jne python
    mov rdx, [r10+{MARKS_OFFSET}]
    test rdx, [rcx+{8 * Own.INSIDE}]
    jnz inside
    test dl, 1
    jnz python
    mov rdx, [rax+{8 * Shared.PLACE}]
    cmp rdx, [rax+{8 * Shared.LIMIT}]
    jae python
    push rdi
    push rsi
    push rcx
{_PUSH}
    mov rbx, rcx
    mov rbp, rax
    mov r12, r8
    mov r13, r10
    mov r14, rdx
    mov rsi, {_own(Own.SALT)}
    test rsi, rsi
    jz keyed
    mov rcx, {_own(Own.ARGUMENT)}
    test rcx, rcx
    jz salted
    xor rsi, [r12+rcx]
salted:
    imul rsi, {_shared(Shared.MIX)}
keyed:
    push rsi
{_NOTHING_KNOWN}    je write
{_facts(_KEY)}
    mov rax, {_own(Own.NUMBER)}
    mov [r14+{Field.NUMBER}], rax
    mov rcx, {_own(Own.SLOTS)}
    mov rax, [rcx+{8 * Slot.COUNT}]
    sub rax, [rcx+{8 * Slot.BLOCK_LENGTH}]
    mov [r14+{Field.INSTRET}], rax
    mov rax, [r12+{State.TP}]
    mov [r14+{Field.THREAD}], rax
    mov rax, [r12+{State.PRIVILEGE}]
    mov [r14+{Field.MODE}], rax
    mov rcx, [r12+{State.RA}]
    mov [r14+{Field.LINK}], rcx
    mov rdx, [r12+{State.SP}]
    mov [r14+{Field.STACK}], rdx
{_REGISTERS}
{elements.ENTERED}
    mov rcx, [r12+{State.RA}]
    mov rdx, [r12+{State.SP}]
    mov rsi, {_own(Own.MARK)}
    or [r13+{MARKS_OFFSET}], rsi
    test sil, 1
    jz unawaited
    mov rax, rdx
    shr rax, {layout.PLACE_SHIFT}
    and eax, {(1 << layout.PLACE_BITS) - 1}
    shl eax, {layout.SIZE_BITS}
    add rax, {_shared(Shared.AWAITED)}
    mov [rax], rdx
    mov [rax+8], rcx
    mov [rax+16], rbx
    mov rdx, [rsp]
    mov [rax+24], rdx
{poisoning.KEEP_ARGUMENTS}
unawaited:
{poisoning.POISON_ENTERED}
    mov edx, eax
    mov rax, {_shared(Shared.DRAIN)}
    add rsp, 8
{_POP}
    add rsp, 24
    test edx, edx
    jz inside
    jmp rax
miss:
    add rsp, 8
{_POP}
    pop rcx
    pop rsi
    pop rdi
python:
    jmp qword ptr [rcx+{8 * Own.LEAVES}]
inside:
    ret
"""

# What `late` has: the state, the block, the slots. A return where no call is known to be open says nothing.
RETURNING = f"""
    mov rax, [rdx+{8 * Slot.RECORDS}]
    mov r8, [rax+{8 * Shared.MESSAGE}]
    cmp qword ptr [r8], 0
    je python
    cmp qword ptr [r8+8], {RETURNED}
    jne python
    mov r11, [rax+{8 * Shared.PLACE}]
    cmp r11, [rax+{8 * Shared.LIMIT}]
    jae python
    mov r9, [r8+24]
    mov rcx, [r8+16]
    mov r10, r9
    shl r10, 2
    and r10, [rax+{8 * Shared.MASK}]
    add r10, [rax+{8 * Shared.ENTRIES}]
    cmp [r10], r9
    jne unkept
    cmp [r10+8], rcx
    jne unkept
    test byte ptr [r10+{MARKS_OFFSET}], 1
    jz python
    mov rdx, r9
    shr rdx, {layout.PLACE_SHIFT}
    and edx, {(1 << layout.PLACE_BITS) - 1}
    shl edx, {layout.SIZE_BITS}
    add rdx, [rax+{8 * Shared.AWAITED}]
    cmp [rdx], r9
    jne python
    cmp [rdx+8], rcx
    jne python
    mov rcx, [rdx+16]
    test rcx, rcx
    jz python
{_PUSH}
    push r8
    push rdx
    mov rbx, rcx
    mov rbp, rax
    mov r12, rdi
    mov r13, r10
    mov r14, r11
{_NOTHING_KNOWN}    jne write
{_facts(_AWAITED_KEY)}
    mov eax, 1
    shl rax, {layout.ENDED_BIT}
    or rax, {_own(Own.NUMBER)}
    mov [r14+{Field.NUMBER}], rax
    mov r8, [rsp+8]
    mov rax, [r8+16]
    mov [r14+{Field.LINK}], rax
    mov rax, [r8+24]
    mov [r14+{Field.STACK}], rax
    mov rax, [r8+32]
    mov [r14+{Field.INSTRET}], rax
{_REGISTERS}
{elements.RETURNED}
    mov r8, [rsp+8]
    mov rdx, {_shared(Shared.INNERMOST)}
    mov rcx, [r13+16]
    mov [rdx], rcx
    mov word ptr [r13+{MARKS_OFFSET}], 0
    mov rdx, [rsp]
    mov qword ptr [rdx+16], 0
    mov qword ptr [r8], 0
{poisoning.POISON_RETURNED}
    mov edx, eax
    mov rax, {_shared(Shared.DRAIN)}
    add rsp, 16
{_POP}
    test edx, edx
    jz recorded
    jmp rax
unkept:
    mov rdx, [rax+{8 * Shared.INNERMOST}]
    mov rdx, [rdx]
    cmp rdx, [rax+{8 * Shared.END}]
    jne python
    mov qword ptr [r8], 0
recorded:
    ret
miss:
    mov rax, rbp
    add rsp, 16
{_POP}
python:
    jmp qword ptr [rax+{8 * Shared.DRAIN}]
"""
