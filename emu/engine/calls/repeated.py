"""Executions of one guest function with many inputs, one after the other, in one native step.

Each is a call without Python (`emu.engine.calls.alone`). What it has written is put back by the list of its pages. The
step ends behind the last input, or earlier with an execution whose traces are still there: one that has not returned,
that went a new way, that has written other pages or that has changed the state elsewhere.
"""

import array
import ctypes
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from emu.address import PAGE_SIZE
from emu.buffers import buffer_address
from emu.counted import counted
from emu.engine import library, native
from emu.engine.calls import frame
from emu.engine.calls.alone import CALL
from emu.engine.calls.frame import ARGUMENTS, Frame
from emu.engine.native import Probe
from emu.engine.slots import Slot
from emu.engine.translated.features.fuzzed import BEFORE, EXECUTION, NEWS, Fuzzed

if TYPE_CHECKING:
    from emu.memory.pagescan import Question

(
    _CALL, _FRAME, _SLOTS, _EDGES, _COMPARED, _COPY, _COMPARE, _ASK, _START, _DEADLINE, _NEXT, _NUMBER, _INPUTS,
    _BUFFER, _FIRST, _SECOND, _THIRD, _FOURTH, _NUMBER_ANSWERED, _ANSWER, _EXPECTED, _SIZE, _PAGES, _PAGES_NUMBER,
    _PARTS, _PARTS_NUMBER, _MASKS,
) = range(27)  # fmt: skip
"""Words: functions and memory of the host; the count of instructions at which each execution begins, and its deadline;
which input is next, of how many; pairs of their addresses and sizes, and where they go; what the kernel is asked for
written pages with, and what is expected of its answer; pairs of the addresses of pages and of what they held; triples
of the addresses of state, of what it was, and sizes; of each argument, which bits of the input's size it has, and what
else it is."""
_VALUES = _MASKS + ARGUMENTS
_WORDS = _VALUES + ARGUMENTS

# The words.
REPEAT = Probe(
    "repeat_alone",
    x86_64=f"""
    push rbx
    push r12
    push r13
    mov rbx, rdi
again:
    mov r12, [rbx+{8 * _NEXT}]
    cmp r12, [rbx+{8 * _NUMBER}]
    jae left
    shl r12, 4
    add r12, [rbx+{8 * _INPUTS}]
    mov r13, [r12+8]
    mov rdi, [rbx+{8 * _BUFFER}]
    mov rsi, [r12]
    mov rdx, r13
    call qword ptr [rbx+{8 * _COPY}]
    mov rdi, [rbx+{8 * _FRAME}]
    xor ecx, ecx
argument:
    mov rax, [rbx+rcx*8+{8 * _MASKS}]
    and rax, r13
    or rax, [rbx+rcx*8+{8 * _VALUES}]
    mov [rdi+rcx*8+{8 * frame.INTEGERS}], rax
    inc ecx
    cmp ecx, {ARGUMENTS}
    jne argument
    mov rdx, [rbx+{8 * _EDGES}]
    mov ecx, [rdx+{8 * EXECUTION}]
    add ecx, 1
    adc ecx, 0
    mov [rdx+{8 * EXECUTION}], rcx
    xor eax, eax
    mov [rdx+{8 * BEFORE}], rax
    mov [rdx+{8 * NEWS}], rax
    mov rdx, [rbx+{8 * _COMPARED}]
    mov [rdx], rax
    mov rdx, [rbx+{8 * _SLOTS}]
    mov rax, [rbx+{8 * _START}]
    mov [rdx+{8 * Slot.COUNT}], rax
    mov rax, [rbx+{8 * _DEADLINE}]
    mov [rdx+{8 * Slot.DEADLINE}], rax
    call qword ptr [rbx+{8 * _CALL}]
    mov rax, [rbx+{8 * _FRAME}]
    cmp qword ptr [rax+{8 * frame.DONE}], {frame.RETURNED}
    jne left
    mov rax, [rbx+{8 * _EDGES}]
    cmp qword ptr [rax+{8 * NEWS}], 0
    jne left
    mov rdi, [rbx+{8 * _FIRST}]
    mov rsi, [rbx+{8 * _SECOND}]
    mov rdx, [rbx+{8 * _THIRD}]
    mov rcx, [rbx+{8 * _FOURTH}]
    xor eax, eax
    call qword ptr [rbx+{8 * _ASK}]
    cmp eax, [rbx+{8 * _NUMBER_ANSWERED}]
    jne left
    mov rdx, [rbx+{8 * _SIZE}]
    mov rdi, [rbx+{8 * _ANSWER}]
    mov rsi, [rbx+{8 * _EXPECTED}]
    call qword ptr [rbx+{8 * _COMPARE}]
    test eax, eax
    jnz left
    mov r12, [rbx+{8 * _PARTS}]
    mov r13, [rbx+{8 * _PARTS_NUMBER}]
part:
    mov rdi, [r12]
    mov rsi, [r12+8]
    mov rdx, [r12+16]
    call qword ptr [rbx+{8 * _COMPARE}]
    test eax, eax
    jnz left
    add r12, 24
    dec r13
    jnz part
    mov r12, [rbx+{8 * _PAGES}]
    mov r13, [rbx+{8 * _PAGES_NUMBER}]
page:
    mov rdi, [r12]
    mov rsi, [r12+8]
    mov edx, {PAGE_SIZE}
    call qword ptr [rbx+{8 * _COPY}]
    add r12, 16
    dec r13
    jnz page
    inc qword ptr [rbx+{8 * _NEXT}]
    jmp again
left:
    pop r13
    pop r12
    pop rbx
    ret
""",
    aarch64=f"""
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    str x21, [sp, #32]
    mov x19, x0
again:
    ldr x20, [x19, #{8 * _NEXT}]
    ldr x9, [x19, #{8 * _NUMBER}]
    cmp x20, x9
    b.hs left
    ldr x9, [x19, #{8 * _INPUTS}]
    add x20, x9, x20, lsl #4
    ldr x21, [x20, #8]
    ldr x0, [x19, #{8 * _BUFFER}]
    ldr x1, [x20]
    mov x2, x21
    ldr x9, [x19, #{8 * _COPY}]
    blr x9
    ldr x0, [x19, #{8 * _FRAME}]
    add x9, x0, #{8 * frame.INTEGERS}
    add x10, x19, #{8 * _MASKS}
    mov w11, #{ARGUMENTS}
argument:
    ldr x12, [x10, #{8 * ARGUMENTS}]
    ldr x13, [x10], #8
    and x13, x13, x21
    orr x12, x12, x13
    str x12, [x9], #8
    subs w11, w11, #1
    b.ne argument
    ldr x9, [x19, #{8 * _EDGES}]
    ldr w10, [x9, #{8 * EXECUTION}]
    adds w10, w10, #1
    adc w10, w10, wzr
    str x10, [x9, #{8 * EXECUTION}]
    str xzr, [x9, #{8 * BEFORE}]
    str xzr, [x9, #{8 * NEWS}]
    ldr x9, [x19, #{8 * _COMPARED}]
    str xzr, [x9]
    ldr x9, [x19, #{8 * _SLOTS}]
    ldr x10, [x19, #{8 * _START}]
    str x10, [x9, #{8 * Slot.COUNT}]
    ldr x10, [x19, #{8 * _DEADLINE}]
    str x10, [x9, #{8 * Slot.DEADLINE}]
    ldr x9, [x19, #{8 * _CALL}]
    blr x9
    ldr x9, [x19, #{8 * _FRAME}]
    ldr x10, [x9, #{8 * frame.DONE}]
    cmp x10, #{frame.RETURNED}
    b.ne left
    ldr x9, [x19, #{8 * _EDGES}]
    ldr x10, [x9, #{8 * NEWS}]
    cbnz x10, left
    ldp x0, x1, [x19, #{8 * _FIRST}]
    ldp x2, x3, [x19, #{8 * _THIRD}]
    ldr x9, [x19, #{8 * _ASK}]
    blr x9
    ldr w9, [x19, #{8 * _NUMBER_ANSWERED}]
    cmp w0, w9
    b.ne left
    ldr x2, [x19, #{8 * _SIZE}]
    ldr x0, [x19, #{8 * _ANSWER}]
    ldr x1, [x19, #{8 * _EXPECTED}]
    ldr x9, [x19, #{8 * _COMPARE}]
    blr x9
    cbnz w0, left
    ldr x20, [x19, #{8 * _PARTS}]
    ldr x21, [x19, #{8 * _PARTS_NUMBER}]
part:
    ldp x0, x1, [x20]
    ldr x2, [x20, #16]
    ldr x9, [x19, #{8 * _COMPARE}]
    blr x9
    cbnz w0, left
    add x20, x20, #24
    subs x21, x21, #1
    b.ne part
    ldr x20, [x19, #{8 * _PAGES}]
    ldr x21, [x19, #{8 * _PAGES_NUMBER}]
page:
    ldp x0, x1, [x20]
    mov x2, #{PAGE_SIZE}
    ldr x9, [x19, #{8 * _COPY}]
    blr x9
    add x20, x20, #16
    subs x21, x21, #1
    b.ne page
    ldr x9, [x19, #{8 * _NEXT}]
    add x9, x9, #1
    str x9, [x19, #{8 * _NEXT}]
    b again
left:
    ldr x21, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
    ret
""",
)

_Repeat = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Repeater:
    """Executes a function, whose arguments are numbers, the place of the input, or its size."""

    def __init__(self, calls: Frame, slots: memoryview, edges: Fuzzed, parts: Sequence[memoryview]) -> None:
        """`parts` are the memory of the state that an execution must leave as it is now."""
        self._process = process = ctypes.CDLL(None)
        self._memory = memoryview((ctypes.c_uint64 * _WORDS)()).cast("B").cast("Q")
        self._keep: list[object] = [parts]
        words, state = self._memory, array.array("Q")
        for part in parts:
            saved = memoryview(bytearray(part))
            self._keep.append(saved)
            state.extend((buffer_address(part), buffer_address(saved), part.nbytes))
        self._state = memoryview(state)
        for word, name in (_COPY, "memcpy"), (_COMPARE, "memcmp"):
            words[word] = library.address_of(process[name])
        words[_CALL], words[_FRAME], words[_SLOTS] = native.load(CALL), calls.address, buffer_address(slots)
        words[_EDGES], words[_COMPARED] = edges.addresses
        words[_PARTS], words[_PARTS_NUMBER] = buffer_address(self._state), len(parts)
        self._repeat, self._frame = _Repeat(native.load(REPEAT)), calls

    def aim(self, function: int, buffer: memoryview, arguments: Sequence[int | None]) -> None:
        """Call this function with these arguments, None for the input's size; the input goes to `buffer`."""
        words = self._memory
        words[_BUFFER], self._longest = buffer_address(buffer), len(buffer)
        for number, value in enumerate(arguments):
            words[_MASKS + number], words[_VALUES + number] = ((1 << 64) - 1, 0) if value is None else (0, value)
        self._called = function, len(arguments)

    def expect(self, expected: "Question", pages: Sequence[tuple[memoryview, memoryview]]) -> None:
        """Which pages are written, one at least, and what they held."""
        words = self._memory
        table = array.array("Q")
        for page, saved in pages:
            table.extend((buffer_address(page), buffer_address(saved)))
        known = memoryview(bytearray(expected.known))
        self._pages = memoryview(table), known, pages, expected
        words[_PAGES], words[_PAGES_NUMBER] = buffer_address(self._pages[0]), len(pages)
        words[_ASK] = library.address_of(self._process[expected.function])
        for word, value in enumerate(expected.words, _FIRST):
            words[word] = value
        words[_NUMBER_ANSWERED], words[_ANSWER] = expected.number, buffer_address(expected.answer)
        words[_EXPECTED], words[_SIZE] = buffer_address(known), len(known)

    def give(self, inputs: Sequence[bytes]) -> None:
        """The inputs, one at least. Raises ValueError for one that is longer than its buffer."""
        whole = bytearray(b"".join(inputs) + b"\0")
        first = buffer_address(memoryview(whole))
        sizes = [len(data) for data in inputs]
        if max(sizes) > self._longest:
            raise ValueError(f"an input of {counted(max(sizes), 'byte')} is longer than the buffer of {self._longest}")
        table = array.array("Q", bytes(16 * len(inputs)))
        table[::2] = array.array("Q", accumulate(sizes[:-1], initial=first))
        table[1::2] = array.array("Q", sizes)
        self._inputs = whole, memoryview(table)
        words, call = self._memory, self._frame.words
        call[frame.FUNCTION], call[frame.GIVEN] = self._called
        call[frame.FLOATS] = 0
        words[_INPUTS], words[_NEXT], words[_NUMBER] = buffer_address(self._inputs[1]), 0, len(inputs)

    def repeat(self, start: int, deadline: int) -> None:
        """Execute with one input after the other, each from this count of instructions on; see `done`."""
        words = self._memory
        words[_START], words[_DEADLINE] = start, deadline
        self._repeat(buffer_address(words))

    @property
    def done(self) -> int:
        """How many executions have been made and taken back."""
        return self._memory[_NEXT]

    @property
    def is_done(self) -> bool:
        """Whether all have."""
        return self._memory[_NEXT] == self._memory[_NUMBER]
