"""`reach`: makes an address of the host's of one of the guest's, through its page tables."""

from emu.engine.translated.features.callrecords import layout
from emu.engine.translated.features.callrecords.layout import Shared, State
from emu.engine.window import Word
from emu.isa.status import Status

X86_64 = f"""
reach:
    mov r9, [rbp+{8 * Shared.SATP}]
    test r9, r9
    jz nowhere
    mov r9, [r9]
    cmp qword ptr [r12+{State.PRIVILEGE}], {layout.M_MODE}
    je machine
    mov rcx, r9
    shr rcx, {layout.SATP_MODE_SHIFT}
    jz physical
    sub ecx, {layout.SV39}
    cmp ecx, {layout.SV57 - layout.SV39}
    ja nowhere
    lea ecx, [rcx+rcx*8+38]
    mov r10, rdi
    sar r10, cl
    inc r10
    cmp r10, 1
    ja nowhere
    sub ecx, 8
    shl r9, {64 - layout.PPN_BITS}
    shr r9, {64 - layout.PPN_BITS - 12}
level:
    mov r10, rdi
    shr r10, cl
    and r10d, 511
    lea r9, [r9+r10*8]
    sub r9, [rbp+{8 * Shared.RAM}]
    cmp r9, [rbp+{8 * Shared.RAM_SIZE}]
    jae nowhere
    add r9, [rbp+{8 * Shared.HOST}]
    mov r9, [r9]
    mov r10, r9
    shr r10, {layout.RESERVED}
    jnz nowhere
    test r9b, {layout.VALID}
    jz nowhere
    mov r10, r9
    shr r10, {layout.PPN_SHIFT}
    shl r10, 12
    test r9b, {layout.LEAF}
    jnz leaf
    mov r9, r10
    sub ecx, 9
    cmp ecx, 12
    jge level
    jmp nowhere
leaf:
    and r9d, {layout.READ}
    cmp r9d, {layout.READ}
    jne nowhere
    mov rsi, -1
    shl rsi, cl
    not rsi
    test r10, rsi
    jnz nowhere
    and rdi, rsi
    or rdi, r10
physical:
    sub rdi, [rbp+{8 * Shared.RAM}]
    cmp rdi, [rbp+{8 * Shared.RAM_SIZE}]
    jae nowhere
    add rdi, [rbp+{8 * Shared.HOST}]
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
"""Of rdi, or the carry is set. rbp: what all share. r12: the state. Changed are rcx, rsi, r9 and r10."""

AARCH64 = f"""
reach:
    ldr x10, [x20, #{8 * Shared.SATP}]
    cbz x10, nowhere
    ldr x10, [x10]
    ldr x4, [x21, #{State.PRIVILEGE}]
    cmp x4, #{layout.M_MODE}
    b.eq machine
    lsr x11, x10, #{layout.SATP_MODE_SHIFT}
    cbz x11, physical
    sub x11, x11, #{layout.SV39}
    cmp x11, #{layout.SV57 - layout.SV39}
    b.hi nowhere
    add x11, x11, x11, lsl #3
    add x12, x11, #38
    asr x12, x5, x12
    add x12, x12, #1
    cmp x12, #1
    b.hi nowhere
    add x11, x11, #30
    ubfx x10, x10, #0, #{layout.PPN_BITS}
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
    lsr x12, x10, #{layout.RESERVED}
    cbnz x12, nowhere
    tbz w10, #0, nowhere
    lsr x12, x10, #{layout.PPN_SHIFT}
    lsl x12, x12, #12
    tst w10, #{layout.LEAF}
    b.ne leaf
    mov x10, x12
    sub x11, x11, #9
    cmp x11, #12
    b.ge level
    b nowhere
leaf:
    mov w4, #{layout.READ}
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
"""Of x5, or w7 is 0. x20: what all share. x21: the state. Changed are x4, x7 and x10 to x12."""
