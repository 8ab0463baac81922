"""Trace files: one JSON object a line, the same for the same run."""

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from emu.address import PhysAddr, PhysPageNum, VirtAddr, VirtPageNum
from emu.events import Event
from emu.report.places import Places

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"
_UNITS = (PhysAddr, VirtAddr, PhysPageNum, VirtPageNum)
_LARGEST_PLAIN_INTEGER = 1 << 53
"""Larger numbers lose digits in readers that keep numbers as doubles (RFC 8259, section 6)."""


def to_json(value: object) -> Json:
    """An event or a part of one as JSON: addresses, page numbers and large numbers in hexadecimal strings.

    >>> to_json((VirtAddr(4096), 3, 1 << 60, b"ok", None))
    ['0x1000', 3, '0x1000000000000000', 'ok', None]
    """
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return hex(value) if isinstance(value, _UNITS) or value >= _LARGEST_PLAIN_INTEGER else int(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Iterable):
        return [to_json(item) for item in value]
    raise TypeError(f"an event holds a {type(value).__name__}, which has no form in JSON")


class Sink(Protocol):
    """Takes bytes: a file, or a part of one."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append them; the memory is used again afterwards."""


class TraceFile:
    """Writes events to a stream."""

    def __init__(self, stream: Sink, places: Places) -> None:
        self._stream = stream
        self._places = places

    def write(self, event: Event) -> None:
        """Append an event."""
        record: dict[str, Json] = {"event": type(event).__name__, "at": self._places.name(event.pc)}
        record |= {field.name: to_json(getattr(event, field.name)) for field in fields(event)}
        self._stream.write(json.dumps(record).encode() + b"\n")
