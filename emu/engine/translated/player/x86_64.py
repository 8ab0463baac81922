"""The player for x86-64 (System V ABI); see `emu.engine.translated.player`."""

from emu.engine.registers import RESTORE, SAVE
from emu.engine.slots import Slot
from emu.engine.translated import layout
from emu.engine.translated.layout import OP_ARGUMENTS, OP_NEXT, OP_PARAMETERS, TEMP_SIZE, Global
from emu.engine.translated.layout import X86_64 as LAYOUT
from emu.engine.translated.opcodes import OPCODES, TB_EXIT_REQUESTED
from emu.engine.translated.plan import LABELS, TEMPORARIES, Kind, Known, Part, Source
from emu.engine.translated.player.leaving import first_x86_64, second_x86_64
from emu.engine.window import Word

_TEMPS = 8 * len(Known)
_LABELS = _TEMPS + 8 * TEMPORARIES
_ZEROED = len(Known) + TEMPORARIES + LABELS
_FIRST = 8 * _ZEROED
_NEXT, _OPERANDS, _PLACE, _LAST, _INSTRUCTION, _HOST = range(_FIRST + 8, _FIRST + 56, 8)
_FRAME = (_FIRST + 56 + 15 & ~15) + 8


def _known(known: Known) -> str:
    return f"[rbp+{8 * known}]"


def _play(part: Part, *, before: str) -> str:
    return f"""
    mov r14, [r12+{8 * part}]
    mov r15, {before}
    call play"""


# Temporaries that are free by now were in use where a list is played: the player takes none of them, but new ones.
# rbx: the context. rbp: the frame: what is `Known`, temporaries, labels, and more. r12: the plan. r13: an operation of
# the block. r14: what comes next in a list. r15: the operation that operations are written in front of. What is played
# at a block's end goes in front of the call that looks for the next block, which a fault may leave.
SOURCE = f"""
gen_code:
    mov rax, [rdi+{LAYOUT.engine}]
    mov rax, [rax+{layout.ENGINE_CPU}]
    mov rax, [rax+{LAYOUT.env_pointer}]
    mov rax, [rax+{8 * Word.RDTIME_FUNCTION}]
    test rax, rax
    jz untouched
    mov rdx, [rax+{8 * Slot.PLAN}]
    test rdx, rdx
    jz untouched
    {SAVE}
    sub rsp, {_FRAME}
    mov rbp, rsp
    mov rbx, rdi
    mov r12, rdx
    mov r8, rax
    xor eax, eax
    mov ecx, {_ZEROED}
    mov rdi, rbp
    rep stosq
    lea rdi, [rbx+{LAYOUT.free_temps}]
    mov ecx, 8
    rep stosq
    mov {_known(Known.BLOCK)}, rsi
    xor r14d, r14d
    mov r13, [rbx+{LAYOUT.ops}]
look:
    movzx eax, byte ptr [r13]
    cmp al, {OPCODES["insn_start"]}
    je begins
    cmp al, {OPCODES["call"]}
    jne look_on
    movzx eax, byte ptr [r13+{OP_PARAMETERS}]
    mov ecx, eax
    and eax, 15
    shr ecx, 4
    add eax, ecx
    mov rax, [r13+rax*8+{OP_ARGUMENTS}]
    cmp rax, [rip+helper_check_exit_request]
    cmove r14, r13
look_on:
    mov r13, [r13+{OP_NEXT}]
    test r13, r13
    jnz look
    jmp finish
begins:
    mov rax, [rbx+{LAYOUT.ops + 8}]
    lea rdx, [rsi+{TB_EXIT_REQUESTED}]
    cmp byte ptr [rax-{OP_NEXT}], {OPCODES["exit_tb"]}
    jne finish
    cmp [rax-{OP_NEXT}+{OP_ARGUMENTS}], rdx
    jne finish
    mov {_known(Known.SLOTS)}, r8
    mov rax, [r8+{8 * Slot.SERIAL}]
    inc rax
    mov [r8+{8 * Slot.SERIAL}], rax
    mov {_known(Known.SERIAL)}, rax
    mov rcx, [r8+{8 * Slot.MOST}]
    sub rax, [r8+{8 * Slot.FIRST}]
    cmp rax, rcx
    cmova rax, rcx
    mov {_known(Known.NUMBER)}, rax
    mov rax, [rsi]
    mov {_known(Known.BLOCK_PC)}, rax
    movzx eax, word ptr [rsi+{layout.BLOCK_LENGTH}]
    mov {_known(Known.LENGTH)}, rax
    mov qword ptr {_known(Known.POSITION)}, -1
    mov qword ptr [rbp+{_LAST}], -1
    mov [rbp+{_FIRST}], r13
    test r14, r14
    jz unchecked
    mov rdi, rbx
    mov rsi, r14
    call qword ptr [rip+tcg_op_remove]
unchecked:
    cmp qword ptr [r12+{8 * Part.CLASSES}], 0
    je ends
each:
    mov rax, [r13+{OP_NEXT}]
    mov [rbp+{_NEXT}], rax
    movzx eax, byte ptr [r13]
    mov rcx, [r12+{8 * Part.CLASSES}]
    movzx eax, byte ptr [rcx+rax]
    cmp eax, {Kind.COMPARISON}
    je is_comparison
    cmp eax, {Kind.LOAD}
    jb is_instruction
    je is_load
    cmp eax, {Kind.RESULT}
    jb is_store
    je is_result
    test byte ptr [r13+{OP_PARAMETERS}], 0xf0
    jz advance
is_result:
    cmp qword ptr [r12+{8 * Part.WRITTEN}], 0
    je advance
    mov rax, [r13+{OP_ARGUMENTS}]
    sub rax, rbx
    sub rax, {LAYOUT.registers}
    cmp rax, {TEMP_SIZE * (Global.END - Global.X0 - 1)}
    jae advance
    xor edx, edx
    mov ecx, {TEMP_SIZE}
    div ecx
    inc eax
    mov {_known(Known.REGISTER)}, rax
    mov rcx, {_known(Known.POSITION)}
    shl rcx, 8
    or rcx, rax
    cmp rcx, [rbp+{_LAST}]
    jne another
    dec qword ptr {_known(Known.TAKEN)}
another:
    mov [rbp+{_LAST}], rcx
    {_play(Part.WRITTEN, before=f"[rbp+{_NEXT}]")}
    jmp advance
is_instruction:
    test eax, eax
    jz advance
    mov [rbp+{_INSTRUCTION}], r13
    mov rcx, {_known(Known.LENGTH)}
    inc qword ptr {_known(Known.POSITION)}
    sub rcx, {_known(Known.POSITION)}
    mov {_known(Known.REMAINING)}, rcx
    mov rax, [r13+{OP_ARGUMENTS}]
    mov {_known(Known.PC)}, rax
    {_play(Part.INSTRUCTION, before=f"[rbp+{_NEXT}]")}
    jmp advance
is_comparison:
    {_play(Part.BEFORE_COMPARISON, before="r13")}
    jmp advance
is_load:
    call measure
    {_play(Part.BEFORE_LOAD, before="r13")}
    {_play(Part.AFTER_LOAD, before=f"[rbp+{_NEXT}]")}
    jmp is_result
is_store:
    call measure
    {_play(Part.BEFORE_STORE, before="r13")}
    {_play(Part.AFTER_STORE, before=f"[rbp+{_NEXT}]")}
advance:
    mov r13, [rbp+{_NEXT}]
    test r13, r13
    jnz each{first_x86_64(_known)}
find:
    mov r13, [rbp+{_INSTRUCTION}]
find_on:
    mov r15, r13
    mov r13, [r13+{OP_NEXT}]
    movzx eax, byte ptr [r13]
    sub eax, {OPCODES["exit_tb"]}
    cmp eax, {OPCODES["goto_ptr"] - OPCODES["exit_tb"]}
    ja find_on
    cmp qword ptr [r13+{OP_NEXT}], 0
    je ends
    cmp byte ptr [r13], {OPCODES["goto_ptr"]}
    cmovne r15, r13
    call play{second_x86_64(_known)}
ends:
    mov r13, [rbp+{_FIRST}]
    {_play(Part.HEAD, before="r13")}
    mov r14, [r12+{8 * Part.TAIL}]
    mov r15, [rbx+{LAYOUT.ops + 8}]
    sub r15, {OP_NEXT}
    call play
finish:
    mov rdi, rbx
    mov rsi, {_known(Known.BLOCK)}
    add rsp, {_FRAME}
    {RESTORE}
untouched:
    jmp qword ptr [rip+tcg_gen_code]
fetch:
    sub rsp, 8
    mov rdi, [rbx+{LAYOUT.engine}]
    mov rdi, [rdi+{layout.ENGINE_CPU}]
    mov rdi, [rdi+{LAYOUT.env_pointer}]
    lea rdx, [rbp+{_HOST}]
    mov qword ptr [rdx], 0
    call qword ptr [rip+get_page_addr_code_hostp]
    xor eax, eax
    mov rcx, [rbp+{_HOST}]
    test rcx, rcx
    jz fetched
    movzx eax, word ptr [rcx]
fetched:
    add rsp, 8
    ret
measure:
    mov ecx, [r13+{OP_ARGUMENTS + 16}]
    mov eax, ecx
    and eax, 15
    mov {_known(Known.MMU)}, rax
    shr ecx, 4
    and ecx, 3
    mov {_known(Known.SIZE)}, rcx
    mov eax, 1
    shl eax, cl
    mov ecx, eax
    dec eax
    mov {_known(Known.LAST_BYTE)}, rax
    mov eax, 64
    sub eax, ecx
    mov {_known(Known.TO_TOP)}, rax
    mov eax, 1
    shl eax, cl
    dec eax
    mov {_known(Known.MASK)}, rax
    ret
play:
    sub rsp, 8
    test r14, r14
    jz played
write:
    mov rdx, [r14]
    test rdx, rdx
    jz played
    movzx edx, dl
    mov rdi, rbx
    mov rsi, r15
    call qword ptr [rip+tcg_op_insert_before]
    mov rcx, [r14]
    add r14, 8
    movzx edx, ch
    mov [rbp+{_OPERANDS}], rdx
    shr ecx, 16
    mov [rax+{OP_PARAMETERS}], cl
    add rax, {OP_ARGUMENTS}
    mov [rbp+{_PLACE}], rax
operand:
    dec qword ptr [rbp+{_OPERANDS}]
    js write
    movzx eax, byte ptr [r14]
    movzx edx, byte ptr [r14+1]
    cmp eax, {Source.TEMPORARY}
    jb value
    je temporary
    cmp eax, {Source.ARGUMENT}
    jb global
    je argument
    cmp eax, {Source.NEXT}
    jb label
value:
    movzx ecx, byte ptr [r14+2]
    mov r8, [rbp+rdx*8]
    cmp eax, {Source.NEXT}
    jne same
    inc qword ptr [rbp+rdx*8]
same:
    mov rax, r8
    shl rax, cl
    add rax, [r14+8]
    jmp made
global:
    mov rax, rbx
    add rax, [r14+8]
    jmp made
argument:
    mov rax, [r13+rdx*8+{OP_ARGUMENTS}]
    jmp made
temporary:
    mov rax, [rbp+rdx*8+{_TEMPS}]
    test rax, rax
    jnz made
    mov rdi, rbx
    mov esi, 1
    xor edx, edx
    call qword ptr [rip+tcg_temp_new_internal]
    movzx edx, byte ptr [r14+1]
    mov [rbp+rdx*8+{_TEMPS}], rax
    jmp made
label:
    mov rax, [rbp+rdx*8+{_LABELS}]
    test rax, rax
    jnz labelled
    mov rdi, rbx
    call qword ptr [rip+gen_new_label]
    movzx edx, byte ptr [r14+1]
    mov [rbp+rdx*8+{_LABELS}], rax
labelled:
    cmp byte ptr [r14], {Source.BRANCH}
    jne made
    inc word ptr [rax+{layout.LABEL_USES}]
made:
    mov rdx, [rbp+{_PLACE}]
    mov [rdx], rax
    add qword ptr [rbp+{_PLACE}], 8
    add r14, 16
    jmp operand
played:
    add rsp, 8
    ret
"""
