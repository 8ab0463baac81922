"""Counting which word follows which: on both kinds of hosts and in Python, against a model."""

import random
import struct
from array import array
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest
import unicorn
from hypothesis import given
from hypothesis import strategies as st

from emu.engine import native
from emu.engine.translated.features.pairs import PAIRS, Pairs
from tests.emu.engine.hosts import HOSTS

CODE, STACK, STATE, WORDS, TABLE, SEEN, SIZE = 0x1_0000, 0x10_0000, 0x20_0000, 0x21_0000, 0x22_0000, 0x23_0000, 0x1_0000
BACK = CODE + 0x8000
SHORT = st.lists(st.sampled_from([1, 2, 3, 0, (1 << 32) - 1, 1 << 31]), max_size=40)


def expected(words: list[int]) -> list[int]:
    return [behind << 32 | before for before, behind in pairwise([0, *words])]


@cache
def processor(architecture: str) -> unicorn.Uc:
    """With the native code in its memory."""
    core = unicorn.Uc(*HOSTS[architecture].engine)
    for base in (CODE, STACK, STATE, WORDS, TABLE, SEEN):
        core.mem_map(base, SIZE)
    core.mem_write(CODE, native.assemble(PAIRS, architecture))
    return core


@pytest.mark.parametrize("architecture", HOSTS)
@given(words=SHORT, room=st.integers(0, 15), seen=st.integers(0, 9), fresh=st.sampled_from([0, 1]))
def test_native_code_counts_until_a_table_or_the_list_is_full(architecture, words, room, seen, fresh) -> None:
    host, core = HOSTS[architecture], processor(architecture)
    core.mem_write(TABLE, bytes(256))
    core.mem_write(WORDS, struct.pack(f"<{len(words)}I", *words))
    core.mem_write(STATE, struct.pack("<7Q", TABLE, 15, room, fresh, SEEN, SEEN + 8 * seen, 0))
    left = host.call(core, CODE, BACK, STACK + SIZE - 0x100, (WORDS, len(words), STATE), most=100_000)
    pairs = expected(words)[: len(words) - left]
    _, _, room_left, _, seen_end, _, last = struct.unpack("<7Q", core.mem_read(STATE, 56))
    table = list(struct.iter_unpack("<QQ", core.mem_read(TABLE, 16 * 16)))
    assert {pair: times >> 1 for pair, times in table if times} == Counter(pairs)
    assert all(times & 1 == fresh for _, times in table if times)
    listed = struct.unpack(f"<{seen_end - SEEN >> 3}Q", core.mem_read(SEEN, seen_end - SEEN))
    assert [table[place][0] for place in listed] == ([] if fresh else pairs)
    assert room_left == room - len(set(pairs))
    assert last == (words[len(pairs) - 1] if pairs else 0)
    assert not left or not room_left or len(listed) == seen


@pytest.mark.parametrize("probes", ["native", "python"])
@given(parts=st.lists(SHORT, max_size=4), asked=st.integers(1, 5))
def test_each_pair_is_counted_and_looked_at_until_it_need_not_be(probes, parts, asked) -> None:
    looked: list[int] = []

    def look(pair: int) -> bool:
        looked.append(pair)
        return looked.count(pair) < asked

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EKERNEL_PROBES", probes)
        pairs = Pairs(look)
    for part in parts:
        pairs.add(memoryview(array("I", part)))
    every = expected([word for part in parts for word in part])
    assert pairs.counts() == Counter(every)
    times, wanted = Counter[int](), []
    for pair in every:
        times[pair] += 1
        if times[pair] <= asked:
            wanted.append(pair)
    assert looked == wanted


def test_a_table_grows_with_what_comes() -> None:
    numbers = random.Random(7)
    words = [numbers.randrange(1, 60) for _ in range(9_000)]
    pairs, looked = Pairs(lambda pair: looked.append(pair) is not None), []
    pairs.add(memoryview(array("I", words[:4_000])))
    pairs.add(memoryview(array("I", words[4_000:])))
    assert pairs.counts() == Counter(expected(words))
    assert sorted(looked) == sorted(set(looked)) == sorted(pairs.counts())
    pairs.clear()
    pairs.restart()
    pairs.add(memoryview(array("I", [4])))
    assert pairs.counts() == {4 << 32: 1}
