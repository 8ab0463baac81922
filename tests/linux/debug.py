"""Build the Linux that debuggers are tried on: with debug information, gdb's scripts, vmcoreinfo and a module.

It takes some twelve minutes of a processor, twice as long as the other Linux of the tests, and 3 GB of disk while it
does; so only who asks for it builds it (`python -m tests.linux.debug`), and tests that need it are skipped elsewhere.
It lies in `~/.cache/ekernel/linux-debug-KEY/`.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from tests.linux import build

HERE = Path(__file__).parent
_INPUTS = [HERE / name for name in ("minimal.config", "debug.config", "module.c")]
_INITRD = """dir /dev 755 0 0
nod /dev/console 600 0 0 c 5 1
file /crc7.ko crc7.ko 644 0 0
file /init init 755 0 0
"""
HOW = "python -m tests.linux.debug"


def directory() -> Path:
    """Where it lies, once it is built: `Image`, `vmlinux`, `vmlinux-gdb.py`, `crc7.ko`, `initrd.cpio`."""
    key = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in _INPUTS)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ekernel"
    return cache / f"linux-debug-{key}"


def make(result: Path) -> None:
    """Build it there, complete or not at all. Raises BuildError."""
    if missing := build.missing_packages():
        raise build.BuildError(f"not everything is installed; on Debian 12: apt-get install {' '.join(missing)}")
    work = result.with_suffix(".building")
    shutil.rmtree(work, ignore_errors=True)
    tree, ready = work / "linux", work / "result"
    tree.mkdir(parents=True)
    ready.mkdir()
    try:
        build._command("tar", "-xf", build.SOURCE, "-C", tree, "--strip-components=1")
        (work / "all.config").write_text(
            "".join((HERE / f"{name}.config").read_text() for name in ("minimal", "debug"))
        )
        command = ["make", "-s", "-C", str(tree), f"-j{os.cpu_count()}", "ARCH=riscv", f"CROSS_COMPILE={build.CROSS}"]
        build._command(*command, f"KCONFIG_ALLCONFIG={work / 'all.config'}", "allnoconfig")
        build._command(*command, "KCFLAGS=-fno-var-tracking", "Image", "modules", "scripts_gdb")
        collect(tree, tree, ready)
        ready.rename(result)
    finally:
        shutil.rmtree(work)


def collect(tree: Path, built: Path, ready: Path) -> None:
    """Copy from a built tree what debuggers need, and make the initial RAM disk."""
    for name in ("arch/riscv/boot/Image", "vmlinux", "vmlinux-gdb.py", "lib/crc7.ko"):
        shutil.copy(built / name, ready)
    for scripts in {tree / "scripts/gdb", built / "scripts/gdb"}:
        shutil.copytree(scripts, ready / "scripts/gdb", dirs_exist_ok=True, ignore=shutil.ignore_patterns("Makefile"))
    flags = ("-static", "-O2", "-Wall", "-Wextra", "-Werror")
    build._command(f"{build.CROSS}gcc", *flags, "-o", "init", HERE / "module.c", cwd=ready)
    (ready / "list").write_text(_INITRD)
    (ready / "initrd.cpio").write_bytes(build._command(built / "usr/gen_init_cpio", "list", cwd=ready))


def main() -> int:
    result = directory()
    try:
        if not result.exists():
            print("building Linux with debug information; this takes a while", file=sys.stderr, flush=True)
            result.parent.mkdir(parents=True, exist_ok=True)
            make(result)
    except (build.BuildError, OSError) as error:
        print(f"debug.py: {error}", file=sys.stderr)
        return 1
    print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
