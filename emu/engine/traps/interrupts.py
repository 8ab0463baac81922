"""Interrupts entered by the guest's model: the core asks it before it would take one by its own rules.

The core calls a function of its class between two blocks, while an interrupt is pending; each core has that class to
itself. Put in its place is a native function that returns at once while none is due, and calls the guest when one is.
"""

import ctypes
from collections.abc import Callable
from functools import cache

from emu.engine import library, native
from emu.engine.guest import Note
from emu.engine.library import Handle
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE, ENGINE_CPU, ENV_ENGINE, STATE_ASKED
from emu.engine.window import Word
from emu.errors import MachineError

_REQUEST = 1
"""The bit of CPU_INTERRUPT_HARD in the request."""

Take = ctypes.CFUNCTYPE(None)
"""What the native function calls when an interrupt is due."""
Asked = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_int)
"""The function in the class: core and request to whether an interrupt was taken."""


def _of(word: int, architecture: str) -> int:
    return CORE_STATE[architecture] + 8 * word


def _x(word: int) -> str:
    return f"[rdi+{_of(word, 'x86_64'):#x}]"


def _a(word: int) -> str:
    return f"[x9, #{8 * word}]"


# Section 3.1.9: what is not delegated is taken below M mode, or with MIE; what is delegated below S mode, or with SIE.
ASKED = Probe(
    "interrupt",
    x86_64=f"""
    test sil, {1 << _REQUEST}
    jz none
    mov rax, {_x(Word.MIP)}
    and rax, {_x(Word.MIE)}
    jz none
    mov rcx, {_x(Word.PRIVILEGE)}
    mov r8, {_x(Word.MSTATUS)}
    mov r9, {_x(Word.MIDELEG)}
    mov rdx, r9
    not rdx
    and rdx, rax
    cmp rcx, 3
    jne below
    test r8b, 8
    jz none
    test rdx, rdx
    jnz take
none:
    xor eax, eax
    ret
below:
    test rdx, rdx
    jnz take
    test rcx, rcx
    jz take
    test r8b, 2
    jz none
take:
    mov rdx, {_x(Word.RDTIME_FUNCTION)}
    test byte ptr [rdx+{8 * Slot.ALONE}], {Note.ALONE}
    jnz alone
    sub rsp, 8
    call qword ptr [rdx+{8 * Slot.INTERRUPT}]
    add rsp, 8
    mov eax, 1
    ret
alone:
    or qword ptr [rdx+{8 * Slot.ALONE}], {Note.INTERRUPT}
    mov rdi, [rdi+{CORE_STATE["x86_64"] + ENV_ENGINE:#x}]
    sub rsp, 8
    call qword ptr [rdx+{8 * Slot.STOP}]
    add rsp, 8
    xor eax, eax
    ret
""",
    aarch64=f"""
    tbz w1, #{_REQUEST}, none
    mov x10, #{CORE_STATE["aarch64"]}
    add x9, x0, x10
    ldr x10, {_a(Word.MIP)}
    ldr x11, {_a(Word.MIE)}
    ands x10, x10, x11
    b.eq none
    ldr x11, {_a(Word.PRIVILEGE)}
    ldr x12, {_a(Word.MSTATUS)}
    ldr x13, {_a(Word.MIDELEG)}
    bic x13, x10, x13
    cmp x11, #3
    b.ne below
    tbz w12, #3, none
    cbnz x13, take
none:
    mov w0, #0
    ret
below:
    cbnz x13, take
    cbz x11, take
    tbz w12, #1, none
take:
    ldr x10, {_a(Word.RDTIME_FUNCTION)}
    ldr x11, [x10, #{8 * Slot.ALONE}]
    tbnz w11, #0, alone
    ldr x9, [x10, #{8 * Slot.INTERRUPT}]
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    blr x9
    ldp x29, x30, [sp], #16
    mov w0, #1
    ret
alone:
    orr x11, x11, #{Note.INTERRUPT}
    str x11, [x10, #{8 * Slot.ALONE}]
    ldr x0, [x9, #{ENV_ENGINE}]
    ldr x9, [x10, #{8 * Slot.STOP}]
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    blr x9
    ldp x29, x30, [sp], #16
    mov w0, #0
    ret
""",
)


def ask_guest(handle: Handle, slots: memoryview, is_due: Callable[[], bool], take: Callable[[], None]) -> object:
    """From now on `take` enters each interrupt that is due, between two blocks; `is_due` says whether one is.

    `slots` are those of a native clock, to which the state of the core points, or empty where there is none. The result
    must be kept as long as the core. None: this build of the core lacks what that needs, and takes interrupts unseen.
    """
    place = _place(handle)
    if place is None:
        return None
    if slots:
        taken = Take(take)
        slots[Slot.INTERRUPT] = library.address_of(taken)
        place.value = native.load(ASKED)
        return taken

    def ask(_core: int, request: int) -> bool:
        if not request >> _REQUEST & 1 or not is_due():
            return False
        take()
        return True

    asked = Asked(ask)
    place.value = library.address_of(asked)
    return asked


def ask_core(handle: Handle) -> None:
    """From now on the core takes interrupts by its own rules, as before `ask_guest` had a native clock."""
    place, known = _word(handle), _known()
    if place is not None and known is not None:
        place.value = known


def _place(handle: Handle) -> ctypes.c_uint64 | None:
    """The word of the core's class that holds the function, if it is where it is expected."""
    place, known = _word(handle), _known()
    return place if place is not None and place.value == known else None


@cache
def _known() -> int | None:
    try:
        return library.function_address("riscv_cpu_exec_interrupt")
    except MachineError:
        return None


def _word(handle: Handle) -> ctypes.c_uint64 | None:
    architecture = native.architecture()
    if architecture is None or _known() is None:
        return None
    core = ctypes.c_uint64.from_address((handle.value or 0) + ENGINE_CPU).value
    return ctypes.c_uint64.from_address(core + CORE_STATE[architecture] + STATE_ASKED)
