"""The packages' names are short: when something else has one of them, one sentence says so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("emu", "kernel", "linker")


def run(arguments: list[str], folder: Path, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_a_file_of_the_users_that_hides_a_package_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("raise SystemExit('not to be executed')\n")
    result = run(["-m", "ekernel", "--help"], tmp_path)
    assert result.returncode == 125
    assert result.stderr == (
        f"ekernel: ekernel needs its own package '{name}', but Python finds {tmp_path / name}.py by that name: "
        "rename it, or run from another folder or in a virtual environment of ekernel's own\n"
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_python_code_gets_the_same_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    result = run(["-c", "import ekernel; ekernel.Machine"], tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        f"ekernel.neighbours.HiddenPackageError: ekernel needs its own package '{name}', "
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_another_distribution_has_overwritten_is_named(name: str, tmp_path: Path) -> None:
    for package in ("ekernel", *PACKAGES):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / name / "__init__.py").write_text('"""Somebody else\'s."""\n')
    result = run(["-m", "ekernel", "--help"], tmp_path, tmp_path)
    assert result.returncode == 125
    assert result.stderr == (
        f"ekernel: another distribution has overwritten ekernel's package '{name}' in {tmp_path / name}: "
        "install ekernel in a virtual environment of its own\n"
    )


def test_a_module_of_the_users_with_another_name_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "machine.py").write_text("raise SystemExit('not to be executed')\n")
    assert run(["-m", "ekernel", "--help"], tmp_path).returncode == 0
