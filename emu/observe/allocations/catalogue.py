"""The descriptions that ship with ekernel, and which of them fit an image."""

import os
from collections.abc import Iterable, Sequence
from functools import cache, cached_property

from emu.address import VirtAddr
from emu.firmware.symbols import Symbol, Symbols
from emu.hints import TYPE_CHECKING
from emu.lateclass import dataclass

if TYPE_CHECKING:
    from emu.observe.allocations.description import Allocator, Function

_FOLDER = f"{os.path.dirname(__file__)}/descriptions"  # noqa: PTH120  # each start would load pathlib for this
_WILDCARDS = "*?["


@dataclass(frozen=True, slots=True)
class Placed:
    """A function of an allocator, at its address in an image."""

    function: "Function"
    allocator: "Allocator"
    name: str
    address: VirtAddr


@cache
def shipped() -> "tuple[Allocator, ...]":
    """All descriptions that ship.

    >>> sorted(allocator.name for allocator in shipped())[:3]
    ['buddy_system_allocator', 'ekernel', 'freertos']
    """
    return tuple(map(_shipped, _files()))


@cache
def _files() -> tuple[str, ...]:
    return tuple(f"{_FOLDER}/{name}" for name in sorted(os.listdir(_FOLDER)) if name.endswith(".toml"))  # noqa: PTH208


@cache
def _shipped(path: str) -> "Allocator":
    from pathlib import Path

    from emu.observe.allocations.description import read_description

    return read_description(Path(path))


@cache
def _texts(path: str) -> frozenset[str]:
    """All texts in a description, between two quotes on a line: the names of its functions are among them."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return frozenset(text for line in file for text in line.replace('"', "'").split("'")[1::2])


class Catalogue:
    """The allocators of one image."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols

    @cached_property
    def _paths(self) -> list[Symbol]:
        """Rust's functions: what the patterns of shipped descriptions are for."""
        return self._symbols.beginning("_ZN", "_R")

    def fitting(self) -> "tuple[Allocator, ...]":
        """The shipped ones that the image has."""
        if not len(self._symbols):  # a raw image has nothing that a description could name
            return ()
        candidates = map(_shipped, filter(self._may_have, _files()))
        return tuple(allocator for allocator in candidates if self._fits(allocator))

    def place(self, allocator: "Allocator", functions: "Sequence[Function]") -> tuple[Placed, ...]:
        """The functions of a description that the image has; none if none of them allocates.

        Raises SymbolError, with the nearest names, for a function that the user has named and the image lacks.
        """
        from emu.observe.allocations.description import Does

        named = [(function, self._named(allocator, function)) for function in functions]
        found = {
            symbol.address: Placed(function, allocator, symbol.label, symbol.address)
            for function, symbols in reversed(named)
            for symbol in symbols
        }
        placed = tuple(sorted(found.values(), key=lambda one: one.address))
        return placed if any(one.function.does in (Does.ALLOCATE, Does.RESIZE) for one in placed) else ()

    def matching(self, pattern: str) -> Iterable[Symbol]:
        """The functions of a name, or of a pattern of Rust's names."""
        return self._matching(pattern)

    def _named(self, allocator: "Allocator", function: "Function") -> Iterable[Symbol]:
        return self._symbols.matching(function.pattern) if allocator.trusted else self._matching(function.pattern)

    def _fits(self, allocator: "Allocator") -> bool:
        if not all(self._has(pattern) for pattern in allocator.needs):
            return False
        if any(self._has(pattern) for pattern in allocator.lacks):
            return False
        return bool(self.place(allocator, allocator.frames) or self.place(allocator, allocator.blocks))

    def _may_have(self, path: str) -> bool:
        """Whether the image has a name that this description speaks of: else it need not be read as TOML."""
        return any(self._has(text) for text in _texts(path))

    def _has(self, pattern: str) -> bool:
        return next(iter(self._matching(pattern)), None) is not None

    def _matching(self, pattern: str) -> Iterable[Symbol]:
        if not any(wildcard in pattern for wildcard in _WILDCARDS):
            return self._symbols.named(pattern)
        if not self._paths:
            return ()
        import fnmatch
        import re

        expression = re.compile(fnmatch.translate(pattern))
        return [symbol for symbol in self._paths if expression.match(symbol.label) or expression.match(symbol.name)]
