"""The framing of the Remote Serial Protocol: `$data#checksum`, acknowledgements, and Ctrl-C between them (GDB E.1)."""

from collections.abc import Iterator
from enum import Enum

from emu.lateclass import dataclass

LARGEST_PACKET = 0x4000
"""Bytes of the longest packet that is taken, as the client is told."""

_START, _END, _ESCAPE, _REPEAT = b"$"[0], b"#"[0], b"}"[0], b"*"[0]
_SPECIAL = frozenset((_START, _END, _ESCAPE, _REPEAT))
_INTERRUPT, _ACKNOWLEDGED, _REFUSED = 0x03, b"+"[0], b"-"[0]
_ESCAPED_BY = 0x20


class Mark(Enum):
    """What a client sends between packets."""

    INTERRUPT = "stop the target"
    ACKNOWLEDGED = "the last packet has arrived"
    REFUSED = "send the last packet again"
    DAMAGED = "a packet whose checksum is wrong, or that is too long"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose checksum is right; escapes are undone."""

    data: bytes


class PacketReader:
    """Takes bytes as they come from a client, and gives what they mean; keeps no more than one packet.

    >>> reader = PacketReader()
    >>> list(reader.feed(b"+$g#6")), list(reader.feed(b"7" + bytes([3])))
    ([<Mark.ACKNOWLEDGED: 'the last packet has arrived'>], [Packet(data=b'g'), <Mark.INTERRUPT: 'stop the target'>])
    """

    def __init__(self) -> None:
        self._body: bytearray | None = None
        self._checksum = b""
        self._closing = False
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[Packet | Mark]:
        """What is complete with these bytes, in order."""
        for byte in data:
            found = self._take(byte)
            if found is not None:
                yield found

    def _take(self, byte: int) -> Packet | Mark | None:
        if self._closing:
            self._checksum += bytes((byte,))
            return self._finished() if len(self._checksum) == 2 else None
        if byte == _START:
            self._body, self._too_long = bytearray(), False
        elif self._body is None:
            return {
                _INTERRUPT: Mark.INTERRUPT, _ACKNOWLEDGED: Mark.ACKNOWLEDGED, _REFUSED: Mark.REFUSED
            }.get(byte)  # fmt: skip
        elif byte == _END:
            self._closing, self._checksum = True, b""
        elif len(self._body) >= LARGEST_PACKET:
            self._too_long = True
        else:
            self._body.append(byte)
        return None

    def _finished(self) -> Packet | Mark:
        assert self._body is not None
        body, self._body, self._closing = bytes(self._body), None, False
        try:
            right = int(self._checksum, 16) == sum(body) & 0xFF
        except ValueError:
            right = False
        if not right or self._too_long:
            return Mark.DAMAGED
        return Packet(_unescaped(body))


def framed(data: bytes) -> bytes:
    """A packet as it goes over the wire.

    >>> framed(b"OK")
    b'$OK#9a'
    """
    escaped = bytearray()
    for byte in data:
        if byte in _SPECIAL:
            escaped += bytes((_ESCAPE, byte ^ _ESCAPED_BY))
        else:
            escaped.append(byte)
    return b"$%b#%02x" % (bytes(escaped), sum(escaped) & 0xFF)


def _unescaped(body: bytes) -> bytes:
    if _ESCAPE not in body:
        return body
    data = bytearray()
    escaped = False
    for byte in body:
        if escaped:
            data.append(byte ^ _ESCAPED_BY)
            escaped = False
        elif byte == _ESCAPE:
            escaped = True
        else:
            data.append(byte)
    return bytes(data)
