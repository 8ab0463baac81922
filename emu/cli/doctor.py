"""`ekernel doctor`: what this host can do, and what it lacks."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence

from emu.cli.words.reading import Words, add_help
from emu.engine import library
from emu.engine.library import KNOWN_VERSIONS
from emu.engine.translated import installation
from emu.installed import installed_version
from emu.terminal.signals import Signals
from kernel.build import build_directory

_ORACLES = {
    "qemu-system-riscv64": "qemu-system-misc",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "riscv64-unknown-elf-ld": "binutils-riscv64-unknown-elf",
    "gdb-multiarch": "gdb-multiarch",
}
"""Programs that tests compare with, and Debian's packages that have them."""


class DoctorWords:
    """Nothing to ask for."""


def options() -> Words:
    """The words of `ekernel doctor`."""
    words = Words("ekernel doctor", "Say what this host can do, and what it lacks. Exit status 1: no guest can run.")
    add_help(words, "options")
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Say it; the exit status."""
    options().read(words, DoctorWords())
    fits = library.VERSION in KNOWN_VERSIONS
    for name, text in _findings(fits=fits):
        print(f"{name:<24}{text}")
    return 0 if fits else 1


def _findings(*, fits: bool) -> Iterator[tuple[str, str]]:
    yield "ekernel", installed_version()
    yield "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    expected = "" if fits else f": install {' or '.join(KNOWN_VERSIONS)}, no guest runs on this one"
    yield "unicorn", f"{library.VERSION}{expected}"
    yield "native code", _native_code()
    yield "built kernels", str(build_directory().absolute())
    yield "terminal", "yes" if sys.stdin.isatty() else "no: the guest gets all that is typed, Ctrl-A too"
    for program, package in _ORACLES.items():
        yield program, shutil.which(program) or f"not found (Debian: {package}); only tests compare with it"


def _native_code() -> str:
    if os.environ.get("EKERNEL_PROBES") == "python":
        return "no, as EKERNEL_PROBES asks: Python, ten to sixty times slower, with the same results"
    reason = installation.obstacle()
    if reason is None:
        return "yes, in each block of translated code"
    return f"no, Python, ten to sixty times slower, with the same results: {reason}"
