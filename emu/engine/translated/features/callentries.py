"""What calls and returns do to the table of open calls (`emu.engine.translated.features.opencalls`), natively."""

from emu.engine import native
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.features.interrupted import Context
from emu.engine.translated.layout import Global
from emu.engine.translated.operations import ENV, Operand, Operation, T, call, op, register
from emu.engine.translated.plan import Source
from emu.engine.window import Word
from emu.hints import NamedTuple
from emu.isa.encodings import C_RET, CALLS, RET, RET_MASK, TRAP_RETURNS
from emu.isa.registers import RA, SP

HIGHEST = (1 << 64) - 1
RETURN, INHERITED, PATH_SHIFT = 1, 0xFFFE, 16
MARKS_OFFSET = 24
"""Of the word with the marks, in an entry."""
MIX = 0x9E3779B97F4A7C15
"""Odd, and half of its bits set: a path is a number made of all return addresses and stack pointers that lead here."""
CALLED, RETURNED, TRAP_RETURNED = 1, 2, 3
"""The first word of a message. The others: the return address; sp; of a return instret, of one from a trap satp."""
WORDS = 4
_SIGN = 63
_PC = Operand(Source.GLOBAL, Global.PC)
_TABLE, _SATP = T[:2]


class OpenCall(NamedTuple):
    """A call that has not returned."""

    return_address: int
    stack_pointer: int
    """At the call."""


class Native(NamedTuple):
    """Addresses for native code that looks at open calls itself; see `emu.engine.translated.features.callrecords`."""

    innermost: int
    """Of the word with the innermost call's entry."""
    entries: int
    """Of the entries that belong to stack pointers."""
    mask: int
    """Of four times a stack pointer: what is left is its entry's place."""
    message: int
    end: int
    """The entry that the outermost call leads to."""


class Around(NamedTuple):
    """What a call was made inside of."""

    path: int
    """A number for it and all calls around it."""
    call: OpenCall
    before: int
    """The entry that it leads to."""
    is_end: bool
    """Whether there is none: the call was made first on its stack."""


class Table:
    """Indices of words that native code gets."""

    INNERMOST = 0
    """The innermost call's entry."""
    ENTRIES = 1
    """The first of those that belong to stack pointers."""
    MASK = 2
    """Of four times a stack pointer: what is left is its entry's place."""
    MESSAGE = 3
    """Where the words of the message are."""
    SLOTS = 4
    CONTEXTS = 5
    """Where the words are of what traps have interrupted (`interrupted.Context`)."""
    OUTERMOST = 6
    """The entry that the outermost call leads to."""
    END = 7
    """How many words there are."""


def inside(around: int, return_address: int, stack_pointer: int) -> int:
    """The word of a call's marks and path, by that of the entry that it leads to; as native code makes it."""
    path = ((around >> PATH_SHIFT) ^ return_address ^ stack_pointer << PATH_SHIFT) * MIX
    return (path << PATH_SHIFT | around & INHERITED) & HIGHEST


def kind_of(instruction: int) -> int | None:
    """Whether it is a call, a return, or `sret` or `mret`; a trap is 0; None for all others."""
    if not instruction:
        return 0
    if instruction in TRAP_RETURNS:
        return TRAP_RETURNED
    if instruction == C_RET or instruction & RET_MASK == RET:
        return RETURNED
    if any(instruction & mask == form for mask, form in CALLS):
        return CALLED
    return None


# Both get the words of the table and sp; then the return address of a call, or where a return has led to.
_FIND_X86_64 = f"""
    mov rax, rsi
    shl rax, 2
    and rax, [rdi+{8 * Table.MASK}]
    add rax, [rdi+{8 * Table.ENTRIES}]"""
_FIND_AARCH64 = f"""
    ldp x9, x10, [x0, #{8 * Table.ENTRIES}]
    and x10, x10, x1, lsl #2
    add x9, x9, x10"""


def _tell_x86_64(kind: int) -> str:
    return f"""
    mov rax, [rdi+{8 * Table.MESSAGE}]
    mov qword ptr [rax+8], {kind}
    mov [rax+16], rdx
    mov [rax+24], rsi
    mov ecx, 1
    shl rcx, {_SIGN}
    mov [rax], rcx
    ret"""


def _tell_aarch64(kind: int) -> str:
    return f"""
    ldr x9, [x0, #{8 * Table.MESSAGE}]
    mov x10, #{kind}
    stp x10, x2, [x9, #8]
    str x1, [x9, #24]
    movz x10, #0x8000, lsl #48
    str x10, [x9]
    ret"""


KEPT_CALL = Probe(
    "kept_call",
    x86_64=f"""{_FIND_X86_64}
    mov rcx, [rdi+{8 * Table.INNERMOST}]
    cmp rsi, [rcx]
    jae told
    mov [rdi+{8 * Table.INNERMOST}], rax
    mov [rax], rsi
    mov [rax+8], rdx
    mov [rax+16], rcx
    mov rcx, [rcx+{MARKS_OFFSET}]
    shl rsi, {PATH_SHIFT}
    xor rsi, rdx
    mov rdx, rcx
    shr rdx, {PATH_SHIFT}
    xor rsi, rdx
    mov rdx, {MIX:#x}
    imul rsi, rdx
    shl rsi, {PATH_SHIFT}
    and ecx, {INHERITED}
    or rsi, rcx
    mov [rax+{MARKS_OFFSET}], rsi
    ret
told:{_tell_x86_64(CALLED)}
""",
    aarch64=f"""{_FIND_AARCH64}
    ldr x11, [x0, #{8 * Table.INNERMOST}]
    ldr x12, [x11]
    cmp x1, x12
    b.hs told
    str x9, [x0, #{8 * Table.INNERMOST}]
    stp x1, x2, [x9]
    str x11, [x9, #16]
    ldr x12, [x11, #{MARKS_OFFSET}]
    eor x13, x2, x1, lsl #{PATH_SHIFT}
    eor x13, x13, x12, lsr #{PATH_SHIFT}
    movz x14, #{MIX & 0xFFFF:#x}
    movk x14, #{MIX >> 16 & 0xFFFF:#x}, lsl #16
    movk x14, #{MIX >> 32 & 0xFFFF:#x}, lsl #32
    movk x14, #{MIX >> 48:#x}, lsl #48
    mul x13, x13, x14
    lsl x13, x13, #{PATH_SHIFT}
    and x12, x12, #{INHERITED}
    orr x13, x13, x12
    str x13, [x9, #{MARKS_OFFSET}]
    ret
told:{_tell_aarch64(CALLED)}
""",
)
"""A call that is made deeper than the innermost one writes its entry, all others are told to Python."""
KEPT_RETURN = Probe(
    "kept_return",
    x86_64=f"""{_FIND_X86_64}
    cmp [rax], rsi
    jne told
    cmp [rax+8], rdx
    jne told
    mov rcx, [rax+16]
    mov [rdi+{8 * Table.INNERMOST}], rcx
    test byte ptr [rax+{MARKS_OFFSET}], {RETURN}
    jnz told
    mov word ptr [rax+{MARKS_OFFSET}], 0
    ret
told:
    mov rax, [rdi+{8 * Table.MESSAGE}]
    mov rcx, [rdi+{8 * Table.SLOTS}]
    mov rcx, [rcx+{8 * Slot.COUNT}]
    mov [rax+32], rcx{_tell_x86_64(RETURNED)}
""",
    aarch64=f"""{_FIND_AARCH64}
    ldp x10, x11, [x9]
    cmp x10, x1
    b.ne told
    cmp x11, x2
    b.ne told
    ldp x10, x11, [x9, #16]
    str x10, [x0, #{8 * Table.INNERMOST}]
    tbnz x11, #0, told
    strh wzr, [x9, #{MARKS_OFFSET}]
    ret
told:
    ldp x9, x10, [x0, #{8 * Table.MESSAGE}]
    ldr x10, [x10, #{8 * Slot.COUNT}]
    str x10, [x9, #32]{_tell_aarch64(RETURNED)}
""",
)
"""A return that finds its entry goes back to the one before; told are all others, and those that are waited for.

What has returned has no marks; who waits for it needs them still.
"""


KEPT_TRAP_RETURN = Probe(
    "kept_trap_return",
    x86_64=f"""
    mov r10, [rdi+{8 * Table.CONTEXTS}]
    cmp rcx, [r10+{8 * Context.SATP}]
    jne told
    mov rax, rsi
    shr rax, {Context.STACK_SHIFT}
    and eax, {(1 << Context.PLACE_BITS) - 1}
    shl eax, 5
    lea r8, [r10+rax+{8 * Context.PLACES}]
    cmp [r8], rsi
    jne told
    cmp [r8+8], rcx
    jne told
    mov rax, [r8+16]
    test rax, rax
    jz told
    mov r9, [r10+{8 * Context.COUNT}]
    cmp r9, {Context.MOST_SEEN}
    jae told
    mov [rdi+{8 * Table.INNERMOST}], rax
    mov qword ptr [r8+16], 0
    inc qword ptr [r10+{8 * Context.COUNT}]
    lea r9, [r9+r9*2]
    lea r10, [r10+r9*8]
    mov [r10+{8 * Context.SEEN}], rsi
    mov [r10+{8 * Context.SEEN + 8}], rcx
    mov qword ptr [r10+{8 * Context.SEEN + 16}], 0
    ret
told:
    mov rax, [rdi+{8 * Table.MESSAGE}]
    mov [rax+32], rcx{_tell_x86_64(TRAP_RETURNED)}
""",
    aarch64=f"""
    ldr x9, [x0, #{8 * Table.CONTEXTS}]
    ldr x10, [x9, #{8 * Context.SATP}]
    cmp x10, x3
    b.ne told
    ubfx x10, x1, #{Context.STACK_SHIFT}, #{Context.PLACE_BITS}
    add x10, x9, x10, lsl #5
    add x10, x10, #{8 * Context.PLACES}
    ldp x11, x12, [x10]
    cmp x11, x1
    b.ne told
    cmp x12, x3
    b.ne told
    ldr x11, [x10, #16]
    cbz x11, told
    ldr x12, [x9, #{8 * Context.COUNT}]
    cmp x12, #{Context.MOST_SEEN}
    b.hs told
    str x11, [x0, #{8 * Table.INNERMOST}]
    str xzr, [x10, #16]
    add x11, x12, #1
    str x11, [x9, #{8 * Context.COUNT}]
    add x12, x12, x12, lsl #1
    add x9, x9, x12, lsl #3
    add x9, x9, #{8 * Context.SEEN}
    stp x1, x3, [x9]
    str xzr, [x9, #16]
    ret
told:
    ldr x9, [x0, #{8 * Table.MESSAGE}]
    str x3, [x9, #32]{_tell_aarch64(TRAP_RETURNED)}
""",
)
"""A return from a trap, whose satp comes last, to where one was taken in the same address space."""


def calling(table: int) -> tuple[Operation, ...]:
    """What calls do to the table whose words are at an address."""
    return (op("movi", _TABLE, table), call(native.load(KEPT_CALL), _TABLE, register(SP), register(RA)))


def returning(table: int) -> tuple[Operation, ...]:
    """What returns do to it."""
    return (op("movi", _TABLE, table), call(native.load(KEPT_RETURN), _TABLE, register(SP), _PC))


def returning_from_trap(table: int) -> tuple[Operation, ...]:
    """What returns from traps do to it."""
    return (
        op("movi", _TABLE, table),
        op("ld", _SATP, ENV, 8 * Word.SATP),
        call(native.load(KEPT_TRAP_RETURN), _TABLE, register(SP), _PC, _SATP),
    )
