"""What memory looks like in the terminal: the bar and the rows of a buddy tree, column by column."""

from hypothesis import given
from hypothesis import strategies as st

from emu.report.memory.drawing import Span, buddy_tree

COLUMNS = 64
BASE = 0x8020_0000
UNIT = 64
"""Bytes of a column: the range has as many columns as blocks of the smallest order."""


@st.composite
def blocks(draw: st.DrawFn) -> list[Span]:
    """Blocks of buddies that fill a range of 64 units, each held or free."""
    spans, waiting = [], [(BASE, COLUMNS * UNIT)]
    while waiting:
        start, size = waiting.pop()
        if size > UNIT and draw(st.booleans()):
            waiting += [(start + size // 2, size // 2), (start, size // 2)]
        else:
            spans.append(Span(start, size, draw(st.booleans())))
    return spans


@given(blocks())
def test_each_column_of_the_bar_stands_above_that_of_the_blocks_that_fill_it(spans: list[Span]) -> None:
    bar, scale, *rows = buddy_tree(spans)
    assert scale.split() == [hex(BASE), hex(BASE + COLUMNS * UNIT)]
    left = bar.index("|") + 1
    assert {row.index("|") + 1 for row in rows} == {left}
    for column in range(COLUMNS):
        held = next(span.held for span in spans if span.start <= BASE + column * UNIT < span.end)
        assert (bar[left + column] != " ") == held
        assert [row[left + column] for row in rows if row[left + column] != " "] == ["#" if held else "."]


def test_a_heap_that_begins_inside_of_its_largest_block_is_drawn_in_one_range() -> None:
    bar, scale, *rows = buddy_tree([Span(0x1800, 0x800, held=True), Span(0x2000, 0x1000, held=False)])
    assert scale.split() == ["0x1000", "0x3000"]
    assert bar.strip() == f"|{' ' * 16}{'█' * 16}{' ' * 32}|"
    assert [row[row.index("|") :] for row in rows] == [f"|{' ' * 32}{'.' * 32}|", f"|{' ' * 16}{'#' * 16}{' ' * 32}|"]
