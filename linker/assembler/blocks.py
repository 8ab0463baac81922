r"""Blocks of lines that are read again: macros and their calls, and repetitions."""

from collections.abc import Callable
from typing import Protocol

from linker.assembler.conditionals import Conditionals
from linker.assembler.diagnostics import StatementError
from linker.assembler.directives.arguments import names
from linker.assembler.macros import (
    MAX_EXPANSION,
    Macro,
    parse_definition,
    split_arguments,
    substitute,
    substitute_alternate,
    take_argument,
)
from linker.assembler.source import Mark, Origin
from linker.assembler.state import Assembly


class LineReader(Protocol):
    """Whoever reads the lines."""

    def take_block(self, kind: str) -> list[str]:
        """The lines up to the end of a block that has just begun."""

    def run(self, origin: Origin) -> None:
        """Read lines now, and go on behind the block afterwards."""

    def inside_expansion(self) -> bool:
        """Whether the lines being read come from a macro or a repetition."""


class ExitMacro(Exception):
    """`.exitm`: the rest of the macro does not count."""


class Blocks:
    """The macros of a source, and what their calls and its repetitions become."""

    def __init__(self, assembly: Assembly, conditionals: Conditionals, reader: LineReader) -> None:
        self.macros: dict[str, Macro] = {}
        """By name in small letters, as GNU does not tell capitals apart."""
        self._assembly = assembly
        self._conditionals = conditionals
        self._reader = reader
        self._expansions = 0
        self._produced = 0
        """Characters so far."""
        self._alternate = False
        """`.altmacro` is on."""
        self._locals = 1
        self.directives: dict[str, Callable[[str], None]] = {
            ".macro": self._define, ".endm": self._stray, ".endmacro": self._stray, ".purgem": self._purge,
            ".exitm": self._exit, ".rept": self._repeat, ".rep": self._repeat, ".endr": self._stray,
            ".irp": self._repeat_for, ".irpc": self._repeat_for_characters,
            ".irep": self._repeat_for, ".irepc": self._repeat_for_characters, ".mexit": self._exit,
            ".altmacro": self._start_alternate, ".noaltmacro": self._end_alternate,
        }  # fmt: skip

    def spend(self, size: int, part: str = "") -> None:
        """Count characters to be read in addition to the source itself.

        Raises:
            StatementError: they are more than is sensible.

        """
        if self._produced + size > MAX_EXPANSION:
            raise StatementError(
                f"macros, repetitions and included files produce more than {MAX_EXPANSION} characters", part
            )
        self._produced += size

    def _define(self, text: str) -> None:
        mark = self._assembly.mark
        body = self._reader.take_block(".macro")
        macro = parse_definition(text, mark)
        macro.body = body
        if macro.name.lower() in self.macros:
            raise StatementError(
                f"macro {macro.name!r} is already defined", macro.name, "remove it with '.purgem' first"
            )
        self.macros[macro.name.lower()] = macro
        for cache in self._assembly.caches.values():
            cache.clear()  # a macro may have an instruction's name

    def expand(self, macro: Macro, text: str) -> None:
        """Read what a call of a macro becomes."""
        mark = self._assembly.mark
        if self._alternate:
            values = macro.arguments(text, self._evaluate)
            lines, self._locals = substitute_alternate(macro.body, values, self._expansions, self._locals)
        else:
            lines = substitute(macro.body, macro.arguments(text), self._expansions)
        self._expansions += 1
        self._run_expansion(lines, macro.mark, f"in macro {macro.name!r}, called here", mark, exits=True)

    def _evaluate(self, text: str) -> tuple[int, str]:
        """The number at the start of a text, and the rest, for `%` in macro arguments."""
        expression, rest = self._assembly.expression_prefix(text)
        value = self._assembly.known(expression)
        if value is None:
            raise StatementError(f"the value of {text!r} is not known here", text, "expected an absolute expression")
        return value, rest

    def _run_expansion(self, lines: list[str], start: Mark, what: str, caller: Mark, *, exits: bool) -> None:
        self.spend(sum(map(len, lines)) + len(lines))
        depth = self._conditionals.depth
        try:
            self._reader.run(Origin(start.origin.file, lines, start.line + 1, caller, what))
        except ExitMacro:
            self._conditionals.close_down_to(depth)
            if not exits:
                raise
        self._assembly.mark = caller

    def _repeat(self, text: str) -> None:
        mark = self._assembly.mark
        body = self._reader.take_block(".rept")
        count = self._assembly.absolute(text)
        if count < 0:
            raise StatementError(f"count {count} is negative", text)
        if count * (sum(map(len, body)) + len(body) + 1) > MAX_EXPANSION:
            self.spend(MAX_EXPANSION + 1, text)  # say so before the first of many
        for _ in range(count):
            self._run_expansion(substitute(body, {}, None), mark, "repeated from here", mark, exits=False)

    def _repeat_for(self, text: str) -> None:
        mark = self._assembly.mark
        body = self._reader.take_block(".rept")
        symbol, rest = take_argument(text)
        self._repeat_each(symbol.lstrip("\\"), split_arguments(rest) or [""], body, mark)

    def _repeat_for_characters(self, text: str) -> None:
        mark = self._assembly.mark
        body = self._reader.take_block(".rept")
        symbol, rest = take_argument(text)
        characters = take_argument(rest)[0] if rest.startswith('"') else "".join(rest.split())
        self._repeat_each(symbol.lstrip("\\"), list(characters) or [""], body, mark)

    def _repeat_each(self, symbol: str, values: list[str], body: list[str], mark: Mark) -> None:
        names(symbol)
        for value in values:
            lines = substitute(body, {symbol: value}, None)
            self._run_expansion(lines, mark, f"repeated from here with {symbol} = {value}", mark, exits=False)

    def _purge(self, text: str) -> None:
        for name in names(text):
            if self.macros.pop(name.lower(), None) is None:
                raise StatementError(f"there is no macro {name!r}", name)

    def _exit(self, text: str) -> None:
        if not self._reader.inside_expansion():
            raise StatementError("'.exitm' outside a macro", text)
        raise ExitMacro

    def _stray(self, text: str) -> None:
        raise StatementError("this ends nothing: no '.macro', '.rept' or '.irp' is open", text)

    def _start_alternate(self, text: str) -> None:  # noqa: ARG002
        self._alternate = True

    def _end_alternate(self, text: str) -> None:  # noqa: ARG002
        self._alternate = False
