"""Files can be read one after the other, each in one sitting: no rings of imports, nothing too long.

Every import counts, those inside of functions and those for annotations alone (`TYPE_CHECKING`) too.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ekernel", "emu", "linker", "kernel", "benchmarks", "tests")


def files_of(root: Path) -> dict[str, Path]:
    """Every module by its name; a package's own file goes by the name of the package."""
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def statements_of(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements in it, however deep; what they are made of is not looked at, as it takes most of the time."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("body", "orelse", "handlers", "finalbody", "cases"):
            waiting += getattr(node, name, ())


def imported(path: Path, files: dict[str, Path]) -> Iterator[str]:
    """The other modules that a file names in an import, wherever in it: of a package, the package or a file of it."""
    for node in statements_of(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}:{node.lineno}: a module is imported by its whole name"
            assert not node.level, f"{path}:{node.lineno}: a module is imported by its whole name"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in files else node.module for name in inside]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name in files and files[name] != path)


def rings_in(root: Path) -> Iterator[str]:
    """Rings, one after the other: each is shown, and looked away from by leaving out its last import."""
    files = files_of(root)
    graph = {name: set(imported(path, files)) for name, path in files.items()}
    assert any(graph.values())
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            ring: list[str] = error.args[1]
            yield " <- ".join(str(files[name].relative_to(root)) for name in ring)
            graph[ring[1]].discard(ring[0])
        else:
            return


def test_no_files_import_each_other_in_a_ring() -> None:
    assert list(rings_in(ROOT)) == []


@pytest.mark.parametrize(
    "back",
    [
        "from emu import one",
        "import emu.one",
        "def late():\n    from emu.one import name",
        "from emu.hints import TYPE_CHECKING\nif TYPE_CHECKING:\n    from emu.one import name",
        "try:\n    import emu.one as first\nexcept ImportError:\n    pass",
    ],
)
def test_a_ring_is_found_wherever_its_imports_stand(tmp_path: Path, back: str) -> None:
    package = tmp_path / "emu"
    package.mkdir()
    for name, text in {"__init__": "", "hints": "", "one": "from emu import two", "two": back}.items():
        (package / f"{name}.py").write_text(text)
    (ring,) = rings_in(tmp_path)
    assert {"emu/one.py", "emu/two.py"} == set(ring.split(" <- "))


def test_a_package_and_a_file_of_it_are_a_ring_where_each_takes_a_name_of_the_other(tmp_path: Path) -> None:
    (tmp_path / "emu").mkdir()
    (tmp_path / "emu" / "__init__.py").write_text("from emu.one import name")
    (tmp_path / "emu" / "one.py").write_text("from emu import two, name")
    (tmp_path / "emu" / "two.py").write_text("")
    (ring,) = rings_in(tmp_path)
    assert {"emu/__init__.py", "emu/one.py"} == set(ring.split(" <- "))


LONGEST_FILE, LONGEST_FUNCTION = 400, 60
TABLES = {"emu/engine/assembled.py", "kernel/profiles/full.py"}
"""Data that a program has written, and the console of a profile."""


@pytest.mark.parametrize("package", ["ekernel", "emu", "linker", "kernel", "benchmarks"])
def test_no_file_and_no_function_is_too_long_to_be_read(package: str) -> None:
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in (ROOT / package).rglob("*.py")
    }
    long = {}
    for name in files.keys() - TABLES:
        functions = [node for node in statements_of(ast.parse(files[name])) if isinstance(node, ast.FunctionDef)]
        lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
        long |= {f"{name} {function}": length for function, length in lengths.items() if length > LONGEST_FUNCTION}
        if (lines := files[name].count("\n")) > LONGEST_FILE:
            long[name] = lines
    assert long == {}
    assert len(files) > 3
