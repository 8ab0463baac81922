"""Coverage as DynamoRIO's drcov writes it, for Lighthouse, Cartographer and others: version 2 of its format."""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from emu.firmware.names import Names

_BLOCK = struct.Struct("<IHH")
"""`bb_entry_t` in DynamoRIO's drcovlib.h: offset from the module's base, bytes, number of the module."""
_GAP = 1 << 30
_MOST = 1 << 32
"""Bytes of a module: offsets have 32 bits."""


class _Module(NamedTuple):
    base: int
    end: int
    path: str


class Drcov(NamedTuple):
    """A file, and what is not in it."""

    data: bytes
    blocks: int
    """Blocks in it."""
    elsewhere: int
    """Blocks in no file that is known: a user program without one, firmware. They have no module to stand in."""


def drcov(names: Names, blocks: Iterable[tuple[int, int]]) -> Drcov:
    """The file for blocks of code that were executed, each with its virtual address and its bytes."""
    modules = list(_modules(names))
    table, elsewhere = set(), 0
    for pc, size in blocks:
        linked = names.linked(pc)
        for number, module in enumerate(modules):
            if module.base <= linked < module.end:
                table.add((number, linked - module.base, size))
                break
        else:
            elsewhere += 1
    lines = ["DRCOV VERSION: 2", "DRCOV FLAVOR: drcov", f"Module Table: version 2, count {len(modules)}"]
    lines.append("Columns: id, base, end, entry, path")
    lines += [
        f"{number:>3}, {base:#018x}, {end:#018x}, {0:#018x}, {path}" for number, (base, end, path) in enumerate(modules)
    ]
    lines.append(f"BB Table: {len(table)} bbs\n")
    entries = b"".join(_BLOCK.pack(offset, size, number) for number, offset, size in sorted(table))
    return Drcov("\n".join(lines).encode() + entries, len(table), elsewhere)


def _modules(names: Names) -> Iterator[_Module]:
    """Each file; of one whose parts lie far from each other each part."""
    for path, loads in names.loaded():
        spans: list[list[int]] = []
        for load in sorted(loads, key=lambda load: load.virtual):
            if spans and load.virtual - spans[-1][1] < _GAP and load.virtual + load.size - spans[-1][0] < _MOST:
                spans[-1][1] = max(spans[-1][1], load.virtual + load.size)
            elif load.size:
                spans.append([load.virtual, load.virtual + load.size])
        for base, end in spans:
            yield _Module(base, end, path)
