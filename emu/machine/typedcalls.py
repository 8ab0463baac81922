"""The door to typed calls: what makes them explains a crash, which takes observers and reports, so it lives above."""

from importlib import import_module
from typing import Any, Protocol


class GuestFunction(Protocol):
    """A guest function that takes and gives Python values."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it."""


def declare_function(*words: object, **options: object) -> GuestFunction:
    """See `Machine.function`; the module is found by its name with the first use, as no layer imports one above it."""
    made: GuestFunction = import_module("emu.testing.calls.function").declare(*words, **options)
    return made
