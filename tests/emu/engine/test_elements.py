"""Native code that records the elements a call is given, on both kinds of hosts, against what Python finds there."""

import random
import struct
from functools import cache

import pytest
import unicorn

from emu.engine import native
from emu.engine.native import Probe
from emu.engine.translated.features.callrecords import aarch64, x86_64
from emu.engine.translated.features.callrecords.elements import aarch64 as elements_aarch64
from emu.engine.translated.features.callrecords.elements import x86_64 as elements_x86_64
from emu.engine.translated.features.callrecords.layout import ELEMENT_BIT, RECORD_SIZE, Field, Own, Shared
from emu.engine.translated.features.callrecords.poisoning import aarch64 as poisoning_aarch64
from emu.engine.translated.features.callrecords.poisoning import layout
from emu.engine.translated.features.callrecords.poisoning import x86_64 as poisoning_x86_64
from emu.engine.translated.features.callrecords.poisoning.layout import Effect, Plan, Step
from emu.isa.registers import A0
from emu.observe.allocations.moments import in_array, listed
from emu.observe.allocations.values import Value
from tests.emu.engine import test_poisoning as poisoning
from tests.emu.engine.hosts import HOSTS
from tests.emu.engine.test_poisoning import (
    AT,
    BACK,
    BASE,
    CALLED,
    CODE,
    EXTENT,
    HELD,
    OFFSET,
    OWN,
    PAGES,
    PLAN,
    RAM_HOST,
    SHARED,
    SIZE,
    STACK,
    STATE,
    entered_aarch64,
    entered_x86_64,
    put,
    put_steps,
)

FIRST, COUNT, RING, ROOM, NUMBER = EXTENT + 0x400, EXTENT + 0x800, HELD + 0x80000, 8, 7
DATA = BASE + OFFSET + 16 * 4096
"""The guest's address of what a call is given."""
PROBE = Probe(
    "elements",
    lambda: (
        entered_x86_64("elements", "sbb rax, rax") + elements_x86_64.ELEMENTS + poisoning_x86_64.POISONED + x86_64.KNOWN
    ),
    lambda: (
        entered_aarch64("elements", "sub x0, x0, #1")
        + elements_aarch64.ELEMENTS
        + poisoning_aarch64.POISONED
        + aarch64.KNOWN
    ),
)
FIND = CODE + 0x4000
ELEMENT = ("[a0]", "[a0] >> 12 if [a0]", "a0 - call.a7", "a0 ^ a1", "[a0 + 8] - 3", "[[a0]]", "[a0 + 4]", "8 if [a0]")
REGISTERS = [DATA, 3, 5, 0, 0, 0, 0, DATA - 64]


@cache
def processor(architecture: str) -> unicorn.Uc:
    """With both native functions in its memory."""
    core = poisoning.processor(architecture)
    core.mem_write(FIND, native.assemble(PROBE, architecture))
    return core


class Found(poisoning.Both):
    """What native code finds and does, with a guest's memory and a call's registers that Python can look at, too."""

    def __init__(self, architecture: str) -> None:
        super().__init__(architecture)
        processor(architecture)
        put(self.core, OWN + 8 * Own.ELEMENTS, 1)
        put(self.core, OWN + 8 * Own.NUMBER, NUMBER)
        put(self.core, SHARED + 8 * Shared.LIMIT, RING + ROOM * RECORD_SIZE)

    def register(self, number: int) -> int:
        return REGISTERS[number - A0]

    def argument(self, number: int) -> int:
        return REGISTERS[number]

    def load(self, address: int, size: int) -> int:
        place = address - BASE - OFFSET
        if not 0 <= place <= SIZE - size:
            raise LookupError
        return int.from_bytes(self.core.mem_read(RAM_HOST + place, size), "little")

    def symbol(self, name: str) -> int:
        raise LookupError(name)

    def size_of(self, name: str, _otherwise: int | None) -> int:
        raise LookupError(name)

    def words(self, address: int, *numbers: int) -> None:
        """Have these in the guest's memory."""
        put(self.core, RAM_HOST + address - BASE - OFFSET, *numbers)

    def plan(self, effect: Effect, element: str, count: str | None, node: int) -> None:
        core, at = self.core, Value.parse(element).moving_steps(self)
        assert at is not None
        lists = {Plan.AT: (AT, at), Plan.EXTENT: (EXTENT, ((Step.CONSTANT, 1),)), Plan.FIRST: (FIRST, ((2, 0),))}
        if count is not None:
            lists[Plan.COUNT] = COUNT, Value.parse(count).steps(self)
        put(core, PLAN, *(0,) * len(Plan))
        put(core, PLAN + 8 * Plan.EFFECT, effect)
        put(core, PLAN + 8 * Plan.NODE, node)
        for word, (address, steps) in lists.items():
            put(core, PLAN + 8 * word, address)
            put_steps(core, address, *steps)

    def find(self, first: int = DATA) -> list[int] | None:
        """Numbers of elements as native code records them; None if it leaves them to Python."""
        core = self.core
        record = [0] * (RECORD_SIZE // 8)
        record[0], record[1], record[2] = NUMBER, 123, 456
        record[Field.FIRST // 8 : Field.FIRST // 8 + 8] = [first, *REGISTERS[1:]]
        put(core, RING, *record)
        put(core, CALLED, first, *REGISTERS[1:])
        arguments = OWN, SHARED, STATE, RING, CALLED
        if self.host.call(core, FIND, BACK, STACK + 0x8000, arguments, most=1_000_000):
            return None
        taken = int.from_bytes(core.mem_read(RING + Field.ELEMENT, 8), "little")
        found = []
        for at in range(RECORD_SIZE, taken + RECORD_SIZE, RECORD_SIZE):
            words = struct.unpack(f"<{RECORD_SIZE // 8}Q", core.mem_read(RING + at, RECORD_SIZE))
            found.append(words[Field.ELEMENT // 8])
            expected = list(record)
            expected[0], expected[Field.ELEMENT // 8] = NUMBER | 1 << ELEMENT_BIT, found[-1]
            assert list(words) == expected  # all else is the call's
        return found

    def carried_out(self) -> list[int]:
        """What is done for the elements that were found: `DONE` of each."""
        core = self.core
        arguments = OWN, SHARED, STATE, RING, CALLED
        is_left = self.host.call(core, CODE, BACK, STACK + 0x8000, arguments, most=1_000_000)
        taken = int.from_bytes(core.mem_read(RING + Field.ELEMENT, 8), "little")
        done = [
            int.from_bytes(core.mem_read(RING + at + Field.DONE, 8), "little")
            for at in range(RECORD_SIZE, taken + RECORD_SIZE, RECORD_SIZE)
        ]
        assert bool(is_left) is not all(done)
        return done


@pytest.fixture(params=HOSTS)
def found(request):
    return Found(request.param)


def numbers(moments, element: str) -> list[int]:
    return [number for moment in moments if (number := Value.parse(element).at(moment))]


@pytest.mark.parametrize("element", ELEMENT)
@pytest.mark.parametrize("seed", range(4))
def test_words_of_an_array_are_found_as_in_python_or_left_to_it(found, element, seed) -> None:
    chance = random.Random(seed)
    words = [chance.choice([0, 1, DATA, DATA + 16, 1 << 40, BASE + OFFSET + 8]) for _ in range(10)]
    found.words(DATA, *words)
    found.plan(Effect.BLOCK_FREED, element, "a1", 0)
    expected = numbers(in_array(DATA, REGISTERS[1], found), element)
    seen = found.find()
    assert seen in (expected, None)
    if element in ("[a0]", "[a0] >> 12 if [a0]", "a0 - call.a7", "a0 ^ a1", "8 if [a0]"):
        assert seen is not None
    if element == "[a0 + 4]":
        assert seen is None


@pytest.mark.parametrize("element", ELEMENT)
@pytest.mark.parametrize("length", range(6))
def test_elements_of_a_list_are_found_as_in_python_or_left_to_it(found, element, length) -> None:
    nodes = [DATA + 256 * (number + 1) for number in random.Random(length).sample(range(8), length)]
    for number, (node, behind) in enumerate(zip([DATA, *nodes], [*nodes, DATA], strict=True)):
        found.words(node - 16, number * 5, 1 << 12, behind)
    found.plan(Effect.FRAMES_FREED, element, None, 16)
    expected = numbers(listed(DATA, 16, found), element)
    seen = found.find()
    assert seen in (expected, None)
    if element not in ("[[a0]]", "[a0 + 4]"):
        assert seen == expected


LEFT = {
    "more than there is room for": lambda found: found.words(DATA, *range(1, 20)) or ("a1 + 5", DATA),
    "where no memory is": lambda _found: ("a1", BASE + OFFSET + SIZE - 16),
    "no multiple of eight": lambda _found: ("a1", DATA + 2),
    "a count that is no number": lambda _found: ("a1 / 2", DATA),
}


@pytest.mark.parametrize("why", LEFT)
def test_what_is_not_plain_is_left_to_python(found, why) -> None:
    count, first = LEFT[why](found)
    found.words(DATA, 1, 2, 3)
    found.plan(Effect.BLOCK_FREED, "[a0]", "a1", 0)
    assert found.find() == [1, 2, 3]
    found.plan(Effect.BLOCK_FREED, "[a0]", count, 0)
    assert found.find(first) is None


def test_a_list_that_does_not_lead_back_is_left_to_python(found) -> None:
    found.words(DATA, DATA + 64)
    found.words(DATA + 64, DATA + 64)
    found.plan(Effect.BLOCK_FREED, "a0", None, 0)
    assert found.find() is None


@pytest.mark.parametrize(("count", "first"), [("0", DATA), ("a1", 0), ("a1 if a3", DATA)])
def test_nothing_has_no_elements(found, count, first) -> None:
    found.plan(Effect.BLOCK_FREED, "[a0]", count, 0)
    assert found.find(first) == []


def test_nothing_is_found_while_each_call_is_to_be_told_at_once(found) -> None:
    found.words(DATA, 1, 2, 3)
    found.plan(Effect.BLOCK_FREED, "[a0]", "a1", 0)
    put(found.core, SHARED + 8 * Shared.AT_ONCE, 1)
    assert found.find() is None


def test_elements_take_effect_in_their_order_up_to_the_first_that_is_left_to_python(found) -> None:
    ppns = [(BASE >> 12) + number for number in (3, 5, 9)]
    found.words(DATA, *ppns)
    found.plan(Effect.FRAMES_FREED, "[a0]", "a1", 0)
    assert found.find() == ppns
    assert found.carried_out() == [layout.DONE] * 3
    for ppn in ppns:
        found.layer.poison((ppn << 12) + OFFSET, 4096)
        found.tables.frames_changed(ppn, 1, freed=True)
    assert found.are_equal()
    twice = [ppns[0] + 1, ppns[1], ppns[0] + 3]
    found.words(DATA, *twice)
    assert found.find() == twice
    assert found.carried_out() == [layout.DONE, 0, 0]
    found.layer.poison((twice[0] << 12) + OFFSET, 4096)
    found.tables.frames_changed(twice[0], 1, freed=True)
    assert found.are_equal()
    assert PAGES > 9
