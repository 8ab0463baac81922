"""The file of a recording: named sections in compressed chunks with checksums, readable as far as it was written.

The file begins with `MAGIC` and the version of the format. Chunks follow to its end, each with a header of 32 bytes:

    tag "EKc1", section (16 bytes of ASCII, zeros behind), bytes in the file, bytes unpacked, CRC-32

The last three are little-endian words of 32 bits. The checksum is that of the header's first 28 bytes and of what
follows it: one frame of Zstandard (RFC 8878), which states its size. The last chunk belongs to the section `END` and
says that the run has ended. Chunks of one section make one stream, in their order.
"""

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from stat import S_ISREG
from types import TracebackType

from emu.counted import counted
from emu.errors import ConfigError, RecordingError
from emu.hints import TYPE_CHECKING, BinaryIO, NamedTuple, Self
from emu.patience import Patience, Work
from emu.record.magic import MAGIC

if TYPE_CHECKING:
    from emu.record.zstd import ZstdCompressor

VERSION = 2
MOST_IN_CHUNK = 1 << 24
"""Bytes that a chunk unpacks to at most: a reader needs no more memory than that."""
END = "end"
_START = struct.Struct("<12sI")
_HEADER = struct.Struct("<4s16sIII")
_TAG = b"EKc1"
_CHECKED = _HEADER.size - 4
_NAME = re.compile(rb"([a-z][a-z0-9._-]{0,15})\0*")
_MOST_SECTIONS = 64
_RECORDING = "recording: those are made by `ekernel run --record FILE`"
_FRAME_OVERHEAD = 1 << 16
"""More than what a frame of Zstandard needs besides its contents, for `MOST_IN_CHUNK` bytes that do not compress."""


class Writer:
    """Writes a recording. It is complete when `close` has returned; before that it can be read as far as it got.

    Raises ConfigError when the file cannot be made, and RecordingError from any method when the disk is full, say.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "run.ekrec")
    >>> with Writer(path) as writer:
    ...     writer.add("notes", b"hello")
    >>> with Reader(path) as reader:
    ...     b"".join(reader.chunks("notes")), reader.is_complete
    (b'hello', True)
    """

    def __init__(
        self, path: str | Path, *, level: int = 1, open_for: Callable[[Work], object] = lambda work: work()
    ) -> None:
        """`level` is Zstandard's: 1 is the fastest. `open_for` does what may wait for a reader of a pipe."""
        self.path = Path(path)
        self._level = level
        self._compressor: ZstdCompressor | None = None
        self._sections: set[str] = set()
        self._is_torn = False
        """Whether a write was left in its middle: nothing that follows could be read."""
        try:
            # Without a buffer, closing it after a disk was full has nothing left to write.
            self._stream: FileIO = self.path.open("wb", buffering=0)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"cannot record to {path}: {reason}; name another file") from None
        self._patience = Patience(self._stream, open_for)
        self._put(_START.pack(MAGIC, VERSION))

    def add(self, section: str, data: bytes | bytearray | memoryview) -> None:
        """Append whole records to a section, in chunks of their own; they are handed to the operating system at once.

        A section's name has up to 16 small letters, digits, '.', '_' and '-'.
        """
        name = section.encode()
        if not _NAME.fullmatch(name) or len(self._sections | {section}) > _MOST_SECTIONS:
            raise ValueError(f"'{section}' cannot be a section of a recording")
        self._sections.add(section)
        view = memoryview(data).cast("B")
        for begin in range(0, len(view), MOST_IN_CHUNK):
            self._chunk(name, view[begin : begin + MOST_IN_CHUNK])

    def _chunk(self, name: bytes, data: memoryview) -> None:
        if self._compressor is None:
            from emu.record.zstd import ZstdCompressor  # for those who record

            self._compressor = ZstdCompressor(level=self._level, write_content_size=True)
        packed = self._compressor.compress(data)
        checked = _HEADER.pack(_TAG, name, len(packed), len(data), 0)[:_CHECKED]
        self._put(checked + struct.pack("<I", zlib.crc32(packed, zlib.crc32(checked))) + packed)

    def hurry(self, within: Callable[[Work], bool]) -> None:
        """See `Patience`."""
        if not self._stream.closed:
            self._patience.hurry(within)

    def _put(self, data: bytes) -> None:
        if self._is_torn:
            return
        self._is_torn = True
        try:
            self._patience.do(lambda: self._write(data))
            self._is_torn = False
        except BrokenPipeError:
            raise
        except OSError as error:
            self._is_torn = False
            raise RecordingError(
                f"cannot write to {self.path}: {error.strerror}; what was recorded before can be read"
            ) from None

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._stream.write(rest) :]

    def close(self) -> None:
        """Say that the recording is complete, and close the file."""
        if not self._stream.closed:
            try:
                self._chunk(END.encode(), memoryview(b"complete"))
            finally:
                self.abandon()

    def abandon(self) -> None:
        """Close the file as it is: a reader sees that something is missing."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None or not issubclass(kind, RecordingError):
            self.close()
        else:
            self.abandon()


class Section(NamedTuple):
    """What a recording has of one section."""

    chunks: int
    size: int
    """Bytes, unpacked."""
    stored: int
    """Bytes in the file."""


class Packed:
    """A chunk as it lies in the file: its bytes are those that were written, and nobody has unpacked them yet."""

    __slots__ = ("_path", "_position", "_size", "data")

    def __init__(self, path: Path, position: int, size: int, data: bytes) -> None:
        self._path, self._position, self._size = path, position, size
        self.data = data

    def unpacked(self) -> bytes:
        """What was recorded. Raises RecordingError."""
        from emu.record.zstd import ZstdDecompressor, ZstdError, get_frame_parameters

        try:
            if get_frame_parameters(self.data).content_size == self._size:
                return ZstdDecompressor().decompress(self.data, max_output_size=self._size, allow_extra_data=False)
        except ZstdError:
            pass  # told below, as any other damage
        raise self.damaged()

    def damaged(self) -> RecordingError:
        """What to raise for it."""
        return RecordingError(f"{self._path} is damaged: the chunk at byte {self._position:,} does not unpack")


class Reader:
    """Reads a recording, also one from a stranger: in bounded memory, and nothing in it is executed or followed.

    Raises RecordingError for what is no recording, and for a chunk that is damaged when it comes to it.
    """

    def __init__(self, path: str | Path, kind: str = _RECORDING) -> None:
        """`kind` says what the file should be, and how such files are made."""
        self.path, self._kind = Path(path), kind
        try:
            self._stream: BinaryIO = self.path.open("rb")
            status = os.fstat(self._stream.fileno())
            if not S_ISREG(status.st_mode):
                self._stream.close()
                raise RecordingError(f"{path} is no file that can be read twice; copy the recording to a file first")
            self._size = status.st_size
            start = self._stream.read(_START.size)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RecordingError(f"cannot read {path}: {reason}") from None
        try:
            self._check_start(start)
            self.sections: dict[str, Section] = {}
            """What there is, by name."""
            self._places: dict[str, tuple[int, int]] = {}
            """Where the first chunk of a section begins, and its last one ends: there may be others between."""
            self.missing: str | None = None
            """What keeps the file from being complete, in words; None for a complete one."""
            self._scan()
        except BaseException:
            self._stream.close()
            raise

    @property
    def is_complete(self) -> bool:
        """Whether the recording was ended by the one who made it."""
        return self.missing is None

    def _check_start(self, start: bytes) -> None:
        if not MAGIC.startswith(start[: len(MAGIC)]):
            raise RecordingError(f"{self.path} is no {self._kind}")
        if len(start) < _START.size:
            raise RecordingError(f"{self.path} ends before its first section: nothing was recorded")
        version = _START.unpack(start)[1]
        if version != VERSION:
            raise RecordingError(f"{self.path} has version {version} of the format; this ekernel reads {VERSION}")

    def _scan(self) -> None:
        position = _START.size
        self.missing = "it was not ended"
        while position < self._size:
            found = self._header(position)
            if isinstance(found, str):
                self.missing = found
                return
            name, stored, size, _ = found
            if name == END:
                behind = self._size - position - _HEADER.size - stored
                self.missing = f"{behind:,} bytes follow its end" if behind else None
                return
            chunks, total, packed = self.sections.get(name, (0, 0, 0))
            self.sections[name] = Section(chunks + 1, total + size, packed + stored)
            if len(self.sections) > _MOST_SECTIONS:
                raise RecordingError(f"{self.path} has more than {_MOST_SECTIONS} sections: it is damaged")
            begin, position = position, position + _HEADER.size + stored
            self._places[name] = self._places.get(name, (begin, 0))[0], position

    def _header(self, position: int) -> tuple[str, int, int, bytes] | str:
        """A chunk's section, sizes and header; or what is wrong with it."""
        self._stream.seek(position)
        raw = self._stream.read(_HEADER.size)
        if len(raw) < _HEADER.size:
            return f"it ends in the middle of a chunk, at byte {position:,}"
        tag, name, stored, size, _ = _HEADER.unpack(raw)
        matched = _NAME.fullmatch(name)
        if tag != _TAG or matched is None or not 0 < size <= MOST_IN_CHUNK or stored > size + _FRAME_OVERHEAD:
            return f"it is damaged at byte {position:,}"
        if position + _HEADER.size + stored > self._size:
            return f"it ends in the middle of a chunk, at byte {position:,}"
        return matched[1].decode(), stored, size, raw

    def chunks(self, section: str) -> Iterator[bytes]:
        """The contents of a section, a chunk at a time; nothing for one that is not there."""
        return (chunk.unpacked() for chunk in self._packed(section))

    def whole(self, section: str, *, most: int = MOST_IN_CHUNK) -> bytes:
        """All of a small section. Raises RecordingError when it has more than `most` bytes."""
        return b"".join(chunk.unpacked() for chunk in self.packed(section, most=most))

    def packed(self, section: str, *, most: int = MOST_IN_CHUNK) -> list[Packed]:
        """The chunks of a small section, to be unpacked later, perhaps never. Raises RecordingError as `whole` does."""
        known = self.sections.get(section)
        if known is not None and known.size > most:
            raise RecordingError(
                f"{self.path}: section '{section}' has {counted(known.size, 'byte')}, more than {most:,}"
            )
        return list(self._packed(section))

    def _packed(self, section: str) -> Iterator[Packed]:
        position, end = self._places.get(section, (0, 0))
        while position < end:
            found = self._header(position)
            if isinstance(found, str):  # it has changed since it was opened
                raise RecordingError(f"{self.path}: {found}")
            name, stored, size, raw = found
            if name == section:
                chunk = Packed(self.path, position, size, self._stream.read(stored))
                if zlib.crc32(chunk.data, zlib.crc32(raw[:_CHECKED])) != int.from_bytes(raw[_CHECKED:], "little"):
                    raise chunk.damaged()
                yield chunk
            position += _HEADER.size + stored

    def close(self) -> None:
        """Read no more."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
