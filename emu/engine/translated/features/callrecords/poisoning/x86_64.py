"""What poisons memory at recorded calls, for x86-64."""

from emu.engine.translated.features.callentries import MARKS_OFFSET
from emu.engine.translated.features.callrecords.layout import RECORD_SIZE, Field, Own, Shared
from emu.engine.translated.features.callrecords.poisoning import layout
from emu.engine.translated.features.callrecords.poisoning.layout import Effect, Plan, Step, Table


def _shared(word: Shared) -> str:
    return f"[rbp+{8 * word}]"


def _table(word: Table) -> str:
    return f"[r15+{8 * word}]"


# rax: the place of an awaited call; the registers of the record are kept for its return.
KEEP_ARGUMENTS = f"""
    sub rax, {_shared(Shared.AWAITED)}
    add rax, rax
    add rax, {_shared(Shared.ARGUMENTS)}
""" + "".join(
    f"    mov rdx, [r14+{Field.FIRST + offset}]\n    mov [rax+{offset}], rdx\n"
    for offset in range(0, layout.ARGUMENTS_SIZE, 8)
)

# What was recorded takes effect, at the entry, or at the return (rdx: its place); eax: whether Python is to read it.
POISON_ENTERED = f"""
    mov rax, [rbx+{8 * Own.AT_ENTRY}]
    test eax, eax
    jz quiet
    lea rsi, [r14+{Field.FIRST}]
    call poisoned
quiet:
"""
POISON_RETURNED = f"""
    xor eax, eax
    cmp [rbx+{8 * Own.AT_ENTRY}], rax
    jne quiet
    mov rsi, rdx
    sub rsi, {_shared(Shared.AWAITED)}
    add rsi, rsi
    add rsi, {_shared(Shared.ARGUMENTS)}
    call poisoned
quiet:
"""

# `poisoned` carries out the plan of a record that tells something; eax is 1 if Python is to read it now. rsi: the
# registers of the call. rbx: the function's words. rbp: what all share. r14: the record. r13 and r15 are used.
POISONED = f"""
poisoned:
    mov rdx, [r14+{Field.DONE}]
    mov qword ptr [r14+{Field.DONE}], 0
    cmp qword ptr {_shared(Shared.AT_ONCE)}, 0
    jne refused
    mov r15, {_shared(Shared.TABLES)}
    test r15, r15
    jz later
    test rdx, rdx
    jnz planned
    mov rdx, [rbx+{8 * Own.PLAN}]
    test rdx, rdx
    jz refused
planned:
    mov rax, {_table(Table.SHOWN)}
    mov rax, [rax]
    cmp rax, {_table(Table.BITS)}
    jne refused
    cmp qword ptr [rbx+{8 * Own.ELEMENTS}], 0
    jne in_order
    push rdx
    push rsi
    lea r8, [r14+{Field.FIRST}]
    mov r9, rsi
    mov rdi, [rdx+{8 * Plan.AT}]
    call number
    mov r13, rax
    pop r8
    pop rdx
    cmp r11d, 1
    je done
    ja refused
    test r13, r13
    jz done
placed:
    push rdx
    mov r9, r8
    mov rdi, [rdx+{8 * Plan.EXTENT}]
    call number
    pop rdx
    test r11d, r11d
    jnz refused
    mov r8, rax
    mov r11, [rdx+{8 * Plan.EFFECT}]
    cmp r11, {Effect.BLOCK_ALLOCATED}
    jae block
    mov rcx, {_shared(Shared.RAM)}
    shr rcx, 12
    mov r9, r13
    sub r9, rcx
    mov rdx, {_shared(Shared.RAM_SIZE)}
    shr rdx, 12
    cmp r9, rdx
    jae refused
    sub rdx, r9
    test r8, r8
    jz refused
    cmp r8, rdx
    ja refused
    mov rdi, r13
    shl rdi, 12
    add rdi, {_table(Table.OFFSET)}
    shr rdi, 3
    and rdi, {_table(Table.MASK)}
    jz refused
    mov rcx, r8
    shl rcx, 9
    lea rdx, [rdi+rcx]
    cmp rdx, {_table(Table.MASK)}
    ja refused
    add rdi, {_table(Table.BITS)}
    mov r10, {_table(Table.PAGES)}
    add r10, r9
    cmp r11, {Effect.FRAMES_FREED}
    jne frames
    test byte ptr [r10], {layout.FREED}
    jnz refused
frames:
    mov rax, -1
    mov edx, {layout.DONE}
    mov esi, {layout.FREED}
    cmp r11, {Effect.FRAMES_ALLOCATED}
    jne fill
    mov rsi, {_shared(Shared.INNERMOST)}
    mov rsi, [rsi]
    mov rsi, [rsi+{MARKS_OFFSET}]
    mov edx, {layout.DONE | layout.FOR_HEAP}
    test rsi, {_table(Table.HEAP)}
    mov esi, 0
    jnz fill
    mov edx, {layout.DONE}
    xor eax, eax
fill:
    shr rcx, 3
    rep stosq
page:
    test byte ptr [r10], {layout.HAS_BLOCKS}
    jz bare
    mov rdi, r9
    shl rdi, 11
    add rdi, {_table(Table.HELD)}
    mov ecx, {layout.PAGE_WORDS // 2}
    xor eax, eax
    rep stosq
bare:
    mov [r10], sil
    inc r10
    inc r9
    dec r8
    jnz page
    mov [r14+{Field.DONE}], rdx
later:
    xor eax, eax
    ret
block:
    cmp qword ptr {_table(Table.LINEAR)}, 0
    je refused
    test r13b, 7
    jnz refused
    mov rdi, r13
    call reach
    jc refused
    sub rdi, {_shared(Shared.HOST)}
    mov rcx, r13
    sub rcx, rdi
    sub rcx, {_shared(Shared.RAM)}
    cmp rcx, {_table(Table.OFFSET)}
    jne refused
    mov r9, rdi
    shr r9, 12
    add r9, {_table(Table.PAGES)}
    shr rdi, 3
    shl rdi, 2
    add rdi, {_table(Table.HELD)}
    mov r10, rdi
    mov rdi, r13
    shr rdi, 3
    and rdi, {_table(Table.MASK)}
    jz refused
    cmp r11, {Effect.BLOCK_FREED}
    je freed
    test r8, r8
    jz refused
    mov rcx, r8
    shr rcx, 32
    jnz refused
    mov rcx, r8
    shr rcx, 3
    lea rdx, [rdi+rcx]
    cmp rdx, {_table(Table.MASK)}
    jae refused
    mov [r10], r8d
    inc qword ptr {_table(Table.ALLOCATED)}
    or byte ptr [r9], {layout.HAS_BLOCKS}
    add rdi, {_table(Table.BITS)}
    xor eax, eax
    rep stosb
    mov ecx, r8d
    and ecx, 7
    jz done
    mov eax, 0xff
    shl eax, cl
    mov [rdi], al
    jmp done
freed:
    mov eax, [r10]
    test eax, eax
    jz refused
    test r8, r8
    jz sized
    cmp r8, rax
    jne refused
sized:
    mov r8d, eax
    mov ecx, r8d
    shr ecx, 3
    lea rdx, [rdi+rcx]
    cmp rdx, {_table(Table.MASK)}
    jae refused
    mov dword ptr [r10], 0
    add rdi, {_table(Table.BITS)}
    mov eax, 0xff
    rep stosb
    mov ecx, r8d
    and ecx, 7
    jz done
    mov eax, 1
    shl eax, cl
    dec eax
    or [rdi], al
done:
    mov qword ptr [r14+{Field.DONE}], {layout.DONE}
    xor eax, eax
    ret
refused:
    mov eax, 1
    ret
in_order:
    mov rcx, [r14+{Field.ELEMENT}]
    add rcx, r14
    push rcx
    push rdx
    push rsi
    xor eax, eax
one:
    cmp r14, [rsp+16]
    je all_done
    add r14, {RECORD_SIZE}
    mov r13, [r14+{Field.ELEMENT}]
    mov r8, [rsp]
    mov rdx, [rsp+8]
    call placed
    test eax, eax
    jz one
all_done:
    add rsp, 24
    ret
number:
    xor r11d, r11d
    mov r10, rsp
step:
    mov rcx, [rdi]
    mov rax, [rdi+8]
    add rdi, 16
    cmp ecx, {Step.CONSTANT}
    je pushed
    cmp ecx, {Step.REGISTER}
    je of_now
    cmp ecx, {Step.ARGUMENT}
    je of_call
    cmp ecx, {Step.END}
    je ended
    cmp ecx, {Step.NEED}
    je needed
    cmp ecx, {Step.LOAD}
    je loading
    mov edx, ecx
    pop rcx
    pop rax
    cmp edx, {Step.ADD}
    je adding
    cmp edx, {Step.SUBTRACT}
    je subtracting
    cmp edx, {Step.MULTIPLY}
    je multiplying
    cmp edx, {Step.DIVIDE}
    je dividing
    cmp edx, {Step.LEFT}
    je to_left
    cmp edx, {Step.RIGHT}
    je to_right
    xor rax, rcx
    jmp pushed
adding:
    add rax, rcx
    jc odd
    jmp pushed
subtracting:
    sub rax, rcx
    jc odd
    jmp pushed
multiplying:
    mul rcx
    jc odd
    jmp pushed
dividing:
    test rcx, rcx
    jz odd
    xor edx, edx
    div rcx
    test rdx, rdx
    jnz odd
    jmp pushed
to_left:
    mov rdx, rax
    shl rax, cl
    push rax
    shr rax, cl
    cmp rax, rdx
    jne odd
    jmp step
to_right:
    shr rax, cl
    jmp pushed
of_now:
    mov rax, [r8+rax]
    jmp pushed
of_call:
    mov rax, [r9+rax]
pushed:
    push rax
    jmp step
loading:
    pop rax
    test al, 7
    jnz odd
    push rdi
    push r9
    push r10
    mov rdi, rax
    call reach
    mov rax, rdi
    pop r10
    pop r9
    pop rdi
    jc odd
    mov rax, [rax]
    jmp pushed
needed:
    pop rax
    test rax, rax
    jnz step
    mov r11d, 1
    mov rsp, r10
    ret
odd:
    mov r11d, 2
    mov rsp, r10
    ret
ended:
    pop rax
    ret
"""
