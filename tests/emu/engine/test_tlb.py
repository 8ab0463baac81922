"""The second-level TLB in native code, for both kinds of hosts, against the same in Python."""

import ctypes
import struct

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import library, native
from emu.engine.fills import table as second
from emu.engine.fills.filling import FILL
from emu.engine.fills.tlb import Translations
from emu.engine.guest import RETURN_ADDRESS, Note
from emu.engine.slots import SLOTS, Slot
from emu.hart.fills import CodeSplit, find_leaf, frame_of, permissions
from emu.isa.privilege import Privilege
from tests.emu.engine.hosts import HOSTS, JUNK
from tests.oracles import keystone

CODE, STACK, FUNCTION, RESULT, RETURN, MEMORY, TABLE = range(0x10_0000, 0x80_0000, 0x10_0000)
RAM, RAM_SIZE = 0x8000_0000, 6 << 12
FETCHED, GRANTED = MEMORY + RAM_SIZE, MEMORY + RAM_SIZE + 0x800
"""Octets for each page, and for the low octet of each leaf."""
TABLE_SIZE = 8 * second.WORDS
ENGINE = 0x7777_0000_1234_5678
ACCESSES = (library.MEM_READ, library.MEM_WRITE, library.MEM_FETCH)
PAGES = (0, 1, 0x2000, 0x2001, 0xF_FFFF_FFFF_FFFF, 0x8_0000)
"""Some of them share a slot."""


class Processor:
    """One of the two processors, with an empty table; the guest's answers are Python's."""

    def __init__(self, architecture: str) -> None:
        self.host = host = HOSTS[architecture]
        self.core = core = unicorn.Uc(*host.engine)
        for base in (CODE, STACK, FUNCTION, RESULT, RETURN):
            core.mem_map(base, 0x1000)
        core.mem_map(MEMORY, RAM_SIZE + 0x1000)
        core.mem_map(TABLE, TABLE_SIZE + 0xFFF & -0x1000)
        core.mem_write(CODE, native.assemble(FILL, architecture))
        core.mem_write(FUNCTION, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._asked, begin=FUNCTION, end=FUNCTION)
        self.answer: tuple[int, int] | None = None
        self.keeps = False
        self.asked: list[tuple[int, ...]] = []

    def clear(self) -> None:
        self.core.mem_write(TABLE, bytes(TABLE_SIZE))
        self.write(second.ASK, FUNCTION)
        self.write(second.CLOCK, RESULT + 0x800)
        self.core.mem_write(RESULT + 0x800, bytes(8 * SLOTS))

    def write(self, word: int, value: int) -> None:
        self.core.mem_write(TABLE + 8 * word, struct.pack("<Q", value))

    def read(self, word: int) -> int:
        return int.from_bytes(self.core.mem_read(TABLE + 8 * word, 8), "little")

    def fill(self, address: int, access: int) -> tuple[int, int] | None:
        arguments = (ENGINE, address, access, RESULT, TABLE)
        if not self.host.call(self.core, CODE, RETURN, STACK + 0x800, arguments) & 0xFF:
            return None
        return struct.unpack("<QQ", self.core.mem_read(RESULT, 16))

    def _asked(self, core: unicorn.Uc, _address: int, _size: int, _data: object) -> None:
        engine, address, access, result, table = self.host.called(core)
        assert (engine, result, table) == (ENGINE, RESULT, TABLE)
        self.asked.append((address, access & 0xFF))
        if self.answer is not None:
            core.mem_write(RESULT, struct.pack("<QQ", *self.answer))
        self.write(second.KEEP, int(self.keeps))
        self.host.answer(core, JUNK & ~0xFF | (self.answer is not None))


@pytest.fixture(scope="module", params=list(HOSTS))
def processor(request):
    keystone()
    return Processor(request.param)


STEPS = st.tuples(
    st.sampled_from([0, 1, 2, 4095]), st.booleans(), st.sampled_from(PAGES), st.sampled_from(ACCESSES),
    st.one_of(st.none(), st.tuples(st.sampled_from([0x8000_0000, 0x8123_4000]), st.integers(1, 7))), st.booleans(),
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_an_answer_is_given_again_in_its_context_only(processor, steps):
    engine = ctypes.create_string_buffer(0x400)
    model = Translations(ctypes.c_void_p(ctypes.addressof(engine)))
    processor.clear()
    for context, marks, page, access, answer, keeps in steps:
        model.enter(context, marks=marks)
        processor.write(second.CONTEXT, context)
        processor.write(second.MARK, int(marks))
        processor.answer, processor.keeps = answer, keeps
        processor.asked.clear()
        asked = []

        def fill(address, kind, asked=asked, answer=answer, keeps=keeps):
            asked.append((address, kind))
            if keeps:
                model.keep()
            return answer

        assert processor.fill(page << 12, access) == model.ask(page << 12, access, fill)
        assert processor.asked == asked
        for word in (second.MARKED, *range(second.MARKS, second.MARKS + second.MOST_MARKS)):
            assert processor.read(word) == model.words[word]


@pytest.mark.parametrize(
    ("address", "access", "note"),
    [
        (0x5000, library.MEM_READ, Note.DATA),
        (0x5000, library.MEM_WRITE, Note.DATA),
        (0x5000, library.MEM_FETCH, Note.FETCH),
        (RETURN_ADDRESS, library.MEM_READ, Note.DATA),
        (RETURN_ADDRESS, library.MEM_FETCH, Note.RETURNED),
    ],
)
def test_while_nobody_may_be_asked_a_fill_is_refused_with_a_note(processor, address, access, note):
    processor.clear()
    processor.core.mem_write(RESULT + 0x800 + 8 * Slot.ALONE, struct.pack("<Q", Note.ALONE))
    processor.asked.clear()
    assert processor.fill(address, access) is None
    assert int.from_bytes(processor.core.mem_read(RESULT + 0x800 + 8 * Slot.ALONE, 8), "little") == Note.ALONE | note
    assert not processor.asked


ODD = ("entry", "leaf", "address", "context", "mode", "root", "protection")
"""What is out of the ordinary, in a walk that would find a page."""
FLAGS = st.one_of(st.sampled_from([0xCF, 0xDF, 0xD7, 0xCB, 0xD3]), st.integers(0, 0xFF))


@settings(max_examples=120, deadline=None)
@given(
    levels=st.sampled_from([3, 4, 5]), last=st.sampled_from([0, 0, 1, 2]), page=st.integers(0, 5), flags=FLAGS,
    upper=st.integers(0, (1 << 64) - 1), word=st.integers(0, (1 << 64) - 1),
    odd=st.sets(st.sampled_from(ODD), max_size=2), access=st.sampled_from(ACCESSES),
    privilege=st.sampled_from([Privilege.U, Privilege.S]), sum_bit=st.booleans(), mxr=st.booleans(),
    fetched=st.booleans(), marks=st.booleans(),
)  # fmt: skip
def test_an_ordinary_page_is_found_in_the_page_tables_as_python_finds_it(
    processor, levels, last, page, flags, upper, word, odd, access, privilege, sum_bit, mxr, fetched, marks
):
    shift, size = 3 + 9 * levels, 12 + 9 * last
    address = upper >> 64 - shift - 9 << size | page << 12 | word & 0xFFF
    address &= (1 << shift + 9) - 1
    address |= (-(address >> shift + 8) << shift + 8) & (1 << 64) - 1
    address ^= 1 << 63 if "address" in odd else 0
    memory = bytearray(RAM_SIZE)
    table = RAM
    for level in range(levels - last):
        is_last = level == levels - last - 1
        below = RAM + 4096 * (level + 1)
        entry = (RAM + (0 if last else page << 12)) >> 2 | flags if is_last else below >> 2 | 1
        if ("entry" in odd and level == word % 3) or ("leaf" in odd and is_last):
            entry ^= 1 << word % 61 if word & 0x100 else word
        place = table - RAM + 8 * (address >> shift - 9 * level & 511)
        memory[place : place + 8] = struct.pack("<Q", entry)
        table = below
    root = RAM + ((word % 9 - 1) * 4096 if "root" in odd else 0)
    context, walks = ("context" not in odd) * (1 + word % 4095), "mode" not in odd
    split = CodeSplit(RAM, RAM_SIZE)
    split.fetched[:] = bytes([fetched]) * len(split.fetched)
    granted = permissions(privilege, sum_bit=sum_bit, mxr=mxr)
    start = RAM + ("protection" in odd) * 4096
    processor.clear()
    processor.core.mem_write(MEMORY, bytes(memory) + bytes(split.fetched))
    processor.core.mem_write(GRANTED, bytes(granted))
    words = {
        second.CONTEXT: context, second.MARK: marks, second.PERMISSIONS: GRANTED, second.SHIFT: walks * shift,
        second.ROOT: root, second.START: start, second.SIZE: RAM + RAM_SIZE - start,
        second.TABLES: MEMORY + start - RAM,
        second.FETCHED: FETCHED - (RAM >> 12) & (1 << 64) - 1,
    }  # fmt: skip
    for word, value in words.items():
        processor.write(word, value)
    processor.answer, processor.keeps = (0x1234_5000, 7), False
    processor.asked.clear()
    wanted, leaf = None, None
    if context and walks:
        satp = {3: 8, 4: 9, 5: 10}[levels] << 60 | root >> 12
        open_to_all = memoryview(memory).cast("Q")[start - RAM >> 3 :]
        leaf = find_leaf(open_to_all, start, RAM + RAM_SIZE - start, satp, address)
    if leaf is not None:
        entry, large = leaf
        frame, needed = frame_of(entry, large, address), 1 << access - library.MEM_READ
        if granted[entry & 0xFF] & needed and 0 <= frame - start < RAM + RAM_SIZE - start:
            wanted = frame, split.grant(frame >> 12, granted[entry & 0xFF], needed)
    assert processor.fill(address, access) == (wanted or processor.answer)
    assert processor.asked == [] if wanted else [(address, access)]
    assert processor.read(second.MARKED) == (marks and wanted is not None and entry >> 4 & 1)
    assert processor.core.mem_read(FETCHED, len(split.fetched)) == split.fetched
    noted = Translations(ctypes.c_void_p(ctypes.addressof(ctypes.create_string_buffer(0x400))))
    if wanted and leaf and leaf[1] > 12:
        noted.note_large(address, leaf[1])
        assert noted.is_in_large(address)
    assert processor.core.mem_read(TABLE + 8 * second.LARGE, second.LARGE_PLACES) == bytes(noted._large)
    if wanted:  # and given again without a walk
        processor.write(second.SHIFT, 0)
        assert processor.fill(address, access) == wanted
        assert not processor.asked
