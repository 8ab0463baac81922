"""`ekernel-qemu`: QEMU's command line, word for word, so that a kernel's Makefile works with QEMU=ekernel-qemu."""

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise

from emu.cli.run import run_guest
from emu.cli.words.options import run_options
from emu.cli.words.qemu import check_harts, read_machine
from emu.cli.words.requests import RunWords
from emu.errors import ConfigError
from emu.installed import installed_version
from emu.terminal.signals import Signals

_VERSION = "7.2.0"
"""Of the QEMU whose command line and `virt` this is: Makefiles look at it."""
_COLUMN = 16
_LISTS = {
    "-machine": "Supported machines are:\nvirt                 RISC-V VirtIO board",
    "-M": "Supported machines are:\nvirt                 RISC-V VirtIO board",
    "-cpu": "max\nrv64",
    "-accel": "Accelerators supported in QEMU binary:\ntcg",
}
"""What `help` as the value of an option prints."""


def main(words: Sequence[str], signals: Signals) -> int:
    """Boot what QEMU's words ask for; the exit status."""
    single = ["-" + word.lstrip("-") if word.startswith("--") and len(word) > 2 else word for word in words]
    if {"-h", "-help"} & set(single):
        print("\n".join(_help()))
        return 0
    if "-version" in single:
        print("\n".join(_version()))
        return 0
    for option, value in pairwise(single):
        if option in _LISTS and value in ("help", "?"):
            print(_LISTS[option])
            return 0
    options = run_options()
    known = options.options()
    spelled = [one if one in known else word for one, word in zip(single, words, strict=True)]
    request = options.read(spelled, RunWords())
    read_machine(request.machine)
    harts = check_harts(request.smp, most=8)
    if harts > 1:
        print(f"ekernel-qemu: -smp {request.smp}: one hart runs, as this machine has no more", file=sys.stderr)
    request.smp, request.quiet = "1", True
    if request.elf is not None:
        raise ConfigError(f"{request.elf}: write -kernel FILE for a kernel, -drive file=FILE,format=raw for a disk")
    if request.kernel is None and request.bios in ("default", "none") and not request.devices:
        raise ConfigError("there is nothing to boot: write -kernel FILE, or -bios FILE")
    return run_guest(request, signals)


def _version() -> list[str]:
    return [
        f"QEMU emulator version {_VERSION} (ekernel {installed_version()})",
        "ekernel runs RISC-V kernels with QEMU's command line; no part of it is QEMU's",
    ]


def _help() -> Iterator[str]:
    yield from _version()
    yield "usage: ekernel-qemu [options]"
    yield ""
    yield "Standard options:"
    yield _row("-h or -help", "display this help and exit")
    yield _row("-version", "display version information and exit")
    shown = set()
    for name, option in run_options().options().items():
        if name.startswith("--") or name in ("-h", "-q") or (option.to, option.given) in shown:
            continue
        shown.add((option.to, option.given))
        yield _row(f"{name} {option.form}" if option.form else name, option.text)
    yield ""
    yield "The options of `ekernel run` that have two dashes are taken as well: --trace, --timeout and so on."


def _row(option: str, text: str) -> str:
    return f"{option:<{_COLUMN}}{text}" if len(option) < _COLUMN else f"{option}\n{'':{_COLUMN}}{text}"
