"""How the player tells by what instruction a block is left, and so which of the lists for that it plays."""

from collections.abc import Callable

from emu.engine.translated.plan import Known, Part
from emu.isa.encodings import C_J, C_JR, C_RET, CALLS, JAL, JALR, MRET, RET, RET_MASK, SRET

_LISTS = (Part.LEAVING, Part.JUMPING, Part.CALLING, Part.RETURNING, Part.RETURNING_FROM_TRAP)


def first_x86_64(known: Callable[[Known], str]) -> str:
    """Goes to `find` with the first list, or to `ends` if the block is left in another way, or nothing is wanted."""
    wanted = "".join(f"\n    or rax, [r12+{8 * part}]" for part in _LISTS)
    return f"""
    xor eax, eax{wanted}
    jz ends
    mov rsi, {known(Known.PC)}
    call fetch
    mov {known(Known.INSTRUCTION)}, rax
    mov ecx, eax
    and ecx, 3
    cmp ecx, 3
    je wide
    mov ecx, eax
    and ecx, 0xe003
    cmp ecx, {C_J}
    je jumps
    mov ecx, eax
    and ecx, 0xe07f
    cmp ecx, {C_JR}
    jne ends
    test eax, 0xf80
    jnz leaves
    jmp ends
wide:
    mov rsi, {known(Known.PC)}
    add rsi, 2
    call fetch
    shl eax, 16
    or rax, {known(Known.INSTRUCTION)}
    mov {known(Known.INSTRUCTION)}, rax
    mov ecx, eax
    and ecx, 0x707f
    cmp ecx, {JALR}
    je leaves
    cmp eax, {SRET}
    je leaves
    cmp eax, {MRET}
    je leaves
    and ecx, 0x7f
    cmp ecx, {JAL}
    jne ends
    test eax, 0xf80
    jz jumps
leaves:
    mov r14, [r12+{8 * Part.LEAVING}]
    jmp find
jumps:
    mov r14, [r12+{8 * Part.JUMPING}]"""


def second_x86_64(known: Callable[[Known], str]) -> str:
    """Plays the second list, if any."""
    calls = "".join(
        f"\n    mov ecx, eax\n    and ecx, {mask}\n    cmp ecx, {form}\n    je further" for mask, form in CALLS
    )
    return f"""
    mov rax, {known(Known.INSTRUCTION)}
    mov r14, [r12+{8 * Part.RETURNING}]
    cmp eax, {C_RET}
    je further
    mov ecx, eax
    and ecx, {RET_MASK}
    cmp ecx, {RET}
    je further
    mov r14, [r12+{8 * Part.RETURNING_FROM_TRAP}]
    cmp eax, {SRET}
    je further
    cmp eax, {MRET}
    je further
    mov r14, [r12+{8 * Part.CALLING}]{calls}
    jmp ends
further:
    call play"""


def first_aarch64(known: Callable[[Known], str]) -> str:
    """As `first_x86_64`."""
    wanted = "".join(f"\n    ldr x10, [x20, #{8 * part}]\n    orr x9, x9, x10" for part in _LISTS)
    return f"""
    mov x9, #0{wanted}
    cbz x9, ends
    ldr x1, {known(Known.PC)}
    bl fetch
    str x0, {known(Known.INSTRUCTION)}
    and w9, w0, #3
    cmp w9, #3
    b.eq wide
    mov w10, #0xe003
    and w9, w0, w10
    mov w10, #{C_J}
    cmp w9, w10
    b.eq jumps
    mov w10, #0xe07f
    and w9, w0, w10
    mov w10, #{C_JR}
    cmp w9, w10
    b.ne ends
    tst w0, #0xf80
    b.ne leaves
    b ends
wide:
    ldr x1, {known(Known.PC)}
    add x1, x1, #2
    bl fetch
    ldr x9, {known(Known.INSTRUCTION)}
    orr x0, x9, x0, lsl #16
    str x0, {known(Known.INSTRUCTION)}
    mov w10, #0x707f
    and w9, w0, w10
    cmp w9, #{JALR}
    b.eq leaves
    mov w10, #{SRET & 0xFFFF}
    movk w10, #{SRET >> 16}, lsl #16
    cmp w0, w10
    b.eq leaves
    movk w10, #{MRET >> 16}, lsl #16
    cmp w0, w10
    b.eq leaves
    and w9, w0, #0x7f
    cmp w9, #{JAL}
    b.ne ends
    tst w0, #0xf80
    b.eq jumps
leaves:
    ldr x22, [x20, #{8 * Part.LEAVING}]
    b find
jumps:
    ldr x22, [x20, #{8 * Part.JUMPING}]"""


def second_aarch64(known: Callable[[Known], str]) -> str:
    """As `second_x86_64`."""
    calls = "".join(
        f"\n    mov w10, #{mask}\n    and w9, w0, w10\n    mov w10, #{form}\n    cmp w9, w10\n    b.eq further"
        for mask, form in CALLS
    )
    return f"""
    ldr x0, {known(Known.INSTRUCTION)}
    ldr x22, [x20, #{8 * Part.RETURNING}]
    mov w10, #{C_RET}
    cmp w0, w10
    b.eq further
    and w9, w0, #{RET_MASK}
    mov w10, #{RET}
    cmp w9, w10
    b.eq further
    ldr x22, [x20, #{8 * Part.RETURNING_FROM_TRAP}]
    mov w10, #{SRET & 0xFFFF}
    movk w10, #{SRET >> 16}, lsl #16
    cmp w0, w10
    b.eq further
    movk w10, #{MRET >> 16}, lsl #16
    cmp w0, w10
    b.eq further
    ldr x22, [x20, #{8 * Part.CALLING}]{calls}
    b ends
further:
    bl play"""
