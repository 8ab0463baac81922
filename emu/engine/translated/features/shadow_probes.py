"""Native functions in front of the core's own for accesses that its TLB does not answer: they find poisoned bytes."""

from enum import IntEnum

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.engine.guest import Note
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated import layout
from emu.engine.translated.features.callentries import MARKS_OFFSET
from emu.engine.translated.layout import ENGINE_CPU, ENGINE_STOP_REQUEST, ENV_ENGINE
from emu.engine.window import Word as StateWord

LOADS = {1: "helper_ret_ldub_mmu", 2: "helper_le_lduw_mmu", 4: "helper_le_ldul_mmu", 8: "helper_le_ldq_mmu"}
STORES = {1: "helper_ret_stb_mmu", 2: "helper_le_stw_mmu", 4: "helper_le_stl_mmu", 8: "helper_le_stq_mmu"}
"""By the bytes of the access. Translated code finds them in tables of addresses."""
CALLED = (*LOADS.values(), *STORES.values(), "cpu_restore_state", "cpu_loop_exit")
_ENTRIES = [(size, name, name in STORES.values()) for table in (LOADS, STORES) for size, name in table.items()]
_CLOCK, _SHADOW, _PC = 8 * StateWord.RDTIME_FUNCTION, 8 * Slot.SHADOW, 8 * StateWord.PC
_MODE = 15
"""Of what kind of access it is: the core's MMU mode."""
_ALONE, _STOP = 8 * Slot.ALONE, 8 * Slot.STOP
STORE = 0x80


class Word(IntEnum):
    """Index of a 64-bit word of a shadow."""

    TABLE = 0
    """The address of a bit for each byte of virtual memory."""
    MASK = 1
    """Which bytes of the table there are: addresses share them."""
    TELL = 2
    """What to call: with the address, the access, the value and the pc."""
    LOW = 3
    """Of accesses to lower addresses nobody is told."""
    SPAN = 4
    """How many bytes behind it the last one lies of whose accesses somebody is told."""
    INNERMOST = 5
    """Where the address of an entry stands, that of the innermost call (see `features.opencalls`)."""
    MARKS = 6
    """Nobody is told of what is done inside of a call with one of these marks."""
    UNWRITTEN = 7
    """The address of a bit for each byte that was never written, of which loads are told; where nobody wants to know
    of them, that of `TABLE`."""
    LINEAR = 8
    """The virtual address of RAM's beginning, by which stores find their bits."""
    NOWHERE = 9
    """What stores outside of RAM clear."""


_TABLE, _MASK, _TELL, _LOW, _SPAN, _INNERMOST, _MARKS, _UNWRITTEN, _, _ = (8 * word for word in Word)


# A load gets the state, the address, what kind of access it is, and where translated code goes on; a store the value
# behind the address.
def _x86_64(size: int, name: str, *, store: bool) -> str:
    parts = _check_x86_64, _ask_x86_64, _pass_x86_64
    return "".join(part(size, name, store=store) for part in parts)


def _check_x86_64(size: int, name: str, *, store: bool) -> str:
    """Straight to the core's function where no byte is poisoned; past it where nobody is told of the bytes."""
    unwritten = f"""
    mov rax, [r10+{_UNWRITTEN}]
    movzx eax, word ptr [rax+r11]"""
    return f"""
check_{name}:
    mov rax, [rdi+{_CLOCK}]
    test rax, rax
    jz clean_{name}
    mov r10, [rax+{_SHADOW}]
    test r10, r10
    jz clean_{name}
    mov r11, rsi
    shr r11, 3
    and r11, [r10+{_MASK}]{"" if store else unwritten}
    add r11, [r10+{_TABLE}]
    movzx r11d, word ptr [r11]
    {"" if store else "or r11d, eax"}
    mov r9, rcx
    mov ecx, esi
    and ecx, 7
    shr r11d, cl
    mov rcx, r9
    shl r11, {64 - size}
    jz clean_{name}
    xor rsi, r11
    mov rax, rsi
    sub rax, [r10+{_LOW}]
    cmp rax, [r10+{_SPAN}]
    ja passed_{name}
    mov rax, [r10+{_INNERMOST}]
    mov rax, [rax]
    mov rax, [rax+{MARKS_OFFSET}]
    test rax, [r10+{_MARKS}]
    jnz passed_{name}
"""


def _ask_x86_64(size: int, name: str, *, store: bool) -> str:
    """Tells of the access, with the pc; the core is left when that has asked for it."""
    go_on = "r8" if store else "rcx"
    return f"""
    push rdi
    push rsi
    push rdx
    push rcx
    push r8
    mov rax, r10
    push rax
    sub rsp, 8
    mov rsi, {go_on}
    xor edx, edx
    mov rdi, [rdi+{ENV_ENGINE}]
    mov rdi, [rdi+{ENGINE_CPU}]
    call qword ptr [rip+cpu_restore_state]
    mov rax, [rsp+48]
    mov rax, [rax+{_CLOCK}]
    test byte ptr [rax+{_ALONE}], {Note.ALONE}
    jz tell_{name}
    or qword ptr [rax+{_ALONE}], {Note.DATA}
    mov rdi, [rsp+48]
    mov rdi, [rdi+{ENV_ENGINE}]
    call qword ptr [rax+{_STOP}]
    jmp asked_{name}
tell_{name}:
    mov r10, [rsp+8]
    mov rdi, [rsp+40]
    mov esi, {size | STORE * store}
    {"mov rdx, [rsp+32]" if store else "xor edx, edx"}
    mov rcx, [rsp+48]
    mov rcx, [rcx+{_PC}]
    call qword ptr [r10+{_TELL}]
asked_{name}:
    mov rdi, [rsp+48]
    mov rdi, [rdi+{ENV_ENGINE}]
    cmp byte ptr [rdi+{ENGINE_STOP_REQUEST}], 0
    je told_{name}
    mov rdi, [rdi+{ENGINE_CPU}]
    call qword ptr [rip+cpu_loop_exit]
told_{name}:
    add rsp, 16
    pop r8
    pop rcx
    pop rdx
    pop rsi
    pop rdi
clean_{name}:
    jmp qword ptr [rip+{name}]
"""


def _pass_x86_64(size: int, name: str, *, store: bool) -> str:
    """Accesses what the core's TLB answers, as translated code does; allocators write much to what nobody holds."""
    access = {1: "dl", 2: "dx", 4: "edx", 8: "rdx"}[size]
    load = "mov rax, [rax+rsi]" if size == 8 else "mov eax, [rax+rsi]" if size == 4 else ""
    kind = {1: "byte", 2: "word"}.get(size, "")
    return f"""
passed_{name}:
    mov eax, {"ecx" if store else "edx"}
    and eax, {_MODE}
    shl eax, 4
    mov r9, [rdi+rax+{layout.TLB}]
    mov r11, [rdi+rax+{layout.TLB + 8}]
    mov rax, rsi
    shr rax, {PAGE_BITS - layout.TLB_SHIFT}
    and rax, r9
    add r11, rax
    mov rax, rsi
    and rax, {-PAGE_SIZE | size - 1}
    cmp rax, [r11+{layout.TLB_STORES if store else 0}]
    jne clean_{name}
    mov rax, [r11+{layout.TLB_ADDEND}]
    {f"mov [rax+rsi], {access}" if store else load or f"movzx eax, {kind} ptr [rax+rsi]"}
    ret
"""


def _aarch64(size: int, name: str, *, store: bool) -> str:
    parts = _check_aarch64, _ask_aarch64, _pass_aarch64
    return "".join(part(size, name, store=store) for part in parts)


def _check_aarch64(size: int, name: str, *, store: bool) -> str:
    """Straight to the core's function where no byte is poisoned; past it where nobody is told of the bytes."""
    unwritten = f"""
    ldr x13, [x10, #{_UNWRITTEN}]
    ldrh w12, [x13, x12]
    orr w11, w11, w12"""
    return f"""
check_{name}:
    ldr x9, [x0, #{_CLOCK}]
    cbz x9, clean_{name}
    ldr x10, [x9, #{_SHADOW}]
    cbz x10, clean_{name}
    ldp x11, x12, [x10, #{_TABLE}]
    and x12, x12, x1, lsr #3
    ldrh w11, [x11, x12]{"" if store else unwritten}
    and w12, w1, #7
    lsr w11, w11, w12
    lsl x11, x11, #{64 - size}
    cbz x11, clean_{name}
    eor x1, x1, x11
    ldp x11, x12, [x10, #{_LOW}]
    sub x11, x1, x11
    cmp x11, x12
    b.hi passed_{name}
    ldp x11, x12, [x10, #{_INNERMOST}]
    ldr x11, [x11]
    ldr x11, [x11, #{MARKS_OFFSET}]
    tst x11, x12
    b.ne passed_{name}
"""


def _ask_aarch64(size: int, name: str, *, store: bool) -> str:
    """Tells of the access, with the pc; the core is left when that has asked for it."""
    return f"""
    stp x29, x30, [sp, #-64]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x10, [sp, #48]
    mov x1, {"x4" if store else "x3"}
    mov w2, #0
    ldr x0, [x0, #{ENV_ENGINE}]
    ldr x0, [x0, #{ENGINE_CPU}]
    ldr x9, cpu_restore_state
    blr x9
    ldr x0, [sp, #16]
    ldr x9, [x0, #{_CLOCK}]
    ldr x10, [x9, #{_ALONE}]
    tbz w10, #0, tell_{name}
    mov w11, #{Note.DATA}
    orr x10, x10, x11
    str x10, [x9, #{_ALONE}]
    ldr x0, [x0, #{ENV_ENGINE}]
    ldr x9, [x9, #{_STOP}]
    blr x9
    b asked_{name}
tell_{name}:
    ldr x10, [sp, #56]
    ldr x0, [sp, #24]
    mov w1, #{size | STORE * store}
    {"ldr x2, [sp, #32]" if store else "mov x2, #0"}
    ldr x3, [sp, #16]
    ldr x3, [x3, #{_PC}]
    ldr x9, [x10, #{_TELL}]
    blr x9
asked_{name}:
    ldr x0, [sp, #16]
    ldr x0, [x0, #{ENV_ENGINE}]
    ldrb w9, [x0, #{ENGINE_STOP_REQUEST}]
    cbz w9, told_{name}
    ldr x0, [x0, #{ENGINE_CPU}]
    ldr x9, cpu_loop_exit
    blr x9
told_{name}:
    ldp x4, x10, [sp, #48]
    ldp x2, x3, [sp, #32]
    ldp x0, x1, [sp, #16]
    ldp x29, x30, [sp], #64
clean_{name}:
    ldr x9, {name}
    br x9
"""


def _pass_aarch64(size: int, name: str, *, store: bool) -> str:
    """Accesses what the core's TLB answers, as translated code does; allocators write much to what nobody holds."""
    suffix, register = {1: "b", 2: "h"}.get(size, ""), "x" if size == 8 else "w"
    return f"""
passed_{name}:
    and w9, {"w3" if store else "w2"}, #{_MODE}
    add x9, x0, x9, lsl #4
    ldp x10, x11, [x9, #{layout.TLB}]
    and x10, x10, x1, lsr #{PAGE_BITS - layout.TLB_SHIFT}
    add x11, x11, x10
    and x12, x1, #{-PAGE_SIZE + (1 << 64) | size - 1:#x}
    ldr x10, [x11, #{layout.TLB_STORES if store else 0}]
    cmp x10, x12
    b.ne clean_{name}
    ldr x10, [x11, #{layout.TLB_ADDEND}]
    {f"str{suffix} {register}2" if store else f"ldr{suffix} {register}0"}, [x10, x1]
    ret
"""


_QUADS = "".join(f"{name}: .quad 0\n" for name in CALLED)
CHECKS = Probe(
    "checks",
    x86_64=_QUADS
    + "".join(f"jmp check_{name}\n .p2align 3\n" for _, name, _ in _ENTRIES)
    + "".join(_x86_64(size, name, store=store) for size, name, store in _ENTRIES),
    aarch64=_QUADS
    + "".join(f"b check_{name}\n nop\n" for _, name, _ in _ENTRIES)
    + "".join(_aarch64(size, name, store=store) for size, name, store in _ENTRIES),
)
"""A table of addresses, to be filled in; a jump to each function, in the order of the tables; the functions."""
