"""Builds Linux's own dump of page tables as a module of the Linux that the tests boot, once, as `build.py` does."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from emu.firmware.names import SymbolFile
from tests.linux.build import CROSS, PATH, REPRODUCIBLE, SOURCE, BuildError, Linux

_FOLDER = Path(__file__).with_name("page_tables")
_NAMES = ("Kbuild", "shown.c", "walked.c", "init.c")
_NOT_EXPORTED = (
    "init_mm", "_end", "pgd_clear_bad", "p4d_clear_bad", "pud_clear_bad", "pmd_clear_bad",
    "vma_interval_tree_iter_first", "vma_interval_tree_iter_next",
)  # fmt: skip
"""Of the kernel, which lies where it was linked for: the module gets their addresses."""


def page_tables(linux: Linux) -> Path:
    """The folder with `kernel_page_tables.ko` and the program `init` that loads it. Raises BuildError."""
    sources = b"".join((_FOLDER / name).read_bytes() for name in _NAMES) + Path(__file__).read_bytes()
    key = hashlib.sha256(linux.directory.name.encode() + sources).hexdigest()[:16]
    folder = linux.directory.with_name(f"page-tables-{key}")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            work = folder.with_suffix(".building")
            shutil.rmtree(work, ignore_errors=True)
            (work / "linux").mkdir(parents=True)
            try:
                _build(linux, work)
                (work / "result").rename(folder)
            finally:
                shutil.rmtree(work)
    return folder


def _build(linux: Linux, work: Path) -> None:
    tree, result = work / "linux", work / "result"
    shutil.copytree(_FOLDER, result)
    _command("tar", "-xf", SOURCE, "-C", tree, "--strip-components=1")
    shutil.copy(linux.directory / ".config", tree)
    make = ["make", "-s", "-C", str(tree), f"-j{os.cpu_count()}", "ARCH=riscv", f"CROSS_COMPILE={CROSS}"]
    _command(*make, "olddefconfig", "modules_prepare")
    symbols = SymbolFile.open(linux.vmlinux).symbols
    addresses = " ".join(f"--defsym={name}={symbols.lookup(name).address:#x}" for name in _NOT_EXPORTED)
    _command(*make, f"M={result}", "KBUILD_MODPOST_WARN=1", f"ADDRESSES={addresses}", "modules")
    _command(f"{CROSS}gcc", "-static", "-O2", "-o", result / "init", result / "init.c")


def _command(*words: str | Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    run = subprocess.run(
        words, env=inherited | REPRODUCIBLE | {"PATH": PATH}, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise BuildError(f"{' '.join(map(str, words))}:\n{run.stderr[-2000:]}")
