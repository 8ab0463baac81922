"""Build Rust kernels for the machine with Debian's rustc: `core` and `alloc` once, then the kernels of the tests.

Debian ships the sources of the standard library (`rust-src`) but no `core` for `riscv64gc-unknown-none-elf`, so it is
compiled here, and kept in `~/.cache/ekernel/rust-KEY/` (`$XDG_CACHE_HOME` if set), where KEY stands for the compiler
and its options. Several processes may ask for it at the same time.
"""

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.oracles import required

HERE = Path(__file__).parent
RUSTC = Path("/usr/bin/rustc")
"""Debian's by its path: a rustup toolchain often comes first on PATH."""
TARGET = "riscv64gc-unknown-none-elf"
_SOURCES = Path("/usr/lib/rustlib/src/rust/library")
_ENVIRONMENT = {**os.environ, "RUSTC_BOOTSTRAP": "1"}
"""`core` is built of features that a released compiler hides."""
_LIBRARY = ["-C", "opt-level=1", "-C", "codegen-units=16", "-Z", "force-unstable-if-unmarked", "--cap-lints", "allow"]
_BUILTINS = "#![feature(no_core, compiler_builtins)]\n#![compiler_builtins]\n#![no_core]\n"
"""What every crate without `std` names; the four functions of memory that it would hold are in the kernels."""


class BuildError(Exception):
    """What the compiler does not like."""


def library() -> Path:
    """The folder with `core`, `alloc` and the builtins. Skips the test without them; raises BuildError."""
    for path, package in ((RUSTC, "rustc"), (_SOURCES / "core/src/lib.rs", "rust-src")):
        required(path, package)
    version = subprocess.run([RUSTC, "--version"], capture_output=True, check=True).stdout
    key = hashlib.sha256(version + repr((_LIBRARY, _BUILTINS)).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ekernel"
    folder = cache / f"rust-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"rust-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            (folder / "builtins.rs").write_text(_BUILTINS)
            _compile("compiler_builtins", folder / "builtins.rs", folder, folder, _LIBRARY)
            _compile("core", _SOURCES / "core/src/lib.rs", folder, folder, _LIBRARY)
            _compile("alloc", _SOURCES / "alloc/src/lib.rs", folder, folder, _LIBRARY)
            (folder / "complete").touch()
    return folder


def kernel(source: Path, crates: Sequence[Path], folder: Path, *, optimise: str = "2", crate_name: str = "os") -> Path:
    """An ELF at 0x80200000 of a kernel's source and the crates that it uses. Raises BuildError."""
    found = library()
    for crate in crates:
        _compile(crate.stem, crate, folder, found, ["-C", f"opt-level={optimise}"])
    elf = folder / "kernel.elf"
    link = [f"-Clink-arg=-T{HERE / 'kernel.ld'}", "-Clinker=riscv64-unknown-elf-ld", "-Clinker-flavor=ld"]
    options = ["--crate-type", "bin", "-g", "-C", f"opt-level={optimise}", "-C", "relocation-model=static"]
    used = [word for crate in crates for word in ("--extern", f"{crate.stem}={folder / f'lib{crate.stem}.rlib'}")]
    _rustc(crate_name, source, elf, found, [*options, *used, *link])
    return elf


def _compile(name: str, source: Path, folder: Path, found: Path, options: Sequence[str]) -> None:
    output = folder / f"lib{name}.rlib"
    _rustc(name, source, output, found, ["--crate-type", "rlib", *options])


def _rustc(name: str, source: Path, output: Path, found: Path, options: Sequence[str]) -> None:
    command = [
        str(RUSTC), "--crate-name", name, "--edition", "2021", "--target", TARGET, "-C", "panic=abort",
        "-C", "code-model=medium", "-L", str(found), *options,
        "-o", str(output), str(source),
    ]  # fmt: skip
    result = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"{' '.join(command)}\n{result.stderr[-3000:]}")
