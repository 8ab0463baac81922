"""Other hosts for the tests: Debian's Python of another architecture or release, and PyPI's wheels for it.

What such a host needs is fetched once into `~/.cache/ekernel/python3.N-MACHINE-KEY/` (`$XDG_CACHE_HOME` if set), where
KEY stands for all that went into it. It is unpacked there; nothing is installed.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
TEST_TOOLS = ("pytest", "hypothesis")
GLIBCS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
APT = """\
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
"""
"""Debian's archive for another architecture or release, without a word to this host's own packages."""
PYTHON = """\
#!/bin/sh
export PYTHONHOME={root}/usr PYTHONPATH="$PYTHONPATH:{place}/site" PYTHONPYCACHEPREFIX={place}/compiled
exec {command} "$@"
"""


@dataclass(frozen=True)
class Other:
    """A kind of host."""

    version: str
    """Of Python."""
    machine: str
    """As Linux names it."""
    release: str
    """Of Debian: the one that has this Python."""

    def command(self, root: Path) -> str:
        """What executes its Python."""
        python = f"{root}/usr/bin/python{self.version}"
        if self.machine != os.uname().machine:
            return f"qemu-{self.machine} -L {root} {python}"
        libraries = f"{root}/usr/lib/{self.machine}-linux-gnu"
        return f"{libraries}/ld-linux-x86-64.so.2 --library-path {libraries} {python}"

    def packages(self) -> list[str]:
        """An interpreter and its library, which bring what they depend on."""
        return [f"libpython{self.version}-stdlib", f"python{self.version}-minimal"]


AARCH64 = Other("3.11", "aarch64", "bookworm")
NEWEST = Other("3.14", "x86_64", "forky")


def requirements() -> list[str]:
    """What ekernel and its tests import there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return [word for word in needed if word in project["dependencies"] or word.startswith(TEST_TOOLS)]


def python_of(other: Other, oracle: Callable[[str], str]) -> Path:
    """The command that is this host's Python; PYTHONPATH of whoever starts it names the project's folder."""
    for program in ("apt-get", "dpkg-deb", *(() if other.machine == os.uname().machine else [f"qemu-{other.machine}"])):
        oracle(program)
    known = "\n".join([*requirements(), repr(other), Path(__file__).read_text()])
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ekernel"
    place = caches / f"python{other.version}-{other.machine}-{hashlib.sha256(known.encode()).hexdigest()[:16]}"
    if not place.exists():
        caches.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=caches) as new:
            made = Path(new) / "made"
            _fetch(other, made)
            _write_python(other, made, place)
            with suppress(OSError):  # another process was faster
                made.rename(place)
    assert (place / "python").exists()
    return place / "python"


def _fetch(other: Other, folder: Path) -> None:
    """Debian's packages into `root`, wheels into `site`."""
    for name in ("state/lists/partial", "cache/archives/partial", "wheels", "root", "site"):
        (folder / name).mkdir(parents=True)
    (folder / "state" / "status").touch()
    (folder / "apt.conf").write_text(APT.format(folder=folder, architecture=ARCHITECTURES[other.machine]))
    (folder / "sources.list").write_text(f"deb {_archive()} {other.release} main\n")
    environment = os.environ | {"APT_CONFIG": str(folder / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--download-only", *other.packages()]):
        subprocess.run(["apt-get", "-q", *command], env=environment, check=True, timeout=300)
    for package in (folder / "cache" / "archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True)
    platforms = [word for glibc in GLIBCS for word in ("--platform", f"{glibc}_{other.machine}")]
    wanted = [requirement for requirement in requirements() if "platform_machine" not in requirement]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version", other.version]
    subprocess.run([*pip, *platforms, "--dest", folder / "wheels", *wanted], check=True, timeout=300)
    for wheel in (folder / "wheels").glob("*.whl"):
        subprocess.run([sys.executable, "-m", "zipfile", "--extract", wheel, folder / "site"], check=True)
    for name in ("state", "cache", "wheels"):
        shutil.rmtree(folder / name)


def _archive() -> str:
    """Where this host has its own release of Debian from, whose keys it knows."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"], capture_output=True, text=True, check=True
    )
    own = platform.freedesktop_os_release()["VERSION_CODENAME"]
    return next(uri for release, uri in map(str.split, told.stdout.splitlines()) if release == own)


def _write_python(other: Other, folder: Path, place: Path) -> None:
    """The command, which is `sys.executable` there, for folders that will have that place."""
    root = place / "root"
    (folder / "python").write_text(PYTHON.format(root=root, place=place, command=other.command(root)))
    (folder / "python").chmod(0o755)
    (folder / "site" / "sitecustomize.py").write_text(f"import sys\n\nsys.executable = {str(place / 'python')!r}\n")
