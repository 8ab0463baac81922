"""The code of many modules in one file: what comes from it is what Python would have loaded, or it is not used."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ekernel.codefile import CodeFile

PACKAGE = "parcel_of_tests"


class Parcel:
    """A package in a folder, the file that keeps its code, and a process that begins anew each time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / PACKAGE
        self.file = folder / "parcel.codes"
        self.folder.mkdir()
        (self.folder / "__init__.py").write_text("KIND = 'package'\n")
        self.write("VALUE = 1\n\n\ndef fail():\n    raise ValueError\n")

    def write(self, source: str) -> None:
        (self.folder / "inside.py").write_text(source)

    def started(self) -> tuple[CodeFile, ModuleType]:
        """A start that imports the module in the package, and leaves."""
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        importlib.invalidate_caches()
        found = CodeFile(str(self.file), [PACKAGE])
        sys.meta_path.insert(0, found)
        try:
            module = importlib.import_module(f"{PACKAGE}.inside")
        finally:
            sys.meta_path.remove(found)
        found.keep()
        return found, module

    def forget(self) -> None:
        """Remove what Python keeps, so that code comes from the one file or from the source."""
        for each in (self.folder / "__pycache__").iterdir():
            each.unlink()


@pytest.fixture
def parcel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parcel]:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(tmp_path)
    yield Parcel(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def is_from(module: ModuleType) -> str:
    return type(module.__spec__.loader).__module__ if module.__spec__ else ""


def test_a_second_start_takes_all_from_the_file_and_sees_the_same_modules(parcel: Parcel) -> None:
    _, first = parcel.started()
    parcel.forget()
    _, second = parcel.started()
    assert is_from(first) != is_from(second) == is_from(sys.modules[PACKAGE]) == "ekernel.codefile"
    assert (second.VALUE, sys.modules[PACKAGE].KIND) == (1, "package")
    assert list(sys.modules[PACKAGE].__path__) == [str(parcel.folder)]
    for name in ("__name__", "__file__", "__package__", "__doc__"):
        assert getattr(second, name) == getattr(first, name)
    assert first.__spec__
    assert second.__spec__
    assert second.__spec__.cached == first.__spec__.cached
    with pytest.raises(ValueError) as failure:  # noqa: PT011
        second.fail()
    assert "raise ValueError" in str(failure.traceback[-1].statement), "the source is found behind the code"


def test_a_module_whose_source_has_changed_is_loaded_from_its_source_and_kept_anew(parcel: Parcel) -> None:
    parcel.started()
    parcel.write("VALUE = 'changed'\n")
    assert parcel.started()[1].VALUE == "changed"
    _, third = parcel.started()
    assert (third.VALUE, is_from(third)) == ("changed", "ekernel.codefile")
    source = parcel.folder / "inside.py"
    source.write_text("VALUE = 'another'\n")  # as long as before
    os.utime(source, (1, 1))
    assert parcel.started()[1].VALUE == "another"


def test_a_start_that_loads_less_keeps_what_is_there(parcel: Parcel) -> None:
    parcel.started()
    whole = parcel.file.read_bytes()
    (parcel.folder / "other.py").write_text("VALUE = 2\n")
    importlib.invalidate_caches()
    found, _ = parcel.started()
    assert parcel.file.read_bytes() == whole
    importlib.import_module(f"{PACKAGE}.other")
    found.keep()
    parcel.forget()
    assert is_from(parcel.started()[1]) == is_from(importlib.import_module(f"{PACKAGE}.inside")) == "ekernel.codefile"
    assert b"other" in parcel.file.read_bytes()


@pytest.mark.parametrize("content", [b"", b"ekernel1", b"ekernel1" + bytes(400), b"\xff" * 4000])
def test_a_file_of_something_else_is_not_read_and_is_replaced(parcel: Parcel, content: bytes) -> None:
    parcel.file.write_bytes(content)
    assert is_from(parcel.started()[1]) != "ekernel.codefile"
    assert is_from(parcel.started()[1]) == "ekernel.codefile"


def test_what_a_host_has_lost_of_the_file_is_loaded_in_pythons_way(parcel: Parcel) -> None:
    parcel.started()
    whole = parcel.file.read_bytes()
    for kept in (200, 12, len(whole) - 60):  # the codes, then the index as well, then the end of the last code
        parcel.file.write_bytes(whole[:kept].ljust(len(whole), b"\0"))
        assert parcel.started()[1].VALUE == 1


def test_nothing_is_written_where_python_writes_nothing(parcel: Parcel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    parcel.started()
    assert not parcel.file.exists()


@pytest.mark.slow
def test_the_command_finds_its_modules_in_the_file_of_its_last_start(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    command = [sys.executable, "-v", "-m", "ekernel", "--version"]

    def read() -> tuple[str, list[str]]:
        """The output of a start, and the files of Python's own that it took modules of `emu.cli` from."""
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        own = [
            line for line in done.stderr.splitlines() if line.startswith("# code object from") and "/emu/cli/" in line
        ]
        return done.stdout, own

    first, second = read(), read()
    assert first[0] == second[0]
    assert first[1]
    assert not second[1]
    assert len(list(tmp_path.rglob("*.codes"))) == 1
