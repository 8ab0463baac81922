"""What records the elements that a call is given, for x86-64."""

from emu.engine.translated.features.callrecords.layout import ELEMENT_BIT, RECORD_SIZE, Field, Own, Shared
from emu.engine.translated.features.callrecords.poisoning.layout import Plan

_PLAN, _CALL, _HEAD, _AT, _LEFT = (f"qword ptr [rsp+{8 * number}]" for number in range(5))


def _shared(word: Shared) -> str:
    return f"[rbp+{8 * word}]"


def _own(word: Own) -> str:
    return f"[rbx+{8 * word}]"


def _recorded(is_told: str, call: str) -> str:
    """The record, and those of elements if `is_told` says by ZF that they are told of; `call` finds its registers."""
    return f"""
    mov qword ptr [r14+{Field.ELEMENT}], 0
    cmp qword ptr {_own(Own.ELEMENTS)}, 0
    je alone
    cmp qword ptr {_own(Own.AT_ENTRY)}, 0
    {is_told} alone
    {call}
    call elements
    jc miss
alone:
    mov rax, [r14+{Field.ELEMENT}]
    add rax, {RECORD_SIZE}
    add {_shared(Shared.PLACE)}, rax
"""


ENTERED = _recorded("je", f"lea rsi, [r14+{Field.FIRST}]")
RETURNED = _recorded(
    "jne",
    f"""
    mov rsi, [rsp]
    sub rsi, {_shared(Shared.AWAITED)}
    add rsi, rsi
    add rsi, {_shared(Shared.ARGUMENTS)}
""",
)
"""What takes room for the record in r14, and for those of its elements; where they are left to Python, to `miss`."""

ELEMENTS = f"""
elements:
    push r15
    cmp qword ptr {_shared(Shared.AT_ONCE)}, 0
    jne unplanned
    mov rdx, [r14+{Field.DONE}]
    test rdx, rdx
    jnz described
    mov rdx, {_own(Own.PLAN)}
    test rdx, rdx
    jz unplanned
described:
    sub rsp, 40
    mov {_PLAN}, rdx
    mov {_CALL}, rsi
    mov r15, r14
    lea r8, [r14+{Field.FIRST}]
    mov r9, rsi
    mov rdi, [rdx+{8 * Plan.FIRST}]
    call number
    cmp r11d, 1
    ja untold
    je complete
    test rax, rax
    jz complete
    mov {_HEAD}, rax
    mov {_AT}, rax
    mov rdx, {_PLAN}
    mov rdi, [rdx+{8 * Plan.COUNT}]
    test rdi, rdi
    jz at_node
    lea r8, [r14+{Field.FIRST}]
    mov r9, {_CALL}
    call number
    cmp r11d, 1
    ja untold
    je complete
    mov {_LEFT}, rax
at_word:
    sub {_LEFT}, 1
    jc complete
    mov rax, {_AT}
    add {_AT}, 8
    jmp at_element
at_node:
    mov rdi, {_AT}
    test dil, 7
    jnz untold
    call reach
    jc untold
    mov rax, [rdi]
    cmp rax, {_HEAD}
    je complete
    mov {_AT}, rax
    mov rdx, {_PLAN}
    sub rax, [rdx+{8 * Plan.NODE}]
at_element:
    lea rdi, [r15+{RECORD_SIZE}]
    cmp rdi, {_shared(Shared.LIMIT)}
    jae untold
    mov r15, rdi
    mov rsi, r14
    mov ecx, {RECORD_SIZE // 8}
    rep movsq
    mov [r15+{Field.FIRST}], rax
    lea r8, [r15+{Field.FIRST}]
    mov r9, {_CALL}
    mov rdx, {_PLAN}
    mov rdi, [rdx+{8 * Plan.AT}]
    call number
    mov rcx, [r14+{Field.FIRST}]
    mov [r15+{Field.FIRST}], rcx
    cmp r11d, 1
    ja untold
    je at_none
    test rax, rax
    jz at_none
    mov [r15+{Field.ELEMENT}], rax
    mov qword ptr [r15+{Field.DONE}], 0
    mov rax, {_own(Own.NUMBER)}
    bts rax, {ELEMENT_BIT}
    mov [r15+{Field.NUMBER}], rax
    jmp further
at_none:
    sub r15, {RECORD_SIZE}
further:
    mov rdx, {_PLAN}
    cmp qword ptr [rdx+{8 * Plan.COUNT}], 0
    je at_node
    jmp at_word
complete:
    sub r15, r14
    mov [r14+{Field.ELEMENT}], r15
    add rsp, 40
    pop r15
    clc
    ret
untold:
    add rsp, 40
unplanned:
    pop r15
    stc
    ret
"""
"""`elements` writes them, and how many bytes they take into the record's `ELEMENT`; the carry is set where they are
left to Python. rsi: the registers of the call. rbx: the function's words. rbp: what all share. r12: the state. r14: the
record, whose `DONE` has its plan, or 0."""
