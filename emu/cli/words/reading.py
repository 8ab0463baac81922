"""Reading the words behind a command: options in QEMU's and GNU's spelling, with groups in the help."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn, TypeVar

from emu.errors import ConfigError
from emu.spelling import nearest

N = TypeVar("N")


class _Help(argparse.HelpFormatter):
    """Leaves room for QEMU's long words."""

    def __init__(self, prog: str, width: int | None = None) -> None:
        super().__init__(prog, max_help_position=30, width=width)


def _unseen(prog: str) -> _Help:
    """What options are tried with when they are declared: to ask for the terminal's width would load a library."""
    return _Help(prog, width=80)


class Words(argparse.ArgumentParser):
    """The options of one command. `elsewhere` says of words that it does not have what to write instead.

    >>> words = Words("ekernel run", "Boot.")
    >>> _ = words.add_argument("-m", metavar="SIZE"); words.read(["-m64M"], argparse.Namespace()).m
    '64M'
    """

    def __init__(
        self, command: str, description: str, *, operands: str = "", elsewhere: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            prog=command,
            usage=f"{command} [OPTIONS]{operands}",
            description=description,
            add_help=False,
            allow_abbrev=False,
            formatter_class=_unseen,
        )
        self._command, self._elsewhere = command, elsewhere or {}

    def read(self, words: Sequence[str], into: N) -> N:
        """Set an attribute of `into` for each option. Raises ConfigError for a word that means nothing here."""
        if "-h" in words or "--help" in words:
            self.formatter_class = _Help
            self.print_help()
            raise SystemExit(0)
        return self.parse_args(list(self._joined(words)), namespace=into)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError instead of ending the process."""
        text = message.removeprefix("argument ").replace("expected one argument", "a value must follow")
        raise ConfigError(f"{text}; {self._command} -h lists the options")

    def options(self) -> dict[str, argparse.Action]:
        """Each option by each of its spellings."""
        return self._option_string_actions

    def _joined(self, words: Sequence[str]) -> Iterator[str]:
        """The words with each value joined to its option: argparse takes a value like `-quiet` for an option."""
        options = self.options()
        rest = iter(words)
        for word in rest:
            name, is_pair, _ = word.partition("=")
            if word == "--":
                yield word
                yield from rest
            elif name in options:
                takes_value = options[name].nargs is None
                value = None if is_pair or not takes_value else next(rest, None)
                yield word if value is None else f"{name}={value}"
            elif len(word) > 1 and word.startswith("-") and not self._is_joined(word):
                raise ConfigError(f"{name}: there is no such option here; {self._hint(name)}")
            else:
                yield word

    def _is_joined(self, word: str) -> bool:
        """Whether a value is joined to an option of one letter, as in `-m256M`: no word of QEMU goes on like that."""
        option = self.options().get(word[:2])
        return option is not None and option.nargs is None and word[2:3].isdigit()

    def _hint(self, word: str) -> str:
        options = self.options()
        near = nearest(word, options) or nearest(f"-{word}", options)
        fallback = f"did you mean {near}?" if near else f"{self._command} --help lists those there are"
        return self._elsewhere.get(word) or fallback


def count(text: str) -> int:
    """A number of things, from 0."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 on")
    return int(text)


def seconds(text: str) -> float:
    """A time, more than 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: give more than 0 seconds")
    return value


def one_of(*known: str) -> Callable[[str], str]:
    """A word out of a few."""

    def check(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"'{text}': there are {', '.join(known)}")
        return text

    return check


class Group:
    """Adds options to a group of the help."""

    def __init__(self, words: Words, title: str) -> None:
        self._group = words.add_argument_group(title)

    def flag(self, *names: str, to: str, text: str) -> None:
        """An option without a value."""
        self._group.add_argument(*names, dest=to, action="store_true", help=text)

    def constant(self, name: str, *, to: str, value: str, text: str) -> None:
        """An option that stands for another one with a value."""
        self._group.add_argument(name, dest=to, action="store_const", const=value, help=text)

    def value(self, *names: str, to: str, form: str, text: str, kind: object = str, default: object = None) -> None:
        """An option with a value; of two the last counts."""
        self._group.add_argument(*names, dest=to, metavar=form, help=text, type=kind, default=default)  # type: ignore[arg-type]  # what argparse calls

    def values(self, *names: str, to: str, form: str, text: str, kind: object = str) -> None:
        """An option that can be repeated."""
        self._group.add_argument(*names, dest=to, metavar=form, help=text, type=kind, action="append", default=[])  # type: ignore[arg-type]  # what argparse calls


def add_help(words: Words) -> None:
    """The option that every command has."""
    Group(words, "Help").flag("-h", "--help", to="help", text="Show this.")
