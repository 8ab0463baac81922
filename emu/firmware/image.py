"""What is loaded into memory: an ELF executable, a Linux `Image` or a raw binary, told apart by content."""

import os
import struct
from collections.abc import Sequence
from enum import Enum
from functools import cached_property
from itertools import pairwise
from stat import S_ISDIR, S_ISREG

from emu.address import PhysAddr, VirtAddr
from emu.counted import counted
from emu.errors import ImageError
from emu.firmware import elf
from emu.firmware.debuginfo import DebugInformation
from emu.firmware.symbols import Symbols
from emu.hints import TYPE_CHECKING, FilePath, NamedTuple
from emu.lateclass import dataclass
from emu.memory import RAM_BASE
from emu.memory.ram import LARGEST

if TYPE_CHECKING:
    from emu.firmware.lines import SourceLines

KERNEL_OFFSET = 0x20_0000
"""Where a kernel that does not say so goes, counted from the start of RAM: behind 2 MiB for the firmware."""
LARGEST_FILE = 1 << 30
"""Bytes; larger files are refused unread."""

_LINUX_HEADER = struct.Struct("<II QQQ II QQ II")
"""code0 code1, text_offset image_size flags, version res1, res2 magic, magic2 res3
(Linux, Documentation/riscv/boot-image-header.rst)."""
_LINUX_MAGIC2 = b"RSC\x05"
_LINUX_MAGIC2_OFFSET = 0x38
_LINUX_BIG_ENDIAN = 1

_FOREIGN = (
    (b"\x1f\x8b", "is compressed with gzip", "decompress it first: gunzip"),
    (b"\xfd7zXZ\x00", "is compressed with xz", "decompress it first: unxz"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "decompress it first: unzstd"),
    (b"BZh", "is compressed with bzip2", "decompress it first: bunzip2"),
    (b"PK\x03\x04", "is a zip archive", "unpack it first"),
    (b"!<arch>\n", "is a library (ar archive)", "link it into an executable first"),
    (b"\x27\x05\x19\x56", "is a U-Boot image (uImage)", "use the file that it was made from"),
    (b"\xd0\x0d\xfe\xed", "is a device tree", "give it as the device tree (-dtb), and a kernel here"),
    (b"\xcf\xfa\xed\xfe", "is a Mach-O file", "build for RISC-V, as ELF"),
    (b"#!", "is a script", "give the executable that it builds"),
)
"""First bytes that are certainly no RISC-V program, what the file is then, and what to do."""
_TEXT_SAMPLE = 512
_TEXT_BYTES = frozenset(b"\t\n\r\f") | frozenset(range(0x20, 0x7F))


class Load(NamedTuple):
    """Where a part of a file is loaded, and where it is linked for."""

    physical: int
    virtual: int
    size: int


class ImageKind(Enum):
    """What a file turned out to be."""

    ELF = "ELF executable"
    LINUX = "Linux Image"
    RAW = "raw image"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of an image that is copied to memory; what the file does not fill is zero (ELF gABI, program header)."""

    physical: PhysAddr
    virtual: VirtAddr
    data: bytes
    memory_size: int
    """Bytes in memory, at least `len(data)`."""
    flags: int = 7
    """PF_X = 1, PF_W = 2, PF_R = 4; 0 in files whose linker did not care."""

    @property
    def end(self) -> PhysAddr:
        """The first physical address after it."""
        return self.physical + self.memory_size

    def __str__(self) -> str:
        return f"{self.physical}..{self.end}"


class Image(DebugInformation):
    """A program to load: segments, entry, symbols and source lines.

    >>> image = Image.from_bytes(bytes.fromhex("13000000"), "nop.bin", raw_offset=0)
    >>> image.kind.value, image.entry, image.segments[0].memory_size
    ('raw image', VA:0x80000000, 4)
    """

    def __init__(
        self,
        name: str,
        kind: ImageKind,
        segments: Sequence[Segment],
        entry: VirtAddr,
        entry_physical: PhysAddr,
        parsed: elf.ElfFile | None = None,
    ) -> None:
        self.name = name
        """The file as the user named it."""
        self.kind = kind
        self.segments = tuple(segments)
        """By physical address, not overlapping."""
        self.entry = entry
        """As in the file; may be virtual."""
        self.entry_physical = entry_physical
        """Where the entry lies in memory: a hart starts here with translation off."""
        super().__init__(parsed)

    @classmethod
    def open(cls, path: FilePath, *, ram_base: int = RAM_BASE, raw_offset: int = KERNEL_OFFSET) -> "Image":
        """Read a file. `raw_offset` is where a raw image goes, counted from `ram_base`: 0 for firmware.

        Raises ImageError for whatever cannot be loaded.
        """
        return cls.from_bytes(read_file(path, "image"), str(path), ram_base=ram_base, raw_offset=raw_offset)

    @classmethod
    def from_bytes(
        cls, data: bytes, name: str, *, ram_base: int = RAM_BASE, raw_offset: int = KERNEL_OFFSET
    ) -> "Image":
        """As `open`, of the bytes of a file; `name` is for error messages."""
        if not data:
            raise ImageError(f"{name} is empty; build it again")
        if data.startswith(elf.MAGIC):
            return cls._from_elf(data, name)
        if data[_LINUX_MAGIC2_OFFSET : _LINUX_MAGIC2_OFFSET + 4] == _LINUX_MAGIC2:
            return cls._from_linux(data, name, ram_base)
        for magic, what, advice in _FOREIGN:
            if data.startswith(magic):
                raise ImageError(f"{name} {what}, not a RISC-V executable; {advice}")
        if _TEXT_BYTES.issuperset(data[:_TEXT_SAMPLE]):
            raise ImageError(f"{name} is a text file, not a RISC-V executable; give the ELF that is built from it")
        return cls._at(ram_base + raw_offset, data, len(data), name, ImageKind.RAW)

    @classmethod
    def raw(cls, data: bytes, name: str, address: int) -> "Image":
        """Bytes for an address, whatever they are. Raises ImageError for none."""
        if not data:
            raise ImageError(f"{name} is empty; build it again")
        return cls._at(address, data, len(data), name, ImageKind.RAW)

    def mentions(self, text: bytes) -> bool:
        """Whether an ELF file has these bytes anywhere; False for other files."""
        return self._parsed is not None and self._parsed.mentions(text)

    @property
    def names_in(self) -> tuple[str, bytes]:
        """Its own name, and the bytes of the file that names its addresses; none for one without symbols."""
        return self.name, self._parsed.data if self._parsed else b""

    @property
    def loads(self) -> Sequence[Load]:
        """Where its parts lie in memory, and where they are linked for."""
        return [Load(int(part.physical), int(part.virtual), part.memory_size) for part in self.segments]

    @cached_property
    def symbols(self) -> Symbols:
        """Its symbol table; empty when it has none."""
        return self._parsed.symbols() if self._parsed else Symbols(())

    @cached_property
    def lines(self) -> "SourceLines":
        """Its line table; knows no line when the file has no debug information."""
        from emu.firmware.lines import SourceLines

        return SourceLines(self.line_units)

    def check_inside(self, ram_base: int, ram_size: int) -> None:
        """Raise ImageError for the first segment that does not lie in RAM."""
        ram_end = ram_base + ram_size
        for segment in self.segments:
            if ram_base <= segment.physical and segment.end <= ram_end:
                continue
            raise ImageError(
                f"{self.name}: the segment at {segment} lies outside RAM ({ram_base:#x}..{ram_end:#x}); "
                + self._advice(segment, ram_base)
            )

    def check_apart(self, other: "Image") -> None:
        """Raise ImageError when this image and another want the same memory."""
        for mine in self.segments:
            for theirs in other.segments:
                if mine.physical < theirs.end and theirs.physical < mine.end:
                    raise ImageError(
                        f"{self.name} at {mine} lies over {other.name} at {theirs}; link one of them elsewhere"
                    )

    def _advice(self, segment: Segment, ram_base: int) -> str:
        if self.kind is ImageKind.ELF and int(segment.virtual) != int(segment.physical) and segment.physical < ram_base:
            return (
                "its program headers carry no load address (Linux's vmlinux does so): "
                "load the Image that is made from it, or link it with AT(...)"
            )
        verb = "link" if self.kind is ImageKind.ELF else "load"
        if segment.physical < ram_base:
            return f"{verb} it at {ram_base:#x} or above"
        mebibytes = -(-(segment.end - ram_base) // (1 << 20))
        if mebibytes << 20 > LARGEST:
            return f"no machine has so much: {verb} it lower, or build or copy the file again if it is damaged"
        return f"give the machine at least {mebibytes} MiB (-m {mebibytes}M)"

    @classmethod
    def _at(cls, address: int, data: bytes, memory_size: int, name: str, kind: ImageKind) -> "Image":
        segment = Segment(PhysAddr(address), VirtAddr(address), data, memory_size)
        return cls(name, kind, (segment,), VirtAddr(address), PhysAddr(address))

    @classmethod
    def _from_linux(cls, data: bytes, name: str, ram_base: int) -> "Image":
        if len(data) < _LINUX_HEADER.size:
            raise ImageError(f"{name} is truncated: a Linux Image has a header of {_LINUX_HEADER.size} bytes")
        _, _, text_offset, image_size, flags, *_ = _LINUX_HEADER.unpack_from(data)
        if flags & _LINUX_BIG_ENDIAN:
            raise ImageError(f"{name} is a big-endian Linux Image; build it for little-endian RISC-V")
        if image_size > LARGEST_FILE or text_offset > LARGEST_FILE:
            raise ImageError(
                f"{name}: the Linux Image header is damaged (text_offset {text_offset:#x}, "
                f"image_size {image_size:#x}); build or copy it again"
            )
        return cls._at(ram_base + text_offset, data, max(image_size, len(data)), name, ImageKind.LINUX)

    @classmethod
    def _from_elf(cls, data: bytes, name: str) -> "Image":
        parsed = elf.ElfFile(data, name)
        headers = (header for header in map(parsed.without_file_headers, parsed.loadable) if header.memory_size)
        segments = sorted(
            (
                Segment(
                    PhysAddr(header.physical),
                    VirtAddr(header.virtual),
                    data[header.offset : header.offset + header.file_size],
                    header.memory_size,
                    header.flags,
                )
                for header in headers
            ),
            key=lambda segment: segment.physical,
        )
        for low, high in pairwise(segments):
            if high.physical < low.end:
                raise ImageError(
                    f"{name}: the segments at {low} and {high} overlap in physical memory; "
                    "correct the addresses in the linker script"
                )
        entry = parsed.entry
        return cls(name, ImageKind.ELF, segments, VirtAddr(entry), _physical_entry(name, segments, entry), parsed)


def _physical_entry(name: str, segments: Sequence[Segment], entry: int) -> PhysAddr:
    """Translate an entry through the segment that holds it; some linkers write it as a physical address."""
    for segment in segments:
        if segment.virtual <= entry < segment.virtual + segment.memory_size:
            return segment.physical + (entry - segment.virtual)
    for segment in segments:
        if segment.physical <= entry < segment.end:
            return PhysAddr(entry)
    if entry == 0:
        raise ImageError(f"{name} has no entry point; name one in the linker script with ENTRY(_start)")
    raise ImageError(f"{name}: the entry point {entry:#x} lies outside every segment; correct ENTRY(...)")


def read_file(path: FilePath, what: str) -> bytes:
    """All bytes of a regular file of at most LARGEST_FILE bytes; ImageError says why not, `what` names its role."""
    if not os.fspath(path):
        raise ImageError(f"{what}: which file? Its name is empty")
    try:
        status = os.stat(path)  # noqa: PTH116  # pathlib would be loaded for this
        if S_ISDIR(status.st_mode):
            raise ImageError(f"{what} {path} is a directory; give the file inside it")
        if not S_ISREG(status.st_mode):
            raise ImageError(f"{what} {path} is not a regular file; copy its content into one")
        if status.st_size > LARGEST_FILE:
            raise ImageError(
                f"{what} {path} has {counted(status.st_size, 'byte')}; at most {LARGEST_FILE} can be loaded"
            )
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        raise ImageError(f"{what} {path} does not exist; build it, or correct the path") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{what} {path} cannot be read: {reason}") from None
