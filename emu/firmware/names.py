"""The names of a guest's addresses: those of its image, and of further files that the user has (`--symbols`)."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain

from emu.address import PAGE_SIZE, VirtAddr
from emu.errors import ImageError
from emu.firmware import elf
from emu.firmware.debuginfo import DebugInformation
from emu.firmware.image import Load, read_file
from emu.firmware.symbols import Symbol, SymbolKind, Symbols
from emu.hints import TYPE_CHECKING, FilePath, Protocol
from emu.memory import RAM_BASE

if TYPE_CHECKING:
    from emu.firmware.ctype import CType, Signature
    from emu.firmware.debugtypes import DebugTypes
    from emu.firmware.inlined import Inlined
    from emu.firmware.lines import SourceLines, Unit
    from emu.firmware.unwind import CallFrames, FrameTable

_ROW = r"(?:([0-9a-fA-F]{1,16})(?: ([0-9a-fA-F]{1,16}))?| +) ([A-Za-z?-]) ([^\t]+)(?:\t.*)?$"
"""Address, size, kind, name, as `nm`, `nm -S` and Linux's System.map and kallsyms have them."""
_KINDS = dict.fromkeys("TtWwiu", SymbolKind.FUNCTION) | dict.fromkeys("DdBbRrGgSsVv", SymbolKind.OBJECT)
_ABSOLUTE = "Aa"


class Named(Protocol):
    """Something that names addresses."""

    @property
    def names_in(self) -> tuple[str, bytes]:
        """The name of the file, and its bytes, that `SymbolFile` reads."""

    @property
    def loads(self) -> Sequence[Load]:
        """Where its code and data lie in memory, and where they are linked for."""

    @property
    def symbols(self) -> Symbols:
        """Its symbol table."""

    def line_units(self) -> "Iterable[Unit]":
        """Its line tables."""

    def frame_tables(self) -> "Iterable[FrameTable]":
        """Its call frame information."""

    def structure_size(self, name: str) -> int | None:
        """Bytes of a C structure."""

    @property
    def debug_types(self) -> "DebugTypes | None":
        """Functions and types in the words of C."""


class SymbolFile(DebugInformation):
    r"""A file that is not loaded but only names addresses: an ELF executable, or a listing of symbols.

    >>> listing = b"ffffffff80002000 T _start\nffffffff80002100 t setup\nffffffff80002200 B _end\n"
    >>> symbol, offset = SymbolFile(listing, "System.map").symbols.at(0xffffffff80002104)
    >>> symbol.name, offset
    ('setup', 4)
    """

    def __init__(self, data: bytes, name: str) -> None:
        """Raises ImageError for a file that names nothing."""
        parsed = elf.ElfFile(data, name) if data.startswith(elf.MAGIC) else None
        self.symbols = parsed.symbols() if parsed else Symbols(_read_listing(data, name))
        """Its symbols, at least one."""
        super().__init__(parsed)
        self.names_in = name, data
        """The name of the file, and its bytes."""
        self.loads = loads_of(parsed)
        """See `Named`; none for a listing."""
        if not len(self.symbols):
            raise ImageError(f"{name} has no symbols: it was stripped; give the file as the linker wrote it")

    @classmethod
    def open(cls, path: FilePath) -> "SymbolFile":
        """Read a file. Raises ImageError for one that cannot be read or names nothing."""
        return cls(read_file(path, "symbol file"), str(path))


class Names:
    """All names that are known, whichever file they come from; where two files name an address, the first is asked."""

    def __init__(self) -> None:
        self._files: list[Named] = []
        self._sizes: dict[str, int | None] = {}

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """Name and bytes of each file that names something."""
        return [file.names_in for file in self._files if file.names_in[1]]

    def loaded(self) -> list[tuple[str, Sequence[Load]]]:
        """Name and parts in memory of each file that has such."""
        return [(file.names_in[0], file.loads) for file in self._files if file.loads]

    def add(self, file: Named) -> None:
        """Know the names of one more file."""
        self._files.append(file)
        self._forget()

    def clear(self) -> None:
        """Know no names."""
        self._files.clear()
        self._forget()

    def linked(self, address: int) -> int:
        """The address that code was linked for, when it runs where it was loaded, before paging; else the same."""
        if self.symbols.at(address) is None:
            for file in self._files:
                for physical, virtual, size in file.loads:
                    if RAM_BASE <= physical <= address < physical + size:  # vmlinux says 0, which is nobody's
                        return address - physical + virtual
        return address

    @cached_property
    def symbols(self) -> Symbols:
        """All symbols."""
        return Symbols.joined(file.symbols for file in self._files)

    @cached_property
    def lines(self) -> "SourceLines":
        """All source lines."""
        from emu.firmware.lines import SourceLines

        return SourceLines(lambda: chain.from_iterable(file.line_units() for file in self._files))

    @cached_property
    def inlined(self) -> "Inlined":
        """What compilers have put into other functions."""
        from emu.firmware.inlined import Inlined

        return Inlined(self.files, self.linked, lambda address: self.lines.at(address) is not None)

    @cached_property
    def frames(self) -> "CallFrames":
        """All call frame information."""
        from emu.firmware.unwind import CallFrames

        return CallFrames(lambda: chain.from_iterable(file.frame_tables() for file in self._files))

    def _forget(self) -> None:
        """Forget what was put together from all files."""
        self._sizes.clear()
        for name in ("symbols", "lines", "inlined", "frames"):
            self.__dict__.pop(name, None)

    def structure_size(self, name: str) -> int | None:
        """Bytes of a C structure, None when no file has it."""
        if name not in self._sizes:
            found = (file.structure_size(name) for file in self._files)
            self._sizes[name] = next((size for size in found if size is not None), None)
        return self._sizes[name]

    def signature(self, name: str) -> "Signature | None":
        """What a function takes and gives; None when no file knows. Raises ConfigError for what no call can carry."""
        found = (types.signature(name) for types in self._debug_types())
        return next((signature for signature in found if signature is not None), None)

    def type_named(self, name: str) -> "CType | None":
        """A C type: by its typedef, or by `struct NAME`, `union NAME`, `enum NAME`; None when no file knows."""
        found = (types.type_named(name) for types in self._debug_types())
        return next((kind for kind in found if kind is not None), None)

    def _debug_types(self) -> "Iterator[DebugTypes]":
        return (file.debug_types for file in self._files if file.debug_types is not None)


def loads_of(parsed: elf.ElfFile | None) -> list[Load]:
    """The parts of an ELF file that are loaded."""
    headers = parsed.loadable if parsed else ()
    return [Load(header.physical, header.virtual, header.memory_size) for header in headers]


def _read_listing(data: bytes, name: str) -> Iterator[Symbol]:
    import re  # as few are read

    rows, form = [], re.compile(_ROW)
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        row = form.match(line)
        if row is None and line.strip():
            raise ImageError(
                f"{name}, line {number}: neither an ELF file nor a listing of symbols (address, kind, name), "
                "as nm and System.map have it"
            )
        if row is not None and row[1]:
            rows.append((int(row[1], 16), int(row[2] or "0", 16), row[3], row[4].strip()))
    # A listing says nothing of sections: the last symbol names its page, and what lies behind has no name.
    last = max((address for address, _, kind, _ in rows if kind not in _ABSOLUTE), default=0)
    limit = (last | PAGE_SIZE - 1) + 1
    for address, size, kind, label in rows:
        yield Symbol(
            label,
            VirtAddr(address),
            size,
            _KINDS.get(kind, SymbolKind.LABEL),
            kind.isupper(),
            0 if kind in _ABSOLUTE else limit,
        )
