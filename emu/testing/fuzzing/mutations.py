"""Inputs from inputs: what to change in one, by chance, by constants, and by what an execution has compared."""

import random
from collections.abc import Iterable, Iterator, Sequence

_WIDTHS = (8, 4, 2, 1)
_INTERESTING = (0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 512, 1024, 4096, 32767, 65535, 1 << 31)
_MOST_HINTS = 2048
"""Inputs that one execution's comparisons may lead to."""
_MOST_TOKENS = 1024


class Mutator:
    """Makes inputs by chance, the same ones for the same seed.

    >>> mutator = Mutator(seed=1, longest=16)
    >>> len(mutator.changed(b"0123", [b"0123"])) <= 16
    True
    """

    def __init__(self, seed: int, longest: int) -> None:
        chance = random.Random(seed)  # noqa: S311  # to be repeated
        self._bits, self._chance, self._longest = chance.getrandbits, chance.random, longest
        self.tokens: list[bytes] = []
        """Constants of the code, and what inputs were compared with."""
        self._known: set[bytes] = set()

    def learn(self, tokens: Iterable[bytes]) -> None:
        """Use these, too."""
        for token in tokens:
            if token not in self._known and len(self.tokens) < _MOST_TOKENS and 0 < len(token) <= self._longest:
                self._known.add(token)
                self.tokens.append(token)

    def below(self, limit: int) -> int:
        """A number from 0 on."""
        return int(self._chance() * limit)

    def changed(self, data: bytes, others: Sequence[bytes]) -> bytes:
        """An input with a few changes; `others` to cross it with."""
        made, bits = bytearray(data), self._bits
        for _ in range(1 << bits(2)):
            self._change(made, bits(4), others)
        del made[self._longest :]
        return bytes(made)

    def _change(self, made: bytearray, kind: int, others: Sequence[bytes]) -> None:
        bits, chance = self._bits, self._chance
        length = len(made)
        if not length or kind == 0:  # longer
            at = int(chance() * (length + 1))
            made[at:at] = bits(8 * (count := 1 + bits(3))).to_bytes(count, "little")
        elif kind <= 3:
            made[int(chance() * length)] = bits(8)
        elif kind <= 5:
            made[int(chance() * length)] ^= 1 << bits(3)
        elif kind <= 7:
            at = int(chance() * length)
            made[at] = made[at] + (bits(5) - 16) & 0xFF
        elif kind == 8:
            self._put(made, int(chance() * length), _INTERESTING[int(chance() * len(_INTERESTING))], 1 << bits(2))
        elif kind == 9:  # shorter
            at = int(chance() * length)
            del made[at : at + 1 + int(chance() * min(length - at, 64))]
        elif kind == 10:  # a part once more
            at = int(chance() * length)
            part = made[at : at + 1 + int(chance() * min(length - at, 64))]
            place = int(chance() * (length + 1))
            made[place:place] = part
        elif kind == 11:
            other = others[int(chance() * len(others))]
            if other:
                at = int(chance() * min(len(other), length))
                made[at:] = other[at:]
        elif self.tokens:
            token = self.tokens[int(chance() * len(self.tokens))]
            at = int(chance() * (length + 1))
            made[at : at + (len(token) if kind < 15 else 0)] = token
        else:
            self._put(made, int(chance() * length), bits(16), 2)

    @staticmethod
    def _put(made: bytearray, at: int, value: int, width: int) -> None:
        part = min(width, len(made) - at)
        made[at : at + part] = (value & (1 << 8 * part) - 1).to_bytes(part, "little")


def hints(data: bytes, compared: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Inputs in which one side of a comparison stands where the other was found: equal, or one more, or one less.

    >>> next(hints(b"..abcd", [(0x64636261, 0x4b524e4c)]))
    b'..LNRK'
    """
    left = _MOST_HINTS
    for pair in compared:
        for found, wanted in (pair, pair[::-1]):
            if found == wanted:
                continue
            for made in _replaced(data, found, wanted):
                yield made
                left -= 1
                if not left:
                    return


def _replaced(data: bytes, found: int, wanted: int) -> Iterator[bytes]:
    for width in _WIDTHS:
        bits = 8 * width
        if not (_fits(found, bits) and _fits(wanted, bits)):
            continue
        mask = (1 << bits) - 1
        for order in ("little", "big")[: 1 + (width > 1)]:
            old = (found & mask).to_bytes(width, order)  # type: ignore[arg-type]  # the two words that it takes
            at, places = data.find(old), 0
            while at >= 0 and places < 8:
                for near in (0, 1, -1):
                    new = (wanted + near & mask).to_bytes(width, order)  # type: ignore[arg-type]
                    yield data[:at] + new + data[at + width :]
                at, places = data.find(old, at + 1), places + 1


def _fits(value: int, bits: int) -> bool:
    """Whether a register's value is that of so many bits, extended in either way."""
    return not value >> bits or value >> bits - 1 == (1 << 65 - bits) - 1


def tokens(compared: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Values of comparisons as bytes of an input, as short as they are."""
    for pair in compared:
        for value in pair:
            width = next(width for width in (1, 2, 4, 8) if _fits(value, 8 * width))
            if width > 1:
                yield (value & (1 << 8 * width) - 1).to_bytes(width, "little")
                yield (value & (1 << 8 * width) - 1).to_bytes(width, "big")
