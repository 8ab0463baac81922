"""Suggestions for words that were mistyped: none that is farther than two typing mistakes."""

from collections.abc import Iterable

_MOST_MISTAKES = 2


def mistakes(one: str, other: str) -> int:
    """How many letters to insert, remove, replace or swap with a neighbour (optimal string alignment distance).

    >>> mistakes("kernal", "kernel"), mistakes("trcae", "trace"), mistakes("smp", "")
    (1, 1, 3)
    """
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row, last = [i], rows[-1]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was meant, if it is at most two mistakes away and not all of it would be one.

    >>> nearest("--trcae", ["--trace", "--json"]), nearest("-d", ["-q", "-smp"]), nearest("fulll", ["full"])
    ('--trace', None, 'full')
    """
    least, found = _MOST_MISTAKES + 1, None
    letters = len(word.lstrip("-"))
    for candidate in known:
        count = mistakes(word, candidate) if abs(len(word) - len(candidate)) <= _MOST_MISTAKES else least
        if count < min(least, letters, len(candidate.lstrip("-"))):
            least, found = count, candidate
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question to put before a list of what there is, or nothing.

    >>> did_you_mean("fauls", ["faults"])
    "did you mean 'faults'? "
    """
    near = nearest(word, known)
    return f"did you mean '{near}'? " if near else ""
