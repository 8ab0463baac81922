"""The errors of this package: one family, each text says what happened, where, and what to do next."""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from emu.events import TrapTaken


class EmuError(Exception):
    """Base of every error that `emu` raises on purpose; its text is written for the user.

    >>> issubclass(ConfigError, EmuError)
    True
    """


class ConfigError(EmuError):
    """The machine was asked for something it cannot be: a size, a name or a combination that does not fit."""


def no_descriptors(error: OSError) -> ConfigError:
    """What is said where a process has as many files open as the host lets it."""
    return ConfigError(
        f"the host gives this process no more descriptors of files ({error.strerror}); "
        "close other machines, or raise the limit (ulimit -n)"
    )


class ImageError(EmuError):
    """A file to load is missing, damaged, or made for another machine."""


class RecordingError(EmuError):
    """A recording or saved snapshot that cannot be read or written: damaged, of another version, a full disk."""


class SymbolError(EmuError):
    """A name or address that the loaded image does not have."""


class AddressError(EmuError):
    """The host asked for an address that is outside memory, or that the guest does not map."""


class MachineError(EmuError):
    """The guest did what no hart survives, or the engine could not go on; names pc and cause."""


class DoubleFault(MachineError):
    """A trap whose handler traps at once, again and again: no instruction will ever retire.

    `first` is the trap that the handler was for, `last` the one that keeps it from running.
    """

    def __init__(self, text: str, first: "TrapTaken", last: "TrapTaken") -> None:
        super().__init__(text, first, last)  # as an exception that can be pickled has it
        self.text, self.first, self.last = text, first, last

    def __str__(self) -> str:
        return self.text


class LimitExceeded(EmuError):
    """The guest ran into a limit that the user set: instructions or time."""


class GuestPanic(EmuError):
    """A guest function that was called from a test powered the machine off instead of returning."""
