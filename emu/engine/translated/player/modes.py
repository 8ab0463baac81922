"""What stands in front of the core's changes of privilege: a return to less than M mode clears `mstatus.MPRV`.

Unicorn's `mret` and `sret` keep it; by the manual (section 3.1.6.3) they do not.
"""

from emu.engine.translated import layout
from emu.engine.window import Word
from emu.isa.status import Status

_CLOCK, _MSTATUS = 8 * Word.RDTIME_FUNCTION, 8 * Word.MSTATUS
_MPRV = int(Status.MPRV)

# The core's state, whose `mstatus` is the new one, and the new privilege.
X86_64 = f"""
set_mode:
    cmp qword ptr [rdi+{_CLOCK}], 0
    je mode_set
    cmp rsi, 3
    je mode_set
    test dword ptr [rdi+{_MSTATUS}], {_MPRV}
    jz mode_set
    and dword ptr [rdi+{_MSTATUS}], {~_MPRV & 0xFFFF_FFFF:#x}
    push rdi
    push rsi
    sub rsp, 8
    mov rdi, [rdi+{layout.ENV_ENGINE}]
    mov rdi, [rdi+{layout.ENGINE_CPU}]
    call qword ptr [rip+tlb_flush]
    add rsp, 8
    pop rsi
    pop rdi
mode_set:
    jmp qword ptr [rip+riscv_cpu_set_mode]
"""

AARCH64 = f"""
set_mode:
    ldr x9, [x0, #{_CLOCK}]
    cbz x9, mode_set
    cmp x1, #3
    b.eq mode_set
    ldr x9, [x0, #{_MSTATUS}]
    tst x9, #{_MPRV}
    b.eq mode_set
    and x9, x9, #{~_MPRV & (1 << 64) - 1:#x}
    str x9, [x0, #{_MSTATUS}]
    stp x29, x30, [sp, #-32]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    ldr x0, [x0, #{layout.ENV_ENGINE}]
    ldr x0, [x0, #{layout.ENGINE_CPU}]
    ldr x9, tlb_flush
    blr x9
    ldp x0, x1, [sp, #16]
    ldp x29, x30, [sp], #32
mode_set:
    ldr x9, riscv_cpu_set_mode
    br x9
"""
