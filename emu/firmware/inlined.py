"""Which line of the program an instruction belongs to when the compiler has put other functions' code there."""

from collections.abc import Callable, Collection, Sequence
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emu.firmware.functions import FunctionFinder

_LARGEST = 32 << 20
"""Bytes of a file whose debugging entries are read through for one answer."""


class Inlined:
    """Answers for some files; each address is looked up once."""

    def __init__(
        self, files: Sequence[tuple[str, bytes]], linked: Callable[[int], int], has_line: Callable[[int], bool]
    ) -> None:
        """`files` are names and contents, `linked` tells for which address the code at one was linked."""
        self._files, self._linked, self._has_line = files, linked, has_line
        self.line = lru_cache(maxsize=4096)(self._line)
        """`main.rs:20`, where a call was inlined whose code is at the address; None where none is known.

        Of calls within calls it is the outermost: the line that stands in the function whose name the place has.
        """

    def suffix(self, address: int) -> str:
        """What follows the name of a place: `, inlined at main.rs:20`, or nothing."""
        line = self.line(address)
        return f", inlined at {line}" if line else ""

    def calls(self, names: Collection[str]) -> dict[str, list[str]]:
        """The lines with inlined calls of functions of these names, by name: who follows calls misses them."""
        found: dict[str, list[str]] = {}
        for finder in self._finders:
            try:
                for call in finder.inlined_calls(names):
                    if call.function is not None and call.file is not None:
                        found.setdefault(call.function, []).append(f"{PurePath(call.file).name}:{call.line}")
            except Exception:  # noqa: BLE001, S112  # damaged DWARF trips the parser anywhere
                continue
        return {name: list(dict.fromkeys(lines)) for name, lines in found.items()}

    def _line(self, address: int) -> str | None:
        if not self._has_line(address):
            return None
        linked = self._linked(address)
        return next((found for finder in self._finders if (found := _outermost(finder, linked)) is not None), None)

    @cached_property
    def _finders(self) -> "list[FunctionFinder]":
        from elftools.elf.elffile import ELFFile

        from emu.firmware.functions import FunctionFinder

        found = []
        for _, data in self._files:
            if data.startswith(b"\x7fELF") and len(data) <= _LARGEST:
                try:
                    found.append(FunctionFinder(ELFFile(BytesIO(data))))
                except Exception:  # noqa: BLE001, S112  # damaged section tables trip the parser anywhere
                    continue
        return found


def _outermost(finder: "FunctionFinder", address: int) -> str | None:
    *inner, outermost = finder.frames(address)
    return f"{PurePath(outermost.file).name}:{outermost.line}" if inner and outermost.file else None
