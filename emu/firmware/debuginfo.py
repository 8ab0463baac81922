"""The debug information of a file that may have some: what is no ELF file has none."""

from collections.abc import Iterable

from emu.firmware.elf import ElfFile
from emu.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from emu.firmware.debugtypes import DebugTypes
    from emu.firmware.lines import Unit
    from emu.firmware.unwind import FrameTable


class DebugInformation:
    """What images and files of symbols know of the source."""

    def __init__(self, parsed: ElfFile | None) -> None:
        self._parsed = parsed

    def line_units(self) -> "Iterable[Unit]":
        """Its line tables."""
        return self._parsed.line_units() if self._parsed else ()

    def frame_tables(self) -> "Iterable[FrameTable]":
        """Its call frame information."""
        return self._parsed.frame_tables() if self._parsed else ()

    def structure_size(self, name: str) -> int | None:
        """Bytes of a C structure; None when nothing is known of it."""
        return self._parsed.structure_size(name) if self._parsed else None

    @property
    def debug_types(self) -> "DebugTypes | None":
        """Functions and types in the words of C; None in what can have none."""
        return self._parsed.debug_types if self._parsed else None
