"""What Python and the native code that packs records both know: the words that they share, and the predictions.

A record has a key (who, and what), one or two values, and a time. The prediction for it lies in a table, at a place
that follows from the key of the record before: code that has led from one instruction to another will do so again. It
is the key that followed there last; the time between the two; and for each value the last one and its step. The
differences to that, in the order key, time, values, are written with their signs in the lowest bits, and without the
zero bytes at the upper end; how many bytes remain of each goes into columns of its own (`Shared`).
"""

from enum import IntEnum
from functools import partial
from importlib import import_module

from emu.engine.native import Probe

TABLE_BITS = 14
ENTRY = 64
"""Bytes of an entry: key, time, then for each value the last one and its step; two words are free."""
TIME_OF_ENTRY, FIRST_OF_ENTRY, SECOND_OF_ENTRY, STEP = 8, 16, 32, 8
MULTIPLIER = 0x9E37_79B9_7F4A_7C15
"""Fibonacci hashing: the upper bits of the key's product are the entry's number."""
ONE_VALUE = 24
"""Bytes of a record with one value: key, value, time. One with two has 8 more."""


class Shared(IntEnum):
    """Words of 64 bits, by number."""

    TABLE = 0
    KEY = 1
    """Of the record before."""
    TIME = 2
    WIDTH = 3
    """Bytes of a record."""
    RECORDS = 4
    """Where the next one is read, or written."""
    RECORDS_END = 5
    LENGTHS = 6
    """A byte for each record: bytes that remain of the key, and << 4 of the time."""
    VALUES = 7
    """A byte for each record: bytes that remain of the first value, and << 4 of the second."""
    REST = 8
    """Where the bytes themselves go, one behind the other; 8 bytes more are written, or read, than belong to them."""
    REST_END = 9
    """No record begins behind it; for unpacking, `SLACK` bytes more are readable."""
    MASKS = 10
    """Sixteen words: the bits of so many bytes."""


WORDS = Shared.MASKS + 16
SLACK = 64
"""More than a record takes of the rest, however damaged the lengths are."""


def _source(host: str, name: str) -> str:
    text: str = getattr(import_module(f"emu.record.predicted.{host}"), name)
    return text


PACK, UNPACK = (
    Probe(f"{name.lower()}_records", partial(_source, "x86_64", name), partial(_source, "aarch64", name))
    for name in ("PACK", "UNPACK")
)
"""Get the address of the shared words."""
