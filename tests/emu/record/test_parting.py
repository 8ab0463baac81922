"""Where two recordings part, beside a comparison of one instruction after the other."""

import struct
import tempfile
from itertools import zip_longest
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine.translated.features.blocks import CUT
from emu.record import formats
from emu.record.container import Writer
from emu.record.parting import Parting, first_parting
from emu.record.recording import Recording

NOP, OTHER = b"\x01\x00", b"\x05\x04"
LINES = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=30)
"""Straight pieces of code that a run has executed: which, and how many of its instructions."""


def write(path, lines, repeat, data, changed=None):
    """A recording of these pieces, again and again: each in one block or several, or in a longer one and a mark."""
    numbers: dict[tuple[int, int, bytes], int] = {}
    words: list[int] = []
    for at, (piece, length) in enumerate(lines * repeat):
        code = OTHER if at == changed else NOP
        first = 0
        while first < length:
            size = data.draw(st.integers(1, length - first)) if at < 40 else length - first
            cut = data.draw(st.integers(0, 2)) if at < 40 else 0
            key = (0x1000 * piece + 2 * first, size + cut, code)
            words += [numbers.setdefault(key, len(numbers) + 1), *([CUT | cut] if cut else [])]
            first += size
    with Writer(path) as writer:
        for (pc, length, code), number in numbers.items():
            writer.add(formats.CODE, formats.DEFINITION.pack(number, pc, length, 2 * length, 0) + code * length)
        writer.add(formats.SPANS, formats.SPAN.pack(0, 0))
        while words:
            size = data.draw(st.integers(1, 200)) if len(words) < 600 else 500
            writer.add(formats.BLOCKS, struct.pack(f"<{len(words[:size])}I", *words[:size]))
            del words[:size]


@settings(max_examples=12, deadline=None)
@given(LINES, LINES, st.integers(1, 40), st.integers(0, 400), st.booleans(), st.data())
def test_runs_part_where_their_instructions_do_however_these_were_cut_into_blocks(
    lines, more, repeat, changed, goes_on, data
):
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "one"), Path(folder, "other")
        write(paths[0], lines, repeat, data)
        write(paths[1], lines + (more if goes_on else []), repeat, data, changed)
        with Recording(paths[0]) as one, Recording(paths[1]) as other:
            expected = None
            for number, (left, right) in enumerate(zip_longest(one.instructions(), other.instructions())):
                if (left and (left.pc, left.code)) != (right and (right.pc, right.code)):
                    expected = Parting(number, left and int(left.pc), right and int(right.pc))
                    break
            assert first_parting(one, other) == expected
