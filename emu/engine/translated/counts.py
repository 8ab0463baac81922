"""How often each block was executed, which blocks were, and from which to which: by tables in translated code."""

import ctypes
import mmap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from emu.buffers import buffer_address
from emu.engine import native
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.definitions import Block
from emu.engine.translated.features import Core, Feature
from emu.engine.translated.operations import Operation, T, call, known, op
from emu.engine.translated.plan import Known, Part

Place = tuple[int, int, bytes]
"""What a block is, whatever its number: pc, privilege, code. (0, 0, b"") stands for what came before the first."""
NOWHERE: Place = (0, 0, b"")


def place_of(block: Block) -> Place:
    """The same for all translations of a block."""
    return block.pc, block.privilege, block.code


_NOTHING = bytes(mmap.PAGESIZE)


class _Numbered(Feature):
    """Base of features with a table by block number. Numbers begin anew whenever any feature is switched."""

    def __init__(self) -> None:
        self._blocks: dict[int, Block] = {}
        self._first = 0
        self._core: Core | None = None

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        self._harvest()
        self._blocks.clear()
        self._core, self._first = core, core.slots[Slot.FIRST]
        return {}

    def block_defined(self, block: Block, /) -> None:
        """See `Feature`."""
        self._blocks[block.number - self._first] = block

    def flush(self) -> None:
        """See `Feature`."""
        self._harvest()

    def _harvest(self) -> None:
        """Take what is in the table, and empty it."""
        raise NotImplementedError


def _table(core: Core, entry: int) -> tuple[mmap.mmap, int]:
    """Room for an entry of each block, and where it is; only what is written to takes memory."""
    memory = mmap.mmap(-1, (core.slots[Slot.MOST] + 1) * entry, flags=mmap.MAP_PRIVATE)
    return memory, buffer_address(memory)


class Coverage(_Numbered):
    """Which blocks were executed at all: a byte for each."""

    def __init__(self) -> None:
        super().__init__()
        self._memory: mmap.mmap | None = None
        self.covered: set[Place] = set()
        """Up to date after a flush; clear it to see what is covered from then on."""

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        super().operations(core)
        self._memory, address = _table(core, 1)
        where, one = T[0], T[1]
        return {
            Part.HEAD: (
                op("movi", where, known(Known.NUMBER, plus=address)),
                op("movi", one, 1),
                op("st8", one, where, 0),
            )
        }

    def block_began(self, number: int, _length: int, /) -> None:
        """See `Feature`."""
        assert self._memory is not None
        self._memory[number - self._first] = 1

    def _harvest(self) -> None:
        if self._memory is not None:
            for number, block in self._blocks.items():
                if self._memory[number]:
                    self.covered.add(place_of(block))
                    self._memory[number] = 0


class Count(NamedTuple):
    """How often a block has begun, and how many of its instructions did not retire in all of that."""

    executions: int
    not_retired: int


class Counts(_Numbered):
    """Counts executions of blocks. The sum of executions * length - not_retired is how many instructions retired."""

    def __init__(self) -> None:
        super().__init__()
        self._memory: mmap.mmap | None = None
        self._entries = memoryview(b"").cast("Q")
        self._words = (ctypes.c_uint64 * 2)()  # the count at the end of the block before, and where its entry is
        self._address = 0
        self._executions: Counter[Place] = Counter()
        self._not_retired: Counter[Place] = Counter()

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        super().operations(core)
        self._memory, self._address = _table(core, 16)
        self._entries = memoryview(self._memory).cast("Q")
        self._words[:] = [core.slots[Slot.COUNT], self._address]
        words, expected, begin, entry, other = T[0], T[1], T[2], T[3], T[4]
        return {
            Part.HEAD: (
                op("movi", words, ctypes.addressof(self._words)),
                op("ld", expected, words, 0),
                op("movi", other, known(Known.SLOTS)),
                op("ld", begin, other, 8 * Slot.COUNT),
                op("st", begin, words, 0),
                op("movi", other, known(Known.LENGTH)),
                op("sub", begin, begin, other),
                op("sub", expected, expected, begin),
                op("ld", entry, words, 8),
                op("ld", other, entry, 8),
                op("add", other, other, expected),
                op("st", other, entry, 8),
                op("movi", entry, known(Known.NUMBER, shift=4, plus=self._address)),
                op("st", entry, words, 8),
                op("ld", other, entry, 0),
                op("movi", begin, 1),
                op("add", other, other, begin),
                op("st", other, entry, 0),
            )
        }

    def block_began(self, number: int, length: int, /) -> None:
        """See `Feature`."""
        assert self._core is not None
        self._settle(self._core.slots[Slot.COUNT] - length)
        place = 2 * (number - self._first)
        self._entries[place] += 1
        self._words[:] = [self._core.slots[Slot.COUNT], self._address + 8 * place]

    def _settle(self, begin: int) -> None:
        before = (self._words[1] - self._address >> 3) + 1
        self._entries[before] = self._entries[before] + self._words[0] - begin & (1 << 64) - 1
        self._words[0] = begin

    def position_changed(self) -> None:
        """Say that the count of instructions has been set to another value, as by restoring a state."""
        if self._core is not None:
            self._words[0] = self._core.slots[Slot.COUNT]

    def _harvest(self) -> None:
        if self._core is None:
            return
        self._settle(self._core.slots[Slot.COUNT])
        entries = self._entries
        for number, block in self._blocks.items():
            executions, left = entries[2 * number], entries[2 * number + 1]
            if executions:
                place = place_of(block)
                self._executions[place] += executions
                self._not_retired[place] += left - (left >> 63 << 64)
                entries[2 * number] = entries[2 * number + 1] = 0

    def counts(self) -> dict[Place, Count]:
        """Up to date after a flush."""
        return {place: Count(number, self._not_retired[place]) for place, number in self._executions.items()}


# Counts a way from the block before to this one: words in rdi or x0 (the block before, a hash table, its mask, what did
# not fit), the block in rsi or x1. An entry has 16 bytes: from << 32 | to, and how often.
EDGE = Probe(
    "edge",
    x86_64="""
    mov rax, [rdi]
    mov [rdi], rsi
    shl rax, 32
    or rax, rsi
    mov rcx, 0x9e3779b97f4a7c15
    imul rcx, rax
    shr rcx, 40
    mov r8, [rdi+8]
    mov edx, 32
look:
    and rcx, [rdi+16]
    mov r9, rcx
    shl r9, 4
    add r9, r8
    cmp [r9], rax
    je found
    cmp qword ptr [r9], 0
    je fresh
    inc rcx
    dec edx
    jnz look
    inc qword ptr [rdi+24]
    ret
fresh:
    mov [r9], rax
found:
    inc qword ptr [r9+8]
    ret
""",
    aarch64="""
    ldr x9, [x0]
    str x1, [x0]
    orr x9, x1, x9, lsl #32
    movz x10, #0x7c15
    movk x10, #0x7f4a, lsl #16
    movk x10, #0x79b9, lsl #32
    movk x10, #0x9e37, lsl #48
    mul x10, x10, x9
    lsr x10, x10, #40
    ldp x11, x12, [x0, #8]
    mov w13, #32
look:
    and x10, x10, x12
    add x14, x11, x10, lsl #4
    ldr x15, [x14]
    cmp x15, x9
    b.eq found
    cbz x15, fresh
    add x10, x10, #1
    subs w13, w13, #1
    b.ne look
    ldr x9, [x0, #24]
    add x9, x9, #1
    str x9, [x0, #24]
    ret
fresh:
    str x9, [x14]
found:
    ldr x9, [x14, #8]
    add x9, x9, #1
    str x9, [x14, #8]
    ret
""",
)


class Edges(_Numbered):
    """Counts each way from one block to the next, also that into a trap handler: one native call for each block."""

    def __init__(self, *, bits: int = 20) -> None:
        """There is room for up to 2**bits edges between two flushes (16 bytes each); `lost` counts what did not fit."""
        super().__init__()
        self._memory = mmap.mmap(-1, 16 << bits, flags=mmap.MAP_PRIVATE)
        self._entries = memoryview(self._memory).cast("Q")
        address = buffer_address(self._memory)
        self._words = (ctypes.c_uint64 * 4)(0, address, (1 << bits) - 1, 0)
        self._slow: Counter[tuple[int, int]] = Counter()
        self._before = NOWHERE
        self.edges: Counter[tuple[Place, Place]] = Counter()
        """How often each way was taken; up to date after a flush."""

    @property
    def lost(self) -> int:
        """How often a way was taken for which there was no room."""
        return self._words[3]

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        last = self._words[0]
        before = place_of(self._blocks[last]) if last in self._blocks else self._before
        super().operations(core)
        self._before, self._words[0] = before, 0
        if not core.state_address:
            return {}
        words, number = T[0], T[1]
        return {
            Part.HEAD: (
                op("movi", words, ctypes.addressof(self._words)),
                op("movi", number, known(Known.NUMBER)),
                call(native.load(EDGE), words, number),
            )
        }

    def switched_off(self) -> None:
        """See `Feature`."""
        self._before, self._words[0] = NOWHERE, 0

    def block_began(self, number: int, _length: int, /) -> None:
        """See `Feature`."""
        self._slow[self._words[0], number - self._first] += 1
        self._words[0] = number - self._first

    def _harvest(self) -> None:
        entries, found, memory = self._entries, self._slow, self._memory
        if self._words[0]:  # a block has begun
            for start in range(0, len(memory), len(_NOTHING)):
                part = memory[start : start + len(_NOTHING)]
                if part != _NOTHING:
                    keys = entries[start // 8 : (start + len(part)) // 8]
                    for key, number in zip(keys[::2].tolist(), keys[1::2].tolist(), strict=True):
                        if key:
                            found[key >> 32, key & 0xFFFF_FFFF] += number
            memory.madvise(mmap.MADV_DONTNEED)
        for (source, target), number in found.items():
            if target in self._blocks:
                before = place_of(self._blocks[source]) if source in self._blocks else self._before
                self.edges[before, place_of(self._blocks[target])] += number
        found.clear()
