"""A second level behind the core's TLB: translations that the guest has given and still stands by, in native code.

It never walks page tables. What the guest answers to a fill is kept when the guest says so, and given again to the same
question under the same circumstances, whose number is the context; the guest forgets by page, or all.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emu.engine import library, native
from emu.engine.guest import RETURN_ADDRESS, Note
from emu.engine.library import Handle
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.layout import ENGINE_CPU

CONTEXTS = 1 << 12
"""Numbers of contexts: 0 asks the guest each time and keeps nothing."""
_BITS = 13
_SLOTS = 1 << _BITS
CONTEXT, MARK, _MARKED, _KEEP, _ASK, _CLOCK, _ENTRIES = 0, 1, 2, 3, 4, 5, 8
"""Words of the table; its entries, of two words each, follow: slots for loads, for stores and for fetches."""
_CONTEXT_SHIFT = 52
_PAGES = (1 << 52) - 1

# The engine, the address, the access (16, 17, 18: load, store, fetch), where the answer goes, and the table.
FILL = Probe(
    "fill",
    x86_64=f"""
    mov r9, [r8+{8 * CONTEXT}]
    test r9, r9
    jz ask
    mov rax, rsi
    shr rax, 12
    mov r10, rax
    shr r10, {_BITS}
    xor r10, rax
    and r10d, {_SLOTS - 1}
    lea r11d, [rdx-16]
    shl r11d, {_BITS}
    or r10d, r11d
    shl r10, 4
    shl r9, 52
    or r9, rax
    cmp [r8+r10+{8 * _ENTRIES}], r9
    jne ask
    mov rax, [r8+r10+{8 * _ENTRIES + 8}]
    mov r11, rax
    and r11, -4096
    mov [rcx], r11
    and eax, 7
    mov [rcx+8], rax
    mov rax, [r8+{8 * MARK}]
    or [r8+{8 * _MARKED}], rax
    mov eax, 1
    ret
ask:
    mov rax, [r8+{8 * _CLOCK}]
    test byte ptr [rax+{8 * Slot.ALONE}], {int(Note.ALONE)}
    jnz alone
    push rbx
    push rbp
    push r12
    push r13
    sub rsp, 8
    mov rbx, r8
    mov rbp, rsi
    mov r12d, edx
    mov r13, rcx
    mov qword ptr [r8+{8 * _KEEP}], 0
    call qword ptr [r8+{8 * _ASK}]
    test al, al
    jz refused
    cmp qword ptr [rbx+{8 * _KEEP}], 0
    je answered
    mov r9, [rbx+{8 * CONTEXT}]
    test r9, r9
    jz answered
    shr rbp, 12
    mov r10, rbp
    shr r10, {_BITS}
    xor r10, rbp
    and r10d, {_SLOTS - 1}
    sub r12d, 16
    shl r12d, {_BITS}
    or r10d, r12d
    shl r10, 4
    shl r9, 52
    or r9, rbp
    mov [rbx+r10+{8 * _ENTRIES}], r9
    mov rax, [r13]
    and rax, -4096
    mov r11, [r13+8]
    and r11d, 7
    or rax, r11
    mov [rbx+r10+{8 * _ENTRIES + 8}], rax
answered:
    mov eax, 1
    jmp left
refused:
    xor eax, eax
left:
    add rsp, 8
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
alone:
    mov r9d, {int(Note.DATA)}
    cmp edx, {library.MEM_FETCH}
    jne noted
    mov r9d, {int(Note.FETCH)}
    mov r10, {RETURN_ADDRESS:#x}
    cmp rsi, r10
    jne noted
    mov r9d, {int(Note.RETURNED)}
noted:
    or [rax+{8 * Slot.ALONE}], r9
    xor eax, eax
    ret
""",
    aarch64=f"""
    ldr x9, [x4, #{8 * CONTEXT}]
    cbz x9, ask
    lsr x10, x1, #12
    eor x11, x10, x10, lsr #{_BITS}
    and x11, x11, #{_SLOTS - 1:#x}
    sub w12, w2, #16
    add x11, x11, x12, lsl #{_BITS}
    add x11, x4, x11, lsl #4
    orr x9, x10, x9, lsl #52
    ldr x10, [x11, #{8 * _ENTRIES}]
    cmp x9, x10
    b.ne ask
    ldr x10, [x11, #{8 * _ENTRIES + 8}]
    and x11, x10, #0xfffffffffffff000
    str x11, [x3]
    and x11, x10, #7
    str x11, [x3, #8]
    ldr x9, [x4, #{8 * MARK}]
    ldr x10, [x4, #{8 * _MARKED}]
    orr x10, x10, x9
    str x10, [x4, #{8 * _MARKED}]
    mov w0, #1
    ret
ask:
    ldr x9, [x4, #{8 * _CLOCK}]
    ldr x10, [x9, #{8 * Slot.ALONE}]
    tbnz w10, #0, alone
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    mov x19, x4
    mov x20, x1
    mov w21, w2
    mov x22, x3
    str xzr, [x4, #{8 * _KEEP}]
    ldr x9, [x4, #{8 * _ASK}]
    blr x9
    ands w0, w0, #0xff
    b.eq left
    mov w0, #1
    ldr x9, [x19, #{8 * _KEEP}]
    cbz x9, left
    ldr x9, [x19, #{8 * CONTEXT}]
    cbz x9, left
    lsr x10, x20, #12
    eor x11, x10, x10, lsr #{_BITS}
    and x11, x11, #{_SLOTS - 1:#x}
    sub w12, w21, #16
    add x11, x11, x12, lsl #{_BITS}
    add x11, x19, x11, lsl #4
    orr x9, x10, x9, lsl #52
    str x9, [x11, #{8 * _ENTRIES}]
    ldr x9, [x22]
    and x9, x9, #0xfffffffffffff000
    ldr x10, [x22, #8]
    and x10, x10, #7
    orr x9, x9, x10
    str x9, [x11, #{8 * _ENTRIES + 8}]
left:
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
    ret
alone:
    mov x11, #{int(Note.DATA)}
    cmp w2, #{library.MEM_FETCH}
    b.ne noted
    mov x11, #{int(Note.FETCH)}
    movz x12, #{RETURN_ADDRESS >> 48:#x}, lsl #48
    movk x12, #{RETURN_ADDRESS >> 32 & 0xFFFF:#x}, lsl #32
    movk x12, #{RETURN_ADDRESS >> 16 & 0xFFFF:#x}, lsl #16
    cmp x1, x12
    b.ne noted
    mov x11, #{int(Note.RETURNED)}
noted:
    orr x10, x10, x11
    str x10, [x9, #{8 * Slot.ALONE}]
    mov w0, #0
    ret
""",
)


class Translations:
    """The table, for one core. Without native code the engine looks into it before it asks the guest."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._core = ctypes.c_uint64.from_address((handle.value or 0) + ENGINE_CPU).value
        self._memory = (ctypes.c_uint64 * (_ENTRIES + 6 * _SLOTS))()
        self.words = memoryview(self._memory).cast("B").cast("Q")
        """The table, by word."""

    def serve(self, ask: int, slots: int) -> None:
        """Answer the core's fills by native code, which calls `ask`, a callback like it, for what is not here.

        Unless the slots at an address of the host say that nobody may be called.
        """
        self.words[_ASK], self.words[_CLOCK] = ask, slots
        library.add_hook(self._handle, library.HOOK_FILL, native.load(FILL), ctypes.addressof(self._memory))

    @property
    def context(self) -> int:
        """The circumstances that translations are asked for in, below `CONTEXTS`; 0: ask the guest, keep nothing."""
        return self.words[CONTEXT]

    def enter(self, context: int, *, marks: bool = False) -> None:
        """Change the context; in one that marks, `marked` tells whether an answer was given without asking."""
        self.words[CONTEXT], self.words[MARK] = context, marks

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """In a `with`: the guest is asked, whatever the context, and nothing is kept."""
        words = self.words
        context, words[CONTEXT] = words[CONTEXT], 0
        try:
            yield
        finally:
            words[CONTEXT] = context

    @property
    def marked(self) -> bool:
        """Whether an answer was given without asking in a context that marks, since `unmark`."""
        return bool(self.words[_MARKED])

    def unmark(self) -> None:
        """No answer was given."""
        self.words[_MARKED] = 0

    def keep(self) -> None:
        """In a fill: the answer holds in this context until it is forgotten."""
        self.words[_KEEP] = 1

    def find(self, address: int, access: int) -> tuple[int, int] | None:
        """What is kept for an access (library.MEM_READ, ...) to an address: frame and protection."""
        words, page = self.words, address >> 12 & _PAGES
        place = _place(page, access)
        context = words[CONTEXT]
        if not context or words[place] != page | context << _CONTEXT_SHIFT:
            return None
        words[_MARKED] |= words[MARK]
        return words[place + 1] & -4096, words[place + 1] & 7

    def ask(
        self, address: int, access: int, fill: Callable[[int, int], tuple[int, int] | None]
    ) -> tuple[int, int] | None:
        """What the native code does."""
        words = self.words
        found = self.find(address, access)
        if found is not None:
            return found
        words[_KEEP] = 0
        found = fill(address, access)
        if found is not None and words[_KEEP] and words[CONTEXT]:
            page = address >> 12 & _PAGES
            place = _place(page, access)
            words[place], words[place + 1] = page | words[CONTEXT] << _CONTEXT_SHIFT, found[0] & -4096 | found[1] & 7
        return found

    def forget_page(self, address: int) -> None:
        """Forget the page of an address in all contexts, and in the core's own TLB; not inside a memory callback."""
        for access in (library.MEM_READ, library.MEM_WRITE, library.MEM_FETCH):
            self.words[_place(address >> 12 & _PAGES, access)] = 0
        if library.tlb_flush_page is None:
            library.flush_tlb(self._handle)
        else:
            library.tlb_flush_page(self._core, address & -4096)

    def forget_all(self) -> None:
        """Forget everything that is kept here; the core's own TLB is another matter."""
        ctypes.memset(ctypes.addressof(self._memory) + 8 * _ENTRIES, 0, 48 * _SLOTS)


def _place(page: int, access: int) -> int:
    return _ENTRIES + 2 * ((access - library.MEM_READ) << _BITS | (page ^ page >> _BITS) & _SLOTS - 1)
