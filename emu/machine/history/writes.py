"""Looking backwards for who has written: to memory by a native record of stores, to a register by one of its writes."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from emu.engine import Engine
from emu.engine.translated.lastwriter import LastWriter
from emu.engine.translated.registerwrites import RegisterWrites, decode
from emu.machine.history.travel import Search

CELL = 8
"""Bytes of which only the last store to any of them is known."""


@contextmanager
def stores_to(engine: Engine, cells: Iterable[int]) -> Iterator[Search]:
    """While it is entered: how to find the last store to cells of RAM, given by their physical addresses."""
    cells, writer = frozenset(cells), LastWriter()
    if cells:
        engine.switch_on(writer)

    def finish() -> int | None:
        stores = (writer.of(cell) for cell in cells)
        return max((store.instret for store in stores if store is not None), default=None)

    def search(_hit: Callable[[], None]) -> Callable[[], int | None]:
        writer.forget()
        return finish

    try:
        yield search
    finally:
        engine.switch_off(writer)


@contextmanager
def changes_of(engine: Engine, register: int) -> Iterator[Search]:
    """While it is entered: how to find the last instruction that wrote an integer register."""
    last: list[int] = []

    def drain(records: memoryview) -> None:
        for write in decode(records):
            if write.register == register:
                last[:] = [write.instret]

    writes = RegisterWrites(drain)
    engine.switch_on(writes)

    def finish() -> int | None:
        engine.flush_features()
        return last[-1] if last else None

    def search(_hit: Callable[[], None]) -> Callable[[], int | None]:
        engine.flush_features()
        last.clear()
        return finish

    try:
        yield search
    finally:
        engine.switch_off(writes)
