"""Which frames hold translated code, and the hooks that keep stores to them visible to the translator.

With memory hooks outside RAM only, Unicorn 2.1.4 takes a page for clean of code after the first store through a
non-executable mapping: later stores invalidate nothing and stale code runs. A dummy hook over the code cures it. Each
store to a hooked page is slow, so that only pages with code are; neighbours share a hook, because the core walks the
list of hooks at the first store to any page since its translation was cached.
"""

import ctypes
from collections.abc import Callable, Iterable

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.buffers import words_type
from emu.engine import library, native
from emu.engine.guest import Note
from emu.engine.library import Handle
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.layout import ENV_ENGINE
from emu.engine.window import Word
from emu.lateclass import dataclass

# For each page of a block that was just translated: where it lies in RAM, and a call for a page not seen before. The
# core has just fetched from there, so that its TLB answers. Code that cannot be decoded has no length, but one page.
# rcx, or x3, points to: the host's address of RAM, its size, a bitmap, the core's function, the call, the core's state.
FOLLOW = Probe(
    "follow",
    x86_64=f"""
    push r12
    push r13
    push r14
    sub rsp, 16
    mov r12, rcx
    mov r13, [rsi]
    movzx r14d, word ptr [rsi+10]
    cmp r14d, 1
    adc r14, r13
    dec r14
page:
    mov rdi, [r12+40]
    mov rsi, r13
    mov rdx, rsp
    mov qword ptr [rsp], 0
    call qword ptr [r12+24]
    mov rdi, [rsp]
    sub rdi, [r12]
    cmp rdi, [r12+8]
    jae following
    mov rax, rdi
    shr rax, {PAGE_BITS}
    mov rcx, [r12+16]
    bts qword ptr [rcx], rax
    jc following
    mov rdx, [r12+40]
    mov rcx, [rdx+{8 * Word.RDTIME_FUNCTION}]
    test byte ptr [rcx+{8 * Slot.ALONE}], {Note.ALONE}
    jnz alone
    call qword ptr [r12+32]
following:
    mov rax, r13
    xor rax, r14
    mov r13, r14
    shr rax, 12
    jnz page
    add rsp, 16
    pop r14
    pop r13
    pop r12
    ret
alone:
    or qword ptr [rcx+{8 * Slot.ALONE}], {Note.CODE}
    mov rdi, [rdx+{ENV_ENGINE}]
    call qword ptr [rcx+{8 * Slot.STOP}]
    jmp following
""",
    aarch64=f"""
    stp x29, x30, [sp, #-64]!
    mov x29, sp
    stp x20, x21, [sp, #16]
    str x22, [sp, #32]
    mov x20, x3
    ldr x21, [x1]
    ldrh w22, [x1, #10]
    cmp w22, #1
    cinc w22, w22, lo
    add x22, x22, x21
    sub x22, x22, #1
page:
    ldr x0, [x20, #40]
    mov x1, x21
    add x2, sp, #48
    str xzr, [x2]
    ldr x9, [x20, #24]
    blr x9
    ldr x0, [sp, #48]
    ldr x9, [x20]
    sub x0, x0, x9
    ldr x10, [x20, #8]
    cmp x0, x10
    b.hs following
    lsr x9, x0, #{PAGE_BITS}
    ldr x10, [x20, #16]
    lsr x11, x9, #6
    ldr x12, [x10, x11, lsl #3]
    mov x13, #1
    lsl x13, x13, x9
    tst x12, x13
    b.ne following
    orr x12, x12, x13
    str x12, [x10, x11, lsl #3]
    ldr x9, [x20, #40]
    ldr x10, [x9, #{8 * Word.RDTIME_FUNCTION}]
    ldr x11, [x10, #{8 * Slot.ALONE}]
    tbnz w11, #0, alone
    ldr x9, [x20, #32]
    blr x9
following:
    eor x9, x21, x22
    mov x21, x22
    lsr x9, x9, #12
    cbnz x9, page
    ldr x22, [sp, #32]
    ldp x20, x21, [sp, #16]
    ldp x29, x30, [sp], #64
    ret
alone:
    orr x11, x11, #{Note.CODE}
    str x11, [x10, #{8 * Slot.ALONE}]
    ldr x0, [x9, #{ENV_ENGINE}]
    ldr x9, [x10, #{8 * Slot.STOP}]
    blr x9
    b following
""",
)


@dataclass(slots=True)
class _Run:
    """A hook, and the first and the last page that it covers."""

    hook: int
    first: int
    last: int


def _range(first: int, last: int) -> tuple[int, int]:
    """The first and the last address of pages."""
    return first << PAGE_BITS, ((last + 1) << PAGE_BITS) - 1


NewPage = ctypes.CFUNCTYPE(None, ctypes.c_uint64)


class CodePages:
    """The pages of RAM that code was fetched from."""

    def __init__(self, handle: Handle, cpu: int, base: int, size: int, host_address: int) -> None:
        """`cpu` is the core, and `host_address` where the host has RAM."""
        self._handle, self._cpu = handle, cpu
        self._base, self._size, self._host_address = base, size, host_address
        self.numbers: set[int] = set()
        """Numbers (physical address >> PAGE_BITS) of pages whose stores the translator sees."""
        self._firsts: dict[int, _Run] = {}
        self._lasts: dict[int, _Run] = {}
        """The runs of pages with a hook each, by their first and last."""
        self._spare: list[_Run] = []
        """Hooks whose pages belong to another by now."""
        self._keep: tuple[object, ...] = ()
        self._bits: Iterable[int] = ()
        """A bit for each page that native code has found, 64 in a word."""

        def never(_engine: int, _kind: int, _address: int, _size: int, _value: int) -> bool:
            return False

        self._dummy = library.MemoryCallback(never)

    def follow_natively(self, state: int) -> None:
        """Find new pages by a native callback after each translation; `state` is where the core keeps its state."""
        inside = self._base % PAGE_SIZE
        first = self._base >> PAGE_BITS
        bitmap = words_type((self._size >> PAGE_BITS + 6) + 2)()
        call = NewPage(lambda offset: self._found(first + (offset >> PAGE_BITS)))
        data = words_type(6)(
            self._host_address - inside, self._size + inside, ctypes.addressof(bitmap),
            library.function_address("get_page_addr_code_hostp"), library.address_of(call), state,
        )  # fmt: skip
        self._keep, self._bits = (bitmap, call, data), bitmap
        library.add_hook(self._handle, library.HOOK_EDGE, native.load(FOLLOW), ctypes.addressof(data))

    def catch_up(self) -> None:
        """Find what native code has found while it might not call; the core must be stopped."""
        first = self._base >> PAGE_BITS
        for number, word in enumerate(self._bits):
            while word:
                lowest = word & -word
                page = first + 64 * number + lowest.bit_length() - 1
                if page not in self.numbers:
                    self._found(page)
                word ^= lowest

    def follow(self, code_address: Callable[[int], int | None]) -> None:
        """The same in Python; `code_address` translates."""

        def edge(_engine: int, block: int, _previous: int, _data: int) -> None:
            address = ctypes.c_uint64.from_address(block).value
            size = ctypes.c_uint16.from_address(block + 10).value
            for place in {address, address + max(size, 1) - 1}:
                physical = code_address(place)
                if physical is not None and physical >> PAGE_BITS not in self.numbers:
                    self._found(physical >> PAGE_BITS)

        callback = library.EdgeCallback(edge)
        self._keep = (callback,)
        library.add_hook(self._handle, library.HOOK_EDGE, callback, None)

    def _found(self, page: int) -> None:
        """Hook a page. Called between translation and execution, where the TLB may be changed."""
        self.numbers.add(page)
        before, behind = self._lasts.pop(page - 1, None), self._firsts.pop(page + 1, None)
        first = before.first if before is not None else page
        last = behind.last if behind is not None else page
        run = before or behind or (self._spare.pop() if self._spare else None)
        if before is not None and behind is not None:
            self._spare.append(behind)
        if run is None or not library.move_hook(run.hook, _range(run.first, run.last), _range(first, last)):
            hook = library.add_hook(self._handle, library.HOOK_FETCH_UNMAPPED, self._dummy, None, *_range(first, last))
            run = _Run(hook, first, last)
        run.first, run.last = first, last
        self._firsts[first] = self._lasts[last] = run
        self._show_stores(page)

    def _show_stores(self, page: int) -> None:
        """Let no cached translation hide stores to a page from the core."""
        if library.tlb_reset_dirty is not None:
            library.tlb_reset_dirty(self._cpu, self._host_address + (page << PAGE_BITS) - self._base, PAGE_SIZE)
        else:
            library.flush_tlb(self._handle)

    def holds_code(self, physical: int, length: int) -> bool:
        """Whether any page of a range holds translated code."""
        if length <= 0:
            return False
        first, last = physical >> PAGE_BITS, (physical + length - 1) >> PAGE_BITS
        return first in self.numbers or (last > first and not self.numbers.isdisjoint(range(first, last + 1)))
