"""Packs records of one kind, a piece at a time, and unpacks them; natively where the host allows."""

import ctypes
import os
import struct
from collections.abc import Iterator

from emu.buffers import buffer_address
from emu.engine import native
from emu.record.predicted.layout import (
    ENTRY,
    MULTIPLIER,
    PACK,
    SLACK,
    TABLE_BITS,
    UNPACK,
    WORDS,
    Shared,
)

MOST = 1 << 16
"""Records of a piece: unpacking one takes no more memory than they do."""
_COUNT = struct.Struct("<I")
_ALL = (1 << 64) - 1
_LENGTHS = bytes(low | high << 4 for low in range(9) for high in range(9))


class _Predictions:
    """The predictions, as both sides have them after the same records."""

    def __init__(self, width: int, probe: native.Probe) -> None:
        self._width = width
        self._table = (ctypes.c_uint64 * (ENTRY // 8 << TABLE_BITS))()
        self._shared = shared = (ctypes.c_uint64 * WORDS)()
        shared[Shared.TABLE], shared[Shared.WIDTH] = ctypes.addressof(self._table), width
        shared[Shared.MASKS : WORDS] = [(1 << 8 * min(size, 8)) - 1 for size in range(16)]
        is_native = native.available() and os.environ.get("EKERNEL_PROBES") != "python"
        self._native = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(native.load(probe)) if is_native else None

    def _entry(self) -> int:
        """The number in the table of the first word of the entry for what follows."""
        return ((self._shared[Shared.KEY] * MULTIPLIER & _ALL) >> 64 - TABLE_BITS) * (ENTRY // 8)


class Packer(_Predictions):
    """Packs records of `width` bytes, 24 or 32, of words of 64 bits: a key, one or two values, and a time.

    >>> packer, unpacker = Packer(24), Unpacker(24)
    >>> records = b"".join(struct.pack("<3Q", 7, value, time) for time, value in enumerate(range(0, 9000, 3)))
    >>> (piece,) = packer.pack(records)
    >>> len(records), len(piece), unpacker.unpack(piece) == records
    (72000, 6008, True)
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, PACK)
        self._lengths, self._values = bytearray(MOST), bytearray(MOST)
        self._rest = bytearray(MOST * width + SLACK)
        self._places = [buffer_address(each) for each in (self._lengths, self._values, self._rest)]

    def pack(self, records: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """The pieces that hold whole records."""
        view = memoryview(records)
        for begin in range(0, len(view), MOST * self._width):
            part = view[begin : begin + MOST * self._width]
            count = len(part) // self._width
            length = self._packed(part) if self._native is None else self._packed_natively(part)
            yield b"".join(
                (
                    _COUNT.pack(count), memoryview(self._lengths)[:count], memoryview(self._values)[:count],
                    memoryview(self._rest)[:length],
                )
            )  # fmt: skip

    def _packed_natively(self, records: memoryview) -> int:
        assert self._native is not None
        shared = self._shared
        shared[Shared.LENGTHS], shared[Shared.VALUES], shared[Shared.REST] = self._places
        data = records if not records.readonly else bytearray(records)
        begin = shared[Shared.RECORDS] = buffer_address(data)
        shared[Shared.RECORDS_END] = begin + len(records) // self._width * self._width
        self._native(ctypes.addressof(shared))
        return int(shared[Shared.REST]) - self._places[2]

    def _packed(self, records: memoryview) -> int:
        table, shared, place = self._table, self._shared, 0
        words = records.cast("Q")
        each = self._width // 8
        for number in range(len(words) // each):
            key, *values, time = words[number * each : number * each + each]
            entry = self._entry()
            since = time - shared[Shared.TIME]
            differences = [key - table[entry], since - table[entry + 1]]
            table[entry], table[entry + 1] = key, since & _ALL
            for at, value in enumerate(values):
                last = entry + 2 + 2 * at
                step = value - table[last]
                differences.append(step - table[last + 1])
                table[last], table[last + 1] = value, step & _ALL
            shared[Shared.KEY], shared[Shared.TIME] = key, time
            lengths = []
            for difference in differences:
                folded = (difference << 1 ^ -(difference >> 63 & 1)) & _ALL
                length = folded.bit_length() + 7 >> 3
                self._rest[place : place + length] = folded.to_bytes(length, "little")
                place += length
                lengths.append(length)
            self._lengths[number] = lengths[0] | lengths[1] << 4
            self._values[number] = lengths[2] | (lengths[3] << 4 if len(lengths) > 3 else 0)
        return place


class Unpacker(_Predictions):
    """Unpacks what a `Packer` of the same width has packed, from its first piece on; also what a stranger made up."""

    def __init__(self, width: int) -> None:
        super().__init__(width, UNPACK)

    def unpack(self, piece: bytes) -> bytes:
        """The records of a piece. Raises ValueError for one that is damaged."""
        count = _COUNT.unpack_from(piece)[0] if len(piece) >= _COUNT.size else MOST + 1
        begin = _COUNT.size + 2 * count
        if count > MOST or begin > len(piece):
            raise ValueError("a piece has more records than bytes")
        if piece[_COUNT.size : begin].translate(None, _LENGTHS):
            raise ValueError("a word has more than 8 bytes")
        unpacked = bytearray(count * self._width)
        unpack = self._unpacked if self._native is None else self._unpacked_natively
        if unpack(piece, count, unpacked) != len(piece):
            raise ValueError("a piece has other bytes than its lengths say")
        return bytes(unpacked)

    def _unpacked_natively(self, piece: bytes, count: int, unpacked: bytearray) -> int:
        assert self._native is not None
        if not count:
            return _COUNT.size
        shared, data = self._shared, bytearray(piece) + bytes(SLACK)
        begin = buffer_address(data)
        shared[Shared.LENGTHS] = begin + _COUNT.size
        shared[Shared.VALUES] = begin + _COUNT.size + count
        shared[Shared.REST], shared[Shared.REST_END] = begin + _COUNT.size + 2 * count, begin + len(piece)
        records = shared[Shared.RECORDS] = buffer_address(unpacked)
        end = shared[Shared.RECORDS_END] = records + len(unpacked)
        self._native(ctypes.addressof(shared))
        return int(shared[Shared.REST]) - begin if shared[Shared.RECORDS] == end else -1

    def _unpacked(self, piece: bytes, count: int, unpacked: bytearray) -> int:
        table, shared, words = self._table, self._shared, memoryview(unpacked).cast("Q")
        place, each, to = _COUNT.size + 2 * count, self._width // 8, 0
        for number in range(_COUNT.size, _COUNT.size + count):
            entry, differences = self._entry(), []
            lengths, values = piece[number], piece[number + count]
            for length in (lengths & 15, lengths >> 4, values & 15, values >> 4)[:each]:
                folded = int.from_bytes(piece[place : place + length], "little")
                differences.append(folded >> 1 ^ -(folded & 1))
                place += length
            key = table[entry] = table[entry] + differences[0] & _ALL
            since = table[entry + 1] = table[entry + 1] + differences[1] & _ALL
            time = shared[Shared.TIME] + since & _ALL
            shared[Shared.KEY], shared[Shared.TIME] = key, time
            words[to], words[to + each - 1] = key, time
            for at, difference in enumerate(differences[2:]):
                last = entry + 2 + 2 * at
                step = table[last + 1] = table[last + 1] + difference & _ALL
                words[to + 1 + at] = table[last] = table[last] + step & _ALL
            to += each
        return place
