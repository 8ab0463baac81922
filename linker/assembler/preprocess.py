"""The C preprocessor for `.S` files, by pcpp; its line markers keep lines and files right."""

import io
import os
import re
from pathlib import Path

from pcpp import Preprocessor

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


class _Preprocessor(Preprocessor):  # type: ignore[misc]
    """pcpp that collects its errors."""

    def __init__(self, lines: list[str], name: str) -> None:
        super().__init__()
        self.errors: list[Diagnostic] = []
        self._source_lines = lines
        self._source_name = name

    def on_error(self, file: str, line: int, msg: str) -> None:
        """Keep an error, with its line where that is one of the source."""
        lines = self._source_lines if file == self._source_name else []
        self.errors.append(Diagnostic(msg, Mark(Origin(file, lines, 1), line - 1).location()))


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
    except Exception as error:  # noqa: BLE001  pcpp lets any exception out when its input is odd enough
        problem = Diagnostic(f"the preprocessor gave up: {type(error).__name__}: {error}", Location(name))
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
