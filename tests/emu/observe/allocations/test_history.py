"""Peaks, sizes, lifetimes, growth and fragmentation, beside a second way of counting."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emu.address import VirtAddr
from emu.observe.allocations.history import Chain, History, Holding

A, B = (VirtAddr(0x80200010), VirtAddr(0x80200100)), (VirtAddr(0x80200020),)
STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300), st.sampled_from([A, B])), max_size=40)


def played(steps: list[tuple[int, int, Chain]]) -> tuple[History, list[dict[int, tuple[int, int, Chain]]], list[int]]:
    """A step allocates at a free place and frees a held one; the states by hand, and all lifetimes."""
    history, states, lifetimes = History(), [dict[int, tuple[int, int, Chain]]()], list[int]()
    for instret, (place, size, chain) in enumerate(steps, start=1):
        held, key = dict(states[-1]), 0x9000 + 512 * place
        if key in held:
            history.free(instret, key)
            lifetimes.append(instret - held.pop(key)[0])
        else:
            history.allocate(instret, key, size, chain)
            held[key] = instret, size, chain
        states.append(held)
    return history, states, lifetimes


def total(held: dict[int, tuple[int, int, Chain]]) -> int:
    return sum(size for _, size, _ in held.values())


@given(STEPS)
def test_each_moment_and_the_peak_are_as_counted_by_hand(steps: list[tuple[int, int, Chain]]) -> None:
    history, states, lifetimes = played(steps)
    for instret, held in enumerate(states):
        moment = history.at(instret)
        assert (moment.count, moment.size) == (len(held), total(held))
        by_chain = {one.chain: (one.count, one.size) for one in moment.holdings}
        counts = Counter(chain for _, _, chain in held.values())
        assert {chain: count for chain, (count, _) in by_chain.items()} == dict(counts)
    assert history.peak().size == max(map(total, states))
    assert history.lifetimes() == lifetimes


@given(STEPS)
def test_fragmentation_ends_with_what_is_free_between_the_first_and_the_last(
    steps: list[tuple[int, int, Chain]],
) -> None:
    history, states, _ = played(steps)
    moments = list(history.fragmentation(4))
    if not steps:
        assert moments == []
        return
    ever = [(key, size) for held in states for key, (_, size, _) in held.items()]
    cells = {address for key, size in ever for address in (key, key + size)}
    low, high = min(cells), max(cells)
    taken = bytearray(high - low)
    for key, (_, size, _) in states[-1].items():
        taken[key - low : key - low + size] = b"\1" * size
    pieces = [len(piece) for piece in bytes(taken).split(b"\1") if piece]
    assert moments[-1][1:] == (total(states[-1]), sum(pieces), max(pieces, default=0))


def test_growth_names_what_one_chain_of_calls_holds_more() -> None:
    history = History()
    history.allocate(1, 0x9000, 10, A)
    history.allocate(2, 0x9100, 20, B)
    history.allocate(5, 0x9200, 30, A)
    history.free(6, 0x9100)
    history.allocate(7, 0x9300, 5, A)
    assert history.growth(2, 7) == [Holding(A, 2, 35)]
    assert history.sizes() == {10: 1, 20: 1, 30: 1, 5: 1}
