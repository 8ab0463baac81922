"""The curves of a page: bounded, whatever comes, and with the highest moment among what is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.report.page import curves


@given(
    frames=st.lists(st.integers(0, 9), min_size=1, max_size=300),
    most=st.sampled_from([16, 64]),
    points=st.integers(2, 40),
)
def test_of_many_moments_some_are_kept_the_highest_and_the_last_among_them(frames, most, points) -> None:
    kept = curves.Curves()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "_MOST", most)
        for moment, number in enumerate(frames):
            kept.note(moment, number, 64 * moment)
    shown = list(kept.reduced(points))
    assert set(shown) <= {(moment, number, 64 * moment) for moment, number in enumerate(frames)}
    assert shown == sorted(set(shown))
    assert shown[-1][0] == len(frames) - 1
    assert max(number for _, number, _ in shown) == max(frames)
    assert len(shown) <= min(most, points + 2)
    assert len(shown) > min(points, len(frames), most // 2) // 4
