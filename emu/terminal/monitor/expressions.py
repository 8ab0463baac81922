"""Numbers as QEMU's monitor reads them: C's literals, registers, symbols and operators."""

import re
from collections.abc import Callable

from emu.errors import ConfigError

_TOKEN = re.compile(r"\s*(0[xX][0-9a-fA-F]+|\d+|'[^']'|\$?[A-Za-z_.][\w.$]*|[-+*/%&|^~()])")
_MASK = (1 << 64) - 1
_SUM, _LOGIC, _PRODUCT = "+-", "&|^", "*/%"
_LEVELS = (_SUM, _LOGIC, _PRODUCT)
"""From loose to tight, as in QEMU, where `1 + 2 & 3` is `1 + (2 & 3)`."""


def evaluate(text: str, names: Callable[[str], int]) -> int:
    """The value, modulo 2**64; `names` gives registers (`$pc`) and symbols. Raises ConfigError.

    >>> evaluate("0x10 + 2 * ('a' - 96) & 3", {}.__getitem__), evaluate("-1", {}.__getitem__) == 2**64 - 1
    (18, True)
    """
    tokens: list[str] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConfigError(f"unexpected '{text[at:].strip()}'")
        tokens.append(match[1])
        at = match.end()
    reader = _Reader(tokens, names)
    value = reader.value(0)
    if reader.next():
        raise ConfigError(f"unexpected '{reader.next()}'")
    return value


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[str], names: Callable[[str], int]) -> None:
        self._tokens, self._names = tokens[::-1], names

    def next(self) -> str:
        """The word that comes, or nothing."""
        return self._tokens[-1] if self._tokens else ""

    def value(self, level: int) -> int:
        """An expression of operators from this level on."""
        if level == len(_LEVELS):
            return self._unary()
        left = self.value(level + 1)
        while self.next() and self.next() in _LEVELS[level]:
            left = _apply(self._tokens.pop(), left, self.value(level + 1))
        return left

    def _unary(self) -> int:
        if not self._tokens:
            raise ConfigError("an address or number is missing")
        word = self._tokens.pop()
        if word == "(":
            value = self.value(0)
            if not self._tokens or self._tokens.pop() != ")":
                raise ConfigError("')' expected")
            return value
        if word in ("+", "-", "~"):
            value = self._unary()
            return {"+": value, "-": -value, "~": ~value}[word] & _MASK
        if word[0] == "'":
            return ord(word[1])
        if word[0].isdigit():
            octal = len(word) > 1 and word.isdigit() and word[0] == "0"
            try:
                return int(word, 8 if octal else 0) & _MASK
            except ValueError:
                raise ConfigError(f"'{word}' is not a number") from None
        if word[0] in "*/%&|^)":
            raise ConfigError(f"unexpected '{word}'")
        return self._names(word) & _MASK


def _apply(operator: str, left: int, right: int) -> int:
    if operator in "/%" and right == 0:
        raise ConfigError("division by zero")
    result = {
        "+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right,
        "/": lambda: left // right, "%": lambda: left % right,
        "&": lambda: left & right, "|": lambda: left | right, "^": lambda: left ^ right,
    }[operator]()  # fmt: skip
    return result & _MASK
