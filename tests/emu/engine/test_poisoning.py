"""Native code that poisons memory at recorded calls, on both kinds of hosts, against what Python does to the same."""

import random
import struct
from functools import cache

import pytest
import unicorn
from hypothesis import given
from hypothesis import strategies as st

from emu.engine import native
from emu.engine.native import Probe
from emu.engine.translated.features.callentries import MARKS_OFFSET
from emu.engine.translated.features.callrecords import aarch64, x86_64
from emu.engine.translated.features.callrecords.layout import RECORD_SIZE, Field, Own, Shared, State
from emu.engine.translated.features.callrecords.poisoning import Tables, layout
from emu.engine.translated.features.callrecords.poisoning import aarch64 as poisoning_aarch64
from emu.engine.translated.features.callrecords.poisoning import x86_64 as poisoning_x86_64
from emu.engine.translated.features.callrecords.poisoning.layout import Effect, Plan, Step, Table
from emu.engine.translated.features.shadow import Shadow
from emu.observe.allocations.values import Value
from tests.emu.engine.hosts import HOSTS

CODE, STACK, DATA, RAM_HOST, BITS, HELD = (number << 20 for number in range(1, 7))
BACK = CODE + 0x8000
BASE, PAGES, OFFSET = 0x8000_0000, 64, 0xC000_0000
SIZE = PAGES << 12
SHARED, OWN, TABLES, PLAN, AT, EXTENT, RECORD, CALLED, STATE, ENTRY, SATP, PAGE_OCTETS = range(
    DATA, DATA + 12 * 0x1000, 0x1000
)
HEAP_MARK, ALL = 4, (1 << 64) - 1


def entered_x86_64(function: str, result: str = "") -> str:
    """Code that calls `function` with its words, what all share, the state, the record and registers."""
    return f"""
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov rbx, rdi
    mov rbp, rsi
    mov r12, rdx
    mov r14, rcx
    mov rsi, r8
    call {function}
    {result}
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
"""


def entered_aarch64(function: str, result: str = "") -> str:
    """The same for the other host."""
    return f"""
    stp x29, x30, [sp, #-64]!
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    mov x19, x0
    mov x20, x1
    mov x21, x2
    mov x23, x3
    mov x1, x4
    bl {function}
    {result}
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #64
    ret
"""


_X86_64_NUMBER = """
    .p2align 8
    mov r9, rdx
    push rcx
    push rcx
    mov r8, rsi
    call number
    pop rcx
    pop rcx
    mov [rcx], rax
    mov eax, r11d
    ret
"""
_AARCH64_NUMBER = """
    .p2align 8
    stp x29, x30, [sp, #-16]!
    mov x8, x3
    mov x3, x1
    mov x1, x2
    mov x2, x0
    bl number
    str x0, [x8]
    mov w0, w9
    ldp x29, x30, [sp], #16
    ret
"""
PROBE = Probe(
    "poisoned",
    lambda: entered_x86_64("poisoned") + _X86_64_NUMBER + poisoning_x86_64.POISONED + x86_64.KNOWN,
    lambda: entered_aarch64("poisoned") + _AARCH64_NUMBER + poisoning_aarch64.POISONED + aarch64.KNOWN,
)
NUMBER = CODE + 0x100


@cache
def processor(architecture: str) -> unicorn.Uc:
    """With the native code in its memory."""
    core = unicorn.Uc(*HOSTS[architecture].engine)
    for base in (CODE, STACK, DATA, RAM_HOST, BITS, HELD):
        core.mem_map(base, 1 << 20)
    core.mem_write(CODE, native.assemble(PROBE, architecture))
    return core


def put(core: unicorn.Uc, address: int, *words: int) -> None:
    core.mem_write(address, struct.pack(f"<{len(words)}Q", *(word & ALL for word in words)))


def put_steps(core: unicorn.Uc, address: int, *steps: tuple[Step, int]) -> None:
    put(core, address, *(number for step in (*steps, (Step.END, 0)) for number in step))


class Now:
    """A moment of known registers."""

    def __init__(self, registers: list[int], arguments: list[int]) -> None:
        self._registers, self._arguments = registers, arguments

    def register(self, number: int) -> int:
        return self._registers[number - 10]

    def argument(self, number: int) -> int:
        return self._arguments[number]

    def load(self, address: int, size: int) -> int:
        return address * 3 & (1 << 8 * size) - 1

    def symbol(self, name: str) -> int:
        return len(name)

    def size_of(self, name: str, otherwise: int | None) -> int:
        return len(name) if otherwise is None else otherwise


EXPRESSIONS = st.recursive(
    st.sampled_from(["a0", "a1", "call.a0", "call.a7", "3", "0x10", "&name", "sizeof(page, 56)", "u32[64]", "[8]"]),
    lambda parts: st.builds("({} {} {})".format, parts, st.sampled_from(["+", "-", "*", "/", "<<", ">>", "^"]), parts),
    max_leaves=6,
)
NUMBERS = st.lists(
    st.one_of(st.integers(0, 70), st.integers(0, ALL), st.sampled_from([1 << 63, ALL, 56 * 7])), min_size=8, max_size=8
)


@pytest.mark.parametrize("architecture", HOSTS)
@given(text=EXPRESSIONS, condition=st.one_of(st.none(), EXPRESSIONS), registers=NUMBERS, arguments=NUMBERS)
def test_a_number_is_computed_as_python_does_or_left_to_it(architecture, text, condition, registers, arguments) -> None:
    host, core = HOSTS[architecture], processor(architecture)
    value = Value.parse(text if condition is None else f"{text} if {condition}")
    moment = Now(registers, arguments)
    steps = value.steps(moment)
    assert steps is not None or value.at(moment) is None or "/" in text + (condition or "")
    if steps is None:
        return
    put(core, RECORD, *registers)
    put(core, CALLED, *arguments)
    put_steps(core, AT, *steps)
    outcome = host.call(core, NUMBER, BACK, STACK + 0x8000, (AT, RECORD, CALLED, STATE))
    assert outcome in (0, 1, 2)
    if outcome == 0:
        assert int.from_bytes(core.mem_read(STATE, 8), "little") == value.at(moment)
    elif outcome == 1:
        assert value.at(moment) is None


class Both:
    """Memory as native code has it and as Python has it."""

    def __init__(self, architecture: str) -> None:
        self.host, self.core = HOSTS[architecture], processor(architecture)
        self.layer = Shadow(SIZE).add(lambda _poisoned: None)
        self.tables = Tables(self.layer, BASE, SIZE, HEAP_MARK)
        core = self.core
        for base in (DATA, RAM_HOST, BITS, HELD):
            core.mem_write(base, bytes(1 << 20))
        shared, words = dict.fromkeys(Shared, 0), dict.fromkeys(Table, 0)
        shared |= {Shared.RAM: BASE, Shared.RAM_SIZE: SIZE, Shared.HOST: RAM_HOST, Shared.SATP: SATP,
                   Shared.TABLES: TABLES, Shared.INNERMOST: ENTRY}  # fmt: skip
        words |= {Table.SHOWN: ENTRY + 0x100, Table.BITS: BITS, Table.MASK: self.layer.mask, Table.OFFSET: OFFSET,
                  Table.LINEAR: 1, Table.HELD: HELD, Table.PAGES: PAGE_OCTETS, Table.HEAP: HEAP_MARK}  # fmt: skip
        put(core, SHARED, *shared.values())
        put(core, TABLES, *words.values())
        put(core, OWN + 8 * Own.PLAN, PLAN)
        put(core, ENTRY, ENTRY + 8)
        put(core, ENTRY + 0x100, BITS)
        put(core, STATE + State.PRIVILEGE, 1)
        root = BASE + SIZE - 4096  # a gigapage that all of RAM is in
        put(core, RAM_HOST + SIZE - 4096 + 8 * (BASE + OFFSET >> 30), BASE >> 12 << 10 | 0xCF)
        put(core, SATP, 8 << 60 | root >> 12)

    def told(self, effect: Effect, at: int, extent: int, *, marks: int = 0) -> int:
        """Have native code do it: `DONE` and so on, 0 if Python is to do it."""
        core = self.core
        put(core, PLAN + 8 * Plan.EFFECT, effect)
        put(core, PLAN + 8 * Plan.AT, AT)
        put(core, PLAN + 8 * Plan.EXTENT, EXTENT)
        put_steps(core, AT, (Step.REGISTER, 0))
        put_steps(core, EXTENT, (Step.ARGUMENT, 8))
        put(core, RECORD, *(0,) * (RECORD_SIZE // 8))
        put(core, RECORD + Field.FIRST, at)
        put(core, CALLED, 0, extent)
        put(core, ENTRY + 8 + MARKS_OFFSET, marks)
        arguments = OWN, SHARED, STATE, RECORD, CALLED
        is_left = self.host.call(core, CODE, BACK, STACK + 0x8000, arguments, most=1_000_000)
        done = int.from_bytes(core.mem_read(RECORD + Field.DONE, 8), "little")
        assert bool(is_left) is not bool(done)
        return done

    def are_equal(self) -> bool:
        core, tables = self.core, self.tables
        return (
            core.mem_read(BITS, self.layer.mask + 1) == bytes(self.layer.bits.table[: self.layer.mask + 1])
            and core.mem_read(HELD, SIZE >> 1) == bytes(tables._held)
            and core.mem_read(PAGE_OCTETS, PAGES) == bytes(tables._pages)
        )


@pytest.mark.parametrize("architecture", HOSTS)
@pytest.mark.parametrize("seed", range(4))
def test_frames_and_blocks_come_and_go_as_in_python(architecture, seed) -> None:
    both, chance = Both(architecture), random.Random(seed)
    layer, tables = both.layer, both.tables
    done = [0] * len(Effect)
    for _ in range(600):
        effect = chance.choice(list(Effect))
        if effect < Effect.BLOCK_ALLOCATED:
            ppn, count = (BASE >> 12) + chance.randrange(1, PAGES - 8), chance.choice([1, 1, 2, 8])
            marks = chance.choice([0, HEAP_MARK, 2])
            was_freed = tables.was_freed(ppn)
            told = both.told(effect, ppn, count, marks=marks)
            assert bool(told) is not (effect is Effect.FRAMES_FREED and was_freed)
            if told:
                for_heap = effect is Effect.FRAMES_ALLOCATED and bool(marks & HEAP_MARK)
                assert told == (layout.DONE | layout.FOR_HEAP if for_heap else layout.DONE)
                change = layer.clear if effect is Effect.FRAMES_ALLOCATED and not for_heap else layer.poison
                change((ppn << 12) + OFFSET, count << 12)
                tables.frames_changed(ppn, count, freed=effect is not Effect.FRAMES_ALLOCATED)
        else:
            physical, size = BASE + 8 * chance.randrange(512, 1024), chance.choice([1, 7, 8, 24, 29, 4096])
            held = tables.size(physical)
            if effect is Effect.BLOCK_FREED:
                size = chance.choice([0, held, held, size])
            told = both.told(effect, physical + OFFSET, size)
            if effect is Effect.BLOCK_ALLOCATED:
                assert told == layout.DONE
                layer.hold(physical + OFFSET, size)
                tables.block_changed(physical, size)
            else:
                assert bool(told) is bool(held and size in (0, held))
                if told:
                    layer.poison(physical + OFFSET, held)
                    tables.block_changed(physical, 0)
        assert both.are_equal()
        done[effect] += bool(told)
    assert all(done)


LEFT = {
    "outside of RAM": (Effect.FRAMES_ALLOCATED, (BASE + SIZE) >> 12, 1),
    "more than RAM has": (Effect.FRAMES_ALLOCATED, (BASE >> 12) + PAGES - 1, 2),
    "no frames": (Effect.FRAMES_GIVEN, (BASE >> 12) + 1, 0),
    "the table's first octet": (Effect.FRAMES_GIVEN, BASE >> 12, 1),
    "no multiple of eight": (Effect.BLOCK_ALLOCATED, BASE + OFFSET + 4100, 8),
    "no bytes": (Effect.BLOCK_ALLOCATED, BASE + OFFSET + 4096, 0),
    "more than 32 bits": (Effect.BLOCK_ALLOCATED, BASE + OFFSET + 4096, 1 << 32),
    "over the table's end": (Effect.BLOCK_ALLOCATED, BASE + OFFSET + SIZE - 8, 64),
    "another mapping": (Effect.BLOCK_ALLOCATED, BASE + 4096, 8),
    "held by nobody": (Effect.BLOCK_FREED, BASE + OFFSET + 8192, 0),
}


@pytest.mark.parametrize("architecture", HOSTS)
@pytest.mark.parametrize("why", LEFT)
def test_what_is_not_plain_is_left_to_python_and_changes_nothing(architecture, why) -> None:
    both = Both(architecture)
    assert not both.told(*LEFT[why])
    assert both.are_equal()


@pytest.mark.parametrize("architecture", HOSTS)
def test_nothing_at_all_and_other_layers_need_no_poison(architecture) -> None:
    both = Both(architecture)
    assert both.told(Effect.BLOCK_ALLOCATED, 0, 8) == layout.DONE
    assert both.are_equal()
    put(both.core, ENTRY + 0x100, BITS + 8)  # another table is looked at
    assert not both.told(Effect.FRAMES_FREED, (BASE >> 12) + 1, 1)
    assert both.are_equal()
