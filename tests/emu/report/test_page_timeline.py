"""The timeline of a page: what it says of each moment is what was counted by then, however much was taken together."""

from bisect import bisect_left, bisect_right
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emu.report.page.timeline import Timeline

COUNTED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 9)), max_size=80)
"""How much later than what is before it, its key, and its amount."""


def steps(timeline: Timeline) -> list[tuple[int, Counter[int]]]:
    """Each step's moment, with everything up to it."""
    found, sums = [], Counter[int]()
    for moment, came in timeline.steps():
        for key, amount in came:
            sums[key] += amount
        found.append((moment, sums.copy()))
    return found


@given(COUNTED, st.sampled_from([6, 20, 1000]))
def test_each_step_tells_all_that_was_counted_by_then(counted, most) -> None:
    timeline, moment, whole = Timeline(most), 0, list[tuple[int, int, int]]()
    for later, key, amount in counted:
        moment += later
        timeline.add(moment, key, amount)
        whole.append((moment, key, amount))
    told = steps(timeline)
    for at, sums in told:
        expected = Counter[int]()
        for when, key, amount in whole:
            expected[key] += amount if when <= at else 0
        assert sums == +expected
    moments = sorted({when for when, _, _ in whole})
    assert [at for at, _ in told][-1:] == moments[-1:]
    assert len(told) == len(moments) if timeline.every == 1 else len(told) <= len(moments) // 2 + 1
    assert len(timeline.plain()["keys"]) <= max(most, 5)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=40), st.data())
def test_stretches_are_divided_at_the_moments_of_a_page(stretches, data) -> None:
    timeline, moment, spent = Timeline(), 0, list[int]()
    for length, key in stretches:
        moment += length
        timeline.add(moment, key, length)
        spent += [key] * length
    shown = sorted({*data.draw(st.sets(st.integers(1, moment))), moment})
    page = steps(timeline.at(shown, 1000, key=lambda key: key + 10, is_stretch=lambda _key: True))
    assert [at for at, _ in page] == shown
    for at, sums in page:
        assert sums == Counter(key + 10 for key in spent[:at])
    less = steps(timeline.at(shown, 6))
    ends = [end for end, _ in steps(timeline)]
    for at, sums in less:
        assert at in shown
        by_then = ends[bisect_right(ends, at) - 1] if ends[0] <= at else 0
        assert sums == Counter(spent[:by_then])
    assert bisect_left(shown, less[-1][0]) == len(shown) - 1


def test_what_has_no_key_on_the_page_is_left_out() -> None:
    timeline = Timeline()
    for moment in range(4):
        timeline.add(moment, moment % 2)
    assert steps(timeline.at([3], 10, key=lambda key: None if key else 7)) == [(3, Counter({7: 2}))]
