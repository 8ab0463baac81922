"""Looking backwards for who has accessed memory, and who has written a register, by native records."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from emu.engine import Engine
from emu.engine.translated.features.lastaccess import LastAccess, Watched
from emu.engine.translated.features.registerwrites import RegisterWrites, decode
from emu.machine.history.travel import Search


@contextmanager
def accesses_to(engine: Engine, watched: Iterable[Watched]) -> Iterator[Search]:
    """While it is entered: how to find the last access to bytes of RAM."""
    ranges = tuple(watched)
    last = LastAccess(ranges)
    if ranges:
        engine.switch_on(last)

    def search(_hit: Callable[[], None]) -> Callable[[], int | None]:
        last.forget()
        return lambda: last.instret

    try:
        yield search
    finally:
        engine.switch_off(last)


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
