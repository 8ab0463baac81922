"""Trace files: one JSON object a line, the same for the same run, written whole or not at all."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from emu.address import PhysAddr, PhysPageNum, VirtAddr, VirtPageNum
from emu.errors import ConfigError
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


class TraceFile:
    """Writes events to a file beside its final place, which takes its name when `close` is called."""

    def __init__(self, path: Path, places: Places) -> None:
        self._path = path
        self._places = places
        try:
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115  # closed by `close`
                "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
            )
        except OSError as error:
            raise ConfigError(f"cannot write the trace to {path}: {error.strerror}; name another file") from error

    def write(self, event: Event) -> None:
        """Append an event."""
        record: dict[str, Json] = {"event": type(event).__name__, "at": self._places.name(event.pc)}
        record |= {field.name: to_json(getattr(event, field.name)) for field in fields(event)}
        self._file.write(json.dumps(record) + "\n")

    def close(self) -> None:
        """Give the file its name. What was written before an error stays readable."""
        self._file.close()
        Path(self._file.name).chmod(0o644)
        Path(self._file.name).replace(self._path)
