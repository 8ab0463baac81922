"""Snapshots along a run, to begin from on the way to a moment: as many as memory and time allow."""

import time
from bisect import bisect_left, bisect_right

from emu.lateclass import dataclass
from emu.machine.history.moment import Moment
from emu.machine.snapshots import Snapshot

_MOST = 96
"""Checkpoints that are kept."""
_MOST_BYTES = 256 << 20
"""What they may take of the host's memory, by estimate."""
_SHARE = 0.03
"""Of the time of the run, what taking them may cost; but for the first, which comes before the time is known."""
_FIRST, _FEWEST = 2_000_000, 250_000
"""Instructions before the first, and at the least between two."""
_UNSEEN = 2.0
"""What a snapshot costs in all, beside the time that it takes: the pages that are copied by the next writes."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A state to begin from."""

    moment: Moment
    snapshot: Snapshot
    position: int
    """How many inputs had had their effect."""


class Checkpoints:
    """Those of one history, in their order; the first one is always kept."""

    def __init__(self) -> None:
        self._all: list[Checkpoint] = []
        self._moments: list[Moment] = []
        self.interval = _FIRST
        """Instructions to run before the next one is taken."""
        self._began = time.process_time()
        self._ran = self._spent = 0.0
        """Seconds in which the guest ran, and that checkpoints took."""

    def __len__(self) -> int:
        return len(self._all)

    @property
    def first(self) -> Checkpoint:
        """Where history begins."""
        return self._all[0]

    def at_or_before(self, moment: Moment) -> Checkpoint | None:
        """The last one from which a moment can be reached."""
        index = bisect_right(self._moments, moment)
        return self._all[index - 1] if index else None

    def before(self, moment: Moment, *, most: int = 0) -> Checkpoint | None:
        """The last one before a moment; with `most` the first of those that are so many instructions before it."""
        index = bisect_left(self._moments, moment)
        first = bisect_left(self._moments, Moment(moment.instret - most, -1))
        return self._all[min(first, index - 1)] if index else None

    def add(self, checkpoint: Checkpoint) -> None:
        """Keep one more; others go when there are too many."""
        index = bisect_left(self._moments, checkpoint.moment)
        if index < len(self._all) and self._moments[index] == checkpoint.moment:
            self._remove(index)
        self._all.insert(index, checkpoint)
        self._moments.insert(index, checkpoint.moment)
        while len(self._all) > 3 and (len(self._all) > _MOST or self._bytes() > _MOST_BYTES):
            self._remove(self._least())

    def cut(self, moment: Moment) -> None:
        """Forget those behind a moment."""
        while self._moments and self._moments[-1] > moment:
            self._remove(len(self._all) - 1)

    def clear(self) -> None:
        """Forget all."""
        self.cut(Moment(-1, -1))

    def began(self) -> None:
        """The guest runs from here on."""
        self._began = time.process_time()

    def took(self, seconds: float, instructions: int) -> None:
        """Adapt the interval to what the last one has cost, after so many instructions."""
        run = max(time.process_time() - self._began - seconds, 1e-4)
        self._ran += run
        self._spent += seconds
        debt = self._spent * _UNSEEN / _SHARE - self._ran
        wanted = seconds * _UNSEEN / _SHARE + max(debt, 0.0)
        self.interval = max(_FEWEST, int(wanted * max(instructions, 1) / run))

    def _least(self) -> int:
        """The one whose loss lengthens the ways the least, in proportion to how far back it is."""
        last = self._moments[-1].instret + 1

        def loss(index: int) -> float:
            gap = self._moments[index + 1].instret - self._moments[index - 1].instret
            return gap / (last - self._moments[index].instret)

        return min(range(1, len(self._all) - 1), key=loss)

    def _bytes(self) -> int:
        return sum(one.snapshot.ram.bytes for one in self._all)

    def _remove(self, index: int) -> None:
        del self._moments[index]
        del self._all[index]
