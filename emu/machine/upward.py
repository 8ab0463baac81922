"""Doors to what is made above the machine and still is its own for a user: typed calls, files of snapshots, drgn, gdb.

No layer imports one above it, so each is found by the name of its module with its first use.
"""

from importlib import import_module

from emu.hints import Any, Protocol


class GuestFunction(Protocol):
    """A guest function that takes and gives Python values."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it."""


def declare_function(*words: object, **options: object) -> GuestFunction:
    """See `Machine.function`: a crash in it is explained by observers and reports."""
    made: GuestFunction = import_module("emu.testing.calls.function").declare(*words, **options)
    return made


def snapshot_files() -> Any:
    """The module that writes and reads snapshots: it needs the container of recordings."""
    return import_module("emu.record.snapshotfile")


class Sanitizer(Protocol):
    """What reports accesses to ranges of addresses."""

    def poison(self, place: range, why: str) -> None:
        """Report accesses to these."""

    def unpoison(self, place: range) -> None:
        """Report them no more."""


def sanitizer_of(machine: object) -> Sanitizer:
    """The sanitizer that is attached to a machine, or a new one."""
    found: Sanitizer = import_module("emu.observe.sanitizer.address").sanitizer_of(machine)
    return found


def drgn_program(machine: object, files: object) -> Any:
    """See `emu.debug.drgn.program`."""
    return import_module("emu.debug.drgn").program(machine, files)


def gdb_service(machine: object, address: str, *, halted: bool) -> Any:
    """See `Machine.serve_gdb`: `monitor` has all words of the terminal's."""
    return import_module("emu.terminal.serving").serve_gdb(machine, address, halted=halted)
