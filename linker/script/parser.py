"""Linker-script text to syntax tree. lark and the grammar are loaded with the first script."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location, ScriptError
from linker.script.syntax import Assignment, Script

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lark import Lark, Token, Tree

_MAX_INCLUDES = 32
_START = ("script", "section_commands", "statements", "regions")


def parse_script(text: str, name: str, include_dirs: Iterable[str | Path] = (), script: Script | None = None) -> Script:
    """Read a linker script, or with `script` one more that adds to it.

    `name` stands in messages; INCLUDE looks in the current directory and then in `include_dirs`.
    Raises ScriptError with file, line and column.

    >>> parse_script("ENTRY(_start)", "kernel.ld").entry
    '_start'
    >>> parse_script("SECTIONS { .text : { *(.text } }", "kernel.ld")
    Traceback (most recent call last):
    ...
    linker.errors.ScriptError: kernel.ld:1:30: error: unexpected '}'
        1 | SECTIONS { .text : { *(.text } }
          |                              ^ expected ')', ',', ':', EXCLUDE_FILE or a name
    """
    return ScriptReader(include_dirs).read(text, name, script)


class ScriptReader:
    """Parses a script and the files that it includes."""

    def __init__(self, include_dirs: Iterable[str | Path] = ()) -> None:
        self.include_dirs = [Path(), *(Path(directory) for directory in include_dirs)]
        self.depth = 0

    def read(self, text: str, name: str, script: Script | None = None) -> Script:
        """A script as a whole, or added to one that was read before. Raises ScriptError."""
        from linker.script.builder import build_script
        from linker.script.expressions import Source

        script = script or Script(name)
        try:
            build_script(self, self.tree(text, name, "script"), Source(name, text.split("\n")), script)
        except RecursionError:
            raise ScriptError([Diagnostic("its statements are nested more than is sensible", Location(name))]) from None
        return script

    def definition(self, symbol: str, expression: str) -> Assignment:
        """The assignment that `--defsym symbol=expression` means. Raises ScriptError."""
        from linker.script.builder import build_script
        from linker.script.expressions import Source

        text = f"{symbol} = {expression};"
        script = Script("--defsym")
        build_script(self, self.tree(text, "--defsym", "script"), Source("--defsym", [text]), script)
        if len(script.statements) != 1 or not isinstance(script.statements[0], Assignment):
            raise ScriptError([Diagnostic(f"not a definition: {text}", Location("--defsym"))])
        return script.statements[0]

    def include(self, name: str, where: Location, start: str) -> tuple[Tree[Token], str, str]:
        """The tree of an included file, its path and its text. Raises ScriptError."""
        if self.depth >= _MAX_INCLUDES:
            raise ScriptError([Diagnostic(f"INCLUDE nested more than {_MAX_INCLUDES} deep", where)])
        for directory in self.include_dirs:
            path = directory / name
            try:
                text = path.read_text(encoding="utf-8", errors="surrogateescape")
            except (OSError, ValueError):
                continue
            return self.tree(text, str(path), start), str(path), text
        hint = "it is looked for in the current directory and in those of -L"
        raise ScriptError([Diagnostic(f"cannot find the file '{name}'", where, hint=hint)])

    def tree(self, text: str, name: str, start: str) -> Tree[Token]:
        """Parse one file as the given rule. Raises ScriptError."""
        from lark.exceptions import UnexpectedCharacters, UnexpectedToken

        if "\0" in text:
            raise ScriptError([Diagnostic("not a linker script: it holds binary data", Location(name))])
        try:
            return _parser().parse(text, start=start)
        except UnexpectedToken as error:
            found = str(error.token)
            if found and error.token.start_pos is not None and text.startswith("/*", error.token.start_pos):
                found = "/*"
            raise _syntax_error(text, name, error.line, error.column, found, error.accepts or ()) from None
        except UnexpectedCharacters as error:
            found = text[error.pos_in_stream :][:2]
            raise _syntax_error(text, name, error.line, error.column, found, error.allowed or ()) from None


@cache
def _parser() -> Lark:
    from lark import Lark

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", start=list(_START), maybe_placeholders=True, cache=_cache_file() or False)


def _cache_file() -> str | None:
    """Where lark keeps the parser's tables: making them takes longer than most links. None: nowhere.

    In the user's own directory, because whoever can write the file can run code. lark checks that the tables
    belong to this grammar and version, and makes them anew when they do not.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - as a string
    directory = Path(home) / "ekernel"
    if not directory.is_absolute():
        return None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return str(directory / "linker-script.lark-tables") if os.access(directory, os.W_OK) else None


def _syntax_error(text: str, name: str, line: int, column: int, found: str, expected: Iterable[str]) -> ScriptError:
    lines = text.split("\n")
    if not found:
        line, column = len(lines), len(lines[-1]) + 1
        while line > 1 and not lines[line - 1].strip():
            line -= 1
            column = len(lines[line - 1]) + 1
        message = "unexpected end of the file"
    elif found == "/*":
        message, expected = "a comment that does not end", ()
    elif found[0] == '"' and len(found) < 3:
        message, expected = "a string that does not end", ()
    else:
        message = f"unexpected '{found if len(found) > 2 or found.isalnum() else found[0]}'"
    source_line = lines[line - 1] if 0 < line <= len(lines) else ""
    hint = _expectation(expected)
    return ScriptError([Diagnostic(message, Location(name, line, column, source_line), hint=hint)])


def _expectation(tokens: Iterable[str]) -> str:
    """What could have stood there, in words, when that is few things.

    >>> _expectation(["SEMICOLON", "BINARY"])
    "expected ';' or an operator"
    """
    words = {_TOKEN_WORDS.get(token, token) for token in tokens} - {""}
    if not words:
        return ""
    if len(words) > _MAX_EXPECTED:
        kinds = [word for word in ("a name", "a symbol", "a number") if word in words]
        return f"expected {' or '.join(kinds)} here" if kinds else ""
    ordered = sorted(words, key=lambda word: (word[0] != "'", word[0].islower(), word))
    return "expected " + (", ".join(ordered[:-1]) + " or " + ordered[-1] if len(ordered) > 1 else ordered[0])


_MAX_EXPECTED = 6
_TOKEN_WORDS = {
    "NAME": "a name",
    "SYMBOL": "a symbol",
    "NUMBER": "a number",
    "STRING": "",
    "BINARY": "an operator",
    "UNARY": "",
    "REVERSE": "",
    "SORT": "",
    "SORT_BY_NAME": "",
    "SORT_BY_ALIGNMENT": "",
    "SORT_BY_INIT_PRIORITY": "",
    "SORT_NONE": "",
    "LOCATION_COUNTER": "",
    "ASSIGN": "'='",
    "UPDATE": "",
    "ATTRIBUTES": "attributes such as rwx",
    "QMARK": "",
    "LPAR": "'('",
    "RPAR": "')'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "COLON": "':'",
    "SEMICOLON": "';'",
    "COMMA": "','",
    "MORETHAN": "'>'",
    "$END": "",
}
