"""Conditional assembly: `.if` and its kin, nested, with `.elseif`, `.else` and `.endif`."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives.arguments import name
from linker.assembler.instructions import split_operands
from linker.assembler.source import Mark
from linker.assembler.state import Assembly


@dataclass(slots=True)
class _Conditional:
    mark: Mark
    outer_active: bool
    active: bool
    taken: bool
    """A branch was true already."""
    else_seen: bool = False


class Conditionals:
    """Which statements count."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._stack: list[_Conditional] = []
        self.skipping = False

    @property
    def depth(self) -> int:
        """How many conditionals are open."""
        return len(self._stack)

    def handle(self, directive: str, text: str) -> bool:
        """Take a conditional directive; false when it is none."""
        if directive in (".else", ".elseif", ".endif"):
            self._continue(directive, text)
        elif directive in _TESTS:
            if self.skipping:
                self._push(result=False)
            else:
                try:
                    result = _TESTS[directive](self._assembly, text)
                except StatementError:
                    self._push(result=False)  # so that its `.endif` is not an error of its own
                    raise
                self._push(result=result)
        else:
            return False
        return True

    def _push(self, *, result: bool) -> None:
        outer = not self.skipping
        self._stack.append(_Conditional(self._assembly.mark, outer, outer and result, result))
        self.skipping = not self._stack[-1].active

    def _continue(self, directive: str, text: str) -> None:
        if not self._stack:
            raise StatementError(f"{directive!r} without '.if' before it", directive)
        top = self._stack[-1]
        if directive == ".endif":
            self._stack.pop()
            self.skipping = not top.outer_active
            return
        if top.else_seen:
            raise StatementError(f"{directive!r} after '.else'", directive)
        top.else_seen = directive == ".else"
        result = False
        if top.outer_active and not top.taken:
            result = directive == ".else" or _TESTS[".if"](self._assembly, text)
        top.active, top.taken = result, top.taken or result
        self.skipping = not top.active

    def close_down_to(self, depth: int) -> None:
        """Forget the conditionals that a macro opened, as `.exitm` does."""
        while len(self._stack) > depth:
            top = self._stack.pop()
            self.skipping = not top.outer_active

    def report_open(self, depth: int) -> None:
        """Report conditionals that were not closed where their file ends."""
        for conditional in self._stack[depth:]:
            self._assembly.diagnostics.error("this conditional has no '.endif'", conditional.mark)
        self.close_down_to(depth)


def _defined(assembly: Assembly, text: str) -> bool:
    symbol = assembly.symbols.names.get(name(text))
    return symbol is not None and symbol.is_defined


def _same_text(text: str) -> bool:
    parts = split_operands(text)
    if len(parts) != 2:
        raise StatementError("expected two texts separated by a comma", text)
    first, second = (_unquoted(part) for part in parts)
    return first == second


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == "'" else text


def _same_strings(text: str) -> bool:
    match = re.fullmatch(r'\s*"((?:[^"\\]++|\\.)*+)"\s*,\s*"((?:[^"\\]++|\\.)*+)"\s*', text)
    if match is None:
        raise StatementError("expected two strings in double quotes, separated by a comma", text)
    return match[1] == match[2]


_TESTS: dict[str, Callable[[Assembly, str], bool]] = {
    ".if": lambda assembly, text: assembly.absolute(text) != 0,
    ".ifne": lambda assembly, text: assembly.absolute(text) != 0,
    ".ifeq": lambda assembly, text: assembly.absolute(text) == 0,
    ".ifge": lambda assembly, text: assembly.absolute(text) >= 0,
    ".ifgt": lambda assembly, text: assembly.absolute(text) > 0,
    ".ifle": lambda assembly, text: assembly.absolute(text) <= 0,
    ".iflt": lambda assembly, text: assembly.absolute(text) < 0,
    ".ifdef": _defined,
    ".ifndef": lambda assembly, text: not _defined(assembly, text),
    ".ifnotdef": lambda assembly, text: not _defined(assembly, text),
    ".ifb": lambda _, text: not text.strip(),
    ".ifnb": lambda _, text: bool(text.strip()),
    ".ifc": lambda _, text: _same_text(text),
    ".ifnc": lambda _, text: not _same_text(text),
    ".ifeqs": lambda _, text: _same_strings(text),
    ".ifnes": lambda _, text: not _same_strings(text),
}
