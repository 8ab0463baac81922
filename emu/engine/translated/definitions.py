"""Tells what each translated block is: its number, its address and its code, copied before it executes."""

import ctypes
import mmap
import struct
from collections.abc import Callable

from emu.buffers import buffer_address
from emu.engine import library, native
from emu.engine.library import Handle
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.window import Word
from emu.hints import NamedTuple

_CURSOR, _LIMIT, _FULL, _HOST_CODE, _STATE, _SLOTS = (8 * n for n in range(6))
_FIELDS = struct.Struct("<QQHHxxxxQ")
_HEAD, _MOST = _FIELDS.size, 1 << 12
"""Bytes of a definition before its code; more than any definition has."""

# Called after each translation, with the block in rsi or x1: its pc, and 16 bits each for its instructions and bytes.
DEFINE = Probe(
    "define",
    x86_64=f"""
    push rbx
    push r12
    push r13
    push r14
    push r15
    sub rsp, 16
    mov rbx, rcx
    mov r14, rsi
    mov rax, [rbx+{_CURSOR}]
    cmp rax, [rbx+{_LIMIT}]
    jb room
    call qword ptr [rbx+{_FULL}]
room:
    mov r12, [rbx+{_CURSOR}]
    mov rdx, [rbx+{_SLOTS}]
    mov rax, [rdx+{8 * Slot.SERIAL}]
    mov [r12], rax
    mov r13, [r14]
    mov [r12+8], r13
    movzx eax, word ptr [r14+8]
    movzx r15d, word ptr [r14+10]
    shl eax, 16
    or eax, r15d
    mov [r12+16], rax
    mov rdx, [rbx+{_STATE}]
    mov rax, [rdx+{8 * Word.PRIVILEGE}]
    mov [r12+24], rax
    add r12, {_HEAD}
piece:
    test r15d, r15d
    jz whole
    mov rdi, [rbx+{_STATE}]
    mov rsi, r13
    mov rdx, rsp
    mov qword ptr [rsp], 0
    call qword ptr [rbx+{_HOST_CODE}]
    mov ecx, r13d
    and ecx, 0xfff
    neg ecx
    add ecx, 0x1000
    cmp ecx, r15d
    cmova ecx, r15d
    sub r15d, ecx
    add r13, rcx
    mov rsi, [rsp]
    mov rdi, r12
    add r12, rcx
    test rsi, rsi
    jz piece
    rep movsb
    jmp piece
whole:
    add r12, 7
    and r12, -8
    mov [rbx+{_CURSOR}], r12
    add rsp, 16
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    ret
""",
    aarch64=f"""
    stp x29, x30, [sp, #-80]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    str x23, [sp, #48]
    mov x19, x3
    mov x20, x1
    ldr x9, [x19, #{_CURSOR}]
    ldr x10, [x19, #{_LIMIT}]
    cmp x9, x10
    b.lo room
    ldr x9, [x19, #{_FULL}]
    blr x9
room:
    ldr x21, [x19, #{_CURSOR}]
    ldr x11, [x19, #{_SLOTS}]
    ldr x9, [x11, #{8 * Slot.SERIAL}]
    str x9, [x21]
    ldr x22, [x20]
    str x22, [x21, #8]
    ldrh w9, [x20, #8]
    ldrh w23, [x20, #10]
    orr x9, x23, x9, lsl #16
    str x9, [x21, #16]
    ldr x11, [x19, #{_STATE}]
    ldr x9, [x11, #{8 * Word.PRIVILEGE}]
    str x9, [x21, #24]
    add x21, x21, #{_HEAD}
piece:
    cbz x23, whole
    ldr x0, [x19, #{_STATE}]
    mov x1, x22
    add x2, sp, #64
    str xzr, [x2]
    ldr x9, [x19, #{_HOST_CODE}]
    blr x9
    and x9, x22, #0xfff
    mov x10, #0x1000
    sub x9, x10, x9
    cmp x9, x23
    csel x9, x23, x9, hi
    sub x23, x23, x9
    add x22, x22, x9
    ldr x10, [sp, #64]
    cbz x10, skip
copy:
    ldrh w11, [x10], #2
    strh w11, [x21], #2
    subs x9, x9, #2
    b.hi copy
    b piece
skip:
    add x21, x21, x9
    b piece
whole:
    add x21, x21, #7
    and x21, x21, #0xfffffffffffffff8
    str x21, [x19, #{_CURSOR}]
    ldr x23, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #80
    ret
""",
)


class Block(NamedTuple):
    """A translated block."""

    number: int
    pc: int
    length: int
    """Instructions; one more where the block was cut by an exit."""
    privilege: int
    """As the core has it: 0, 1, 3 for U, S, M."""
    code: bytes

    def addresses(self) -> list[int]:
        """Where its instructions are."""
        return [pc for pc, _ in self.instructions()]

    def instructions(self) -> list[tuple[int, bytes]]:
        """Where its instructions are, and their code."""
        found: list[tuple[int, bytes]] = []
        code, pc, place, size = self.code, self.pc, 0, len(self.code)
        for _ in range(self.length):
            if place >= size:
                break
            end = place + (4 if code[place] & 3 == 3 else 2)  # instruction_length: a call for each takes twice as long
            found.append((pc + place, code[place:end]))
            place = end
        return found


Full = ctypes.CFUNCTYPE(None)


class Definitions:
    """Collects the definitions of one core's blocks while it is switched on."""

    def __init__(self, handle: Handle, state_address: int, slots_address: int, tell: Callable[[Block], None]) -> None:
        self._memory = memory = mmap.mmap(-1, (1 << 20) + _MOST, flags=mmap.MAP_PRIVATE)
        self._begin = buffer_address(memory)
        self._full = Full(self.empty)
        self._words = (ctypes.c_uint64 * 6)(
            self._begin, self._begin + (1 << 20), library.address_of(self._full),
            library.function_address("get_page_addr_code_hostp"), state_address, slots_address,
        )  # fmt: skip
        self._tell = tell
        self._handle = handle
        self._identifier = library.add_hook(
            handle, library.HOOK_EDGE, native.load(DEFINE), ctypes.addressof(self._words)
        )

    def empty(self) -> None:
        """Tell what has been collected."""
        place, end = 0, self._words[0] - self._begin
        memory, tell = self._memory, self._tell
        self._words[0] = self._begin
        while place < end:
            number, pc, size, length, privilege = _FIELDS.unpack_from(memory, place)
            place += _HEAD
            tell(Block(number, pc, length, privilege, memory[place : place + size]))
            place += size + 7 & ~7

    def end(self) -> None:
        """Collect no more."""
        self.empty()
        library.remove_hook(self._handle, self._identifier)
