"""The JSON Schema of everything that is written as JSON lines: events, and the tables of a recording."""

import types
import typing
from dataclasses import is_dataclass
from enum import Enum

from emu import events
from emu.address import PhysAddr, PhysPageNum, VirtAddr, VirtPageNum
from emu.events import Event
from emu.observe.faults import PageFaultHandled
from emu.report.coverage.edges import EDGE_COLUMNS
from emu.report.files.tables import TABLES, Column
from emu.report.tracefile import Json

_HEXADECIMAL: Json = {"$ref": "#/$defs/hexadecimal"}
_INTEGER: Json = {"$ref": "#/$defs/integer"}
_SHARED: dict[str, Json] = {
    "hexadecimal": {"type": "string", "pattern": "^0x[0-9a-f]+$"},
    "integer": {
        "description": "Numbers from 2^53 on are strings: readers that keep numbers as doubles would lose digits.",
        "anyOf": [{"type": "integer"}, _HEXADECIMAL],
    },
}
_KINDS: dict[str, Json] = {"number": _INTEGER, "address": _HEXADECIMAL, "text": {"type": "string"}}


def schema() -> Json:
    """The schema (JSON Schema 2020-12): `$defs` has one for each kind of line."""
    lines: dict[str, Json] = {}
    for kind in _kinds_of_events():
        properties: dict[str, Json] = {
            "event": {"const": kind.__name__},
            "at": {"type": "string", "description": "The place of pc: symbol, offset, file and line."},
        }
        properties |= _properties(kind)
        lines[kind.__name__] = _object(properties, kind.__doc__)
    for name, columns in [*((name, table.columns) for name, table in TABLES.items()), ("edges", EDGE_COLUMNS)]:
        lines[name] = _object({column.name: _column(column) for column in columns}, None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lines of ekernel's JSON files",
        "description": "Events of `ekernel run --trace-out` and `ekernel trace FILE events`; rows of `ekernel trace "
        "FILE instructions|functions|memory|registers -format jsonl`; edges of `ekernel coverage -format edges`.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in lines],
        "$defs": _SHARED | lines,
    }


def _kinds_of_events() -> list[type[Event]]:
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
    known = [kind for kind in kinds if kind is not events.OtherCsrWritten]  # a log's own: no file has it
    return [*(kind for kind in known if kind is not Event), PageFaultHandled]


def _object(properties: dict[str, Json], about: str | None) -> Json:
    made: dict[str, Json] = {"type": "object"}
    if about:
        made["description"] = about.split("\n\n")[0].replace("\n    ", " ")
    names: list[Json] = list(properties)
    return made | {"properties": properties, "required": names, "additionalProperties": False}


def _column(column: Column) -> Json:
    kind = _KINDS[column.kind]
    assert isinstance(kind, dict)
    return {"description": column.about, **kind}


def _properties(kind: type) -> dict[str, Json]:
    return {name: _form(hint) for name, hint in typing.get_type_hints(kind).items()}


def _form(hint: object) -> Json:
    """How a value of a type stands in the file; see `emu.report.tracefile.to_json`."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return {"anyOf": [_form(each) for each in typing.get_args(hint)]}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _form(typing.get_args(hint)[0])}
    if hint is types.NoneType:
        return {"type": "null"}
    assert isinstance(hint, type), hint
    if issubclass(hint, Enum):
        names: list[Json] = [each.name for each in hint]
        return {"enum": names}
    if hint is bool:
        return {"type": "boolean"}
    if hint in (PhysAddr, VirtAddr, PhysPageNum, VirtPageNum):
        return _HEXADECIMAL
    if issubclass(hint, int):
        return _INTEGER
    if is_dataclass(hint) or issubclass(hint, Event):
        return _object(_properties(hint), None)
    assert hint in (str, bytes), hint
    return {"type": "string"}
