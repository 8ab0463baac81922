"""What an assembly can be told, as GNU `as` is told on its command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class AssemblerOptions:
    """Options of one assembly.

    >>> AssemblerOptions(march="rv64imac", defines={"DEBUG": 1}).march
    'rv64imac'
    """

    include_dirs: tuple[Path, ...] = ()
    """Where `.include`, `.incbin` and `#include` look after the directory of the including file."""
    defines: Mapping[str, int] = field(default_factory=dict)
    """Symbols with absolute values, as by `--defsym`."""
    debug: bool = False
    """Write DWARF line information, as by `-g`."""
    march: str = "rv64gc"
    """The instruction set: `rv64` and extensions, as GNU writes them (`rv64imac_zicsr`)."""
    preprocess: bool = False
    """Run the C preprocessor first; `assemble_file` does so for `.S`."""
    macros: Mapping[str, str] = field(default_factory=dict)
    """Macros of the preprocessor, as by `-D`."""
    relax: bool = False
    """Leave linker relaxation to the linker, as GNU does unless told `-mno-relax`."""
