"""Lines for each instruction of a recording, made block by block: but for its number a line is the same each time."""

from collections.abc import Callable, Iterator

from emu.address import VirtAddr
from emu.isa.privilege import Privilege
from emu.record.recording import Recording, instructions_of

_LINES_AT_ONCE = 1 << 12

Rest = Callable[[VirtAddr, bytes, Privilege], str]
"""What stands behind the number of an instruction in its line."""
Numbered = Callable[[int, list[tuple[int, str]]], list[str]]
"""Lines of rests, each with its number counted from the first."""


def instruction_lines(
    recording: Recording, first: int, last: int, chosen: Callable[[int], bool], rest: Rest, numbered: Numbered
) -> Iterator[str]:
    """Pieces of text, each of some thousand lines, for the instructions from `first` to `last` at chosen addresses."""
    known: dict[tuple[int, Privilege], list[tuple[int, str]]] = {}
    piece: list[str] = []
    for instret, block, retired, privilege in recording.executed(first, last):
        rests = known.get((block.number, privilege))
        if rests is None:
            rests = known[block.number, privilege] = [
                (place, rest(pc, code, privilege))
                for place, (pc, code) in enumerate(instructions_of(block))
                if chosen(pc)
            ]
        if retired < block.length or instret < first or instret + retired > last:
            rests = [each for each in rests if each[0] < retired and first <= instret + each[0] <= last]
        piece += numbered(instret, rests)
        if len(piece) >= _LINES_AT_ONCE:
            yield "\n".join(piece)
            piece.clear()
    if piece:
        yield "\n".join(piece)
