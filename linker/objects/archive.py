"""Reads GNU `ar` archives: members, long names, the symbol index; members are parsed when they are needed."""

from dataclasses import dataclass, field

from linker.errors import Diagnostic, Location, ObjectFileError
from linker.objects.model import ObjectFile
from linker.objects.reader import read_object

_MAGIC = b"!<arch>\n"
_THIN_MAGIC = b"!<thin>\n"
_HEADER_SIZE = 60


@dataclass(eq=False, slots=True)
class Member:
    """One file in an archive."""

    name: str
    data: bytes
    object: ObjectFile | None = None


@dataclass(eq=False, slots=True)
class Archive:
    """An archive and its index of the symbols that its members define."""

    name: str
    members: list[Member] = field(default_factory=list)
    index: dict[str, Member] = field(default_factory=dict)
    """Symbol to the first member that defines it; from the archive's own index, or made from the members."""

    def load(self, member: Member) -> ObjectFile:
        """Parse a member (once). Raises ObjectFileError when it is no RISC-V object."""
        if member.object is None:
            member.object = read_object(member.data, f"{self.name}({member.name})")
        return member.object


def is_archive(data: bytes) -> bool:
    """Whether the data starts as an archive, thin ones included."""
    return data[:8] in (_MAGIC, _THIN_MAGIC)


def read_archive(data: bytes, name: str) -> Archive:
    r"""Read an archive as GNU and LLVM `ar` write it.

    Raises ObjectFileError when it is damaged, and for thin archives, whose members are elsewhere.

    >>> read_archive(b"!<arch>\n", "libempty.a").members
    []
    """
    return _ArchiveReader(data, name).read()


class _ArchiveReader:
    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.archive = Archive(name)
        self.long_names = b""
        self.offsets: dict[int, Member] = {}
        self.raw_index: tuple[bytes, int] | None = None

    def error(self, message: str) -> ObjectFileError:
        return ObjectFileError([Diagnostic(message, Location(self.archive.name))])

    def read(self) -> Archive:
        if self.data[:8] == _THIN_MAGIC:
            raise self.error("a thin archive: it holds only names; make a full one with 'ar rcs' (without T)")
        if self.data[:8] != _MAGIC:
            raise self.error("not an archive")
        position = 8
        while position < len(self.data):
            position = self._read_member(position)
        if self.raw_index is not None:
            self._read_index(*self.raw_index)
        else:
            self._make_index()
        return self.archive

    def _read_member(self, position: int) -> int:
        header = self.data[position : position + _HEADER_SIZE]
        if len(header) < _HEADER_SIZE or header[58:60] != b"`\n":
            raise self.error(f"damaged archive: no member header at offset {position:#x}")
        size = self._number(header[48:58], "member size", position)
        start, end = position + _HEADER_SIZE, position + _HEADER_SIZE + size
        if end > len(self.data):
            raise self.error(f"damaged archive: the member at offset {position:#x} is cut off")
        raw_name, body = header[:16].rstrip(), self.data[start:end]
        if raw_name == b"/":
            self.raw_index = (body, 4)
        elif raw_name == b"/SYM64/":
            self.raw_index = (body, 8)
        elif raw_name == b"//":
            self.long_names = body
        else:
            name, body = self._name(raw_name, body, position)
            if not name.startswith("__.SYMDEF"):
                member = Member(name, body)
                self.archive.members.append(member)
                self.offsets[position] = member
        return end + (end & 1)

    def _number(self, text: bytes, what: str, position: int) -> int:
        stripped = text.strip()
        if not stripped.isdigit():
            raise self.error(f"damaged archive: the {what} at offset {position:#x} is not a number")
        return int(stripped)

    def _name(self, raw: bytes, body: bytes, position: int) -> tuple[str, bytes]:
        if raw.startswith(b"#1/"):  # BSD: the name stands before the contents
            length = self._number(raw[3:], "name length", position)
            return body[:length].rstrip(b"\0").decode("utf-8", "replace"), body[length:]
        if raw.startswith(b"/"):
            offset = self._number(raw[1:], "name offset", position)
            end = self.long_names.find(b"\n", offset)
            if offset >= len(self.long_names) or end < 0:
                raise self.error(f"damaged archive: the member at offset {position:#x} has no name")
            raw = self.long_names[offset:end]
        return raw.removesuffix(b"/").decode("utf-8", "replace"), body

    def _read_index(self, body: bytes, width: int) -> None:
        count = int.from_bytes(body[:width], "big")
        if count > len(body) // width - 1:
            raise self.error("damaged archive: its symbol index is cut off")
        names = body[width * (count + 1) :].split(b"\0")
        if len(names) < count:
            raise self.error("damaged archive: its symbol index lacks names")
        for i in range(count):
            offset = int.from_bytes(body[width * (i + 1) : width * (i + 2)], "big")
            member = self.offsets.get(offset)
            if member is None:
                raise self.error(f"damaged archive: its symbol index points to offset {offset:#x}, where no member is")
            self.archive.index.setdefault(names[i].decode("utf-8", "surrogateescape"), member)

    def _make_index(self) -> None:
        """Index the members, as `ranlib` would; those that are no objects define nothing."""
        for member in self.archive.members:
            if member.data[:4] != b"\x7fELF":
                continue
            for symbol in self.archive.load(member).symbols:
                if symbol.is_defined and symbol.binding != 0:
                    self.archive.index.setdefault(symbol.name, member)
