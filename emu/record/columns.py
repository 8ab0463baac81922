"""Instructions of a recording as NumPy columns."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emu.engine.translated.definitions import Block
from emu.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np


def columns(executed: Iterable[tuple[int, Block, int, int]], first: int, last: int) -> "dict[str, np.ndarray]":
    """`instret`, `pc` and `privilege` of each instruction; from instret, block, how many of it retired, and privilege.

    Raises ConfigError where NumPy is not installed.
    """
    try:
        import numpy as np
    except ImportError:
        raise ConfigError("columns need the package numpy: pip install 'ekernel[numpy]'") from None

    numbers: dict[int, int] = {}
    known: list[Block] = []
    starts, counts, index, modes = [], [], [], []
    for instret, block, retired, privilege in executed:
        place = numbers.setdefault(block.number, len(known))
        if place == len(known):
            known.append(block)
        starts.append(instret)
        counts.append(retired)
        index.append(place)
        modes.append(privilege)
    addresses = [np.array(block.addresses(), dtype=np.uint64) for block in known]
    parts = [addresses[place][:count] for place, count in zip(index, counts, strict=True)]
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    ends = np.cumsum(sizes)
    within = np.arange(sizes.sum(), dtype=np.int64) - np.repeat(ends - sizes, sizes)
    times = np.repeat(np.array(starts, dtype=np.uint64), sizes) + within.astype(np.uint64)
    privileges = np.array(modes, dtype=np.uint8)
    chosen = (times >= np.uint64(first)) & (times <= np.uint64(last))
    return {
        "instret": times[chosen],
        "pc": np.concatenate([np.array([], dtype=np.uint64), *parts])[chosen],
        "privilege": np.repeat(privileges, sizes)[chosen],
    }
