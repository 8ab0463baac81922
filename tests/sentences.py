"""Every sentence that the program can say, as its source has it: errors, helps, and what is printed on stderr."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]
PACKAGES = ("emu", "linker", "kernel", "ekernel")
PYTHONS_OWN = {"emu/lateclass.py", "emu/latetuple.py"}
"""They say what Python says of its own classes."""

GAP = "\N{WHITE SQUARE}"
"""Stands where a sentence has a value that is known when it is said."""

Kind = Literal["error", "stderr", "help", "tool help"]
_DIAGNOSTICS = ("error", "fail", "warning", "Diagnostic")
"""What `linker` and the plugin of pytest call to say what is wrong."""
_ERRORS = ("Error", "Exceeded", "Panic", "Fault")


@dataclass(frozen=True)
class Sentence:
    """One of them, with a gap for each value."""

    kind: Kind
    text: str
    where: str
    values: tuple[ast.expr, ...] = ()
    """What fills the gaps, one after the other."""

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def sentences(root: Path = ROOT) -> list[Sentence]:
    """All of them."""
    return [
        sentence
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        if path.relative_to(root).as_posix() not in PYTHONS_OWN
        for sentence in sentences_of(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())
    ]


def sentences_of(source: str, where: str) -> Iterator[Sentence]:
    """Those of one file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            for kind, expression in _said_by(node, is_tool=where.startswith("linker/") or "addr2line" in where):
                for text, values in _texts(expression):
                    if text.strip(GAP):
                        yield Sentence(kind, text, f"{where}:{node.lineno}", values)


def _said_by(call: ast.Call, *, is_tool: bool) -> Iterator[tuple[Kind, ast.expr]]:
    function = call.func
    name = ast.unparse(function).rpartition(".")[2]
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if name == "print" and "stderr" in ast.unparse(keywords.get("file", ast.Constant(""))):
        yield from (("stderr", argument) for argument in call.args[:1])
    elif name.endswith(_ERRORS) or name in _DIAGNOSTICS:
        yield from (("error", argument) for argument in call.args)
    if "hint" in keywords:
        yield "error", keywords["hint"]
    if name in ("value", "values", "flag", "constant", "operand"):
        yield from (("help", keywords[key]) for key in ("text",) if key in keywords)
    for key in {"help", "description", "epilog"} & keywords.keys():
        yield ("tool help" if is_tool and key == "help" else "help"), keywords[key]


def _texts(expression: ast.expr) -> Iterator[tuple[str, tuple[ast.expr, ...]]]:
    """What an expression can be, as texts with gaps: of two branches, both."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value, ()
    elif isinstance(expression, ast.IfExp):
        yield from _texts(expression.body)
        yield from _texts(expression.orelse)
    elif isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Add):
        after = list(_texts(expression.right)) or [(GAP, (expression.right,))]
        for text, values in list(_texts(expression.left)) or [(GAP, (expression.left,))]:
            yield from ((text + more, values + others) for more, others in after)
    elif isinstance(expression, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else GAP for part in expression.values]
        values = tuple(part for part in expression.values if isinstance(part, ast.FormattedValue))
        yield "".join(map(str, parts)), values
