#!/usr/bin/env python3
"""Build the Linux that the tests boot: kernel, initial RAM disk and disk, from Debian's packages, once.

The source is Debian's package `linux-source-6.1`, unmodified, with the options in `minimal.config`, among them what gdb
and drgn want. There are two initial RAM disks of one program each: `init.c` does this and that and powers off,
`patient.c` loads a module and waits to be looked at. What is built lies in `~/.cache/ekernel/linux-KEY/`
(`$XDG_CACHE_HOME` if set), where KEY stands for all that went into it; it is complete or absent, and several processes
may ask for it at the same time.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = Path("/usr/src/linux-source-6.1.tar.xz")
CROSS = "riscv64-linux-gnu-"
PACKAGE_OF = {
    f"{CROSS}gcc": "gcc-riscv64-linux-gnu",
    "gcc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "xz": "xz-utils",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
}
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""Debian has mke2fs where only root looks."""
LIBC = Path("/usr/riscv64-linux-gnu/lib/libc.a")
_NAMES = ("build.py", "minimal.config", "init.c", "patient.c", "initramfs.list", "patient.list")
INPUTS = [HERE / name for name in _NAMES]
_DATE = 1704067200
"""2024-01-01, in seconds since 1970: two builds give the same files."""
REPRODUCIBLE = {
    "LC_ALL": "C",
    "KBUILD_BUILD_TIMESTAMP": "2024-01-01",
    "KBUILD_BUILD_USER": "tests",
    "KBUILD_BUILD_HOST": "ekernel",
    "KBUILD_BUILD_VERSION": "1",
    "E2FSPROGS_FAKE_TIME": str(_DATE),
}
_SOURCES = "/usr/src/linux-source-6.1"
"""Where debuggers look for the source, wherever it was built: where it lies once somebody unpacks SOURCE beside it."""
_OUTER_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""What `make test` would tell the kernel's make."""
DISK_IDENTITY = "656b6572-6e65-6c00-0000-000000000001"


class BuildError(Exception):
    """Why there is no Linux, and what to do about it."""


@dataclass(frozen=True)
class Linux:
    """The files of one build. Copy `disk` before a machine writes to it."""

    directory: Path

    @property
    def kernel(self) -> Path:
        return self.directory / "Image"

    @property
    def vmlinux(self) -> Path:
        """The kernel as ELF file, for its symbols and types; beside it lie gdb's scripts (`vmlinux-gdb.py`)."""
        return self.directory / "vmlinux"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd.cpio"

    @property
    def init(self) -> Path:
        """The program in the initial RAM disk, for its symbols."""
        return self.directory / "init"

    @property
    def patient(self) -> Path:
        """The initial RAM disk whose program loads the module `crc7`, has a child, and waits."""
        return self.directory / "patient.cpio"

    @property
    def disk(self) -> Path:
        """An ext2 file system; what is in it stands in `_disk_files`."""
        return self.directory / "disk.img"


def linux() -> Linux:
    """The Linux of these sources, built if it is not there yet. Raises BuildError."""
    _check_packages()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ekernel"
    directory = cache / f"linux-{_key()}"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(directory.with_suffix(".lock")):
        if not directory.exists():
            work = directory.with_suffix(".building")
            shutil.rmtree(work, ignore_errors=True)
            result = work / "result"
            result.mkdir(parents=True)
            try:
                _build(work, result)
                result.rename(directory)
            finally:
                shutil.rmtree(work)
    return Linux(directory)


def missing_packages() -> list[str]:
    """Debian's packages that have to be installed first."""
    missing = [package for program, package in PACKAGE_OF.items() if shutil.which(program, path=PATH) is None]
    missing += [SOURCE.name.removesuffix(".tar.xz")] * (not SOURCE.exists())
    missing += ["libc6-dev-riscv64-cross"] * (not LIBC.exists())
    return list(dict.fromkeys(missing))


def _check_packages() -> None:
    if missing := missing_packages():
        raise BuildError(f"not everything is installed; on Debian 12: apt-get install {' '.join(missing)}")


def _key() -> str:
    compiler = subprocess.run([f"{CROSS}gcc", "--version"], capture_output=True, check=True).stdout
    source = SOURCE.stat()
    parts = [compiler, f"{source.st_size} {int(source.st_mtime)}".encode(), *(path.read_bytes() for path in INPUTS)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process does it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(work: Path, result: Path) -> None:
    _say("unpacking the source")
    tree = work / "linux"
    tree.mkdir()
    _command("tar", "-xf", SOURCE, "-C", tree, "--strip-components=1")
    _say("compiling the kernel (some minutes)")
    make = ["make", "-s", "-C", str(tree), f"-j{os.cpu_count()}", "ARCH=riscv", f"CROSS_COMPILE={CROSS}"]
    _command(*make, f"KCONFIG_ALLCONFIG={HERE / 'minimal.config'}", "allnoconfig")
    _check_configuration(tree / ".config")
    sources = f"-fdebug-prefix-map={tree}={_SOURCES}"
    # Where each variable is at each instruction of optimized code would be half of the cost of debug information.
    debugging = (f"KCFLAGS=-fno-var-tracking {sources}", f"KAFLAGS={sources}")
    _command(*make, *debugging, "Image", "modules", "scripts_gdb")
    for name in ("arch/riscv/boot/Image", "vmlinux", "vmlinux-gdb.py", "lib/crc7.ko", "System.map", ".config"):
        os.utime(shutil.copy(tree / name, result), (_DATE, _DATE))
    shutil.copytree(tree / "scripts/gdb", result / "scripts/gdb", ignore=shutil.ignore_patterns("Makefile", ".*"))
    _say("initial RAM disks and disk")
    flags = ("-static", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-array-bounds", "-Wl,--build-id=none")
    for program in ("init", "patient"):
        _command(f"{CROSS}gcc", *flags, "-o", result / program, HERE / f"{program}.c", "-lm")
        os.utime(result / program, (_DATE, _DATE))
    for disk, listed in (("initrd", "initramfs"), ("patient", "patient")):
        content = _command(tree / "usr/gen_init_cpio", "-t", str(_DATE), HERE / f"{listed}.list", cwd=result)
        (result / f"{disk}.cpio").write_bytes(content)
    _make_disk(result / "disk.img", work / "files")


def _check_configuration(path: Path) -> None:
    taken = path.read_text().splitlines()
    wanted = [line for line in (HERE / "minimal.config").read_text().splitlines() if line.startswith("CONFIG_")]
    if refused := [line for line in wanted if line not in taken]:
        raise BuildError(
            f"minimal.config: the kernel's Kconfig did not take {', '.join(refused)}; is a dependency missing?"
        )


def _disk_files() -> dict[str, bytes]:
    return {
        "greeting.txt": b"Hello, Linux. Read numbers.bin, write pattern.bin.\n",
        "numbers.bin": b"".join((i * i & 0xFFFFFFFF).to_bytes(4, "little") for i in range(16384)),
        "obsolete.txt": b"to be removed\n",
    }


def _make_disk(image: Path, files: Path) -> None:
    files.mkdir()
    for name, content in _disk_files().items():
        (files / name).write_bytes(content)
        os.utime(files / name, (_DATE, _DATE))
    os.utime(files, (_DATE, _DATE))
    _command("mke2fs", "-q", "-t", "ext2", "-d", files, "-U", DISK_IDENTITY, "-E",
             f"hash_seed={DISK_IDENTITY},root_owner=0:0", image, "4M")  # fmt: skip
    for name in _disk_files():
        _command("debugfs", "-w", "-R", f"set_inode_field {name} ctime @{_DATE}", image)


def _command(*command: str | Path, cwd: Path | None = None) -> bytes:
    """Run a program; return what it wrote to standard output."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OUTER_MAKE}
    environment = inherited | REPRODUCIBLE | {"PATH": PATH}
    run = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=False)
    if run.returncode != 0:
        end = (run.stdout + run.stderr).decode(errors="replace").splitlines()[-20:]
        raise BuildError("\n".join([f"{' '.join(map(str, command))} failed with status {run.returncode}:", *end]))
    return run.stdout


def _say(text: str) -> None:
    print(f"building Linux: {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n\n")[0],
        epilog="The first time it takes a few minutes and 2 GB of disk space, later nothing. See docs/linux.md.",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="where to copy the files; without it, print where they lie"
    )
    folder: Path | None = parser.parse_args().folder
    try:
        built = linux()
        if folder is not None:
            shutil.copytree(built.directory, folder, dirs_exist_ok=True)
            built = Linux(folder)
    except (BuildError, OSError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    for name in ("kernel", "vmlinux", "initrd", "init", "patient", "disk"):
        print(name, getattr(built, name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
