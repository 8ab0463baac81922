"""Which frames hold translated code, and the hooks that keep stores to them visible to the translator.

With memory hooks outside RAM only, Unicorn 2.1.4 takes a page for clean of code after the first store through a
non-executable mapping: later stores invalidate nothing and stale code runs. A dummy hook over the code cures it; in
chunks of 64 KiB, because the core walks the list of hooks at each fill.
"""

import ctypes
from collections.abc import Callable

from emu.engine import library, native
from emu.engine.library import Handle
from emu.engine.native import Probe

CHUNK_BITS = 16
"""log2 of the bytes that one hook covers."""

# For each page of a block that was just translated: its physical address, and a call for a chunk not seen before.
# rcx, or x3, points to: base, size, bitmap, uc_vmem_translate, the call.
FOLLOW = Probe(
    "follow",
    x86_64=f"""
    push rbx
    push r12
    push r13
    push r14
    sub rsp, 24
    mov rbx, rdi
    mov r12, rcx
    mov r13, [rsi]
    movzx r14d, word ptr [rsi+10]
    add r14, r13
    dec r14
page:
    mov rdi, rbx
    mov rsi, r13
    mov edx, {library.PROT_EXEC}
    lea rcx, [rsp+8]
    call qword ptr [r12+24]
    test eax, eax
    jnz following
    mov rdi, [rsp+8]
    mov rax, rdi
    sub rax, [r12]
    cmp rax, [r12+8]
    jae following
    shr rax, {CHUNK_BITS}
    mov rcx, [r12+16]
    bts qword ptr [rcx], rax
    jc following
    call qword ptr [r12+32]
following:
    mov rax, r13
    xor rax, r14
    mov r13, r14
    shr rax, 12
    jnz page
    add rsp, 24
    pop r14
    pop r13
    pop r12
    pop rbx
    ret
""",
    aarch64=f"""
    stp x29, x30, [sp, #-64]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    mov x19, x0
    mov x20, x3
    ldr x21, [x1]
    ldrh w22, [x1, #10]
    add x22, x22, x21
    sub x22, x22, #1
page:
    mov x0, x19
    mov x1, x21
    mov w2, #{library.PROT_EXEC}
    add x3, sp, #48
    ldr x9, [x20, #24]
    blr x9
    cbnz w0, following
    ldr x0, [sp, #48]
    ldr x9, [x20]
    sub x9, x0, x9
    ldr x10, [x20, #8]
    cmp x9, x10
    b.hs following
    lsr x9, x9, #{CHUNK_BITS}
    ldr x10, [x20, #16]
    lsr x11, x9, #6
    ldr x12, [x10, x11, lsl #3]
    mov x13, #1
    lsl x13, x13, x9
    tst x12, x13
    b.ne following
    orr x12, x12, x13
    str x12, [x10, x11, lsl #3]
    ldr x9, [x20, #32]
    blr x9
following:
    eor x9, x21, x22
    mov x21, x22
    lsr x9, x9, #12
    cbnz x9, page
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #64
    ret
""",
)

NewChunk = ctypes.CFUNCTYPE(None, ctypes.c_uint64)


class CodePages:
    """The chunks of RAM that code was fetched from."""

    def __init__(self, handle: Handle, base: int, size: int) -> None:
        self._handle = handle
        self._base, self._size = base, size
        self.chunks: set[int] = set()
        """Numbers (physical address >> CHUNK_BITS) of chunks whose stores the translator sees."""
        self._waiting: list[int] = []
        self._keep: tuple[object, ...] = ()

        def never(_engine: int, _kind: int, _address: int, _size: int, _value: int) -> bool:
            return False

        self._dummy = library.MemoryCallback(never)

    def add(self, chunk: int) -> None:
        """Note that code is about to be translated from a chunk; `protect` or `settle` must follow."""
        self.chunks.add(chunk)
        self._waiting.append(chunk)

    def follow_natively(self) -> None:
        """Find new chunks by a native callback after each translation."""
        base = self._base & ~((1 << CHUNK_BITS) - 1)
        bitmap = (ctypes.c_uint64 * ((self._size >> CHUNK_BITS + 6) + 2))()
        call = NewChunk(self._found)
        data = (ctypes.c_uint64 * 5)(
            base, self._size, ctypes.addressof(bitmap), library.VMEM_TRANSLATE_ADDRESS,
            ctypes.cast(call, ctypes.c_void_p).value or 0,
        )  # fmt: skip
        self._keep = (bitmap, call, data)
        library.add_hook(self._handle, library.HOOK_EDGE, native.load(FOLLOW), ctypes.addressof(data))

    def follow(self, code_address: Callable[[int], int | None]) -> None:
        """The same in Python; `code_address` translates."""

        def edge(_engine: int, block: int, _previous: int, _data: int) -> None:
            address = ctypes.c_uint64.from_address(block).value
            size = ctypes.c_uint16.from_address(block + 10).value
            for place in {address, address + max(size, 1) - 1}:
                physical = code_address(place)
                if physical is not None and physical >> CHUNK_BITS not in self.chunks:
                    self._found(physical)

        callback = library.EdgeCallback(edge)
        self._keep = (callback,)
        library.add_hook(self._handle, library.HOOK_EDGE, callback, None)

    def _found(self, physical: int) -> None:
        self.add(physical >> CHUNK_BITS)
        self.protect()

    def protect(self) -> None:
        """Hook the chunks that were added. Called between translation and execution: flushing is safe there."""
        if not self._waiting:
            return
        for chunk in self._waiting:
            start = chunk << CHUNK_BITS
            library.add_hook(
                self._handle, library.HOOK_FETCH_UNMAPPED, self._dummy, None, start, start + (1 << CHUNK_BITS) - 1
            )
        self._waiting.clear()
        library.flush_tlb(self._handle)

    settle = protect

    def holds_code(self, physical: int, length: int) -> bool:
        """Whether any chunk of a range holds translated code."""
        if length <= 0:
            return False
        chunks = self.chunks
        return any(
            chunk in chunks for chunk in range(physical >> CHUNK_BITS, ((physical + length - 1) >> CHUNK_BITS) + 1)
        )
