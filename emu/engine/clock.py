"""The block clock: counts retired instructions block by block, and stops the core before a deadline is passed.

A probe runs at the start of each translated block. If the whole block fits before the deadline it adds the block's
length to the count and lets it execute, otherwise it stops the core, with the block not begun and pc exact.
"""

import ctypes
import mmap
from collections.abc import Callable
from enum import IntEnum

from emu.engine import library, native
from emu.engine.library import Handle
from emu.engine.native import Probe

NEVER = (1 << 64) - 1
"""A deadline that no guest reaches."""
_TABLE_BITS = 24


class Slot(IntEnum):
    """Index of a 64-bit word that the probes and Python share."""

    COUNT = 0
    """Instructions retired once the current block has run to its end."""
    DEADLINE = 1
    """No block begins that would carry COUNT beyond it."""
    BLOCK_PC = 2
    """The virtual address of the current block."""
    BLOCK_LENGTH = 3
    """Its number of instructions."""
    HIT = 4
    """1 when the deadline stopped the core."""
    TABLE = 5
    PENDING = 6
    STATE = 7
    STOP = 8
    LOST = 9
    """Blocks that were entered without a known length: always 0."""
    NEW_CODE = 10
    """1 when a page was fetched from that has no code protection yet."""
    NEW_CODE_CALL = 11
    PENDING_PC = 13
    LIMIT = 12
    """One block may begin after the deadline if it does not pass this limit; set to 0 by doing so."""
    BLOCK = 14
    """What tells the translated code of the current block from that of all others."""
    REUSED = 15
    """1 when a block has got a BLOCK that belonged to another one, which was forgotten."""
    TICK = 16
    """How many instructions are a tick of `time`; 0 when Python is to be asked for it."""
    SLEPT = 17
    """What to add to the instructions retired, before they are divided."""
    TIME_OFFSET = 18
    """What to add to the ticks, modulo 2**64."""
    INTERRUPT = 19
    """What to call when an interrupt is due (see `emu.engine.interrupts`)."""


# The callbacks' last argument, the address of the slots, is in rcx or x3, the one before it in rdx or x2, and so on.
def _at(slot: Slot) -> str:
    return f"[rcx+{8 * slot}]"


def _in(slot: Slot) -> str:
    return f"[x3, #{8 * slot}]"


# Each block calls the probe from a place of its own, and no two such places share 64 bytes of host code (behind each
# block's code lies its description, which is larger): the return address names the block, so that neither address
# spaces nor modified code can confuse it. Generated code keeps the address of the core's state in rbp, or in x19
# (TCG_AREG0 in QEMU's tcg/i386/tcg-target.h and tcg/aarch64/tcg-target.h).
BLOCK = Probe(
    "block",
    x86_64=f"""
    mov r10, [rsp]
    mov r8, {_at(Slot.TABLE)}
    shr r10, 6
    and r10d, {(1 << _TABLE_BITS) - 1:#x}
    cmp qword ptr {_at(Slot.PENDING)}, 0
    jne pending
known:
    movzx eax, word ptr [r8+r10*2]
    mov r9, {_at(Slot.COUNT)}
    test eax, eax
    jz lost
go:
    add r9, rax
    cmp r9, {_at(Slot.DEADLINE)}
    ja late
begin:
    mov {_at(Slot.COUNT)}, r9
    mov {_at(Slot.BLOCK_PC)}, rsi
    mov {_at(Slot.BLOCK_LENGTH)}, rax
    mov {_at(Slot.BLOCK)}, r10
    ret
pending:
    cmp rsi, {_at(Slot.PENDING_PC)}
    jne known
    cmp word ptr [r8+r10*2], 0
    je fresh
    mov qword ptr {_at(Slot.REUSED)}, 1
fresh:
    mov r9, {_at(Slot.PENDING)}
    mov word ptr [r8+r10*2], r9w
    mov qword ptr {_at(Slot.PENDING)}, 0
    mov {_at(Slot.STATE)}, rbp
    jmp known
lost:
    inc qword ptr {_at(Slot.LOST)}
    jmp go
late:
    cmp r9, {_at(Slot.LIMIT)}
    ja stop
    mov qword ptr {_at(Slot.LIMIT)}, 0
    jmp begin
stop:
    mov qword ptr {_at(Slot.HIT)}, 1
    sub rsp, 8
    call qword ptr {_at(Slot.STOP)}
    add rsp, 8
    ret
""",
    aarch64=f"""
    ubfx x13, x30, #6, #{_TABLE_BITS}
    ldr x10, {_in(Slot.TABLE)}
    ldr x11, {_in(Slot.PENDING)}
    cbz x11, known
    ldr x12, {_in(Slot.PENDING_PC)}
    cmp x12, x1
    b.ne known
    ldrh w9, [x10, x13, lsl #1]
    cbz w9, fresh
    mov x12, #1
    str x12, {_in(Slot.REUSED)}
fresh:
    strh w11, [x10, x13, lsl #1]
    str xzr, {_in(Slot.PENDING)}
    str x19, {_in(Slot.STATE)}
known:
    ldrh w9, [x10, x13, lsl #1]
    cbz w9, lost
go:
    ldr x11, {_in(Slot.COUNT)}
    add x11, x11, x9
    ldr x12, {_in(Slot.DEADLINE)}
    cmp x11, x12
    b.hi late
begin:
    str x11, {_in(Slot.COUNT)}
    str x1, {_in(Slot.BLOCK_PC)}
    str x9, {_in(Slot.BLOCK_LENGTH)}
    str x13, {_in(Slot.BLOCK)}
    ret
lost:
    ldr x12, {_in(Slot.LOST)}
    add x12, x12, #1
    str x12, {_in(Slot.LOST)}
    b go
late:
    ldr x12, {_in(Slot.LIMIT)}
    cmp x11, x12
    b.hi stop
    str xzr, {_in(Slot.LIMIT)}
    b begin
stop:
    mov x12, #1
    str x12, {_in(Slot.HIT)}
    ldr x9, {_in(Slot.STOP)}
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    blr x9
    ldp x29, x30, [sp], #16
    ret
""",
)

# A block that was just translated: its length waits for the block's first call of the probe. Some blocks are never
# executed (the one behind an exit), so the length waits together with the address.
EDGE = Probe(
    "edge",
    x86_64=f"""
    mov rax, [rsi]
    mov {_at(Slot.PENDING_PC)}, rax
    movzx eax, word ptr [rsi+8]
    mov {_at(Slot.PENDING)}, rax
    cmp qword ptr {_at(Slot.NEW_CODE)}, 0
    jne protect
    ret
protect:
    sub rsp, 8
    call qword ptr {_at(Slot.NEW_CODE_CALL)}
    add rsp, 8
    ret
""",
    aarch64=f"""
    ldr x9, [x1]
    str x9, {_in(Slot.PENDING_PC)}
    ldrh w9, [x1, #8]
    str x9, {_in(Slot.PENDING)}
    ldr x9, {_in(Slot.NEW_CODE)}
    cbnz x9, protect
    ret
protect:
    ldr x9, {_in(Slot.NEW_CODE_CALL)}
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    blr x9
    ldp x29, x30, [sp], #16
    ret
""",
)

_JUMP_TO_NEXT = bytes.fromhex("6f004000")
_WFI = bytes.fromhex("73005010")

NewCode = ctypes.CFUNCTYPE(None)
"""What the edge probe calls when a block was translated from a page that is not protected yet."""


class BlockClock:
    """The native clock. `slots` is what the hart reads and corrects (see `Slot`)."""

    def __init__(self, handle: Handle, new_code: Callable[[], None]) -> None:
        self._memory = (ctypes.c_uint64 * len(Slot))()
        self._table = mmap.mmap(-1, 2 << _TABLE_BITS)
        self._new_code = NewCode(new_code)
        self.slots = memoryview(self._memory).cast("B").cast("Q")
        self.slots[Slot.DEADLINE] = NEVER
        self.slots[Slot.TABLE] = ctypes.addressof(ctypes.c_char.from_buffer(self._table))
        self.slots[Slot.STOP] = library.EMU_STOP_ADDRESS
        self.slots[Slot.NEW_CODE_CALL] = ctypes.cast(self._new_code, ctypes.c_void_p).value or 0
        data = ctypes.addressof(self._memory)
        library.add_hook(handle, library.HOOK_EDGE, native.load(EDGE), data)
        library.add_hook(handle, library.HOOK_BLOCK, native.load(BLOCK), data)
        _run_first_blocks(handle)
        for slot in (Slot.COUNT, Slot.HIT, Slot.LOST, Slot.BLOCK_PC, Slot.BLOCK_LENGTH, Slot.PENDING):
            self.slots[slot] = 0

    @property
    def state_address(self) -> int:
        """Where the core keeps its state in host memory (the host register that translated code finds it by)."""
        return self.slots[Slot.STATE]

    @property
    def address(self) -> int:
        """Where the slots lie in host memory."""
        return ctypes.addressof(self._memory)


class PythonClock:
    """The same clock without native code: each block calls Python. Some fifty times slower, for other hosts."""

    def __init__(self, handle: Handle, new_code: Callable[[], None], length: Callable[[int, int], int]) -> None:
        """`length(start, end)` counts the instructions between two virtual addresses of the current code."""
        self._memory = (ctypes.c_uint64 * len(Slot))()
        self.slots = slots = memoryview(self._memory).cast("B").cast("Q")
        slots[Slot.DEADLINE] = NEVER

        def edge(_engine: int, _block: int, _previous: int, _data: int) -> None:
            if slots[Slot.NEW_CODE]:
                new_code()

        def block(_engine: int, address: int, size: int, _data: int) -> None:
            instructions = length(address, address + size)
            count = slots[Slot.COUNT] + instructions
            if count > slots[Slot.DEADLINE] and count <= slots[Slot.LIMIT]:
                slots[Slot.LIMIT] = 0
            elif count > slots[Slot.DEADLINE]:
                slots[Slot.HIT] = 1
                library.emu_stop(handle)
                return
            slots[Slot.COUNT] = count
            slots[Slot.BLOCK_PC] = address
            slots[Slot.BLOCK_LENGTH] = instructions
            slots[Slot.REUSED] = 1  # all blocks share one BLOCK

        _run_first_blocks(handle)
        self._edge = library.EdgeCallback(edge)
        self._block = library.CodeCallback(block)
        library.add_hook(handle, library.HOOK_EDGE, self._edge, None)
        library.add_hook(handle, library.HOOK_BLOCK, self._block, None)


def _run_first_blocks(handle: Handle) -> None:
    """Run two blocks that do nothing: the engine reports no edge before its first block."""
    scratch, size = 0x1000, 0x1000
    page = mmap.mmap(-1, size)
    page[:8] = _JUMP_TO_NEXT + _WFI
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    library.check(library.mem_map_ptr(handle, scratch, size, library.PROT_ALL, address), "map a page")
    library.check(library.emu_start(handle, scratch, 0, 0, 0), "run its first block")
    library.check(library.mem_unmap(handle, scratch, size), "unmap a page")
