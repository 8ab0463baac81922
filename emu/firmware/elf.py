"""ELF64 RISC-V executables: headers checked before use, symbols and line tables decoded when asked for."""

import io
import struct
import sys
from array import array
from collections.abc import Iterable
from functools import cached_property

from emu.counted import counted
from emu.errors import ImageError
from emu.firmware.sections import Section, contents, read_sections
from emu.firmware.symbols import IGNORED, KINDS, Columns, Symbols
from emu.hints import TYPE_CHECKING
from emu.lateclass import dataclass
from emu.memory import RAM_BASE

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

    from emu.firmware.debugtypes import DebugTypes
    from emu.firmware.lines import Unit
    from emu.firmware.structures import Information
    from emu.firmware.unwind import FrameTable

MAGIC = b"\x7fELF"

# ELF gABI, chapters 4 (ELF header), 5 (symbol table) and 7 (program header).
_HEADER = struct.Struct("<16s HHI QQQ I HHHHHH")
_PROGRAM_HEADER = struct.Struct("<II QQQQQQ")
_SYMBOL_SIZE = 24
"""Its name's place in 4 bytes, type and binding in one, visibility in one, section in 2, value and size in 8 each."""
_SHT_SYMTAB = 2
_EI_CLASS, _EI_DATA = 4, 5
_CLASS_64, _LITTLE_ENDIAN = 2, 1
_ET_REL, _ET_EXEC, _ET_DYN, _ET_CORE = 1, 2, 3, 4
_EM_RISCV = 243
_PT_LOAD = 1
_SHN_LORESERVE = 0xFF00
_SHF_ALLOC = 2
"""Of sections whose places are addresses of memory; those of debug information are offsets in a file."""
_KINDS = bytes(value & 0xF for value in range(256))
_ARE_GLOBAL = bytes(value >> 4 != 0 for value in range(256))
"""Whether the binding is another than STB_LOCAL, by type and binding."""
_DEBUG_INFORMATION = (".debug_", ".zdebug_", ".eh_frame")

_MACHINES = {3: "x86", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "S390", 40: "ARM", 62: "x86-64", 183: "AArch64"}


@dataclass(frozen=True, slots=True)
class LoadHeader:
    """A program header of type PT_LOAD that occupies memory."""

    offset: int
    virtual: int
    physical: int
    file_size: int
    memory_size: int
    flags: int


class ElfFile:
    """A checked ELF64 little-endian RISC-V executable.

    The headers that decide what is loaded are read here, field by field, because each damaged one deserves its own
    message and a start-up that needs no symbols stays quick; sections and DWARF are pyelftools' business.
    """

    def __init__(self, data: bytes, name: str) -> None:
        """Raises ImageError for a file that is not a loadable RISC-V executable."""
        self.data = data
        """The whole file."""
        self._name = name
        self._check_identity()
        if len(data) < _HEADER.size:
            raise self._truncated("the ELF header", _HEADER.size)
        (_, kind, machine, _, self.entry, table, _, _, _, entry_size, count, *_) = _HEADER.unpack_from(data)
        self._check_kind(kind, machine)
        self.loadable = self._load_headers(table, entry_size, count)
        """The segments to load, in the file's order."""

    def mentions(self, text: bytes) -> bool:
        """Whether these bytes are anywhere in the file: quicker to know than what its tables say."""
        return text in self.data

    def without_file_headers(self, header: LoadHeader) -> LoadHeader:
        """A segment as it is loaded: what lies below RAM is left out when it is the file's own headers and padding.

        GNU ld puts them there, unless told otherwise, when it links for the start of RAM; QEMU ignores them.
        """
        below = RAM_BASE - header.physical
        if header.offset or below <= 0 or any(self.data[self._headers_end : min(below, header.file_size)]):
            return header
        in_file, in_memory = (max(0, size - below) for size in (header.file_size, header.memory_size))
        return LoadHeader(below, header.virtual + below, header.physical + below, in_file, in_memory, header.flags)

    def symbols(self) -> Symbols:
        """The symbols that name addresses of memory, and absolute ones; none when the table is damaged."""
        try:
            return Symbols(self._read_symbols())
        except Exception:  # noqa: BLE001  # pyelftools raises whatever a damaged section table trips; booting needs none
            return Symbols(())

    def line_units(self) -> "Iterable[Unit]":
        """The compilation units with their lines; empty when there are none or the section table is damaged."""
        from emu.firmware.lines import read_units

        try:
            return list(read_units(self._sections())) if self._has_debug_information else ()
        except Exception:  # noqa: BLE001  # as above
            return ()

    def frame_tables(self) -> "Iterable[FrameTable]":
        """The call frame information of each function; empty when there is none or the section table is damaged."""
        from emu.firmware.unwind import read_frames

        try:
            return list(read_frames(self.data, self._headers))
        except Exception:  # noqa: BLE001  # as above
            return ()

    def structure_size(self, name: str) -> int | None:
        """Bytes of a C structure with this tag or type name; None when the debug information does not have it."""
        from emu.firmware.structures import Unusual, structure_size, structure_size_by_library

        if not self._has_debug_information:
            return None
        try:
            try:
                return structure_size(self._information(), name)
            except Unusual:
                return structure_size_by_library(self._sections(), name)
        except Exception:  # noqa: BLE001  # as above
            return None

    def _information(self) -> "Information":
        """What is read without pyelftools. Raises Unusual where its contents are compressed."""
        from emu.firmware.structures import Information, Unusual

        found = {section.name: section for section in self._headers}
        if any(section.is_packed or section.name.startswith(".zdebug_") for section in self._headers):
            raise Unusual
        info, *others = (
            contents(memoryview(self.data), found[name]) if name in found else memoryview(b"")
            for name in (".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str")
        )
        return Information(info, *map(bytes, others))

    @cached_property
    def debug_types(self) -> "DebugTypes | None":
        """Its functions and types in the words of C; None when the section table is damaged."""
        from emu.firmware.debugtypes import DebugTypes

        try:
            return DebugTypes(self._sections())
        except Exception:  # noqa: BLE001  # as above
            return None

    def _check_identity(self) -> None:
        data, name = self.data, self._name
        if len(data) <= _EI_DATA:
            raise self._truncated("the ELF header", _HEADER.size)
        if data[_EI_CLASS] != _CLASS_64:
            raise ImageError(f"{name} is a 32-bit ELF; this is an RV64 machine: build with -march=rv64gc -mabi=lp64d")
        if data[_EI_DATA] != _LITTLE_ENDIAN:
            raise ImageError(f"{name} is a big-endian ELF; build it for little-endian RISC-V")

    def _check_kind(self, kind: int, machine: int) -> None:
        name = self._name
        if machine != _EM_RISCV:
            label = _MACHINES.get(machine, f"machine {machine}")
            raise ImageError(f"{name} is an ELF for {label}, not for RISC-V; build it with a riscv64 compiler")
        if kind == _ET_REL:
            raise ImageError(
                f"{name} is a relocatable object, not an executable; link it first: ekernel ld -o FILE {name}"
            )
        if kind == _ET_CORE:
            raise ImageError(f"{name} is a core dump; give the executable that it came from")
        if kind not in (_ET_EXEC, _ET_DYN):
            raise ImageError(f"{name} is an ELF of type {kind}, not an executable; link it first")

    def _load_headers(self, table: int, entry_size: int, count: int) -> list[LoadHeader]:
        name, data = self._name, self.data
        if count and entry_size != _PROGRAM_HEADER.size:
            raise ImageError(
                f"{name}: a program header has {counted(entry_size, 'byte')} instead of {_PROGRAM_HEADER.size}; "
                "the file is damaged: build or copy it again"
            )
        end = table + count * entry_size
        if count and end > len(data):
            raise self._truncated("the program header table", end)
        self._headers_end = max(_HEADER.size, end if count and table == _HEADER.size else 0)
        found = []
        for index in range(count):
            at = table + index * _PROGRAM_HEADER.size
            kind, flags, offset, virtual, physical, in_file, in_memory, _ = _PROGRAM_HEADER.unpack_from(data, at)
            if kind != _PT_LOAD or in_memory == 0:
                continue
            if in_file > in_memory or max(virtual, physical) + in_memory > 1 << 64:
                raise ImageError(
                    f"{name}: the sizes of segment {index} do not fit ({in_file:#x} bytes in the file, "
                    f"{in_memory:#x} in memory at {physical:#x}); the file is damaged: build or copy it again"
                )
            if in_file and offset + in_file > len(data):
                raise self._truncated(f"segment {index}", offset + in_file)
            found.append(LoadHeader(offset, virtual, physical, in_file, in_memory, flags))
        if not found:
            raise ImageError(f"{name} has no loadable segment; link it with a script that places .text in memory")
        return found

    def _truncated(self, what: str, needed: int) -> ImageError:
        return ImageError(
            f"{self._name} is truncated: {what} needs {needed:#x} bytes, the file has {len(self.data):#x}; "
            "build or copy it again"
        )

    @cached_property
    def _headers(self) -> list[Section]:
        return read_sections(self.data)

    @cached_property
    def _has_debug_information(self) -> bool:
        """Whether there is any of what pyelftools reads; it takes a while to load."""
        return any(section.name.startswith(_DEBUG_INFORMATION) for section in self._headers)

    def _sections(self) -> "ELFFile":
        from emu.firmware.debugsections import SectionsFile

        return SectionsFile(io.BytesIO(self.data))

    def _read_symbols(self) -> Columns:
        sections = self._headers
        table = next((section for section in sections if section.kind == _SHT_SYMTAB), None)
        if table is None:
            return Columns.of(())
        text = contents(self.data, sections[table.link]) + b"\0"
        body = contents(self.data, table)
        body = body[: len(body) - len(body) % _SYMBOL_SIZE]
        words, places, marks = array("Q", body), array("I", body)[::6], body[4::24]
        numbers = array("H", body)[3::12]
        if sys.byteorder == "big":
            for column in (words, places, numbers):
                column.byteswap()
        names = {place: text[place : text.find(b"\0", place)].decode("utf-8", "replace") for place in set(places)}
        named = {place for place, name in names.items() if name and not name.startswith(IGNORED)}
        numbered = list(enumerate(sections[:_SHN_LORESERVE]))
        ends = {number: section.end for number, section in numbered}
        elsewhere = {number for number, section in numbered if not section.flags & _SHF_ALLOC}  # 0: of no section, too
        kinds = marks.translate(_KINDS)
        columns = Columns(
            [names[place] for place in places],
            words[1::3],
            words[2::3],
            kinds,
            marks.translate(_ARE_GLOBAL),
            array("Q", [ends.get(number, 0) for number in numbers]),
        )
        rows = zip(places, kinds, numbers, strict=True)
        return columns.kept(
            [place in named and kind < len(KINDS) and number not in elsewhere for place, kind, number in rows]
        )
