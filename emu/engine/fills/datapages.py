"""A native function behind the one by which the core fills its TLB while it walks the guest's page tables by itself.

The core stores slowly to every page that its TLB holds as executable. Where a leaf grants everything, as in small
kernels, that would be all of memory: an entry that was filled for a load or a store is not for fetches, if it is
writable. A fetch fills it again.
"""

from emu.address import PAGE_BITS
from emu.engine.native import Probe
from emu.engine.translated.layout import CORE_STATE, TLB, TLB_FETCHES, TLB_SHIFT, TLB_STORES

_FETCH = 2
"""The core's number for a fetch, behind loads (0) and stores (1)."""
_X86_64, _AARCH64 = CORE_STATE["x86_64"] + TLB, CORE_STATE["aarch64"] + TLB

# Its arguments are the core, the address, a size, the access, the MMU mode, whether it is a question, and where the
# translated code goes on, which x86-64 has on the stack.
DATA_FILL = Probe(
    "data_fill",
    x86_64=f"""
    cmp ecx, {_FETCH}
    je core
    push rdi
    push rsi
    push r8
    sub rsp, 8
    push qword ptr [rsp+40]
    call core
    add rsp, 16
    pop r8
    pop rsi
    pop rdi
    test al, al
    jz done
    mov r8d, r8d
    shl r8, 4
    add rdi, r8
    shr rsi, {PAGE_BITS - TLB_SHIFT}
    and rsi, [rdi+{_X86_64}]
    add rsi, [rdi+{_X86_64 + 8}]
    cmp qword ptr [rsi+{TLB_STORES}], -1
    je done
    mov qword ptr [rsi+{TLB_FETCHES}], -1
done:
    ret
core:
    jmp qword ptr [rip+own]
own: .quad 0
""",
    aarch64=f"""
    ldr x9, own
    cmp w3, #{_FETCH}
    b.eq core
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    str x4, [sp, #32]
    blr x9
    ldp x10, x11, [sp, #16]
    ldr w12, [sp, #32]
    ldp x29, x30, [sp], #48
    tst w0, #0xff
    b.eq done
    mov x13, #{_AARCH64}
    add x10, x10, x13
    add x10, x10, x12, lsl #4
    ldp x13, x14, [x10]
    and x13, x13, x11, lsr #{PAGE_BITS - TLB_SHIFT}
    add x13, x13, x14
    ldr x14, [x13, #{TLB_STORES}]
    cmn x14, #1
    b.eq done
    mov x14, #-1
    str x14, [x13, #{TLB_FETCHES}]
done:
    ret
core:
    br x9
own: .quad 0
""",
)
"""It ends with the address of the core's function."""
