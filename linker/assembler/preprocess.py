"""The C preprocessor for `.S` files, by pcpp; its line markers keep lines and files right."""

import errno
import io
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pcpp import Preprocessor

from linker.assembler.files import read_source
from linker.assembler.options import AssemblerOptions
from linker.assembler.source import Mark, Origin
from linker.errors import AssemblyError, Diagnostic, Location

_PREDEFINED = {
    "__ASSEMBLER__": "1",
    "__ELF__": "1",
    "__riscv": "1",
    "__riscv_xlen": "64",
    "__riscv_cmodel_medany": "1",
}
_DIRECTIVE = re.compile(
    r"^[ \t]*#[ \t]*(?:define|undef|include|if|ifdef|ifndef|elif|else|endif|error|warning|pragma|line)\b", re.MULTILINE
)


_MAX_NESTING = 100
"""Files within files."""

_MAX_TOKENS = 100_000
"""Words that the macros of one line may become; more is taken for a mistake in the source."""

_EVALUATION = re.compile(r"Could not evaluate expression due to (\w+)\(.*\(passed to evaluator: '(.*)'\)", re.DOTALL)
_REASONS = {
    "ZeroDivisionError": "division by zero",
    "MemoryError": "its value is too large",
    "OverflowError": "its value is too large",
}
"""Why pcpp could not compute a condition, by the name of the exception that it tells."""


class _StopError(Exception):
    """The rest of the source cannot be read."""


class _Preprocessor(Preprocessor):  # type: ignore[misc]
    """pcpp that collects its errors, and that no source keeps busy without end."""

    def __init__(self, lines: list[str], name: str) -> None:
        super().__init__()
        self.errors: list[Diagnostic] = []
        self._source_lines = lines
        self._source_name = name
        self._files = 0
        self._expansions = 0
        self._tokens = 0
        self._place = ("", 0)

    def on_error(self, file: str, line: int, msg: str) -> None:
        """Keep an error, with its line where that is one of the source."""
        lines = self._source_lines if file == self._source_name else []
        match = _EVALUATION.match(msg)
        if match is not None:
            msg = f"the condition {match[2]!r} cannot be computed: {_REASONS.get(match[1], 'it is no expression')}"
        self.errors.append(Diagnostic(msg, Mark(Origin(file, lines, 1), line - 1).location()))

    def on_file_open(self, is_system_include: bool, includepath: str) -> io.StringIO:
        """Read an included file, if it ends; raises OSError when it cannot be read."""
        del is_system_include
        try:
            return io.StringIO(read_source(Path(includepath)).removeprefix("\ufeff"), newline=None)
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            self.on_error(includepath, 1, str(error.strerror))
            raise _StopError from None

    def include(self, tokens: list[Any], original_line: list[Any]) -> Iterator[Any]:
        """Read an included file."""
        if self._files >= _MAX_NESTING:
            message = f"files are nested more than {_MAX_NESTING} deep; does one include itself?"
            self.on_error(tokens[0].source, tokens[0].lineno, message)
            raise _StopError
        self._files += 1
        yield from super().include(tokens, original_line)
        self._files -= 1

    def expand_macros(self, tokens: list[Any], expanding_from: list[str] | None = None) -> list[Any]:
        """Replace macros, as long as the result has a sensible size."""
        if not self._expansions:
            self._tokens = 0
            self._place = (tokens[0].source, tokens[0].lineno) if tokens else ("", 0)
        self._expansions += 1
        expanded: list[Any] = super().expand_macros(tokens, expanding_from or [])
        self._expansions -= 1
        if self._expansions:
            self._tokens += len(expanded)
        if self._tokens > _MAX_TOKENS:
            self.on_error(*self._place, f"the macros of this line become more than {_MAX_TOKENS} words")
            raise _StopError
        return expanded

    def evalexpr(self, tokens: list[Any]) -> Any:
        """Compute a condition, without shifting by what no machine can."""
        words = [str(token.value) for token in tokens if str(token.value).strip(" \t(")]
        for shift, amount in pairwise(words):
            if shift == "<<" and amount.rstrip("uUlL").isdigit() and int(amount.rstrip("uUlL")) > 63:
                self.on_error(tokens[0].source, tokens[0].lineno, f"a number cannot be shifted by {amount} bits")
                return 0, None
        return super().evalexpr(tokens)


def preprocess(source: str, name: str, options: AssemblerOptions) -> str:
    """Run the preprocessor over a source.

    Raises:
        AssemblyError: with all errors that it found.

    """
    macros = {**_PREDEFINED, **options.macros}
    if not _needs_preprocessing(source, macros):
        return source
    preprocessor = _Preprocessor(source.split("\n"), name)
    for macro, value in macros.items():
        preprocessor.define(f"{macro} {value}")
    for directory in (Path(name).parent, *options.include_dirs):
        preprocessor.add_path(str(directory))
    # pcpp names files by their absolute paths unless told otherwise
    preprocessor.rewrite_paths = [
        (re.escape(str(Path(name).absolute())) + "$", name.replace("\\", "\\\\")),
        (re.escape(str(Path.cwd()) + os.sep) + "(.*)", "\\1"),
    ]
    preprocessor.line_directive = "#"
    output = io.StringIO()
    try:
        preprocessor.parse(source, name)
        preprocessor.write(output)
    except _StopError:
        raise AssemblyError(preprocessor.errors) from None
    except Exception as error:  # noqa: BLE001  pcpp lets any exception out when its input is odd enough
        reason = "something is nested too deeply" if isinstance(error, RecursionError) else "a directive is malformed"
        problem = Diagnostic(f"the preprocessor cannot read this: {reason}", Location(name))
        raise AssemblyError([*preprocessor.errors, problem]) from None
    if preprocessor.errors:
        raise AssemblyError(preprocessor.errors)
    return output.getvalue()


def _needs_preprocessing(source: str, macros: dict[str, str]) -> bool:
    """Whether anything in a source would become something else: without directives and macros nothing would."""
    return (
        "//" in source
        or _DIRECTIVE.search(source) is not None
        or re.search(rf"\b(?:{'|'.join(map(re.escape, macros))}|__FILE__|__LINE__|__DATE__|__TIME__)\b", source)
        is not None
    )
