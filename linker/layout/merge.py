"""Merges equal strings and constants of SHF_MERGE sections, and strings that end others.

Laid out as GNU ld 2.40 does: a string stays in the input section that first had it, a string that is the tail of
another one moves into that.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linker.objects.model import SectionFlag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linker.parts.inputs import InputSection


@dataclass(eq=False, slots=True)
class _Entry:
    """A string or constant that is stored once."""

    text: bytes
    align: int
    owner: InputSection
    offset: int = 0
    parent: _Entry | None = None
    """The longer string that ends with this one."""
    dropped: bool = False
    """A better-aligned copy took its place."""


@dataclass(eq=False, slots=True)
class MergedContents:
    """Sections of one output section that share their strings."""

    strings: bool
    entry_size: int
    entries: dict[bytes, _Entry] = field(default_factory=dict)
    order: list[_Entry] = field(default_factory=list)
    pieces: dict[int, tuple[list[int], list[bytes]]] = field(default_factory=dict)
    """For each section (by id): where its strings began, and which they were."""
    members: list[InputSection] = field(default_factory=list)

    # Filling

    def add(self, section: InputSection) -> None:
        """Record the strings of a section."""
        self.members.append(section)
        section.merged = self
        data = bytes(section.section.data)
        starts: list[int] = []
        texts: list[bytes] = []
        split = self._strings if self.strings else self._constants
        for offset, text, align in split(data, section.align):
            starts.append(offset)
            texts.append(text)
            self._enter(text, align, section)
        self.pieces[id(section)] = (starts, texts)

    def _strings(self, data: bytes, section_align: int) -> Iterable[tuple[int, bytes, int]]:
        width = self.entry_size
        nul = bytes(width)
        position, size = 0, len(data)
        seen_nul = False
        while position < size:
            end = _find_unit(data, nul, position, width)
            align = min(position & -position or section_align, section_align)
            text = data[position : end + width] if end < size else data[position:] + nul
            yield position, text, align
            position = end + width
            # Padding behind a string is no string, but an aligned empty one must exist to be pointed at.
            while position < size and data[position : position + width] == nul:
                if not seen_nul and not position & (section_align - 1):
                    seen_nul = True
                    yield position, nul, section_align
                position += width

    def _constants(self, data: bytes, section_align: int) -> Iterable[tuple[int, bytes, int]]:
        for position in range(0, len(data), self.entry_size):
            align = min(position & -position or section_align, section_align)
            yield position, data[position : position + self.entry_size], align

    def _enter(self, text: bytes, align: int, owner: InputSection) -> None:
        known = self.entries.get(text)
        if known is not None:
            if known.align >= align:
                return
            known.dropped = True
        entry = _Entry(text, align, owner)
        self.entries[text] = entry
        self.order.append(entry)

    # Placing

    def place(self) -> None:
        """Give every string its offset, and every section its size."""
        live = [entry for entry in self.order if not entry.dropped]
        if self.strings:
            self._merge_tails(live)
        sizes = {id(section): 0 for section in self.members}
        for entry in live:
            if entry.parent is not None:
                continue
            size = (sizes[id(entry.owner)] + entry.align - 1) & -entry.align
            entry.offset = size
            sizes[id(entry.owner)] = size + len(entry.text)
        for section in self.members:
            section.size = sizes[id(section)]

    def _merge_tails(self, live: list[_Entry]) -> None:
        width = self.entry_size
        aligned = bool(self.members) and self.members[0].align > width

        def key(entry: _Entry) -> tuple[int, bytes]:
            body = entry.text[:-width]
            # Where all strings are aligned, only those whose ends are equally aligned can share a tail.
            return (len(body) & (entry.align - 1) if aligned else 0, body[::-1])

        ordered = sorted(live, key=key)
        if not ordered:
            return
        longest = ordered[-1]
        for entry in reversed(ordered[:-1]):
            gap = len(longest.text) - len(entry.text)
            if (
                longest.align >= entry.align
                and gap > 0
                and not gap & (entry.align - 1)
                and longest.text.endswith(entry.text)
            ):
                entry.parent = longest
            else:
                longest = entry

    # Reading

    def find(self, section: InputSection, offset: int) -> tuple[InputSection, int]:
        """Where the byte at an offset of the original section has gone."""
        starts, texts = self.pieces[id(section)]
        if not starts or offset >= len(section.section.data) or offset < 0:
            return section, section.size
        index = bisect_right(starts, offset) - 1
        text, inside = texts[index], offset - starts[index]
        if inside >= len(text):  # padding behind the string
            text, inside = bytes(self.entry_size), 0
            if text not in self.entries:
                text = texts[index]
                inside = len(text) - self.entry_size
        entry = self.entries[text]
        if entry.parent is not None:
            inside += len(entry.parent.text) - len(entry.text)
            entry = entry.parent
        return entry.owner, entry.offset + inside

    def contents(self, section: InputSection) -> bytes:
        """The bytes that the section keeps."""
        result = bytearray(section.size)
        for entry in self.order:
            if entry.owner is section and entry.parent is None and not entry.dropped:
                result[entry.offset : entry.offset + len(entry.text)] = entry.text
        return bytes(result)

    def finished(self, _: InputSection, data: bytearray) -> bytearray:
        """The same bytes: what is merged has no relocations."""
        return data


def _find_unit(data: bytes, unit: bytes, start: int, width: int) -> int:
    """The first place at or after start, a whole number of characters away, where unit stands; else the end."""
    position = data.find(unit, start)
    while position >= 0 and (position - start) % width:
        position = data.find(unit, position + 1)
    return position if position >= 0 else len(data)


def merge_sections(sections: Iterable[InputSection]) -> None:
    """Merge the SHF_MERGE sections among those given, in their order; they have their output sections by now."""
    groups: dict[tuple[int, int, int, int], MergedContents] = {}
    for section in sections:
        source = section.section
        if not _is_mergeable(section):
            continue
        flags = int(source.flags & (SectionFlag.MERGE | SectionFlag.STRINGS))
        key = (id(section.output), flags, source.entry_size, section.align)
        group = groups.get(key)
        if group is None:
            strings = bool(source.flags & SectionFlag.STRINGS)
            group = groups[key] = MergedContents(strings, source.entry_size)
        group.add(section)
    for group in groups.values():
        group.place()


def _is_mergeable(section: InputSection) -> bool:
    source = section.section
    if not source.flags & SectionFlag.MERGE or section.output is None or section.is_nobits:
        return False
    size, width, align = len(source.data), source.entry_size, section.align
    if not size or not width or size % width or source.relocations:
        return False
    strings = bool(source.flags & SectionFlag.STRINGS)
    if width < align:
        return strings and not width & (width - 1)
    return not (width > align and width & (align - 1))
