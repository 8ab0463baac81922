"""The C preprocessor for `.S` files, by pcpp; its line markers keep lines and files right."""

import io
from pathlib import Path

from pcpp import Preprocessor

from linker.assembler.options import AssemblerOptions
from linker.assembler.source import Mark, Origin
from linker.errors import AssemblyError, Diagnostic

_PREDEFINED = {"__ASSEMBLER__": "1", "__riscv": "1", "__riscv_xlen": "64"}


class _Preprocessor(Preprocessor):  # type: ignore[misc]
    """pcpp that collects its errors."""

    def __init__(self, lines: list[str], name: str) -> None:
        super().__init__()
        self.errors: list[Diagnostic] = []
        self._source_lines = lines
        self._source_name = name

    def on_error(self, file: str, line: int, msg: str) -> None:
        lines = self._source_lines if file == self._source_name else []
        location = Mark(Origin(file, lines, 1), line - 1).location()
        self.errors.append(Diagnostic(msg, location))

    def on_comment(self, tok: object) -> bool:
        """Comments go, but not those that start with `#`: the assembler knows them."""
        return False


def preprocess(source: str, name: str, options: AssemblerOptions) -> str:
    """Run the preprocessor over a source.

    Raises:
        AssemblyError: with all errors that it found.
    """
    preprocessor = _Preprocessor(source.splitlines(), name)
    for macro, value in {**_PREDEFINED, **options.macros}.items():
        preprocessor.define(f"{macro} {value}")
    preprocessor.add_path(str(Path(name).parent))
    for directory in options.include_dirs:
        preprocessor.add_path(str(directory))
    preprocessor.line_directive = "#"
    output = io.StringIO()
    preprocessor.parse(source, name)
    preprocessor.write(output)
    if preprocessor.errors:
        raise AssemblyError(preprocessor.errors)
    return output.getvalue()
