"""The order in which GNU ld visits its symbols: it decides where COMMON symbols and GOT entries go.

BFD's hash table (bfd/hash.c) is walked bucket by bucket; a bucket shows its latest symbol first. To place the same
symbol at the same address, this module visits them in the same order.
"""

from collections.abc import Iterable

_FIRST_SIZE = 4051
_PRIMES = (8191, 16381, 32749, 65537, 131071, 262147, 524287, 1048583, 2097143, 4194301)
_WORD = 0xFFFF_FFFF_FFFF_FFFF


def symbol_hash(name: str) -> int:
    """BFD's hash of a name.

    >>> symbol_hash("")
    0
    >>> hex(symbol_hash("a"))
    '0xc9a064'
    """
    value = 0
    text = name.encode("utf-8", "surrogateescape")
    for byte in text:
        value = (value + byte + (byte << 17)) & _WORD
        value ^= value >> 2
    value = (value + len(text) + (len(text) << 17)) & _WORD
    return value ^ (value >> 2)


def table_order(names: Iterable[str]) -> list[str]:
    """Names in the order of a walk over the table, given in the order in which they entered it."""
    entered = list(names)
    size = _FIRST_SIZE
    for larger in _PRIMES:
        if len(entered) <= size * 3 // 4:
            break
        size = larger
    buckets: dict[int, list[str]] = {}
    for name in entered:
        buckets.setdefault(symbol_hash(name) % size, []).append(name)
    return [name for bucket in sorted(buckets) for name in reversed(buckets[bucket])]
