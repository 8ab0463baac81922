"""`--from`: a run goes on where a saved snapshot was taken."""

from types import SimpleNamespace

from emu.cli.words.reading import Words
from emu.cli.words.requests import RunWords
from emu.errors import ConfigError
from emu.machine import Machine

_OF_THE_MACHINE = frozenset(
    {
        "elf",
        "kernel",
        "bios",
        "append",
        "initrd",
        "dtb",
        "dumpdtb",
        "memory",
        "no_reboot",
        "fidelity",
        "clock",
        "drives",
    }
    | {"devices", "settings", "snapshot", "semihosting", "semihosting_settings", "semihosting_files"}
    | {"profile", "frames", "heap", "replacement", "store", "programs"}
)
"""What words may not say when the file says it."""


def open_saved(request: RunWords, words: Words) -> Machine:
    """The machine of `--from`. Raises ConfigError for a word that says what the machine is."""
    plain = words.read([], SimpleNamespace())
    for spelling, option in words.options().items():
        name = option.to
        if name in _OF_THE_MACHINE and getattr(request, name) != getattr(plain, name):
            raise ConfigError(f"{spelling}: the machine is that of {request.origin}; leave {spelling} out, or --from")
    if request.elf is not None:
        raise ConfigError(f"{request.elf}: the machine of {request.origin} has its kernel; leave one of them out")
    assert request.origin is not None
    machine = Machine.open(request.origin)
    for path in request.symbols:
        machine.add_symbols(path)
    return machine
