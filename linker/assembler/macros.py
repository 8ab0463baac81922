r"""Macros: definitions, arguments as GNU `as` separates them, and the text that a call becomes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from linker.assembler.diagnostics import StatementError
from linker.assembler.source import Mark

_NAME = re.compile(r"\s*([A-Za-z_.$][\w.$]*)\s*,?\s*")
_PARAMETER = re.compile(r"\s*([A-Za-z_$][\w$]*)\s*(?::\s*(\w+))?\s*(?:=\s*)?")
_SPACE = re.compile(r"\s+")
_SUBSTITUTION = re.compile(r"\\(?:\(\)|@|\+|([A-Za-z_$][\w$]*))")
_LOCAL = re.compile(r"\s*LOCAL\s+(.*)", re.IGNORECASE)
_SYMBOL_CHARACTERS = frozenset('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$\\@"%')

MAX_EXPANSION = 5_000_000
"""Characters that macros and repetitions may produce in all; more is taken for a mistake in the source."""


Evaluate = Callable[[str], tuple[int, str]]
"""Computes an expression at the start of a text; also gives what follows it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A formal argument."""

    name: str
    default: str = ""
    required: bool = False
    variable: bool = False
    """Takes all that is left of the call."""


@dataclass(slots=True)
class Macro:
    """A defined macro."""

    name: str
    parameters: list[Parameter]
    body: list[str]
    mark: Mark
    """Its `.macro` line."""

    def arguments(self, text: str, evaluate: Evaluate | None = None) -> dict[str, str]:
        """The values of the parameters in a call; `evaluate` is there in the alternate syntax and computes `%1+2`.

        Raises:
            StatementError: too many, an unknown keyword, or a required one is missing.

        """
        values: dict[str, str] = {}
        position = 0
        names = {parameter.name for parameter in self.parameters}
        rest = text.strip()
        while rest:
            keyword = re.match(r"([A-Za-z_$][\w$]*)\s*=(?!=)\s*", rest)
            if keyword and keyword[1] in names:
                values[keyword[1]], rest = take_argument(rest[keyword.end() :], evaluate)
                continue
            if position >= len(self.parameters):
                raise StatementError(
                    f"macro {self.name!r} takes at most {len(self.parameters)} argument"
                    f"{'s' * (len(self.parameters) != 1)}; one too many: {rest!r}",
                    rest,
                )
            parameter = self.parameters[position]
            position += 1
            if parameter.variable:
                values[parameter.name], rest = rest, ""
            else:
                values[parameter.name], rest = take_argument(rest, evaluate)
        for parameter in self.parameters:
            if not values.get(parameter.name):
                if parameter.required:
                    raise StatementError(f"macro {self.name!r} needs a value for {parameter.name!r}", self.name)
                values[parameter.name] = parameter.default
        return values


_COMMA = re.compile(r"\s*,?")


def parse_definition(text: str, mark: Mark) -> Macro:
    """Read what follows `.macro`; the body is added later.

    Raises:
        StatementError: the name or a parameter is malformed.

    """
    match = _NAME.match(text)
    if match is None:
        raise StatementError("the macro's name is missing", text, "expected '.macro name parameter, ...'")
    parameters: dict[str, Parameter] = {}
    rest, begin = text[match.end() :].strip().removeprefix("(").removesuffix(")").rstrip(), 0
    while begin < len(rest):
        parameter = _PARAMETER.match(rest, begin)
        if parameter is None:
            raise StatementError(f"{rest[begin:].strip()!r} is not a parameter", rest[begin:].strip())
        name, qualifier = parameter[1], parameter[2]
        if qualifier not in (None, "req", "vararg"):
            raise StatementError(f"unknown qualifier {qualifier!r} of {name!r}", qualifier, "known: req, vararg")
        if name in parameters:
            raise StatementError(f"parameter {name!r} is there twice", name)
        default, begin = "", parameter.end()
        if parameter[0].rstrip().endswith("="):
            default, after = take_argument(rest[begin:])
            begin = len(rest) - len(after)
        else:
            begin = _COMMA.match(rest, begin).end()  # type: ignore[union-attr]  # it matches everywhere
        parameters[name] = Parameter(name, default, qualifier == "req", qualifier == "vararg")
    return Macro(match[1], list(parameters.values()), [], mark)


def take_argument(text: str, evaluate: Evaluate | None = None) -> tuple[str, str]:
    """One argument at the start of a text, and what follows the comma or space behind it.

    Space separates only where no operator joins the words; quotes are taken off, and brackets keep together.

    >>> take_argument("a0 8(sp)"), take_argument("1 + 2, x"), take_argument('"a, b" c')
    (('a0', '8(sp)'), ('1+2', 'x'), ('a, b', 'c'))
    """
    text = text.lstrip()
    if evaluate is not None and text.startswith("%"):
        value, rest = evaluate(text[1:])
        return str(value), _behind_comma(rest)
    if evaluate is not None and text.startswith("<"):
        return _angle_text(text)
    if text.startswith('"'):
        end = _closing_quote(text)
        return text[1 : end - 1], _behind_comma(text[end:])
    result: list[str] = []
    depth = 0
    index = 0
    while index < len(text):
        character = text[index]
        if character == '"':
            end = index + _closing_quote(text[index:])
            result.append(text[index:end])
            index = end
            continue
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and depth <= 0:
            return "".join(result), text[index + 1 :].lstrip()
        elif character.isspace():
            rest = text[index:].lstrip()
            joined = (
                not rest or rest[0] not in _SYMBOL_CHARACTERS or (result and result[-1][-1] not in _SYMBOL_CHARACTERS)
            )
            if not joined or (joined and rest and result and result[-1][-1] in ")'" and rest[0] in _SYMBOL_CHARACTERS):
                if depth <= 0:
                    return "".join(result), rest
                result.append(" ")
            index = len(text) - len(rest)
            continue
        result.append(character)
        index += 1
    return "".join(result), ""


def _behind_comma(text: str) -> str:
    return text.lstrip().removeprefix(",").lstrip()


def _angle_text(text: str) -> tuple[str, str]:
    """`<text>` of the alternate syntax, where `!` takes the next character as it is."""
    depth = 0
    result: list[str] = []
    index = 0
    while index < len(text):
        character = text[index]
        index += 1
        if character == "!" and index < len(text):
            result.append(text[index])
            index += 1
            continue
        depth += (character == "<") - (character == ">")
        if depth == 0:
            break
        result.append(character)
    return "".join(result[1:]).strip(), _behind_comma(text[index:])


def _closing_quote(text: str) -> int:
    """Where a string ends that starts the text: the index behind its closing quote."""
    index = 1
    while index < len(text) and text[index] != '"':
        index += 2 if text[index] == "\\" else 1
    return min(index + 1, len(text))


def split_arguments(text: str) -> list[str]:
    """All arguments of a text, as `.irp` takes them."""
    result: list[str] = []
    rest = text.strip()
    while rest:
        argument, rest = take_argument(rest)
        result.append(argument)
    return result


def substitute(lines: list[str], values: Mapping[str, str], count: int | None) -> list[str]:
    r"""Replace `\name` by its value, `\@` by a number of this expansion, and `\()` by nothing.

    >>> substitute([r"l\@: addi \r, \r\().x, 1"], {"r": "a0"}, 7)
    ['l7: addi a0, a0.x, 1']
    """
    text = "\n".join(lines)
    if "\\" not in text:
        return lines

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            if match[0] == "\\@":
                return match[0] if count is None else str(count)
            return "" if match[0] == "\\()" else match[0]
        return values.get(name, match[0])

    return _SUBSTITUTION.sub(replacement, text).split("\n")


def substitute_alternate(
    lines: list[str], values: Mapping[str, str], count: int, first_local: int
) -> tuple[list[str], int]:
    r"""As `substitute`, in the alternate syntax: names need no `\`, and `LOCAL` makes new ones.

    Also gives the number for the next local name.
    """
    names = dict(values)
    while lines and (match := _LOCAL.match(lines[0])):
        for name in re.split(r"[,\s]+", match[1].strip()):
            names[name] = f".LL{first_local:04x}"
            first_local += 1
        lines = lines[1:]
    lines = substitute(lines, names, count)
    if not names:
        return lines, first_local
    pattern = re.compile(rf"(?<![\w.$])(?:{'|'.join(map(re.escape, names))})(?![\w.$])")
    text = pattern.sub(lambda match: names[match[0]], "\n".join(lines))
    return text.split("\n"), first_local
