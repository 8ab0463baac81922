"""Native reads of `time`, computed from the block clock; `mcycle` and `minstret` kept away from the host's clock.

The core has a table of CSR operations that belongs to all cores of the process. What is put into it here finds the
clock of its core by a word of the state window that is zero in every other core, and changes nothing there.
"""

import ctypes
from functools import cache

from emu.engine import library, native
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.window import Word

_CLOCK, _PRIVILEGE = 8 * Word.RDTIME_FUNCTION, 8 * Word.PRIVILEGE
_MCOUNTEREN, _SCOUNTEREN = 8 * Word.MCOUNTEREN, 8 * Word.SCOUNTEREN
_TIME, _MCYCLE, _MINSTRET = 0xC01, 0xB00, 0xB02

# All three get the core's state and the number of the CSR; a negative answer makes the instruction illegal, which hands
# it to the hart. A CSR instruction is the last of its block, so that it is the last that is counted.
MAY_READ_TIME = Probe(
    "may_read_time",
    x86_64=f"""
    mov rdx, [rdi+{_CLOCK}]
    test rdx, rdx
    jz refuse
    cmp qword ptr [rdx+{8 * Slot.TICK}], 0
    je refuse
    mov rax, [rdi+{_PRIVILEGE}]
    cmp rax, 3
    je allow
    test byte ptr [rdi+{_MCOUNTEREN}], 2
    jz refuse
    test rax, rax
    jnz allow
    test byte ptr [rdi+{_SCOUNTEREN}], 2
    jz refuse
allow:
    xor eax, eax
    ret
refuse:
    mov eax, -1
    ret
""",
    aarch64=f"""
    ldr x9, [x0, #{_CLOCK}]
    cbz x9, refuse
    ldr x10, [x9, #{8 * Slot.TICK}]
    cbz x10, refuse
    ldr x10, [x0, #{_PRIVILEGE}]
    cmp x10, #3
    b.eq allow
    ldrb w11, [x0, #{_MCOUNTEREN}]
    tbz w11, #1, refuse
    cbnz x10, allow
    ldrb w11, [x0, #{_SCOUNTEREN}]
    tbz w11, #1, refuse
allow:
    mov w0, #0
    ret
refuse:
    movn w0, #0
    ret
""",
)

# The third argument is where the value goes.
READ_TIME = Probe(
    "read_time",
    x86_64=f"""
    mov rcx, [rdi+{_CLOCK}]
    mov r8, rdx
    mov rax, [rcx+{8 * Slot.COUNT}]
    add rax, [rcx+{8 * Slot.SLEPT}]
    dec rax
    xor edx, edx
    div qword ptr [rcx+{8 * Slot.TICK}]
    add rax, [rcx+{8 * Slot.TIME_OFFSET}]
    mov [r8], rax
    xor eax, eax
    ret
""",
    aarch64=f"""
    ldr x9, [x0, #{_CLOCK}]
    ldr x10, [x9, #{8 * Slot.COUNT}]
    ldr x11, [x9, #{8 * Slot.SLEPT}]
    add x10, x10, x11
    sub x10, x10, #1
    ldr x11, [x9, #{8 * Slot.TICK}]
    udiv x10, x10, x11
    ldr x11, [x9, #{8 * Slot.TIME_OFFSET}]
    add x10, x10, x11
    str x10, [x2]
    mov w0, #0
    ret
""",
)

ONLY_ELSEWHERE = Probe(
    "only_elsewhere",
    x86_64=f"""
    xor eax, eax
    cmp qword ptr [rdi+{_CLOCK}], 0
    je allow
    dec eax
allow:
    ret
""",
    aarch64=f"""
    ldr x9, [x0, #{_CLOCK}]
    cmp x9, #0
    csetm w0, ne
    ret
""",
)


class _Operations(ctypes.Structure):
    """What the core does for a CSR (`riscv_csr_operations` in QEMU's target/riscv/cpu.h)."""

    _fields_ = (
        ("allowed", ctypes.c_void_p), ("read", ctypes.c_void_p), ("write", ctypes.c_void_p), ("both", ctypes.c_void_p),
    )  # fmt: skip


@cache
def install() -> None:
    """Put the native reads into the core's table, once in a process."""
    get_operations = library.LIBRARY.riscv_get_csr_ops_riscv64
    set_operations = library.LIBRARY.riscv_set_csr_ops_riscv64
    operations = _Operations()
    for number in (_MCYCLE, _MINSTRET):
        get_operations(number, ctypes.byref(operations))
        operations.allowed = native.load(ONLY_ELSEWHERE)
        set_operations(number, ctypes.byref(operations))
    operations = _Operations(native.load(MAY_READ_TIME), native.load(READ_TIME), None, None)
    set_operations(_TIME, ctypes.byref(operations))
