"""A campaign of fuzzing in batches, many at once on an engine: what they find comes together in their order.

Each batch begins with what those far enough before it have found, so that the same corpus, seed, number of executions
and of places find the same, whoever executes which batch when, and also when one is executed twice.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from emu.campaign.engine import Engine, result
from emu.testing.fuzzing.campaign import Campaign, Summary
from emu.testing.fuzzing.keeping import Crash, Gathered, Keeper
from emu.testing.fuzzing.target import Target

_AHEAD = 2
"""Batches under way for each place, so that none waits for the one that is next in order."""
_BATCH, _INSTRUCTIONS, _SMALLEST = 20_000, 50_000_000, 64
"""Executions of a batch, at most; instructions that they should take, all in all; executions at least."""
_MEASURED = 16
"""Inputs whose length in instructions is looked at."""
_MOST_HANDED_ON = 8192
"""Inputs that are to be tried, which one batch hands to a later one."""
_LOOK = 0.2
"""Seconds between two looks at what the host wants."""


class Guest(NamedTuple):
    """What a worker needs to make the target."""

    saved: bytes
    """The file of a machine's snapshot."""
    opened: Callable[[Path, Any], Target]
    """A function of a module, as workers import it: it gets that file, and what was asked for."""
    asked: object


class Batch(NamedTuple):
    """What one batch has found."""

    executions: int
    inputs: list[bytes]
    crashes: list[Crash]
    counts: dict[Hashable, int]
    waiting: list[bytes]


def execute(
    guest: Guest, seeds: tuple[bytes, ...], waiting: list[bytes], known: frozenset[Hashable], seed: int, executions: int
) -> Batch:
    """One batch; `seeds` are executed again without being counted."""
    with _LOCK, _opened(guest) as target:
        found = Gathered()
        campaign = Campaign(target, seeds, found, seed=seed, known=known, waiting=waiting)
        campaign.run(executions=len(seeds) + executions)
        counts = {key: each.number for key, each in campaign.summary.failures.items() if each.number}
        return Batch(executions, found.inputs, found.crashes, counts, campaign.take_waiting(_MOST_HANDED_ON))


_LOCK = threading.Lock()
"""A worker may have several threads, and has one machine at a time."""


@contextmanager
def _opened(guest: Guest) -> Iterator[Target]:
    """A target of a batch's own: the edges of code that was translated for another batch are not the same."""
    with TemporaryDirectory(prefix="ekernel-fuzz-") as folder:
        path = Path(folder, "saved")
        path.write_bytes(guest.saved)
        target = guest.opened(path, guest.asked)
    try:
        yield target
    finally:
        target.machine.close()


class Fleet:
    """Runs the batches of one campaign, which comes together here."""

    def __init__(
        self, engine: Engine, name: str, guest: Guest, target: Target, seeds: Sequence[bytes], keeper: Keeper, *,
        places: int, seed: int,
    ) -> None:  # fmt: skip
        """`name` is the engine's, for messages; `target` is the guest's, made here, and tells what is new in all."""
        self._engine, self._name, self._guest = engine, name, engine.share(guest)
        self._campaign = Campaign(target, seeds, keeper, seed=seed)
        self._seeds, self._seed = len(seeds), seed
        self._at_once = _AHEAD * max(places, 1)
        longest = max(map(target.length, seeds[:_MEASURED]))
        self._size = max(_SMALLEST, min(_BATCH, _INSTRUCTIONS // max(longest, 1)))
        self._waiting: deque[Future[Batch]] = deque()
        self._number = 0

    def run(
        self, *, executions: int | None = None, seconds: float | None = None,
        ends: Callable[[], bool] = lambda: False, tell: Callable[[Summary], None] = lambda _summary: None,
    ) -> Summary:  # fmt: skip
        """As `Campaign.run`. When the time is up, no batch is begun any more; when `ends` says so, none is waited for.

        Raises ConfigError when the engine fails; what has come together by then is kept.
        """
        campaign, summary, start = self._campaign, self._campaign.summary, time.monotonic()
        campaign.run(executions=self._seeds if executions is None else min(self._seeds, executions), ends=ends)
        left = None if executions is None else executions - summary.executions
        size = self._size if left is None else min(self._size, max(_SMALLEST, -(-left // self._at_once)))
        try:
            while not ends():
                is_late = seconds is not None and time.monotonic() - start >= seconds
                while not is_late and left != 0 and len(self._waiting) < self._at_once:
                    count = size if left is None else min(size, left)
                    left = None if left is None else left - count
                    self._send(count)
                if not self._waiting:
                    break
                if wait([self._waiting[0]], timeout=_LOOK).done:
                    self._adopt(result(self._waiting.popleft(), self._name))
                summary.seconds = time.monotonic() - start
                tell(summary)
        finally:
            for future in self._waiting:
                future.cancel()
        return summary

    def _send(self, executions: int) -> None:
        campaign = self._campaign
        self._number += 1
        share = campaign.take_waiting(max(executions // 2, _SMALLEST))
        known = frozenset(campaign.summary.failures)
        seed = self._seed << 32 | self._number
        self._waiting.append(self._engine.submit(execute, self._guest, campaign.inputs, share, known, seed, executions))

    def _adopt(self, batch: Batch) -> None:
        self._campaign.adopt(batch.inputs, batch.crashes, batch.counts, batch.waiting, batch.executions)
