"""Merges `.riscv.attributes` sections (psABI, "Attributes"): one architecture string for the whole program."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.objects import leb128

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linker.parts.inputs import InputSection

STACK_ALIGN, ARCH, UNALIGNED_ACCESS = 4, 5, 6
_VENDOR = b"riscv\0"
_TAG_FILE = 1
_SINGLE_LETTERS = "eigmafdqlcbkjtpvnh"
_EXTENSION = re.compile(r"([a-z][a-z0-9]*?[a-z]|[a-z])(\d+)p(\d+)$")


@dataclass(slots=True)
class Attributes:
    """The file attributes of an object: by tag, numbers or (odd tags) texts."""

    numbers: dict[int, int] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)


def parse(data: bytes) -> Attributes:
    """Read a section's file attributes; what is damaged or of other vendors is left out."""
    result = Attributes()
    if data[:1] != b"A" or data[5 : 5 + len(_VENDOR)] != _VENDOR:
        return result
    end = min(1 + int.from_bytes(data[1:5], "little"), len(data))
    position = 5 + len(_VENDOR)
    if position + 5 > end or data[position] != _TAG_FILE:
        return result
    end = min(position + int.from_bytes(data[position + 1 : position + 5], "little"), end)
    position += 5
    while position < end:
        tag, position = leb128.read(data, position, len(data))
        if tag & 1:
            stop = data.find(b"\0", position)
            stop = end if stop < 0 else stop
            result.texts[tag] = data[position:stop].decode("ascii", "replace")
            position = stop + 1
        else:
            result.numbers[tag], position = leb128.read(data, position, len(data))
    return result


def build(attributes: Attributes) -> bytes:
    """The section's bytes, tags in ascending order."""
    body = bytearray()
    for tag in sorted({*attributes.numbers, *attributes.texts}):
        body += leb128.written(tag, signed=False)
        if tag & 1:
            body += attributes.texts[tag].encode("ascii", "replace") + b"\0"
        else:
            body += leb128.written(attributes.numbers[tag], signed=False)
    inner = bytes([_TAG_FILE]) + (len(body) + 5).to_bytes(4, "little") + body
    return b"A" + (4 + len(_VENDOR) + len(inner)).to_bytes(4, "little") + _VENDOR + inner


def merge(sections: Iterable[InputSection]) -> tuple[bytes, list[Diagnostic]]:
    """The attributes of the whole program, and what does not go together."""
    result = Attributes()
    problems: list[Diagnostic] = []
    for section in sections:
        own = parse(bytes(section.section.data))
        for tag, text in own.texts.items():
            known = result.texts.get(tag)
            result.texts[tag] = text if known is None else merge_arch(known, text) if tag == ARCH else known
        for tag, number in own.numbers.items():
            known_number = result.numbers.setdefault(tag, number)
            if tag == STACK_ALIGN and known_number != number:
                message = f"its stack alignment is {number} bytes, that of earlier objects {known_number}"
                problems.append(Diagnostic(message, Location(section.file.name)))
            if tag == UNALIGNED_ACCESS:
                result.numbers[tag] |= number
    return build(result), problems


def merge_arch(left: str, right: str) -> str:
    """The union of two architecture strings, the newer version of each extension.

    >>> merge_arch("rv64i2p1_m2p0", "rv64i2p1_zicsr2p0_c2p0")
    'rv64i2p1_m2p0_c2p0_zicsr2p0'
    """
    if left == right:
        return left
    extensions: dict[str, tuple[int, int]] = {}
    for text in (left, right):
        for part in text[4:].split("_"):
            found = _EXTENSION.match(part)
            if found is not None:
                version = (int(found[2]), int(found[3]))
                extensions[found[1]] = max(version, extensions.get(found[1], version))
    ordered = sorted(extensions, key=_canonical)
    return left[:4] + "_".join(f"{name}{extensions[name][0]}p{extensions[name][1]}" for name in ordered)


def _canonical(name: str) -> tuple[int, int, str]:
    """The order of the unprivileged manual, chapter "ISA Extension Naming Conventions"."""
    if len(name) == 1:
        return (0, _SINGLE_LETTERS.find(name), name)
    if name[0] == "z":
        return (1, _SINGLE_LETTERS.find(name[1]), name)
    return ({"s": 2, "h": 3}.get(name[0], 4), 0, name)
