"""The port of a console's device as native code has it, in Python."""


class ModelPort:
    """Answers `put` and `look` as long as it has been offered to."""

    def __init__(self, room: int = 4) -> None:
        self.room = room
        self.sent = bytearray()
        self.puts, self.looks, self.most_looks, self.status = False, 0, 0, 0

    @property
    def waits(self) -> bool:
        """See `Port`."""
        return bool(self.sent)

    def offer(self, *, puts: bool, looks: int, most_looks: int, status: int) -> None:
        """See `Port`."""
        self.puts, self.looks, self.most_looks, self.status = puts, looks, most_looks, status

    def take(self) -> tuple[bytes, int]:
        """See `Port`."""
        sent, looks = bytes(self.sent), self.looks
        self.sent.clear()
        self.puts, self.looks, self.most_looks = False, 0, 0
        return sent, looks

    def put(self, value: int) -> bool:
        """A byte is sent; False: the device is to be asked."""
        if not self.puts or len(self.sent) >= self.room:
            return False
        self.sent.append(value)
        self.looks = self.most_looks
        return True

    def look(self) -> int | None:
        """LSR is read; None: the device is to be asked."""
        if not self.looks:
            return None
        self.looks -= 1
        return self.status
