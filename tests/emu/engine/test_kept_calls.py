"""What calls and returns do to the table of open calls: the machine code of both hosts, against Python's own."""

import struct

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import native
from emu.engine.slots import Slot
from emu.engine.translated.features.callentries import (
    CALLED,
    INHERITED,
    KEPT_CALL,
    KEPT_RETURN,
    KEPT_TRAP_RETURN,
    MIX,
    PATH_SHIFT,
    RETURN,
    RETURNED,
    TRAP_RETURNED,
)  # fmt: skip
from emu.engine.translated.features.interrupted import Context, Entries, Interrupted
from tests.emu.engine.hosts import HOSTS, Host
from tests.oracles import keystone

CODES, STACK, MEMORY, BACK = 0x10_0000, 0x20_0000, 0x30_0000, 0x40_0000
TABLE, MESSAGE, SLOTS, ENTRIES = (MEMORY + 0x1000 * number for number in range(4))
MASK = (64 << 5) - 32
"""Room for 64 entries: stack pointers 512 bytes apart have one."""
CONTEXTS = MEMORY + 0x8000
ALL, HIGHEST, END = (1 << 64) - 1, (1 << 64) - 1, ENTRIES + 0x4000
Entry = tuple[int, int, int, int]


class Processor:
    """One kind of host, with a table that is empty."""

    def __init__(self, architecture: str) -> None:
        self.host: Host = HOSTS[architecture]
        self.core = core = unicorn.Uc(*self.host.engine)
        for base in (CODES, STACK, MEMORY, BACK):
            core.mem_map(base, 0x1_0000)
        self.codes = {}
        for number, probe in enumerate((KEPT_CALL, KEPT_RETURN, KEPT_TRAP_RETURN)):
            self.codes[probe.name] = CODES + 0x1000 * number
            core.mem_write(CODES + 0x1000 * number, native.assemble(probe, architecture))

    def begin(self) -> None:
        self.core.mem_write(MEMORY, bytes(0x1_0000))
        self.put(TABLE, END, ENTRIES, MASK, MESSAGE, SLOTS, CONTEXTS)
        self.put(END, HIGHEST, 0, END, 0)
        self.put(SLOTS + 8 * Slot.COUNT, 0x1234)

    def put(self, address: int, *words: int) -> None:
        self.core.mem_write(address, struct.pack(f"<{len(words)}Q", *words))

    def get(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self.core.mem_read(address, 8 * count))

    def call(self, name: str, stack_pointer: int, address: int, satp: int = 0) -> tuple[int, ...]:
        """The message that is left, and taken; empty if none is."""
        self.host.call(self.core, self.codes[name], BACK, STACK + 0x8000, (TABLE, stack_pointer, address, satp))
        flag, *words = self.get(MESSAGE, 5)
        assert flag in (0, 1 << 63)
        self.put(MESSAGE, 0, 0, 0, 0, 0)
        return tuple(words) if flag else ()


@pytest.fixture(scope="module", params=list(HOSTS))
def processor(request: pytest.FixtureRequest) -> Processor:
    keystone()
    return Processor(request.param)


class Model:
    """The same table by Python."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {END: (HIGHEST, 0, END, 0)}
        self.innermost = END

    def at(self, place: int) -> Entry:
        return self.entries.get(place, (0, 0, 0, 0))

    def called(self, stack_pointer: int, link: int) -> tuple[int, ...]:
        place = ENTRIES + (stack_pointer << 2 & MASK)
        if stack_pointer >= self.at(self.innermost)[0]:
            return (CALLED, link, stack_pointer, 0)
        marks = self.at(self.innermost)[3]
        path = (stack_pointer << PATH_SHIFT ^ link ^ marks >> PATH_SHIFT) * MIX << PATH_SHIFT
        self.entries[place] = stack_pointer, link, self.innermost, (path | marks & INHERITED) & ALL
        self.innermost = place
        return ()

    def returned(self, stack_pointer: int, target: int) -> tuple[int, ...]:
        place = ENTRIES + (stack_pointer << 2 & MASK)
        entry = self.at(place)
        if entry[:2] == (stack_pointer, target):
            self.innermost = entry[2]
            if not entry[3] & RETURN:
                self.entries[place] = (*entry[:3], entry[3] & ~0xFFFF)
                return ()
        return (RETURNED, target, stack_pointer, 0x1234)


STACK_POINTERS = st.integers(1, 80).map(lambda number: 0xFFFF_FFFF_8000_0000 + 16 * number)
LINKS = st.sampled_from([0x8020_0004, 0xFFFF_FFFF_8020_0006, 0x1_0000])
STEPS = st.lists(
    st.tuples(st.sampled_from(["call", "return", "back", "mark"]), STACK_POINTERS, LINKS, st.integers(0, 0xFFFF)),
    max_size=40,
)


@given(steps=STEPS)
@settings(max_examples=40, deadline=None)
def test_calls_and_returns_do_to_the_table_what_python_makes_of_them(processor, steps):
    model = Model()
    processor.begin()
    for step, stack_pointer, address, marks in steps:
        if step == "call":
            stack_pointer = min(stack_pointer, model.at(model.innermost)[0] - 8) if marks & 1 else stack_pointer
            told = processor.call("kept_call", stack_pointer, address), model.called(stack_pointer, address)
        elif step == "mark":
            entry = model.at(model.innermost)
            if model.innermost != END:
                model.entries[model.innermost] = (*entry[:3], entry[3] & ~0xFFFF | marks)
                processor.put(model.innermost + 24, entry[3] & ~0xFFFF | marks)
            continue
        else:
            if step == "back":
                stack_pointer, address = model.at(model.innermost)[:2]
            told = processor.call("kept_return", stack_pointer, address), model.returned(stack_pointer, address)
        assert told[0] == told[1]
        assert processor.get(TABLE, 1) == (model.innermost,)
        assert {place: processor.get(place, 4) for place in model.entries} == model.entries


class Contexts:
    """What traps have interrupted, returned to by native code as far as it goes; or by Python alone."""

    def __init__(self, processor: Processor | None) -> None:
        self.processor = processor
        self.put_back: list[Entries] = []
        self.of_python = 0
        self.interrupted = Interrupted(lambda entry: {entry: (entry,)}, self.put_back.append)

    def returned(self, stack_pointer: int, satp: int) -> int | None:
        processor, words = self.processor, self.interrupted.words
        if processor is None:
            return self.interrupted.returned((stack_pointer, satp))
        processor.core.mem_write(CONTEXTS, words.tobytes())
        told = processor.call("kept_trap_return", stack_pointer, 0x8020_0000, satp)
        words[:] = memoryview(processor.core.mem_read(CONTEXTS, 8 * Context.END)).cast("Q")
        if not told:
            return processor.get(TABLE, 1)[0]
        assert told == (TRAP_RETURNED, 0x8020_0000, stack_pointer, satp)
        assert processor.get(TABLE, 1) == (END,)
        self.of_python += 1
        return self.interrupted.returned((stack_pointer, satp))


TRAPS = st.lists(
    st.tuples(
        st.sampled_from(["trap", "return", "return", "save"]),
        st.sampled_from([0x8000_0000, 0x8000_0400, 0x8000_0408, 0xFFFF_FFFF_FFFF_FFF0]),
        st.sampled_from([0, 8 << 60 | 0x8_0000, ALL]),
    ),
    max_size=60,
)


@given(steps=TRAPS)
@settings(max_examples=40, deadline=None)
def test_returns_from_traps_lead_where_python_leads_them(processor, steps):
    natively, alone = Contexts(processor), Contexts(None)
    for number, (step, *where) in enumerate(steps, 1):
        processor.begin()
        if step == "trap":
            for each in (natively, alone):
                each.interrupted.trapped(tuple(where), 16 * number)
        elif step == "save":
            assert natively.interrupted.saved() == alone.interrupted.saved()
            natively.interrupted.restore(alone.interrupted.saved())
        else:
            assert natively.returned(*where) == alone.returned(*where)
    assert natively.put_back == alone.put_back
    assert natively.interrupted.saved() == alone.interrupted.saved()
    assert list(natively.interrupted) == list(alone.interrupted)


def test_python_is_asked_once_for_each_address_space_and_when_it_has_not_looked_for_long(processor):
    contexts, most = Contexts(processor), Context.MOST_SEEN
    contexts.interrupted.returned((1, 5))
    for number in range(most + 8):
        contexts.interrupted.trapped((16 * number, 5), 1000 + number)
    for number in range(most + 8):
        processor.begin()
        assert contexts.returned(16 * number, 5) == 1000 + number
    assert contexts.of_python == 1
