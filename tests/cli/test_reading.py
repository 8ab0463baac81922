"""How words are read, beside Python's own reader of them."""

from argparse import ArgumentError, ArgumentParser
from functools import cache
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cli.words.reading import Group, Words, count
from emu.errors import ConfigError


@cache
def ours() -> Words:
    words = Words("ekernel try", "A command.")
    words.operand("first", form="FIRST", text="")
    words.operand("second", form="SECOND", text="", many="?", default="none")
    group = Group(words, "options")
    group.flag("-quiet", "--quiet", to="quiet", text="")
    group.value("-m", "--memory", to="memory", form="N", kind=count, text="")
    group.value("-o", to="output", form="NAME", text="", required=True)
    group.values("-drive", to="drives", form="NAME", text="")
    group.constant("-s", to="memory", value="all", text="")
    return words


class Refusing(ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ArgumentError(None, message)


@cache
def pythons() -> ArgumentParser:
    parser = Refusing(add_help=False, allow_abbrev=False)
    parser.add_argument("first")
    parser.add_argument("second", nargs="?", default="none")
    parser.add_argument("-quiet", "--quiet", action="store_true")
    parser.add_argument("-m", "--memory", type=count)
    parser.add_argument("-o", dest="output", required=True)
    parser.add_argument("-drive", dest="drives", action="append", default=[])
    parser.add_argument("-s", dest="memory", action="store_const", const="all")
    return parser


UNITS = (
    "-quiet", "--quiet", "-m 64", "-m64", "-m=64", "--memory=64", "-m many", "--quiet=1", "-o x", "-o=x", "-o=",
    "-drive a=b", "-drive=c", "-s", "--other", "64", "kernel.elf", "x=y",
)  # fmt: skip
"""Python's reader takes no value that begins like an option: each has one here, but for the last."""
LISTS = st.tuples(st.lists(st.sampled_from(UNITS), max_size=7), st.sampled_from(["-m", "-o", "-s", "last"]))


@settings(max_examples=40)
@given(LISTS)
def test_words_mean_what_pythons_reader_takes_them_for(drawn: tuple[list[str], str]) -> None:
    words = " ".join([*drawn[0], drawn[1]]).split(" ")
    try:
        expected = vars(pythons().parse_intermixed_args(words))
    except ArgumentError:
        with pytest.raises(ConfigError):
            ours().read(words, SimpleNamespace())
    else:
        assert vars(ours().read(words, SimpleNamespace())) == expected


def test_a_value_may_begin_like_an_option_and_two_dashes_end_the_options() -> None:
    read = ours().read(["-o", "-quiet", "-drive", "--", "--", "-m", "--quiet"], SimpleNamespace())
    assert (read.output, read.drives, read.first, read.second) == ("-quiet", ["--"], "-m", "--quiet")
    assert read.quiet is False


def test_what_is_there_already_stays_unless_a_word_says_otherwise() -> None:
    read = ours().read(["-o", "x", "f"], SimpleNamespace(memory=5, quiet=True, output="y"))
    assert (read.memory, read.quiet, read.output) == (5, True, "x")
