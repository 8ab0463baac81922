"""A compiled value is the number that the value itself is, whatever registers hold."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emu.observe.allocations.catalogue import shipped
from emu.observe.allocations.compiled import compiled
from emu.observe.allocations.values import Value

WORDS = (0, 1, 55, 56, 4096, 0x8020_0000, 0xFFFF_FFD8_0000_1240, (1 << 64) - 1)
REGISTERS = st.lists(st.sampled_from(WORDS) | st.integers(0, (1 << 64) - 1), min_size=8, max_size=8)
TEXTS = sorted(
    {
        value.text
        for allocator in shipped()
        for function in (*allocator.frames, *allocator.blocks)
        for value in (*function.at, function.count, function.size)
        if value is not None
    }
    | {"(call.a1 ^ a0) * 3 if a2 >> 60", "a0 / (a1 - a1)", "a0 << a1 >> call.a2", "[&table + 8] + a0 / 4"}
)


class Moment:
    """Registers, with one word and one address for all of memory and of symbols."""

    def __init__(self, now: Sequence[int], at_call: Sequence[int]) -> None:
        self._now, self._at_call = now, at_call

    def register(self, number: int) -> int:
        """a0 to a7; 0 in the others."""
        return self._now[number - 10] if 10 <= number < 18 else 0

    def argument(self, number: int) -> int:
        """See `Moment`."""
        return self._at_call[number]

    def load(self, _address: int, _size: int) -> int:
        """The word."""
        return 0x8000_1000

    def symbol(self, _name: str) -> int:
        """The address."""
        return 0x8020_0000

    def size_of(self, _name: str, otherwise: int | None) -> int:
        """What the description says."""
        return otherwise or 64


@pytest.mark.parametrize("text", TEXTS)
@given(now=REGISTERS, at_call=REGISTERS)
@example(now=[0] * 8, at_call=[0] * 8)
@example(now=[0x8000_1000 + 56 * 7] * 8, at_call=[3] * 8)
def test_a_compiled_value_is_what_the_value_is(text: str, now: list[int], at_call: list[int]) -> None:
    value, moment = Value.parse(text), Moment(now, at_call)
    number = compiled(value, moment)
    assert number is None or number(tuple(now), tuple(at_call)) == value.at(moment)


def test_where_a_page_stands_is_compiled_and_a_choice_is_not() -> None:
    moment = Moment([0] * 8, [0] * 8)
    page = compiled(Value.parse("(a0 - [&mem_map]) / sizeof(page, 56) + ([&phys_ram_base] >> 12) if a0"), moment)
    assert page is not None
    zero = (0,) * 8
    assert page((0x8000_1000 + 56, *zero[1:]), zero) == 0x80002
    assert page((0x8000_1001, *zero[1:]), zero) is None
    assert compiled(Value.parse("a1 unless a0 else a2"), moment) is None
