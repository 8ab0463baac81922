"""What stands in front of the translator's fetches: it hides the list of code hooks where none can be.

The translator fetches an instruction, goes through the list for it, and fetches the rest of it, if any. Such a fetch
may leave the translator for good, and may call Python: so the list is as the core has it whenever one begins, and when
the translator returns.
"""

from emu.engine.codehooks import BIT_COUNT_BITS, Hidden
from emu.engine.slots import Slot
from emu.engine.translated.layout import AARCH64 as AARCH64_LAYOUT
from emu.engine.translated.layout import X86_64 as X86_64_LAYOUT
from emu.engine.window import Word

_CLOCK, _HOOKS = 8 * Word.RDTIME_FUNCTION, 8 * Slot.CODE_HOOKS
_LIST, _BEGIN, _BITS = 8 * Hidden.LIST, 8 * Hidden.BEGIN, 8 * Hidden.BITS

# `fetch_code` gets the core's state and an address, `translate` the core, a block and the most instructions.
X86_64 = f"""
fetch_code:
    mov rax, [rdi+{_CLOCK}]
    test rax, rax
    jz fetch_only
    mov rax, [rax+{_HOOKS}]
    test rax, rax
    jz fetch_only
    push rbx
    push r12
    sub rsp, 8
    mov rbx, rax
    mov r12, rsi
    call show_hooks
    call qword ptr [rip+cpu_lduw_code]
    shr r12d, 1
    and r12d, {(1 << BIT_COUNT_BITS) - 1}
    mov ecx, r12d
    shr r12d, 3
    and ecx, 7
    movzx edx, byte ptr [rbx+r12+{_BITS}]
    bt edx, ecx
    jc code_fetched
    mov rdx, [rbx+{_LIST}]
    mov rcx, [rdx]
    mov [rbx+{_BEGIN}], rcx
    mov qword ptr [rdx], 0
code_fetched:
    add rsp, 8
    pop r12
    pop rbx
    ret
fetch_only:
    jmp qword ptr [rip+cpu_lduw_code]
translate:
    push rbx
    mov rbx, rdi
    call qword ptr [rip+gen_intermediate_code]
    mov rax, [rbx+{X86_64_LAYOUT.env_pointer}]
    mov rax, [rax+{_CLOCK}]
    test rax, rax
    jz translation_done
    mov rbx, [rax+{_HOOKS}]
    test rbx, rbx
    jz translation_done
    call show_hooks
translation_done:
    pop rbx
    ret
show_hooks:
    mov rcx, [rbx+{_BEGIN}]
    test rcx, rcx
    jz hooks_shown
    mov rdx, [rbx+{_LIST}]
    mov [rdx], rcx
    mov qword ptr [rbx+{_BEGIN}], 0
hooks_shown:
    ret
"""

AARCH64 = f"""
fetch_code:
    ldr x9, [x0, #{_CLOCK}]
    cbz x9, fetch_only
    ldr x9, [x9, #{_HOOKS}]
    cbz x9, fetch_only
    stp x29, x30, [sp, #-32]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    mov x19, x9
    mov x20, x1
    bl show_hooks
    ldr x9, cpu_lduw_code
    blr x9
    ubfx x9, x20, #1, #{BIT_COUNT_BITS}
    lsr x10, x9, #3
    and x9, x9, #7
    add x10, x10, x19
    ldrb w10, [x10, #{_BITS}]
    lsr w10, w10, w9
    tbnz w10, #0, code_fetched
    ldr x9, [x19, #{_LIST}]
    ldr x10, [x9]
    str x10, [x19, #{_BEGIN}]
    str xzr, [x9]
code_fetched:
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #32
    ret
fetch_only:
    ldr x9, cpu_lduw_code
    br x9
translate:
    stp x29, x30, [sp, #-32]!
    mov x29, sp
    str x19, [sp, #16]
    mov x19, x0
    ldr x9, gen_intermediate_code
    blr x9
    ldr x9, [x19, #{AARCH64_LAYOUT.env_pointer}]
    ldr x9, [x9, #{_CLOCK}]
    cbz x9, translation_done
    ldr x19, [x9, #{_HOOKS}]
    cbz x19, translation_done
    bl show_hooks
translation_done:
    ldr x19, [sp, #16]
    ldp x29, x30, [sp], #32
    ret
show_hooks:
    ldr x9, [x19, #{_BEGIN}]
    cbz x9, hooks_shown
    ldr x10, [x19, #{_LIST}]
    str x9, [x10]
    str xzr, [x19, #{_BEGIN}]
hooks_shown:
    ret
"""
