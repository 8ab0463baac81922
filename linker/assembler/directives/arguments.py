"""How the arguments of directives are read: strings with escapes, names, optional numbers."""

import re
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.instructions import split_operands

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

_SIMPLE = {"b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, '"': 34, "\\": 92}
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]+)|(.))", re.DOTALL)
_STRING = re.compile(r'\s*"((?:[^"\\]++|\\.)*+)"\s*')
_NAME = re.compile(r'[A-Za-z_.$][\w.$]*|"[^"]+"')


def unescape(body: str) -> bytes:
    r"""The bytes of a string constant without its quotes (GNU as manual, "Strings").

    >>> unescape(r"a\n\101\x41")
    b'a\nAA'
    """
    if "\\" not in body:
        return body.encode("utf-8", "surrogateescape")
    result = bytearray()
    position = 0
    for match in _ESCAPE.finditer(body):
        result += body[position : match.start()].encode("utf-8", "surrogateescape")
        position = match.end()
        if match[1]:
            result.append(int(match[1], 8) & 0xFF)
        elif match[2]:
            result.append(int(match[2], 16) & 0xFF)
        else:
            code = _SIMPLE.get(match[3])
            result += match[3].encode("utf-8", "surrogateescape") if code is None else bytes([code])
    return bytes(result + body[position:].encode("utf-8", "surrogateescape"))


def strings(text: str) -> list[list[bytes]]:
    """Strings separated by commas; several without a comma between them belong together.

    Raises:
        StatementError: something else stands there.

    """
    groups: list[list[bytes]] = [[]]
    position = 0
    while position < len(text):
        match = _STRING.match(text, position)
        if match is None:
            raise StatementError("expected a string in double quotes", text[position:].strip())
        groups[-1].append(unescape(match[1]))
        position = match.end()
        if position < len(text) and text[position] == ",":
            groups.append([])
            position += 1
    if not groups[-1]:
        raise StatementError("expected a string in double quotes")
    return groups


def one_string(text: str) -> str:
    """Exactly one string, as text."""
    groups = strings(text)
    if len(groups) != 1 or len(groups[0]) != 1:
        raise StatementError("expected one string in double quotes", text)
    return groups[0][0].decode("utf-8", "surrogateescape")


def name(text: str) -> str:
    """A symbol's name, with or without quotes.

    Raises:
        StatementError: it is none.

    """
    text = text.strip()
    if not _NAME.fullmatch(text):
        raise StatementError(f"{text!r} is not a symbol name" if text else "a symbol name is missing", text)
    return text.strip('"')


def names(text: str) -> list[str]:
    """Names separated by commas."""
    return [name(part) for part in text.strip().split(",")]


def fields(text: str, least: int, most: int, form: str) -> list[str]:
    """Arguments separated by commas, with empty ones at the end added up to the most that there may be.

    Raises:
        StatementError: there are too few or too many.

    """
    parts = split_operands(text)
    if not least <= len(parts) <= most or (least and not parts[0]):
        raise StatementError(f"{len(parts)} arguments do not fit here", text, f"expected '{form}'")
    return parts + [""] * (most - len(parts))


def optional_number(assembly: "Assembly", text: str, default: int) -> int:
    """An absolute expression, or the default where nothing is written."""
    return assembly.absolute(text) if text else default
