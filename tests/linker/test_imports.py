"""No two files of the toolchain import each other, annotations included: each can be read before those that use it."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import linker

ROOT = Path(linker.__file__).parent


def imported(path: Path, modules: dict[str, Path]) -> set[str]:
    """The files, other than a package's own, that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name in modules and modules[name] != path}


def test_no_files_import_each_other_in_a_ring() -> None:
    files = [path for path in ROOT.rglob("*.py") if path.name != "__init__.py"]
    modules = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in files}
    graph = {name: imported(path, modules) for name, path in modules.items()}
    assert sum(map(len, graph.values())) > len(graph)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the files of a ring
