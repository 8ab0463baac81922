"""How often things are repeated: as figures need, or with `--quick` just enough to see that all parts run."""

import sys

QUICK = "--quick" in sys.argv[1:]


def size(count: int, quick: int = 1) -> int:
    """So many times, rounds or lines; at most `quick` of them with `--quick`, whose figures mean nothing."""
    return min(count, quick) if QUICK else count
