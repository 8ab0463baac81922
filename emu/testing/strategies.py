"""Strategies for hypothesis: words, registers, instructions, programs, page tables, sequences of allocations.

All of them shrink to what a person can paste: a program to its fewest instructions, as assembly text.
"""

from collections.abc import Sequence

from hypothesis import strategies as st

from emu.testing.tables import page_tables as page_tables

_NAMES = ("zero", "ra", "t0", "t1", "t2", *(f"a{n}" for n in range(8)), *(f"s{n}" for n in range(2, 12)))
_REGISTERS = (
    "add",
    "sub",
    "and",
    "or",
    "xor",
    "slt",
    "sltu",
    "sll",
    "srl",
    "sra",
    "addw",
    "subw",
    "sllw",
    "srlw",
    "sraw",
)
_MULTIPLY = ("mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu", "mulw", "divw", "divuw", "remw", "remuw")
_IMMEDIATE = ("addi", "andi", "ori", "xori", "slti", "sltiu", "addiw")
_SHIFTS = {"slli": 64, "srli": 64, "srai": 64, "slliw": 32, "srliw": 32, "sraiw": 32}
_ALL = (1 << 64) - 1
_CORNERS = sorted({(1 << bit) + near & _ALL for bit in (0, 7, 8, 15, 16, 31, 32, 62, 63) for near in (-1, 0, 1)})


def words() -> st.SearchStrategy[int]:
    """64 bits, unsigned; often at the edge of a width.

    >>> from hypothesis import find
    >>> hex(find(words(), lambda word: word >> 63))
    '0x8000000000000000'
    """
    return st.sampled_from([*_CORNERS, _ALL]) | st.integers(0, _ALL)


def registers(*names: str) -> st.SearchStrategy[dict[str, int]]:
    """Values for some registers, for `exec(source, **registers)`; without names, for all that `instructions` uses."""
    return st.fixed_dictionaries({name: words() for name in names or _NAMES if name != "zero"})


@st.composite
def instructions(draw: st.DrawFn, names: Sequence[str] = _NAMES) -> str:
    """An instruction of RV64IM that changes one register and nothing else, as assembly text.

    >>> from hypothesis import find
    >>> find(instructions(), lambda text: text.startswith("sub "))
    'sub zero, zero, zero'
    """
    name = st.sampled_from(names)
    kind = draw(st.sampled_from((*_REGISTERS, *_MULTIPLY, *_IMMEDIATE, *_SHIFTS, "lui")))
    target = draw(name)
    if kind == "lui":
        return f"lui {target}, {draw(st.integers(0, (1 << 20) - 1))}"
    if kind in _IMMEDIATE:
        return f"{kind} {target}, {draw(name)}, {draw(st.integers(-2048, 2047))}"
    if kind in _SHIFTS:
        return f"{kind} {target}, {draw(name)}, {draw(st.integers(0, _SHIFTS[kind] - 1))}"
    return f"{kind} {target}, {draw(name)}, {draw(name)}"


def programs(most: int = 8, names: Sequence[str] = _NAMES) -> st.SearchStrategy[str]:
    """Up to so many of them, a line each."""
    return st.lists(instructions(names), min_size=1, max_size=most).map("\n".join)


def allocations(
    sizes: st.SearchStrategy[int] | None = None, most: int = 50
) -> st.SearchStrategy[list[tuple[str, int]]]:
    """A sequence for an allocator and its model: `("alloc", size)`, and `("free", n)` for the n-th that is held then.

    A free never names more than what is held.
    """
    steps = st.lists(st.tuples(st.booleans(), sizes or st.integers(1, 4096), st.integers(0, 1 << 16)), max_size=most)

    def made(given: list[tuple[bool, int, int]]) -> list[tuple[str, int]]:
        held, sequence = 0, list[tuple[str, int]]()
        for frees, size, choice in given:
            if frees and held:
                sequence.append(("free", choice % held))
                held -= 1
            else:
                sequence.append(("alloc", size))
                held += 1
        return sequence

    return steps.map(made)
