"""Which sections an expression mentions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from linker.script.syntax import Call


def _parts(expression: object) -> Iterator[object]:
    """The expression and all within it."""
    waiting = [expression]
    while waiting:
        item = waiting.pop()
        if isinstance(item, tuple):
            waiting += reversed(item)
        elif is_dataclass(item) and not isinstance(item, type):
            yield item
            waiting += reversed([getattr(item, field.name) for field in fields(item)])


def mentioned_sections(expression: object) -> Iterator[str]:
    """The sections of ADDR and LOADADDR."""
    for part in _parts(expression):
        if isinstance(part, Call) and part.function in ("ADDR", "LOADADDR"):
            yield part.word
