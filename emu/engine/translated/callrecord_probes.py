"""Native functions that record calls of functions where they are entered, and where they have returned.

What such a call means may depend on memory: on words that Python has read before. They are kept by a key as facts, and
a record says which facts hold. Where none are known, or a word has changed, Python is asked.
"""

from enum import IntEnum

from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.callentries import MARKS_OFFSET, PATH_SHIFT, RETURNED
from emu.engine.window import Word
from emu.isa.registers import A0, RA, SP, TP
from emu.isa.status import Status

FACT_BITS, FACT_SHIFT, SIZE_BITS = 15, 20, 5
"""Places for facts, by some bits of their keys. Each has 32 bytes: the key, the number, the address of the words."""
PLACE_BITS, PLACE_SHIFT = 10, 4
"""Places of calls that are awaited, by bits of their stack pointers, of 32 bytes, too: the stack pointer, the return
address, the address of the function's words, the key of what the call means."""
RECORD_SIZE, MOST_LINKS = 352, 17
"""Bytes: of 64 bits the function's number and `ENDED`, the count of instructions, ra, sp, tp, the privilege as the
core has it, who called (the number of facts about what is around the outermost call; and how many calls follow), the
number of facts about what the call means, a0 to a7, a number for this call and those around it, their return addresses;
of 32 bits the code before each."""
ENDED_BIT = 32
"""Of the first word of a record: the call has returned."""


class Shared(IntEnum):
    """Index of a 64-bit word of what one core's functions share."""

    PLACE = 0
    """Where the next record goes, and the limit."""
    LIMIT = 1
    INNERMOST = 2
    """The address of the word with the innermost call's entry."""
    ENTRIES = 3
    """The table of open calls, and the mask of four times a stack pointer."""
    MASK = 4
    MESSAGE = 5
    """The address of the message about open calls."""
    FACTS = 6
    """The address of the facts."""
    AWAITED = 7
    """The address of the places of awaited calls."""
    DRAIN = 8
    """The address of Python's function that empties buffers."""
    AT_ONCE = 9
    """Whether each record that tells something is to be read at once."""
    MIX = 10
    """What keys are multiplied by."""
    SATP = 11
    """The address of that register; 0 where memory is not to be looked at."""
    RAM = 12
    RAM_SIZE = 13
    HOST = 14
    """The address of RAM, its bytes, and where the host has it."""
    END = 15
    """The entry that the outermost call leads to."""
    HOST_CALLS = 16
    """Where functions return to that the host has called."""


class Own(IntEnum):
    """Index of a 64-bit word of a function: the engine fills in the first four (`StandsBefore`)."""

    CALLBACK = 0
    SLOTS = 1
    STATE = 2
    LEAVES = 3
    """The address of the native function that calls Python's callback."""
    SHARED = 4
    """The address of the words that all share."""
    MARK = 5
    """What the call is marked with, and whether its return is awaited."""
    INSIDE = 6
    """The mark alone: of a call inside of one that has it nothing is recorded."""
    NUMBER = 7
    AT_ENTRY = 8
    """1 if it tells something when it is entered, 0 if when it has returned."""
    SALT = 9
    """Where there are facts about its meaning: what their key is made of besides an argument; else 0."""
    ARGUMENT = 10
    """Where in the state that is, or 0."""


_SP, _RA, _TP, _PRIVILEGE, _ARGUMENTS = 8 * SP, 8 * RA, 8 * TP, 8 * Word.PRIVILEGE, 8 * A0
_NUMBER, _INSTRET, _LINK, _STACK, _THREAD, _MODE, _CALLERS, _MEANING, _FIRST = range(0, 72, 8)
_PATH, _LINKS, _CODE = 128, 136, 136 + 8 * MOST_LINKS
"""A record's words."""
_M_MODE, _SV39, _SV57 = 3, 8, 10
SATP_MODE_SHIFT, _PPN_BITS = 60, 44
_VALID, _LEAF, _READ = 1, 0xE, 0x42
"""Bits of a PTE: V; R, W and X; R and A."""
_PPN_SHIFT, _RESERVED = 10, 54


def _shared(word: Shared) -> str:
    return f"[rbp+{8 * word}]"


def _own(word: Own) -> str:
    return f"[rbx+{8 * word}]"


# `known` says by which number the facts of a key go; 0 if there are none that hold. `led` writes who has led to the
# call; 0 if that cannot be known. `reach` makes an address of the host's of one of the guest's. rbx: the function's
# words. rbp: what all share. r12: the state. r13: the entry of the call. r14: the record.
_KNOWN_X86_64 = f"""
known:
    mov rax, rsi
    shr rax, {FACT_SHIFT}
    and eax, {(1 << FACT_BITS) - 1}
    shl eax, {SIZE_BITS}
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
    call reach
    jc unknown
    mov rdi, [rdi]
    cmp rdi, [rdx]
    jne unknown
    dec r11
    jmp each
found:
    mov rax, [rax+8]
    ret
unknown:
    xor eax, eax
    ret
led:
    xor r11d, r11d
    mov r8, r13
    mov rax, [r8+{MARKS_OFFSET}]
    shr rax, {PATH_SHIFT}
    mov [r14+{_PATH}], rax
link:
    mov rdi, [r8+8]
    mov [r14+r11*8+{_LINKS}], rdi
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
    mov [r14+r11*4+{_CODE}], edi
    inc r11d
    cmp r11d, {MOST_LINKS}
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
    mov [r14+{_CALLERS}], rax
    ret
unled:
    xor eax, eax
    ret
reach:
    mov r9, {_shared(Shared.SATP)}
    test r9, r9
    jz nowhere
    mov r9, [r9]
    cmp qword ptr [r12+{_PRIVILEGE}], {_M_MODE}
    je machine
    mov rcx, r9
    shr rcx, {SATP_MODE_SHIFT}
    jz physical
    sub ecx, {_SV39}
    cmp ecx, {_SV57 - _SV39}
    ja nowhere
    lea ecx, [rcx+rcx*8+38]
    mov r10, rdi
    sar r10, cl
    inc r10
    cmp r10, 1
    ja nowhere
    sub ecx, 8
    shl r9, {64 - _PPN_BITS}
    shr r9, {64 - _PPN_BITS - 12}
level:
    mov r10, rdi
    shr r10, cl
    and r10d, 511
    lea r9, [r9+r10*8]
    sub r9, {_shared(Shared.RAM)}
    cmp r9, {_shared(Shared.RAM_SIZE)}
    jae nowhere
    add r9, {_shared(Shared.HOST)}
    mov r9, [r9]
    mov r10, r9
    shr r10, {_RESERVED}
    jnz nowhere
    test r9b, {_VALID}
    jz nowhere
    mov r10, r9
    shr r10, {_PPN_SHIFT}
    shl r10, 12
    test r9b, {_LEAF}
    jnz leaf
    mov r9, r10
    sub ecx, 9
    cmp ecx, 12
    jge level
    jmp nowhere
leaf:
    and r9d, {_READ}
    cmp r9d, {_READ}
    jne nowhere
    mov rsi, -1
    shl rsi, cl
    not rsi
    test r10, rsi
    jnz nowhere
    and rdi, rsi
    or rdi, r10
physical:
    sub rdi, {_shared(Shared.RAM)}
    cmp rdi, {_shared(Shared.RAM_SIZE)}
    jae nowhere
    add rdi, {_shared(Shared.HOST)}
    clc
    ret
machine:
    test dword ptr [r12+{8 * Word.MSTATUS}], {int(Status.MPRV)}
    jnz nowhere
    jmp physical
nowhere:
    stc
    ret
"""
_REGISTERS_X86_64 = "".join(
    f"    mov rax, [r12+{_ARGUMENTS + 8 * number}]\n    mov [r14+{_FIRST + 8 * number}], rax\n" for number in range(8)
)
_PUSHED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_PUSH = "".join(f"    push {name}\n" for name in _PUSHED)
_POP = "".join(f"    pop {name}\n" for name in reversed(_PUSHED))

# What a code callback gets: the engine, the address, the size, the function's words.
_ENTERED_X86_64 = f"""
    mov r8, [rcx+{8 * Own.STATE}]
    mov r9, [rcx+{8 * Own.SLOTS}]
    mov rax, [rcx+{8 * Own.SHARED}]
    cmp [r9+{8 * Slot.BLOCK_PC}], rsi
    jne python
    mov r10, [rax+{8 * Shared.INNERMOST}]
    mov r10, [r10]
    mov rdx, [r8+{_SP}]
    cmp [r10], rdx
    jne python
    mov rdx, [r8+{_RA}]
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
    xor eax, eax
    mov [r14+{_CALLERS}], rax
    cmp qword ptr {_own(Own.AT_ENTRY)}, 0
    je write
    call led
    test rax, rax
    jz miss
    xor eax, eax
    mov rsi, [rsp]
    test rsi, rsi
    jz write
    call known
    test eax, eax
    jz miss
write:
    mov [r14+{_MEANING}], rax
    mov rax, {_own(Own.NUMBER)}
    mov [r14+{_NUMBER}], rax
    mov rcx, {_own(Own.SLOTS)}
    mov rax, [rcx+{8 * Slot.COUNT}]
    sub rax, [rcx+{8 * Slot.BLOCK_LENGTH}]
    mov [r14+{_INSTRET}], rax
    mov rax, [r12+{_TP}]
    mov [r14+{_THREAD}], rax
    mov rax, [r12+{_PRIVILEGE}]
    mov [r14+{_MODE}], rax
    mov rcx, [r12+{_RA}]
    mov [r14+{_LINK}], rcx
    mov rdx, [r12+{_SP}]
    mov [r14+{_STACK}], rdx
{_REGISTERS_X86_64}
    add qword ptr {_shared(Shared.PLACE)}, {RECORD_SIZE}
    mov rsi, {_own(Own.MARK)}
    or [r13+{MARKS_OFFSET}], rsi
    test sil, 1
    jz unawaited
    mov rax, rdx
    shr rax, {PLACE_SHIFT}
    and eax, {(1 << PLACE_BITS) - 1}
    shl eax, {SIZE_BITS}
    add rax, {_shared(Shared.AWAITED)}
    mov [rax], rdx
    mov [rax+8], rcx
    mov [rax+16], rbx
    mov rdx, [rsp]
    mov [rax+24], rdx
unawaited:
    mov rax, {_shared(Shared.DRAIN)}
    mov rdx, {_own(Own.AT_ENTRY)}
    and rdx, {_shared(Shared.AT_ONCE)}
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

# What `late` has: the state, the block, the slots.
_RETURNED_X86_64 = f"""
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
    jne python
    cmp [r10+8], rcx
    jne python
    test byte ptr [r10+{MARKS_OFFSET}], 1
    jz python
    mov rdx, r9
    shr rdx, {PLACE_SHIFT}
    and edx, {(1 << PLACE_BITS) - 1}
    shl edx, {SIZE_BITS}
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
    xor eax, eax
    mov [r14+{_CALLERS}], rax
    cmp qword ptr {_own(Own.AT_ENTRY)}, 0
    jne write
    call led
    test rax, rax
    jz miss
    xor eax, eax
    mov rsi, [rsp]
    mov rsi, [rsi+24]
    test rsi, rsi
    jz write
    call known
    test eax, eax
    jz miss
write:
    mov [r14+{_MEANING}], rax
    mov eax, 1
    shl rax, {ENDED_BIT}
    or rax, {_own(Own.NUMBER)}
    mov [r14+{_NUMBER}], rax
    mov r8, [rsp+8]
    mov rax, [r8+16]
    mov [r14+{_LINK}], rax
    mov rax, [r8+24]
    mov [r14+{_STACK}], rax
    mov rax, [r8+32]
    mov [r14+{_INSTRET}], rax
{_REGISTERS_X86_64}
    add qword ptr {_shared(Shared.PLACE)}, {RECORD_SIZE}
    mov rdx, {_shared(Shared.INNERMOST)}
    mov rcx, [r13+16]
    mov [rdx], rcx
    mov word ptr [r13+{MARKS_OFFSET}], 0
    mov rdx, [rsp]
    mov qword ptr [rdx+16], 0
    mov qword ptr [r8], 0
    mov rax, {_shared(Shared.DRAIN)}
    mov rdx, {_own(Own.AT_ENTRY)}
    xor rdx, 1
    and rdx, {_shared(Shared.AT_ONCE)}
    add rsp, 16
{_POP}
    test edx, edx
    jz recorded
    jmp rax
recorded:
    ret
miss:
    mov rax, rbp
    add rsp, 16
{_POP}
python:
    jmp qword ptr [rax+{8 * Shared.DRAIN}]
"""

# x19: the function's words. x20: what all share. x21: the state. x22: the entry. x23: the record. x24: the key of
# what the call means.
_KNOWN_AARCH64 = f"""
known:
    str x30, [sp, #-16]!
    ubfx x9, x1, #{FACT_SHIFT}, #{FACT_BITS}
    ldr x10, [x20, #{8 * Shared.FACTS}]
    add x9, x10, x9, lsl #{SIZE_BITS}
    ldr x10, [x9]
    mov x0, #0
    cmp x10, x1
    b.ne unknown
    ldr x2, [x9, #16]
    cbz x2, unknown
    ldr x3, [x2], #8
each:
    cbz x3, found
    ldr x5, [x2], #8
    ldr x6, [x2], #8
    bl reach
    cbz w7, unknown
    ldr x12, [x5]
    cmp x12, x6
    b.ne unknown
    sub x3, x3, #1
    b each
found:
    ldr x0, [x9, #8]
unknown:
    ldr x30, [sp], #16
    ret
led:
    str x30, [sp, #-16]!
    mov x13, #0
    mov x8, x22
    ldr x9, [x8, #{MARKS_OFFSET}]
    lsr x9, x9, #{PATH_SHIFT}
    str x9, [x23, #{_PATH}]
    add x14, x23, #{_LINKS}
    add x15, x23, #{_CODE}
link:
    ldr x5, [x8, #8]
    str x5, [x14, x13, lsl #3]
    ldr x9, [x20, #{8 * Shared.HOST_CALLS}]
    cmp x5, x9
    b.eq host
    sub x5, x5, #4
    and x9, x5, #0xfff
    cmp x9, #0xffc
    b.hi unled
    bl reach
    cbz w7, unled
    ldr w9, [x5]
    str w9, [x15, x13, lsl #2]
    add x13, x13, #1
    cmp x13, #{MOST_LINKS}
    b.eq deep
    ldr x9, [x8, #16]
    ldr x10, [x20, #{8 * Shared.END}]
    cmp x9, x10
    b.eq outermost
    mov x8, x9
    b link
outermost:
    ldr x1, [x8, #{MARKS_OFFSET}]
    lsr x1, x1, #{PATH_SHIFT}
    bl known
    cbz x0, unled
    b whole
host:
    cbz x13, unled
    add x13, x13, #1
deep:
    mov x0, #0
whole:
    orr x0, x0, x13, lsl #32
    str x0, [x23, #{_CALLERS}]
    ldr x30, [sp], #16
    ret
unled:
    mov x0, #0
    ldr x30, [sp], #16
    ret
reach:
    ldr x10, [x20, #{8 * Shared.SATP}]
    cbz x10, nowhere
    ldr x10, [x10]
    ldr x4, [x21, #{_PRIVILEGE}]
    cmp x4, #{_M_MODE}
    b.eq machine
    lsr x11, x10, #{SATP_MODE_SHIFT}
    cbz x11, physical
    sub x11, x11, #{_SV39}
    cmp x11, #{_SV57 - _SV39}
    b.hi nowhere
    add x11, x11, x11, lsl #3
    add x12, x11, #38
    asr x12, x5, x12
    add x12, x12, #1
    cmp x12, #1
    b.hi nowhere
    add x11, x11, #30
    ubfx x10, x10, #0, #{_PPN_BITS}
    lsl x10, x10, #12
level:
    lsr x12, x5, x11
    and x12, x12, #511
    add x10, x10, x12, lsl #3
    ldr x12, [x20, #{8 * Shared.RAM}]
    sub x10, x10, x12
    ldr x12, [x20, #{8 * Shared.RAM_SIZE}]
    cmp x10, x12
    b.hs nowhere
    ldr x12, [x20, #{8 * Shared.HOST}]
    ldr x10, [x12, x10]
    lsr x12, x10, #{_RESERVED}
    cbnz x12, nowhere
    tbz w10, #0, nowhere
    lsr x12, x10, #{_PPN_SHIFT}
    lsl x12, x12, #12
    tst w10, #{_LEAF}
    b.ne leaf
    mov x10, x12
    sub x11, x11, #9
    cmp x11, #12
    b.ge level
    b nowhere
leaf:
    mov w4, #{_READ}
    and w10, w10, w4
    cmp w10, w4
    b.ne nowhere
    mov x4, #-1
    lsl x4, x4, x11
    bic x7, x12, x4
    cbnz x7, nowhere
    bic x5, x5, x4
    add x5, x5, x12
physical:
    ldr x12, [x20, #{8 * Shared.RAM}]
    sub x5, x5, x12
    ldr x12, [x20, #{8 * Shared.RAM_SIZE}]
    cmp x5, x12
    b.hs nowhere
    ldr x12, [x20, #{8 * Shared.HOST}]
    add x5, x12, x5
    mov w7, #1
    ret
machine:
    ldr x11, [x21, #{8 * Word.MSTATUS}]
    tbnz w11, #{int(Status.MPRV).bit_length() - 1}, nowhere
    b physical
nowhere:
    mov w7, #0
    ret
"""
_REGISTERS_AARCH64 = "".join(
    f"    ldp x9, x10, [x21, #{_ARGUMENTS + 8 * number}]\n    stp x9, x10, [x23, #{_FIRST + 8 * number}]\n"
    for number in range(0, 8, 2)
)
_SAVE = """
    stp x29, x30, [sp, #-112]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
"""
_RESTORE = """
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #112
"""

_ENTERED_AARCH64 = f"""
    ldr x9, [x3, #{8 * Own.STATE}]
    ldr x10, [x3, #{8 * Own.SLOTS}]
    ldr x11, [x3, #{8 * Own.SHARED}]
    ldr x12, [x10, #{8 * Slot.BLOCK_PC}]
    cmp x12, x1
    b.ne python
    ldr x12, [x11, #{8 * Shared.INNERMOST}]
    ldr x12, [x12]
    ldp x13, x14, [x12]
    ldr x15, [x9, #{_SP}]
    cmp x13, x15
    b.ne python
    ldr x15, [x9, #{_RA}]
    cmp x14, x15
    b.ne python
    ldr x13, [x12, #{MARKS_OFFSET}]
    ldr x14, [x3, #{8 * Own.INSIDE}]
    tst x13, x14
    b.ne inside
    tbnz w13, #0, python
    ldp x13, x14, [x11, #{8 * Shared.PLACE}]
    cmp x13, x14
    b.hs python
{_SAVE}
    stp x0, x1, [sp, #80]
    str x3, [sp, #96]
    mov x19, x3
    mov x20, x11
    mov x21, x9
    mov x22, x12
    mov x23, x13
    str xzr, [x23, #{_CALLERS}]
    ldr x24, [x19, #{8 * Own.SALT}]
    cbz x24, keyed
    ldr x9, [x19, #{8 * Own.ARGUMENT}]
    cbz x9, salted
    ldr x9, [x21, x9]
    eor x24, x24, x9
salted:
    ldr x9, [x20, #{8 * Shared.MIX}]
    mul x24, x24, x9
keyed:
    mov x0, #0
    ldr x9, [x19, #{8 * Own.AT_ENTRY}]
    cbz x9, write
    bl led
    cbz x0, miss
    mov x0, #0
    cbz x24, write
    mov x1, x24
    bl known
    cbz x0, miss
write:
    str x0, [x23, #{_MEANING}]
    ldr x9, [x19, #{8 * Own.NUMBER}]
    str x9, [x23, #{_NUMBER}]
    ldr x10, [x19, #{8 * Own.SLOTS}]
    ldr x9, [x10, #{8 * Slot.COUNT}]
    ldr x11, [x10, #{8 * Slot.BLOCK_LENGTH}]
    sub x9, x9, x11
    str x9, [x23, #{_INSTRET}]
    ldr x9, [x21, #{_TP}]
    str x9, [x23, #{_THREAD}]
    ldr x9, [x21, #{_PRIVILEGE}]
    str x9, [x23, #{_MODE}]
    ldr x1, [x21, #{_RA}]
    ldr x2, [x21, #{_SP}]
    stp x1, x2, [x23, #{_LINK}]
{_REGISTERS_AARCH64}
    add x9, x23, #{RECORD_SIZE}
    str x9, [x20, #{8 * Shared.PLACE}]
    ldr x3, [x19, #{8 * Own.MARK}]
    ldr x9, [x22, #{MARKS_OFFSET}]
    orr x9, x9, x3
    str x9, [x22, #{MARKS_OFFSET}]
    tbz w3, #0, unawaited
    ubfx x9, x2, #{PLACE_SHIFT}, #{PLACE_BITS}
    ldr x10, [x20, #{8 * Shared.AWAITED}]
    add x9, x10, x9, lsl #{SIZE_BITS}
    stp x2, x1, [x9]
    stp x19, x24, [x9, #16]
unawaited:
    ldr x16, [x20, #{8 * Shared.DRAIN}]
    ldr x9, [x19, #{8 * Own.AT_ENTRY}]
    ldr x10, [x20, #{8 * Shared.AT_ONCE}]
    and x9, x9, x10
{_RESTORE}
    cbz x9, inside
    br x16
miss:
    ldp x0, x1, [sp, #80]
    ldr x3, [sp, #96]
{_RESTORE}
python:
    ldr x16, [x3, #{8 * Own.LEAVES}]
    br x16
inside:
    ret
"""

_RETURNED_AARCH64 = f"""
    ldr x11, [x2, #{8 * Slot.RECORDS}]
    ldr x8, [x11, #{8 * Shared.MESSAGE}]
    ldp x9, x10, [x8]
    cbz x9, python
    cmp x10, #{RETURNED}
    b.ne python
    ldp x13, x14, [x11, #{8 * Shared.PLACE}]
    cmp x13, x14
    b.hs python
    ldp x1, x2, [x8, #16]
    ldr x12, [x11, #{8 * Shared.MASK}]
    and x12, x12, x2, lsl #2
    ldr x9, [x11, #{8 * Shared.ENTRIES}]
    add x12, x12, x9
    ldp x9, x10, [x12]
    cmp x9, x2
    b.ne python
    cmp x10, x1
    b.ne python
    ldr x9, [x12, #{MARKS_OFFSET}]
    tbz w9, #0, python
    ubfx x9, x2, #{PLACE_SHIFT}, #{PLACE_BITS}
    ldr x10, [x11, #{8 * Shared.AWAITED}]
    add x9, x10, x9, lsl #{SIZE_BITS}
    ldp x10, x14, [x9]
    cmp x10, x2
    b.ne python
    cmp x14, x1
    b.ne python
    ldp x3, x4, [x9, #16]
    cbz x3, python
{_SAVE}
    stp x8, x9, [sp, #80]
    mov x19, x3
    mov x20, x11
    mov x21, x0
    mov x22, x12
    mov x23, x13
    mov x24, x4
    str xzr, [x23, #{_CALLERS}]
    mov x0, #0
    ldr x9, [x19, #{8 * Own.AT_ENTRY}]
    cbnz x9, write
    bl led
    cbz x0, miss
    mov x0, #0
    cbz x24, write
    mov x1, x24
    bl known
    cbz x0, miss
write:
    str x0, [x23, #{_MEANING}]
    ldr x9, [x19, #{8 * Own.NUMBER}]
    mov x10, #1
    orr x9, x9, x10, lsl #{ENDED_BIT}
    str x9, [x23, #{_NUMBER}]
    ldp x1, x2, [sp, #80]
    ldp x9, x10, [x1, #16]
    stp x9, x10, [x23, #{_LINK}]
    ldr x9, [x1, #32]
    str x9, [x23, #{_INSTRET}]
{_REGISTERS_AARCH64}
    add x9, x23, #{RECORD_SIZE}
    str x9, [x20, #{8 * Shared.PLACE}]
    ldr x9, [x20, #{8 * Shared.INNERMOST}]
    ldr x10, [x22, #16]
    str x10, [x9]
    strh wzr, [x22, #{MARKS_OFFSET}]
    str xzr, [x2, #16]
    str xzr, [x1]
    ldr x16, [x20, #{8 * Shared.DRAIN}]
    ldr x9, [x19, #{8 * Own.AT_ENTRY}]
    ldr x10, [x20, #{8 * Shared.AT_ONCE}]
    bic x9, x10, x9
{_RESTORE}
    cbz x9, recorded
    br x16
recorded:
    ret
miss:
    mov x11, x20
{_RESTORE}
python:
    ldr x16, [x11, #{8 * Shared.DRAIN}]
    br x16
"""

ENTERED = Probe("call_entered", lambda: _ENTERED_X86_64 + _KNOWN_X86_64, lambda: _ENTERED_AARCH64 + _KNOWN_AARCH64)
"""Stands before Python's callback at the first instruction of a function."""
RETURNED_CALL = Probe(
    "call_returned", lambda: _RETURNED_X86_64 + _KNOWN_X86_64, lambda: _RETURNED_AARCH64 + _KNOWN_AARCH64
)
"""Stands before Python's function that empties buffers, where a message says that an awaited call has returned."""
