"""What fuzzing asks of an execution: whether it went a way that none before it went, and what it compared.

Ways are told apart by the addresses of both blocks, and by how often one execution takes them. All is decided by native
code, and Python looks at one word afterwards.
"""

import ctypes
import mmap
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from emu.buffers import buffer_address
from emu.engine import native
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.features import Core, Feature
from emu.engine.translated.operations import LEFT, RIGHT, Operation, T, call, known, op
from emu.engine.translated.plan import Known, Part

BEFORE, _TABLE, _MASK, _LOST, EXECUTION, NEWS, _MAP = range(7)
"""Words: the block before; the table, its mask, how often it was full; the number of the execution, what was new in it;
a map of bytes for who wants to count for himself, or 0."""
_ENTRY, _NUMBER, _ATTEMPTS, _GOLDEN = 32, 12, 32, 0x9E37_79B9_7F4A_7C15
"""An entry: the way; how often this execution took it, and which that is, 32 bits each; how often would be new; the
address of the block that it leads to."""
_EACH = 16
"""Up to so many times each number of times is new, from then on each power of two."""
MAP_BITS = 16
"""log2 of the bytes of such a map."""

# The words in rdi or x0, the address of a block that begins in rsi or x1.
NEW_EDGE = Probe(
    "new_edge",
    x86_64=f"""
    mov rax, [rdi+{8 * BEFORE}]
    mov rcx, {_GOLDEN:#x}
    imul rax, rcx
    xor rax, rsi
    mov [rdi+{8 * BEFORE}], rsi
    imul rcx, rax
    mov r8, [rdi+{8 * _MAP}]
    test r8, r8
    jz unmapped
    mov r9, rcx
    shr r9, {64 - MAP_BITS}
    add byte ptr [r8+r9], 1
    adc byte ptr [r8+r9], 0
unmapped:
    shr rcx, 40
    mov r8, [rdi+{8 * _TABLE}]
    mov edx, {_ATTEMPTS}
look:
    and rcx, [rdi+{8 * _MASK}]
    mov r9, rcx
    shl r9, 5
    add r9, r8
    cmp [r9], rax
    je found
    cmp qword ptr [r9], 0
    je fresh
    inc rcx
    dec edx
    jnz look
    inc qword ptr [rdi+{8 * _LOST}]
    ret
fresh:
    mov [r9], rax
    mov qword ptr [r9+16], 1
    mov [r9+24], rsi
found:
    mov ecx, [rdi+{8 * EXECUTION}]
    cmp [r9+12], ecx
    je same
    mov [r9+12], ecx
    mov dword ptr [r9+8], 0
same:
    mov eax, [r9+8]
    inc eax
    mov [r9+8], eax
    cmp rax, [r9+16]
    jb known
    lea rcx, [rax+1]
    lea rdx, [rax+rax]
    cmp rax, {_EACH}
    cmovae rcx, rdx
    mov [r9+16], rcx
    inc qword ptr [rdi+{8 * NEWS}]
known:
    ret
""",
    aarch64=f"""
    ldr x9, [x0, #{8 * BEFORE}]
    movz x10, #0x7c15
    movk x10, #0x7f4a, lsl #16
    movk x10, #0x79b9, lsl #32
    movk x10, #0x9e37, lsl #48
    mul x9, x9, x10
    eor x9, x9, x1
    str x1, [x0, #{8 * BEFORE}]
    mul x10, x10, x9
    ldr x11, [x0, #{8 * _MAP}]
    cbz x11, unmapped
    lsr x12, x10, #{64 - MAP_BITS}
    ldrb w13, [x11, x12]
    add w13, w13, #1
    add w13, w13, w13, lsr #8
    strb w13, [x11, x12]
unmapped:
    lsr x10, x10, #40
    ldp x11, x12, [x0, #{8 * _TABLE}]
    mov w13, #{_ATTEMPTS}
look:
    and x10, x10, x12
    add x14, x11, x10, lsl #5
    ldr x15, [x14]
    cmp x15, x9
    b.eq found
    cbz x15, fresh
    add x10, x10, #1
    subs w13, w13, #1
    b.ne look
    ldr x9, [x0, #{8 * _LOST}]
    add x9, x9, #1
    str x9, [x0, #{8 * _LOST}]
    ret
fresh:
    str x9, [x14]
    mov x10, #1
    str x10, [x14, #16]
    str x1, [x14, #24]
found:
    ldr w10, [x0, #{8 * EXECUTION}]
    ldr w11, [x14, #12]
    cmp w10, w11
    b.eq same
    str w10, [x14, #12]
    str wzr, [x14, #8]
same:
    ldr w10, [x14, #8]
    add w10, w10, #1
    str w10, [x14, #8]
    ldr x11, [x14, #16]
    cmp x10, x11
    b.lo known
    add x11, x10, #1
    lsl x12, x10, #1
    cmp x10, #{_EACH}
    csel x11, x12, x11, hs
    str x11, [x14, #16]
    ldr x9, [x0, #{8 * NEWS}]
    add x9, x9, #1
    str x9, [x0, #{8 * NEWS}]
known:
    ret
""",
)


class Fuzzed(Feature):
    """Tells of one execution after the other what was new in it, and which values it compared.

    Where there are no native probes the edges are told apart all the same, and comparisons are not seen.
    """

    works_alone: ClassVar[bool] = True

    def __init__(self, *, bits: int = 16, compared_bits: int = 12) -> None:
        """There is room for 2**bits edges (32 bytes each), and for the last 2**compared_bits comparisons."""
        self._memory = mmap.mmap(-1, _ENTRY << bits, flags=mmap.MAP_PRIVATE)
        self._entries = memoryview(self._memory).cast("Q")
        address = buffer_address(self._memory)
        self._words = memoryview((ctypes.c_uint64 * 7)(0, address, (1 << bits) - 1)).cast("B").cast("Q")
        self._compared = memoryview((ctypes.c_uint64 * (4 << compared_bits))()).cast("B").cast("Q")
        self._count = memoryview((ctypes.c_uint64 * 1)()).cast("B").cast("Q")
        self._core: Core | None = None

    @property
    def lost(self) -> int:
        """How often a way was taken for which there was no room: it is never new."""
        return int(self._words[_LOST])

    def count_into(self, address: int) -> None:
        """Count each way in a map of 2**MAP_BITS bytes at an address of the host, too."""
        self._words[_MAP] = address

    @property
    def addresses(self) -> tuple[int, int]:
        """In the host's memory: of the words, and of the one that `begin` sets to 0 besides those."""
        words, count = (buffer_address(each) for each in (self._words, self._count))
        return words, count

    def begin(self) -> None:
        """The next execution."""
        words = self._words
        words[BEFORE] = words[NEWS] = 0
        words[EXECUTION] = words[EXECUTION] % 0xFFFF_FFFF + 1
        self._count[0] = 0

    @property
    def news(self) -> int:
        """How many edges this execution was the first to take, or to take so often."""
        return int(self._words[NEWS])

    def edges(self) -> frozenset[tuple[int, int]]:
        """The edges that this execution has taken, and how often, roughly."""
        return frozenset((key, min(count, _EACH) + count.bit_length()) for key, count, _ in self._taken())

    def blocks(self) -> set[int]:
        """The addresses of the blocks that this execution has begun."""
        return {pc for _, _, pc in self._taken()}

    @property
    def total(self) -> int:
        """How many edges all executions together have taken."""
        return len(self._entries) // 4 - self._entries[::4].tolist().count(0)

    def _taken(self) -> Iterator[tuple[int, int, int]]:
        """The edges of this execution, how often each was taken, where it leads: found by the execution's number."""
        entries, number = self._entries, self._words[EXECUTION]
        lowest, octet = self._memory[_NUMBER::_ENTRY], number & 0xFF  # a byte of each entry: quickly searched
        at = lowest.find(octet)
        while at >= 0:
            if entries[4 * at + 1] >> 32 == number:
                yield entries[4 * at], entries[4 * at + 1] & 0xFFFF_FFFF, entries[4 * at + 3]
            at = lowest.find(octet, at + 1)

    def forget(self) -> None:
        """All edges are new again."""
        self._memory[:] = bytes(len(self._memory))
        self._words[_LOST] = 0

    def compared(self) -> list[tuple[int, int]]:
        """Both sides of each comparison of this execution that led to a jump or not, without repetitions."""
        kept = len(self._compared) // 4
        words = self._compared[: 4 * min(self._count[0] // 32, kept)].tolist()
        return list(dict.fromkeys(zip(words[::4], words[1::4], strict=True)))

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        self._core = core
        if not core.state_address:
            return {}
        words, number, place, other = T[0], T[1], T[2], T[3]
        count, compared = (buffer_address(memory) for memory in (self._count, self._compared))
        return {
            Part.HEAD: (
                op("movi", words, buffer_address(self._words)),
                op("movi", number, known(Known.BLOCK_PC)),
                call(native.load(NEW_EDGE), words, number),
            ),
            Part.BEFORE_COMPARISON: (
                op("movi", words, count),
                op("ld", number, words, 0),
                op("movi", place, 8 * len(self._compared) - 1),
                op("and", place, place, number),
                op("movi", other, compared),
                op("add", place, place, other),
                op("st", LEFT, place, 0),
                op("st", RIGHT, place, 8),
                op("movi", other, 32),
                op("add", number, number, other),
                op("st", number, words, 0),
            ),
        }

    def switched_off(self) -> None:
        """See `Feature`."""
        self._words[BEFORE] = 0

    def block_began(self, _number: int, _length: int, /) -> None:
        """See `Feature`."""
        assert self._core is not None
        words, entries, pc = self._words, self._entries, self._core.slots[Slot.BLOCK_PC]
        key = words[BEFORE] * _GOLDEN % (1 << 64) ^ pc
        words[BEFORE] = pc
        place = key * _GOLDEN % (1 << 64) >> 40
        if words[_MAP]:
            octet = ctypes.c_uint8.from_address(words[_MAP] + (key * _GOLDEN % (1 << 64) >> 64 - MAP_BITS))
            octet.value = octet.value + 1 if octet.value < 255 else 1
        for _ in range(_ATTEMPTS):
            place &= words[_MASK]
            if entries[4 * place] == key:
                break
            if not entries[4 * place]:
                entries[4 * place], entries[4 * place + 2], entries[4 * place + 3] = key, 1, pc
                break
            place += 1
        else:
            words[_LOST] += 1
            return
        packed = entries[4 * place + 1]
        count = (packed & 0xFFFF_FFFF) + 1 if packed >> 32 == words[EXECUTION] else 1
        entries[4 * place + 1] = words[EXECUTION] << 32 | count
        if count >= entries[4 * place + 2]:
            entries[4 * place + 2] = count + 1 if count < _EACH else 2 * count
            words[NEWS] += 1
