"""Printing: numbers and formats, called in the guest, against Python's own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.machine import Machine
from tests.kernel.running import text_at

u64 = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1), st.sampled_from([0, 9, 10, (1 << 64) - 1, 1 << 63]))


def printed(machine: Machine, function: str, *arguments: int) -> str:
    before = len(machine.console)
    machine.call(function, *arguments)
    return machine.console[before:].decode()


@settings(max_examples=80, deadline=None)
@given(value=u64)
def test_numbers_print_as_python_writes_them(machine: Machine, value: int) -> None:
    assert printed(machine, "print_hex", value) == hex(value)
    assert printed(machine, "print_decimal", value) == str(value)


@settings(max_examples=60, deadline=None)
@given(
    value=u64,
    width=st.integers(0, 30),
    left=st.booleans(),
    conversion=st.sampled_from(["d", "p", "s"]),
    text=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12),
)
def test_a_width_pads_on_the_side_that_was_asked_for(
    machine: Machine, value: int, width: int, left: bool, conversion: str, text: str
) -> None:
    directive = f"%{'-' * left}{width or ''}{conversion}"
    shown = {"d": str(value), "p": hex(value), "s": text}[conversion]
    argument = text_at(machine, text) if conversion == "s" else value
    expected = shown.ljust(width) if left else shown.rjust(width)
    assert printed(machine, "printf", text_at(machine, f"<{directive}>"), argument) == f"<{expected}>"


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("100%%", (), "100%"),
        ("%c%c%c", (114, 45, 120), "r-x"),
        ("%d %d %d %d %d %d %d", (1, 2, 3, 4, 5, 6, 7), "1 2 3 4 5 6 7"),
        ("%q %d", (5,), "q 5"),
        ("open %", (), "open "),
        ("", (), ""),
    ],
)
def test_formats_print_what_c_would_print(
    machine: Machine, text: str, arguments: tuple[int, ...], expected: str
) -> None:
    assert printed(machine, "printf", text_at(machine, text), *arguments) == expected
