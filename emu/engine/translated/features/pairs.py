"""How often each word of a stream follows each other one: counted natively, with a look at those that are asked for."""

import ctypes
from collections import Counter
from collections.abc import Callable
from typing import Final

from emu.buffers import buffer_address
from emu.engine import native
from emu.engine.native import Probe

_TABLE, _MASK, _ROOM, _FRESH, _SEEN, _SEEN_END, _LAST = (8 * n for n in range(7))
_SMALL, _LARGE = 10, 18
"""Bits of a table's first size and, where that is too small, of the next."""
_MOST_SEEN = 256
_MULTIPLIER, _SHIFT = 0x9E37_79B9_7F4A_7C15, 36
_ALL = (1 << 64) - 1
_PLAIN = 1
"""In the second word of an entry, whose rest says how often its pair was there: no look is wanted."""

# Gets 32-bit words, how many, and the words named above; gives how many are left when a table or the list is full.
# An entry has 16 bytes: the pair, and how often, twice, + 1 where it is plain. Others are listed by their places.
PAIRS = Probe(
    "pairs",
    x86_64=f"""
    push rbx
    push r12
    push r13
    push r14
    mov r8, [rdx+{_TABLE}]
    mov r9, [rdx+{_MASK}]
    mov r12, [rdx+{_ROOM}]
    mov r10, [rdx+{_SEEN}]
    mov r11, [rdx+{_SEEN_END}]
    mov r13, [rdx+{_LAST}]
    mov r14, {_MULTIPLIER:#x}
    shl r9, 4
    test rsi, rsi
    jz done
    test r12, r12
    jz done
    cmp r10, r11
    jae done
    mov eax, [rdi]
    shl rax, 32
    or rax, r13
    jmp pair
next:
    mov rax, [rdi-4]
pair:
    add rdi, 4
    mov rcx, rax
    imul rcx, r14
    shr rcx, {_SHIFT - 4}
look:
    and rcx, r9
    cmp [r8+rcx], rax
    jne other
    mov rbx, [r8+rcx+8]
    add rbx, 2
    mov [r8+rcx+8], rbx
    test bl, {_PLAIN}
    jz even
    dec rsi
    jnz next
    jmp left
other:
    cmp qword ptr [r8+rcx+8], 0
    je fresh
    add rcx, 16
    jmp look
even:
    cmp rbx, 2
    jne listed
fresh:
    mov [r8+rcx], rax
    mov rbx, [rdx+{_FRESH}]
    add rbx, 2
    mov [r8+rcx+8], rbx
    dec r12
    test bl, {_PLAIN}
    jnz counted
listed:
    shr rcx, 4
    mov [r10], rcx
    add r10, 8
counted:
    dec rsi
    jz left
    test r12, r12
    jz left
    cmp r10, r11
    jb next
left:
    mov r13d, [rdi-4]
done:
    mov [rdx+{_ROOM}], r12
    mov [rdx+{_SEEN}], r10
    mov [rdx+{_LAST}], r13
    mov rax, rsi
    pop r14
    pop r13
    pop r12
    pop rbx
    ret
""",
    aarch64=f"""
    ldp x3, x4, [x2, #{_TABLE}]
    ldp x5, x6, [x2, #{_ROOM}]
    ldp x7, x8, [x2, #{_SEEN}]
    ldr x9, [x2, #{_LAST}]
    movz x10, #{_MULTIPLIER & 0xFFFF:#x}
    movk x10, #{_MULTIPLIER >> 16 & 0xFFFF:#x}, lsl #16
    movk x10, #{_MULTIPLIER >> 32 & 0xFFFF:#x}, lsl #32
    movk x10, #{_MULTIPLIER >> 48:#x}, lsl #48
    cbz x1, done
    cbz x5, done
    cmp x7, x8
    b.hs done
    ldr w11, [x0]
    orr x12, x9, x11, lsl #32
    b pair
next:
    ldur x12, [x0, #-4]
pair:
    add x0, x0, #4
    mul x13, x12, x10
    lsr x13, x13, #{_SHIFT}
look:
    and x13, x13, x4
    add x14, x3, x13, lsl #4
    ldp x11, x15, [x14]
    cbz x15, fresh
    cmp x11, x12
    b.ne other
    add x15, x15, #2
    str x15, [x14, #8]
    tbz x15, #{_PLAIN.bit_length() - 1}, listed
    subs x1, x1, #1
    b.ne next
    b left
other:
    add x13, x13, #1
    b look
fresh:
    add x15, x6, #2
    stp x12, x15, [x14]
    sub x5, x5, #1
    tbnz x15, #{_PLAIN.bit_length() - 1}, counted
listed:
    str x13, [x7], #8
counted:
    subs x1, x1, #1
    b.eq left
    cbz x5, left
    cmp x7, x8
    b.lo next
left:
    ldur w9, [x0, #-4]
done:
    str x5, [x2, #{_ROOM}]
    str x7, [x2, #{_SEEN}]
    str x9, [x2, #{_LAST}]
    mov x0, x1
    ret
""",
)
_Call = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class Pairs:
    """Counts words of 32 bits by the word before: the pair is `word << 32 | before`, and 0 stands before the first.

    `look` gets each pair when it comes, in their order, for as long as it answers True; one that it has answered
    False to is counted only.

    >>> from array import array
    >>> pairs = Pairs()
    >>> pairs.add(memoryview(array("I", [7, 7, 9, 7])))
    >>> sorted((pair & 0xFFFF_FFFF, pair >> 32, times) for pair, times in pairs.counts().items())
    [(0, 7, 1), (7, 7, 1), (7, 9, 1), (9, 7, 1)]
    """

    def __init__(self, look: Callable[[int], bool] | None = None) -> None:
        self._look: Final = look
        self._native = _Call(native.load(PAIRS)) if native.wanted() else None
        self._seen = (ctypes.c_uint64 * _MOST_SEEN)()
        self._state = (ctypes.c_uint64 * 7)()
        begin = ctypes.addressof(self._seen)
        self._state[_FRESH // 8] = _PLAIN if look is None else 0
        self._state[_SEEN // 8], self._state[_SEEN_END // 8] = begin, begin + 8 * _MOST_SEEN
        self._counts: Counter[int] = Counter()
        self._plain: set[int] = set()
        self._bits = _SMALL
        self.clear()

    def clear(self) -> None:
        """Forget what was counted, and what is not to be looked at."""
        self._counts.clear()
        self._plain.clear()
        self._entries = memoryview(b"").cast("Q")
        self._make(_SMALL)

    @property
    def last(self) -> int:
        """The last word; 0 where there is none."""
        return self._state[_LAST // 8]

    def restart(self) -> None:
        """What comes does not follow what was there before."""
        self._state[_LAST // 8] = 0

    def add(self, words: memoryview) -> None:
        """Count words that follow those before; the memory must be writable."""
        number = words.nbytes // 4
        if self._native is None:
            self._slowly(words)
            return
        address, state = buffer_address(words) if number else 0, ctypes.addressof(self._state)
        while number:
            left = self._native(address, number, state)
            address, number = address + 4 * (number - left), left
            self._look_at_seen()
            if not self._state[_ROOM // 8]:
                self._make(max(self._bits + 2, _LARGE))

    def counts(self) -> dict[int, int]:
        """How often each pair was there."""
        if self._native is None:
            return dict(self._counts)
        entries = self._entries
        found = zip(entries[::2].tolist(), entries[1::2].tolist(), strict=True)
        return {pair: times >> 1 for pair, times in found if times}

    def _look_at_seen(self) -> None:
        begin = ctypes.addressof(self._seen)
        number = self._state[_SEEN // 8] - begin >> 3
        if not number or self._look is None:
            return
        self._state[_SEEN // 8] = begin
        look, entries = self._look, self._entries
        for place in self._seen[:number]:
            times = entries[2 * place + 1]
            if not times & _PLAIN and not look(entries[2 * place]):
                entries[2 * place + 1] = times | _PLAIN

    def _make(self, bits: int) -> None:
        """A table of another size, with what is in this one."""
        mask, before = (1 << bits) - 1, self._entries
        memory = bytearray(16 << bits)
        entries = memoryview(memory).cast("Q")
        used = 0
        for pair, times in zip(before[::2].tolist(), before[1::2].tolist(), strict=True):
            if times:
                place = ((pair * _MULTIPLIER & _ALL) >> _SHIFT) & mask
                while entries[2 * place + 1]:
                    place = place + 1 & mask
                entries[2 * place], entries[2 * place + 1] = pair, times
                used += 1
        self._entries, self._bits = entries, bits
        self._state[_TABLE // 8], self._state[_MASK // 8] = buffer_address(memory), mask
        self._state[_ROOM // 8] = (1 << bits - 1) - used

    def _slowly(self, words: memoryview) -> None:
        last, counts, plain, look = self._state[_LAST // 8], self._counts, self._plain, self._look
        for word in words.cast("B").cast("I"):
            pair = word << 32 | last
            counts[pair] += 1
            if look is not None and pair not in plain and not look(pair):
                plain.add(pair)
            last = word
        self._state[_LAST // 8] = last
