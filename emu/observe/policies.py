"""Page replacement on a recorded workload: how often each policy would fault, Belady's optimum among them."""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from emu.address import PAGE_BITS
from emu.record.recording import Recording


def references(recording: Recording, first: int, last: int) -> list[int]:
    """The virtual pages that loads and stores touch, in order, each run of the same page once: repeats are hits.

    Raises RecordingError for a recording without accesses.
    """
    pages = (access.address >> PAGE_BITS for access in recording.accesses(first, last))
    return [page for page, _ in groupby(pages)]


def fifo(pages: Iterable[int], frames: int) -> int:
    """Faults when the page goes that came first.

    >>> workload = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]  # Belady's anomaly: more frames, more faults
    >>> fifo(workload, 3), fifo(workload, 4)
    (9, 10)
    """
    held: set[int] = set()
    queue: deque[int] = deque()
    faults = 0
    for page in pages:
        if page not in held:
            faults += 1
            if len(held) == frames:
                held.remove(queue.popleft())
            held.add(page)
            queue.append(page)
    return faults


def clock(pages: Iterable[int], frames: int) -> int:
    """Faults when the hand passes over pages that were used since it last came by."""
    ring: list[int] = []
    used: dict[int, bool] = {}
    hand = faults = 0
    for page in pages:
        if page in used:
            used[page] = True
            continue
        faults += 1
        if len(ring) < frames:
            ring.append(page)
        else:
            while used[ring[hand]]:
                used[ring[hand]] = False
                hand = (hand + 1) % frames
            del used[ring[hand]]
            ring[hand] = page
            hand = (hand + 1) % frames
        used[page] = True
    return faults


def lru(pages: Iterable[int], frames: int) -> int:
    """Faults when the page goes that was not used for the longest time."""
    held: OrderedDict[int, None] = OrderedDict()
    faults = 0
    for page in pages:
        if page in held:
            held.move_to_end(page)
            continue
        faults += 1
        if len(held) == frames:
            held.popitem(last=False)
        held[page] = None
    return faults


def opt(pages: Sequence[int], frames: int) -> int:
    """Faults when the page goes whose next use is farthest: no policy has fewer (Belady, 1966).

    >>> opt([1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5], 3)
    7
    """
    never = len(pages)
    following, upcoming = [never] * never, dict[int, int]()
    for place in reversed(range(never)):
        following[place] = upcoming.get(pages[place], never)
        upcoming[pages[place]] = place
    held: dict[int, int] = {}
    farthest: list[tuple[int, int]] = []
    faults = 0
    for place, page in enumerate(pages):
        if page not in held:
            faults += 1
            while len(held) == frames:
                when, other = heapq.heappop(farthest)
                if held.get(other) == -when:  # else it was used since
                    del held[other]
        held[page] = following[place]
        heapq.heappush(farthest, (-following[place], page))
    return faults


POLICIES: Mapping[str, Callable[[Sequence[int], int], int]] = {"fifo": fifo, "clock": clock, "lru": lru, "opt": opt}
"""Faults of each policy on a sequence of pages, with so many frames, all of them free at first."""
