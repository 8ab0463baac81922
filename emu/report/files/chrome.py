"""Traces in Chrome's JSON (the "Trace Event Format"), which Perfetto, chrome://tracing and speedscope read."""

import json
from collections.abc import Iterable

from emu.report.files.timeline import Begun, Counted, Ended, Item, Stack
from emu.report.tracefile import Sink

LARGE = 100_000
"""Events from which on such a file is slow to open."""


def write_chrome(items: Iterable[Item], stream: Sink, program: str) -> int:
    """Write a trace; a microsecond of it is an instruction. How many events it has."""
    about = {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": program}}
    stream.write(b'{"traceEvents": [\n' + json.dumps(about).encode())
    number = 1
    for number, item in enumerate(items, start=2):  # noqa: B007  # how many there were
        stream.write(b",\n" + json.dumps(_event(item)).encode())
    stream.write(b"\n]}\n")
    return number


def _event(item: Item) -> dict[str, object]:
    if isinstance(item, Stack):
        return {"ph": "M", "name": "thread_name", "pid": 1, "tid": item.number, "args": {"name": item.name}}
    if isinstance(item, Counted):
        return {"ph": "C", "name": item.counter, "pid": 1, "ts": item.instret, "args": {"held": item.value}}
    where: dict[str, object] = {"pid": 1, "tid": item.stack, "ts": item.instret}
    if isinstance(item, Ended):
        return {"ph": "E", **where}
    if isinstance(item, Begun):
        return {"ph": "B", "name": item.name, "cat": item.category, **where, "args": item.details}
    return {"ph": "i", "s": "t", "name": item.name, "cat": "event", **where, "args": item.details}
