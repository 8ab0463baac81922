"""The machine on an AArch64 host: Debian's Python and Unicorn's wheel for AArch64, executed by QEMU's user mode.

What that host needs is fetched once, from Debian's archive and from PyPI, into `~/.cache/ekernel/aarch64-KEY/`
(`$XDG_CACHE_HOME` if set), where KEY stands for all that went into it.
"""

import hashlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("libpython3.11-stdlib", "python3.11-minimal")
"""With what they depend on: an interpreter and its library."""
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64")
TEST_TOOLS = ("pytest", "hypothesis")
CHOSEN = {
    "operations and instructions": {
        "engine/test_facts.py": "not slow",
        "engine/test_probes.py": "not slow",
        "engine/test_floats.py": "not slow",
        "engine/test_opencalls.py": "native and fast and each_call_knows",
        **dict.fromkeys(
            ("engine/test_features.py", "engine/test_counting.py", "engine/test_shadow.py"),
            "native and fast and (last_is_known or sum_of_all or inside_of_marked)",
        ),
        "isa/test_every_instruction.py": "fmin or fmadd or mret",
    },
    "machines and kernels": {
        "machine/test_hazards.py": "not slow",
        "machine/test_time.py": "not slow",
        "machine/test_paging_and_users.py": (
            "last_event or user_pages or set_by_the_walk or is_cached or switch_of_the or patched"
        ),
        **dict.fromkeys(
            ("machine/test_calls.py", "testing/test_short_calls.py", "testing/test_many_executions.py"),
            "native_step or without_a_run or need_no_python",
        ),
        "hart/test_interrupts.py": "not slow",
        "hart/test_translations.py": "not slow",
        "hart/test_page_table_writes.py": "(kind_of_store and fast) or (watched_from and exact)",
        "../kernel/test_exact_counts.py": "step-by-step and exact",
    },
}
"""What of the tests runs there, in two processes, as an emulated start takes half a minute: files, words for `-k`."""
APT = """\
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::State "FOLDER/state";
Dir::State::status "FOLDER/state/status";
Dir::Cache "FOLDER/cache";
"""
"""Debian's archive for another architecture, without a word to this host's own packages."""


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return [word for word in needed if word in project["dependencies"] or word.startswith(TEST_TOOLS)]


def fetch(folder: Path) -> None:
    """Debian's packages into `root`, wheels into `site`."""
    for name in ("state/lists/partial", "cache/archives/partial", "wheels", "root", "site"):
        (folder / name).mkdir(parents=True)
    (folder / "state" / "status").touch()
    (folder / "apt.conf").write_text(APT.replace("FOLDER", str(folder)))
    environment = os.environ | {"APT_CONFIG": str(folder / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--download-only", *PACKAGES]):
        subprocess.run(["apt-get", "-q", *command], env=environment, check=True, timeout=300)
    for package in (folder / "cache" / "archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True)
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    wanted = [requirement for requirement in requirements() if "platform_machine" not in requirement]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version", "3.11"]
    subprocess.run([*pip, *platforms, "--dest", folder / "wheels", *wanted], check=True, timeout=300)
    for wheel in (folder / "wheels").glob("*.whl"):
        subprocess.run([sys.executable, "-m", "zipfile", "--extract", wheel, folder / "site"], check=True)


@pytest.fixture(scope="module")
def host(oracle: Callable[[str], str]) -> Path:
    """The folder with the other host's files."""
    for program in ("qemu-aarch64", "apt-get"):
        oracle(program)
    key = hashlib.sha256("\n".join([*requirements(), *PACKAGES, Path(__file__).read_text()]).encode()).hexdigest()[:16]
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ekernel" / f"aarch64-{key}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place.parent) as new:
            fetch(Path(new) / "made")
            with suppress(OSError):  # another process was faster
                (Path(new) / "made").rename(place)
    assert (place / "site").exists()
    return place


@pytest.fixture(scope="module")
def python(host: Path, oracle: Callable[[str], str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python("-m", "pytest", ...)`: the other host's Python, in this project's folder."""
    root = host / "root"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [oracle("qemu-aarch64"), "-L", root, "-E", f"PYTHONHOME={root}/usr", root / "usr/bin/python3.11"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        environment |= {"PYTHONPATH": f"{ROOT}:{host}/site", "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [*command, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
        )

    return run


@pytest.mark.slow
def test_an_aarch64_host_has_native_probes(python):
    program = """if True:
        import platform
        from emu.engine import native
        from emu.machine import Machine
        machine = Machine()
        print(platform.machine(), native.available(), type(machine.core.engine.clock).__name__)
    """
    result = python("-c", program)
    assert result.stdout == "aarch64 True BlockClock\n", result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("part", CHOSEN)
def test_the_tests_pass_on_an_aarch64_host(python, part):
    words = " or ".join(f"({Path(name).name} and ({words}))" for name, words in CHOSEN[part].items())
    files = [str(ROOT / "tests" / "emu" / name) for name in CHOSEN[part]]
    result = python("-m", "pytest", "-p", "no:cacheprovider", "-k", words, *files)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr
