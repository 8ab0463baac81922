"""Write the numbers in the documents anew, as their commands print them: `make docs`, or with names of documents."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from emu.report.files.schema import schema
from tests.documentation import notebooks
from tests.documentation.documents import DOCUMENTS, LINUX, Command, follow, output_pattern, with_numbers_of

SCHEMA = Path(__file__).parents[2] / "docs" / "trace.schema.json"


def refresh(document: Path) -> list[str]:
    """Renew one document's numbers; returns what differs in more than numbers, for a person to look at."""
    lines = document.read_text(encoding="utf-8").split("\n")
    problems: list[str] = []

    def renew(command: Command, shown: str) -> None:
        if not command.output or output_pattern(command.output).fullmatch(shown):
            return
        renewed = with_numbers_of(command.output, shown)
        if renewed is None:
            problems.append(f"{document}:{command.line}: $ {command.text}\nprints\n{shown}")
        else:
            lines[command.line : command.line + len(renewed)] = renewed

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            raise SystemExit(f"{document} needs {program}, which is not installed (Debian's packages: see .ci/run)")
        return path

    follow(document, Path(tempfile.mkdtemp()), find, renew)
    document.write_text("\n".join(lines), encoding="utf-8")
    return problems


def main(names: list[str]) -> int:
    """Renew the named documents, or all, and with them the schema and the notebooks."""
    if not names:
        for path in notebooks.NOTEBOOKS:
            notebooks.renew(path, Path(tempfile.mkdtemp()))
        SCHEMA.write_text(json.dumps(schema(), indent=1) + "\n")
    problems = [
        problem
        for document in [Path(name).resolve() for name in names] or [*DOCUMENTS, LINUX]
        for problem in refresh(document)
    ]
    sys.stdout.write("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
