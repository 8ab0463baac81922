"""CSR instructions by the guest's model, in native code: what it declares simple is served, the rest is refused.

The core's table of CSR operations belongs to all cores of the process. What is put into it here finds the model's CSRs
by the clock of its core, and for every other core does what the library does.
"""

import ctypes
from collections.abc import Callable
from enum import IntEnum
from functools import cache

from emu.engine import library, native
from emu.engine.assembled import ASSEMBLED
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.window import Word
from emu.isa.csrs import Csr
from emu.isa.status import MSTATUS_WRITE, SSTATUS_READ, SSTATUS_WRITE, Status

_NUMBERS = 4096
LINES, FORCED = 0xFFF, 0xFFE
"""Where, among the values, stand the bits of `mip` that devices hold up, and bits that are to stay set in the core's
`mstatus`: no CSR has these numbers."""
_KINDS = 8 * _NUMBERS


class Kind(IntEnum):
    """Who carries out the instructions that access a CSR."""

    REFUSED = 0
    """The guest: they arrive as illegal instructions."""
    CORE = 1
    """The core."""
    EVEN_IN_CORE = 2
    """The core, which is never given an odd value."""
    STATUS_IN_CORE = 3
    """`mstatus` or `sstatus` of a core that has the privileges of its guest, with all fields of the manual's."""
    PLAIN = 4
    """They read and write the model's value, and nothing else comes of it."""
    EVEN = 5
    """The same, without bit 0."""
    SSTATUS = 6
    """The model's `sstatus`, as long as only SIE changes and no interrupt becomes due; the rest is refused."""


SIMPLE = (Csr.SSTATUS, Csr.SSCRATCH, Csr.SEPC, Csr.SCAUSE, Csr.STVAL, Csr.MSTATUS, Csr.MEPC)
"""Those that can be of a kind other than REFUSED and CORE."""

_FS, _SD, _MPP, _SIE = int(Status.FS), int(Status.SD), int(Status.MPP), int(Status.SIE)
MOVED = int(Status.TW | Status.TSR)
MOVED_BY = 8
"""The core looks for TW and TSR eight bits further up than the manual has them."""
NOT_OF_GUEST = ~(MOVED << MOVED_BY | _SD) & (1 << 64) - 1
"""The bits of the core's `mstatus` that the guest has written or may see; SD follows from FS."""
_CLOCK, _MSTATUS = 8 * Word.RDTIME_FUNCTION, 8 * Word.MSTATUS
_NUMBER = int(Csr.MSTATUS)
_OPERATIONS = 32
"""Bytes of an entry in the core's table: four functions."""

# The core's state, and the number of the CSR; a negative answer makes the instruction illegal.
MAY_ACCESS = Probe(
    "may_access",
    x86_64=f"""
    mov rax, [rdi+{_CLOCK}]
    test rax, rax
    jz core
    mov rax, [rax+{8 * Slot.MODEL}]
    test rax, rax
    jz core
    mov ecx, esi
    movzx eax, byte ptr [rax+rcx+{_KINDS}]
    cmp eax, {Kind.CORE}
    je core
    cmp eax, 1
    sbb eax, eax
    ret
core:
    mov ecx, esi
    shl rcx, 5
    add rcx, [rip+table]
    jmp qword ptr [rcx]
table: .quad 0
""",
    aarch64=f"""
    ldr x9, [x0, #{_CLOCK}]
    cbz x9, core
    ldr x9, [x9, #{8 * Slot.MODEL}]
    cbz x9, core
    add x9, x9, #{_KINDS >> 12}, lsl #12
    ldrb w9, [x9, w1, uxtw]
    cmp w9, #{Kind.CORE}
    b.eq core
    cmp w9, #0
    csetm w0, eq
    ret
core:
    ldr x9, table
    add x9, x9, w1, uxtw #4
    add x9, x9, w1, uxtw #4
    ldr x9, [x9]
    br x9
table: .quad 0
""",
)

# The same, where the old value goes (or 0), a new value, and which of its bits are written.
ACCESS = Probe(
    "access",
    x86_64=f"""
    mov rax, [rdi+{_CLOCK}]
    test rax, rax
    jz core
    mov r9, [rax+{8 * Slot.MODEL}]
    test r9, r9
    jz core
    mov eax, esi
    movzx eax, byte ptr [r9+rax+{_KINDS}]
    cmp eax, {Kind.PLAIN}
    je plain
    cmp eax, {Kind.EVEN}
    je even
    cmp eax, {Kind.SSTATUS}
    je supervisor
    cmp eax, {Kind.STATUS_IN_CORE}
    je status
    cmp eax, {Kind.EVEN_IN_CORE}
    jne core
    and rcx, -2
core:
    mov eax, esi
    shl rax, 5
    add rax, [rip+table]
    mov r10, [rax+24]
    test r10, r10
    jz separate
    jmp r10
separate:
    cmp qword ptr [rax+8], 0
    je refuse
    push rbx
    push rbp
    push r12
    push r13
    push r14
    sub rsp, 16
    mov rbx, rdi
    mov ebp, esi
    mov r12, rdx
    mov r13, rcx
    mov r14, r8
    mov [rsp+8], rax
    mov rdx, rsp
    call qword ptr [rax+8]
    test eax, eax
    js left
    test r14, r14
    jz read
    mov rax, [rsp+8]
    mov rax, [rax+16]
    test rax, rax
    jz read
    and r13, r14
    not r14
    mov rdx, [rsp]
    and rdx, r14
    or rdx, r13
    mov rdi, rbx
    mov esi, ebp
    call rax
    test eax, eax
    js left
read:
    xor eax, eax
    test r12, r12
    jz left
    mov rcx, [rsp]
    mov [r12], rcx
left:
    add rsp, 16
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
refuse:
    mov eax, -1
    ret
even:
    and rcx, -2
plain:
    mov eax, esi
    mov r10, [r9+rax*8]
    test r8, r8
    jz told
    and rcx, r8
    not r8
    and r8, r10
    or rcx, r8
    mov [r9+rax*8], rcx
told:
    test rdx, rdx
    jz done
    mov [rdx], r10
done:
    xor eax, eax
    ret
supervisor:
    mov r10, [r9+{8 * Csr.MSTATUS}]
    xor r11d, r11d
    mov eax, r10d
    and eax, {_FS}
    jz clean
    cmp eax, {_FS}
    je dirty
    mov eax, [rdi+{_MSTATUS}]
    and eax, {_FS}
    cmp eax, {_FS}
    jne clean
dirty:
    or r10, {_FS}
    inc r11d
    shl r11, 63
clean:
    and r8, {SSTATUS_WRITE}
    jz seen
    and rcx, r8
    not r8
    and r8, r10
    or rcx, r8
    mov rax, rcx
    xor rax, r10
    test rax, {~_SIE}
    jnz refuse
    test cl, {_SIE}
    jz written
    test r10b, {_SIE}
    jnz written
    mov rax, [r9+{8 * Csr.MIP}]
    or rax, [r9+{8 * LINES}]
    test rax, [r9+{8 * Csr.MIE}]
    jnz refuse
written:
    mov [r9+{8 * Csr.MSTATUS}], rcx
seen:
    or r10, r11
    movabs rax, {SSTATUS_READ:#x}
    and r10, rax
    jmp told
status:
    mov r10, [rdi+{_MSTATUS}]
    movabs rax, {NOT_OF_GUEST:#x}
    and r10, rax
    mov eax, r10d
    and eax, {_FS}
    cmp eax, {_FS}
    jne shown
    bts r10, 63
shown:
    mov r11, r10
    cmp esi, {int(Csr.SSTATUS):#x}
    jne machine
    movabs rax, {SSTATUS_READ:#x}
    and r11, rax
    and r8, {SSTATUS_WRITE}
machine:
    and r8, {MSTATUS_WRITE}
    test rdx, rdx
    jz change
    mov [rdx], r11
change:
    test r8, r8
    jz done
    and rcx, r8
    not r8
    and r8, r10
    or rcx, r8
    mov eax, ecx
    and eax, {_MPP}
    cmp eax, {2 << 11}
    jne known
    and rcx, {~_MPP}
    and r10d, {_MPP}
    or rcx, r10
known:
    push rbx
    push rbp
    push r12
    mov rbx, rdi
    mov rbp, rcx
    mov r12, r9
    mov rdx, rcx
    mov esi, {_NUMBER:#x}
    mov rax, [rip+table]
    call qword ptr [rax+{_NUMBER * _OPERATIONS + 16}]
    mov eax, ebp
    and eax, {MOVED}
    shl rax, {MOVED_BY}
    or rbp, rax
    or rbp, [r12+{8 * FORCED}]
    mov [rbx+{_MSTATUS}], rbp
    pop r12
    pop rbp
    pop rbx
    xor eax, eax
    ret
table: .quad 0
""",
    aarch64=f"""
    ldr x9, [x0, #{_CLOCK}]
    cbz x9, core
    ldr x9, [x9, #{8 * Slot.MODEL}]
    cbz x9, core
    add x10, x9, #{_KINDS >> 12}, lsl #12
    ldrb w10, [x10, w1, uxtw]
    cmp w10, #{Kind.PLAIN}
    b.eq plain
    cmp w10, #{Kind.EVEN}
    b.eq even
    cmp w10, #{Kind.SSTATUS}
    b.eq supervisor
    cmp w10, #{Kind.STATUS_IN_CORE}
    b.eq status
    cmp w10, #{Kind.EVEN_IN_CORE}
    b.ne core
    and x3, x3, #0xfffffffffffffffe
core:
    ldr x9, table
    add x9, x9, w1, uxtw #4
    add x9, x9, w1, uxtw #4
    ldr x10, [x9, #24]
    cbz x10, separate
    br x10
separate:
    ldr x10, [x9, #8]
    cbz x10, refuse
    stp x29, x30, [sp, #-80]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    mov x19, x0
    mov w20, w1
    mov x21, x2
    mov x22, x3
    mov x23, x4
    mov x24, x9
    add x2, sp, #64
    blr x10
    tbnz w0, #31, left
    cbz x23, read
    ldr x10, [x24, #16]
    cbz x10, read
    ldr x2, [sp, #64]
    bic x2, x2, x23
    and x22, x22, x23
    orr x2, x2, x22
    mov x0, x19
    mov w1, w20
    blr x10
    tbnz w0, #31, left
read:
    mov w0, #0
    cbz x21, left
    ldr x9, [sp, #64]
    str x9, [x21]
left:
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #80
    ret
refuse:
    movn w0, #0
    ret
even:
    and x3, x3, #0xfffffffffffffffe
plain:
    ldr x10, [x9, w1, uxtw #3]
    cbz x4, told
    and x3, x3, x4
    bic x11, x10, x4
    orr x3, x3, x11
    str x3, [x9, w1, uxtw #3]
told:
    cbz x2, done
    str x10, [x2]
done:
    mov w0, #0
    ret
supervisor:
    mov x12, #{_FS}
    mov x13, #0
    ldr x10, [x9, #{8 * Csr.MSTATUS}]
    ands x11, x10, x12
    b.eq clean
    cmp x11, x12
    b.eq dirty
    ldr x11, [x0, #{_MSTATUS}]
    and x11, x11, x12
    cmp x11, x12
    b.ne clean
dirty:
    orr x10, x10, x12
    mov x13, #{_SD}
clean:
    mov x11, #{SSTATUS_WRITE & 0xFFFF}
    movk x11, #{SSTATUS_WRITE >> 16}, lsl #16
    ands x4, x4, x11
    b.eq seen
    and x3, x3, x4
    bic x11, x10, x4
    orr x3, x3, x11
    eor x11, x3, x10
    and x11, x11, #{~_SIE & (1 << 64) - 1:#x}
    cbnz x11, refuse
    tbz x3, #1, written
    tbnz x10, #1, written
    ldr x11, [x9, #{8 * Csr.MIP}]
    ldr x12, [x9, #{8 * LINES}]
    orr x11, x11, x12
    ldr x12, [x9, #{8 * Csr.MIE}]
    tst x11, x12
    b.ne refuse
written:
    str x3, [x9, #{8 * Csr.MSTATUS}]
seen:
    orr x10, x10, x13
    ldr x11, visible
    and x10, x10, x11
    b told
status:
    ldr x10, [x0, #{_MSTATUS}]
    ldr x11, guests
    and x10, x10, x11
    mov x12, #{_FS}
    and x11, x10, x12
    cmp x11, x12
    b.ne shown
    orr x10, x10, #{_SD:#x}
shown:
    mov x11, x10
    cmp w1, #{int(Csr.SSTATUS)}
    b.ne machine
    ldr x12, visible
    and x11, x11, x12
    mov x12, #{SSTATUS_WRITE & 0xFFFF}
    movk x12, #{SSTATUS_WRITE >> 16}, lsl #16
    and x4, x4, x12
machine:
    mov x12, #{MSTATUS_WRITE & 0xFFFF}
    movk x12, #{MSTATUS_WRITE >> 16}, lsl #16
    and x4, x4, x12
    cbz x2, change
    str x11, [x2]
change:
    cbz x4, done
    and x3, x3, x4
    bic x11, x10, x4
    orr x3, x3, x11
    ubfx x11, x3, #11, #2
    cmp x11, #2
    b.ne known
    and x10, x10, #{_MPP:#x}
    and x3, x3, #{~_MPP & (1 << 64) - 1:#x}
    orr x3, x3, x10
known:
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    str x21, [sp, #32]
    mov x19, x0
    mov x20, x3
    mov x21, x9
    mov x2, x3
    mov w1, #{_NUMBER}
    ldr x9, table
    mov x10, #{_NUMBER * _OPERATIONS + 16}
    ldr x9, [x9, x10]
    blr x9
    and x9, x20, #{MOVED:#x}
    orr x20, x20, x9, lsl #{MOVED_BY}
    ldr x9, [x21, #{8 * FORCED}]
    orr x20, x20, x9
    str x20, [x19, #{_MSTATUS}]
    ldr x21, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
    mov w0, #0
    ret
visible: .quad {SSTATUS_READ:#x}
guests: .quad {NOT_OF_GUEST:#x}
table: .quad 0
""",
)
"""Both end with the address of the table as the library had it."""


class _Operations(ctypes.Structure):
    """What the core does for a CSR (`riscv_csr_operations` in QEMU's target/riscv/cpu.h)."""

    _fields_ = (
        ("allowed", ctypes.c_void_p), ("read", ctypes.c_void_p), ("write", ctypes.c_void_p), ("both", ctypes.c_void_p),
    )  # fmt: skip


class ModelCsrs:
    """The model's CSRs by number, in memory that native code finds, and who serves the instructions for each."""

    def __init__(self) -> None:
        self._memory = (ctypes.c_uint8 * (_KINDS + _NUMBERS))()
        octets = memoryview(self._memory).cast("B")
        self.values = octets[:_KINDS].cast("Q")
        self._kinds = octets[_KINDS:]
        self.is_served = False
        """Whether native code serves the instructions; else all arrive as illegal ones, if the core has none at all."""

    def serve(self, slots: memoryview, default: Kind, kinds: dict[int, Kind]) -> None:
        """From now on the core whose native clock has these slots serves CSR instructions by kind."""
        if not _install():
            return
        for number in range(_NUMBERS):
            self.set_kind(number, kinds.get(number, default))
        slots[Slot.MODEL] = ctypes.addressof(self._memory)
        self.is_served = True

    def set_kind(self, number: int, kind: Kind) -> None:
        """Change who serves the instructions that access one CSR."""
        self._kinds[number] = kind


@cache
def _install() -> bool:
    """Put the functions into the core's table, once in a process; False where the library does not export it."""
    try:
        get_operations: Callable[..., object] = library.LIBRARY.riscv_get_csr_ops_riscv64
        set_operations: Callable[..., object] = library.LIBRARY.riscv_set_csr_ops_riscv64
    except AttributeError:
        return False
    table = (_Operations * _NUMBERS)()
    for number in range(_NUMBERS):
        get_operations(number, ctypes.byref(table[number]))
    _kept.append(table)
    may_access, access = (_load(probe, ctypes.addressof(table)) for probe in (MAY_ACCESS, ACCESS))
    for number, saved in enumerate(table):
        if saved.allowed:
            both = access if number in SIMPLE else saved.both
            set_operations(number, ctypes.byref(_Operations(may_access, saved.read, saved.write, both)))
    return True


_kept: list[object] = []


def _load(probe: Probe, table: int) -> int:
    address = native.load(probe)
    end = address + len(ASSEMBLED[native.architecture() or ""][probe.name])
    ctypes.c_uint64.from_address(end - 8).value = table
    return address
