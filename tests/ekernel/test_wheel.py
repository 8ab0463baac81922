"""The wheel, installed into an environment of its own, works outside the checkout, with each Python that is here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
"""Those of the classifiers."""


def output_of(*command: str | Path, cwd: Path) -> str:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "XDG_"))
    }
    result = subprocess.run(
        command, cwd=cwd, env=clean | {"HOME": str(cwd)}, capture_output=True, text=True, timeout=280, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    output_of(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("ekernel-*.whl")
    return built


def interpreter(name: str) -> str:
    """A Python of this version: the one that runs the tests, one on the path, or one of pyenv's."""
    if name == f"python3.{sys.version_info.minor}":
        return sys.executable
    of_pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{name.removeprefix('python')}.*/bin/python"))
    found = shutil.which(name) if not of_pyenv else str(of_pyenv[-1])
    if (
        found is None
        or subprocess.run([found, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHONS)
def test_the_wheel_boots_the_kernel_in_a_clean_environment(name: str, wheel: Path, tmp_path: Path) -> None:
    python = interpreter(name)
    output_of(python, "-m", "venv", "clean", cwd=tmp_path)
    output_of("clean/bin/pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", wheel, cwd=tmp_path)
    console = output_of("clean/bin/ekernel", "run", "--profile", "step-by-step", "--quiet", cwd=tmp_path)
    assert console.splitlines()[-1] == "test frame_allocator : 0x80fff000"
    version = wheel.name.split("-")[1]
    assert output_of("clean/bin/pip", "show", "ekernel", cwd=tmp_path).splitlines()[1] == f"Version: {version}"
    names = output_of("clean/bin/python", "-c", "import ekernel; print(ekernel.Machine.__name__)", cwd=tmp_path)
    assert names == "Machine\n"


def test_the_classifiers_name_the_versions_that_are_tested() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    classified = [line.split("::")[-1].strip(' ",') for line in text.splitlines() if ":: Python :: 3." in line]
    assert [f"python{version}" for version in classified] == list(PYTHONS)
