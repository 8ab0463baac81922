"""Reading the words behind a command: options in QEMU's and GNU's spelling, with groups in the help."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from emu.cli.words.asked import Asked
from emu.counted import number_in
from emu.errors import ConfigError
from emu.hints import TYPE_CHECKING, TypeVar
from emu.spelling import nearest

if TYPE_CHECKING:
    from pathlib import Path

N = TypeVar("N")


class Words:
    """What one command takes. `elsewhere` says of words that it does not have what to write instead.

    >>> from types import SimpleNamespace
    >>> words = Words("ekernel run", "Boot.")
    >>> Group(words, "options").value("-m", to="memory", form="SIZE", text="RAM.")
    >>> words.read(["-m64M"], SimpleNamespace()).memory
    '64M'
    """

    def __init__(
        self, command: str, description: str, *, operands: str = "", elsewhere: Mapping[str, str] | None = None
    ) -> None:
        self.command, self.description, self.usage = command, description, f"{command} [OPTIONS]{operands}"
        self._elsewhere = elsewhere or {}
        self.operands: list[Asked] = []
        self.groups: list[tuple[str, list[Asked]]] = []
        self._options: dict[str, Asked] = {}

    def operand(
        self, to: str, *, form: str, text: str, kind: Callable[[str], object] = str, many: str = "",
        default: object = None,
    ) -> None:  # fmt: skip
        """A word that is no option; `many` is ? where it may be missing, + where more may follow."""
        asked = Asked(to=to, form=form, text=text, kind=kind, default=default, many=many, required=many != "?")
        self.operands.append(asked)

    def add(self, group: list[Asked], option: Asked) -> None:
        """Take an option from here on; the help shows it in a group of `groups`."""
        group.append(option)
        self._options.update(dict.fromkeys(option.names, option))

    def options(self) -> Mapping[str, Asked]:
        """Each option by each of its spellings."""
        return self._options

    def read(self, words: Sequence[str], into: N) -> N:
        """Set an attribute of `into` for all that can be asked. Raises ConfigError for words that mean nothing here."""
        if "-h" in words or "--help" in words:
            from emu.cli.words.help import print_help

            print_help(self.command, self.usage, self.description, self.operands, self.groups)
            raise SystemExit(0)
        every = [*self.operands, *dict.fromkeys(self._options.values())]
        for asked in every:
            if not hasattr(into, asked.to):
                setattr(into, asked.to, [] if asked.many == "+" else asked.default)
        seen, left = self._read(words, into)
        missing = [asked.called for asked in every if asked.required and asked not in seen]
        if missing:
            raise self._wrong(f"the following arguments are required: {', '.join(missing)}")
        if left:
            raise self._wrong(f"unrecognized arguments: {' '.join(left)}")
        return into

    def _read(self, words: Sequence[str], into: object) -> tuple[set[Asked], list[str]]:
        """Read all words: what was seen, and operands that there is no place for."""
        seen: set[Asked] = set()
        operands: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                operands += rest
            elif len(word) > 1 and word.startswith("-"):
                option, value = self._option(word)
                seen.add(option)
                self._take(option, value, rest, into)
            else:
                operands.append(word)
        for operand in self.operands:
            while operands and (operand.many == "+" or operand not in seen):
                seen.add(operand)
                self._take(operand, operands.pop(0), rest, into)
        return seen, operands

    def _option(self, word: str) -> tuple[Asked, str | None]:
        """An option, and the value that is joined to it: as in `-m=256M`, or `-m256M` where it has one letter."""
        name, is_pair, value = word.partition("=")
        option = self._options.get(name)
        if option is not None:
            return option, value if is_pair else None
        option = self._options.get(word[:2])
        if option is not None and option.form and word[2:3].isdigit():  # no word of QEMU goes on like that
            return option, word[2:]
        raise ConfigError(f"{name}: there is no such option here; {self._hint(name)}")

    def _take(self, asked: Asked, value: str | None, rest: Iterator[str], into: object) -> None:
        """Set what was asked for; the value of an option may be the next word."""
        if not asked.form:
            if value is not None:
                raise self._wrong(f"{asked.called}: ignored explicit argument '{value}'")
            setattr(into, asked.to, asked.given)
            return
        word = next(rest, None) if value is None else value
        if word is None:
            raise self._wrong(f"{asked.called}: a value must follow")
        if not word and asked.names_file:
            raise ConfigError(f"{asked.called}: which file? The word is empty")
        try:
            meant = asked.kind(word)
        except ValueError as error:
            raise self._wrong(f"{asked.called}: {error}") from None
        setattr(into, asked.to, [*getattr(into, asked.to), meant] if asked.many == "+" else meant)

    def _wrong(self, text: str) -> ConfigError:
        return ConfigError(f"{text}; {self.command} -h lists the options")

    def _hint(self, word: str) -> str:
        near = nearest(word, self._options) or nearest(f"-{word}", self._options)
        fallback = f"did you mean {near}?" if near else f"{self.command} --help lists those there are"
        return self._elsewhere.get(word) or fallback


def written(value: str) -> str:
    """A value as it stands behind its option in a message, where the empty one is to be seen, too."""
    return value or "''"


def file(text: str) -> "Path":
    """The path of a file: whoever names none does not load `pathlib`."""
    from pathlib import Path

    return Path(text)


def count(text: str) -> int:
    """A number of things, from 0. Raises ValueError, with a text for whoever wrote another."""
    number = number_in(text)
    if number is None:
        raise ValueError(f"'{text}' is not a number from 0 on")
    return number


def seconds(text: str) -> float:
    """A time, more than 0. Raises ValueError, with a text for whoever wrote another."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number of seconds") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"{text}: give more than 0 seconds")
    return value


def one_of(*known: str) -> Callable[[str], str]:
    """A word out of a few."""

    def check(text: str) -> str:
        if text not in known:
            raise ValueError(f"'{text}': there are {', '.join(known)}")
        return text

    return check


class Group:
    """Adds options to a group of the help."""

    def __init__(self, words: Words, title: str) -> None:
        self._words, self._group = words, list[Asked]()
        words.groups.append((title, self._group))

    def flag(self, *names: str, to: str, text: str) -> None:
        """An option without a value."""
        self._words.add(self._group, Asked(*names, to=to, text=text, default=False, given=True))

    def constant(self, name: str, *, to: str, value: str, text: str) -> None:
        """An option that stands for another one with a value."""
        self._words.add(self._group, Asked(name, to=to, text=text, given=value))

    def value(
        self, *names: str, to: str, form: str, text: str, kind: Callable[[str], object] = str, default: object = None,
        required: bool = False,
    ) -> None:  # fmt: skip
        """An option with a value; of two the last counts."""
        option = Asked(*names, to=to, form=form, text=text, kind=kind, default=default, required=required)
        self._words.add(self._group, option)

    def values(self, *names: str, to: str, form: str, text: str, kind: Callable[[str], object] = str) -> None:
        """An option that can be repeated."""
        self._words.add(self._group, Asked(*names, to=to, form=form, text=text, kind=kind, many="+"))


def add_help(words: Words, title: str = "Help") -> None:
    """The option that every command has."""
    Group(words, title).flag("-h", "--help", to="help", text="Show this.")
