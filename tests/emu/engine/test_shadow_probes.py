"""Native functions that pass what nobody is told of, on both kinds of hosts: as the core would access it, if at all."""

import struct
from functools import cache

import pytest
import unicorn

from emu.engine import native
from emu.engine.slots import Slot
from emu.engine.translated import layout
from emu.engine.translated.features.callentries import MARKS_OFFSET
from emu.engine.translated.features.shadow_probes import CALLED, CHECKS, LOADS, STORES, Word
from emu.engine.window import Word as StateWord
from tests.emu.engine.hosts import HOSTS

CODE, STACK, STATE, DATA, TLB, RAM = (number << 20 for number in range(1, 7))
BACK, CORE = CODE + 0x8_0000, CODE + 0x9_0000
STATE_BASE = STATE + 0x8_0000
SLOTS, SHADOW, BITS, ENTRY, UNWRITTEN = DATA, DATA + 0x1000, DATA + 0x2000, DATA + 0x1_8000, DATA + 0x2_0000
MODE, ENTRIES, PAGE, MARK = 1, 16, 0xFFFF_FFFF_8123_4000, 4
ACCESSES = [(size, name) for names in (LOADS, STORES) for size, name in names.items()]
MEMORY = bytes(range(0x71, 0x91))
VALUE = 0x8877_6655_4433_2211


@cache
def processor(architecture: str) -> unicorn.Uc:
    """With the native code in its memory, and one function for all that it calls."""
    host = HOSTS[architecture]
    core = unicorn.Uc(*host.engine)
    for base in (CODE, STACK, STATE, DATA, TLB, RAM):
        core.mem_map(base, 1 << 20)
    code = bytearray(native.assemble(CHECKS, architecture))
    code[: 8 * len(CALLED)] = struct.pack(f"<{len(CALLED)}Q", *(CORE,) * len(CALLED))
    core.mem_write(CODE, bytes(code))
    core.mem_write(CORE, host.returning)
    return core


def access(
    architecture: str, size: int, name: str, address: int, tag: int, *, low: int = 0, marks: int = MARK,
    poisoned: bool = True, unwritten: bool = False,
) -> bytes:  # fmt: skip
    """What memory is after a store, or what a load has found; nothing if the core was asked for the access."""
    host, core = HOSTS[architecture], processor(architecture)
    is_store = name in STORES.values()
    core.mem_write(RAM, MEMORY)
    for table, is_set in (BITS, poisoned), (UNWRITTEN, unwritten):
        core.mem_write(table, (b"\xff" if is_set else b"\0") * 0x1_0002)
    words = {Word.TABLE: BITS, Word.MASK: 0xFFFF, Word.LOW: low, Word.SPAN: (1 << 64) - 1 - low,
             Word.INNERMOST: ENTRY, Word.MARKS: marks, Word.UNWRITTEN: UNWRITTEN}  # fmt: skip
    for word, value in words.items():
        core.mem_write(SHADOW + 8 * word, struct.pack("<Q", value))
    core.mem_write(ENTRY, struct.pack("<Q", ENTRY + 8))
    core.mem_write(ENTRY + 8 + MARKS_OFFSET, struct.pack("<Q", MARK))
    core.mem_write(SLOTS + 8 * Slot.SHADOW, struct.pack("<Q", SHADOW))
    core.mem_write(STATE_BASE + 8 * StateWord.RDTIME_FUNCTION, struct.pack("<Q", SLOTS))
    mask = ENTRIES - 1 << layout.TLB_SHIFT
    core.mem_write(STATE_BASE + layout.TLB + 16 * MODE, struct.pack("<QQ", mask, TLB))
    place = TLB + ((address >> 12 - layout.TLB_SHIFT) & mask)
    core.mem_write(TLB, bytes(64 * ENTRIES))
    core.mem_write(place + (layout.TLB_STORES if is_store else 0), struct.pack("<Q", tag))
    core.mem_write(place + layout.TLB_ADDEND, struct.pack("<Q", RAM - PAGE & (1 << 64) - 1))
    asked = list[int]()
    hook = core.hook_add(unicorn.UC_HOOK_CODE, lambda _core, at, _size, _data: asked.append(at), None, CORE, CORE)
    number = 8 * len(CALLED) + 8 * ACCESSES.index((size, name))
    flipped = address ^ ((1 << size) - 1 << 64 - size)
    kind = size << 8 | MODE
    arguments = (STATE_BASE, flipped, VALUE, kind, BACK) if is_store else (STATE_BASE, flipped, kind, BACK)
    result = host.call(core, CODE + number, BACK, STACK + 0x8000, arguments)
    core.hook_del(hook)
    if asked:
        assert core.mem_read(RAM, len(MEMORY)) == MEMORY
        return b""
    return bytes(core.mem_read(RAM, len(MEMORY))) if is_store else result.to_bytes(8, "little")


def expected(size: int, name: str, offset: int) -> bytes:
    if name in LOADS.values():
        return MEMORY[offset : offset + size].ljust(8, b"\0")
    return MEMORY[:offset] + VALUE.to_bytes(8, "little")[:size] + MEMORY[offset + size :]


@pytest.mark.parametrize(("size", "name"), ACCESSES)
@pytest.mark.parametrize("architecture", HOSTS)
def test_what_the_tlb_answers_is_accessed_and_all_else_left_to_the_core(architecture, size, name) -> None:
    for way in {"marks": MARK}, {"marks": 0, "low": PAGE + 4096}:
        for offset in range(0, 24, size):
            assert access(architecture, size, name, PAGE + offset, PAGE, **way) == expected(size, name, offset)
        assert not access(architecture, size, name, PAGE + size, PAGE ^ 1 << 20, **way)  # another page's entry
        assert not access(architecture, size, name, PAGE + size, PAGE | 1 << 9, **way)  # a page with a flag
        if size > 1:
            assert not access(architecture, size, name, PAGE + size - 1, PAGE, **way)
            assert not access(architecture, size, name, PAGE + 4095, PAGE, **way)


@pytest.mark.parametrize(("size", "name"), ACCESSES)
@pytest.mark.parametrize("architecture", HOSTS)
def test_loads_of_what_was_never_written_are_looked_at_and_stores_to_it_are_not(architecture, size, name) -> None:
    for poisoned, unwritten in (False, True), (True, True), (True, False):
        found = access(architecture, size, name, PAGE, PAGE, poisoned=poisoned, unwritten=unwritten)
        if poisoned or name in LOADS.values():
            assert found == expected(size, name, 0)  # the address is right again
        else:
            assert not found  # it is one that no page has: the core would say so
