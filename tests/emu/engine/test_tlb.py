"""The second-level TLB in native code, for both kinds of hosts, against the same in Python."""

import ctypes
import struct

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import library, native
from emu.engine import tlb as second
from emu.engine.guest import RETURN_ADDRESS, Note
from emu.engine.slots import SLOTS, Slot
from emu.engine.tlb import FILL, Translations
from tests.emu.engine.hosts import HOSTS, JUNK

CODE, STACK, FUNCTION, RESULT, RETURN, TABLE = range(0x10_0000, 0x70_0000, 0x10_0000)
TABLE_SIZE = 8 * (second._ENTRIES + 6 * second._SLOTS)
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
        core.mem_map(TABLE, TABLE_SIZE + 0xFFF & -0x1000)
        core.mem_write(CODE, native.assemble(FILL, architecture))
        core.mem_write(FUNCTION, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._asked, begin=FUNCTION, end=FUNCTION)
        self.answer: tuple[int, int] | None = None
        self.keeps = False
        self.asked: list[tuple[int, ...]] = []

    def clear(self) -> None:
        self.core.mem_write(TABLE, bytes(TABLE_SIZE))
        self.write(second._ASK, FUNCTION)
        self.write(second._CLOCK, RESULT + 0x800)
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
        self.write(second._KEEP, int(self.keeps))
        self.host.answer(core, JUNK & ~0xFF | (self.answer is not None))


@pytest.fixture(scope="module", params=list(HOSTS))
def processor(request):
    pytest.importorskip("keystone", reason="keystone has no wheel for this host")
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
        assert bool(processor.read(second._MARKED)) == model.marked


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
