"""Orphans: input sections that no pattern of the script names, placed beside their like (GNU ld, place_orphan)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from linker.layout.placement import Plan, unplaced
from linker.layout.sections import OutputSection
from linker.objects.model import SectionFlag, SectionType
from linker.script.syntax import Assignment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linker.layout.inputs import InputFile, InputSection


@dataclass(frozen=True, slots=True)
class Traits:
    """What decides about the neighbourhood of a section."""

    alloc: bool
    load: bool
    contents: bool
    read_only: bool
    code: bool
    tls: bool
    debug: bool = False
    small: bool = False
    """Small data; no RISC-V input says so, only the name `.sdata` promises it."""

    @staticmethod
    def of_input(section: InputSection) -> Traits:
        """Those of an input section."""
        flags = section.section.flags
        alloc, nobits = bool(flags & SectionFlag.ALLOC), section.is_nobits
        return Traits(
            alloc,
            alloc and not nobits,
            not nobits,
            not flags & SectionFlag.WRITE,
            bool(flags & SectionFlag.EXECINSTR),
            bool(flags & SectionFlag.TLS),
            not alloc and section.name.startswith((".debug", ".gnu.debuglto_.debug_", ".line", ".stab", ".gdb_index")),
        )

    @staticmethod
    def of_output(section: OutputSection) -> Traits:
        """Those of an output section; one that is still empty has those that its name promises."""
        if not section.created:
            return _PROMISED.get(section.name, _NOTHING)
        debug = not section.alloc and section.name.startswith((".debug", ".line", ".stab", ".gdb_index"))
        return Traits(
            section.alloc,
            section.load,
            section.has_contents,
            section.read_only,
            section.code,
            section.tls,
            debug,
        )

    def differs(self, other: Traits, *names: str) -> bool:
        """Whether any of the named traits differs."""
        return any(getattr(self, name) != getattr(other, name) for name in names)


_NOTHING = Traits(alloc=False, load=False, contents=False, read_only=False, code=False, tls=False)
_TEXT = Traits(alloc=True, load=True, contents=True, read_only=True, code=True, tls=False)
_RODATA = Traits(alloc=True, load=True, contents=True, read_only=True, code=False, tls=False)
_DATA = Traits(alloc=True, load=True, contents=True, read_only=False, code=False, tls=False)
_TDATA = Traits(alloc=True, load=True, contents=True, read_only=False, code=False, tls=True)
_BSS = Traits(alloc=True, load=False, contents=False, read_only=False, code=False, tls=False)
_COMMENT = Traits(alloc=False, load=False, contents=True, read_only=False, code=False, tls=False)
_PROMISED = {
    ".text": _TEXT,
    ".rodata": _RODATA,
    ".tdata": _TDATA,
    ".data": _DATA,
    ".bss": _BSS,
    ".interp": _RODATA,
    ".sdata": replace(_DATA, small=True),
    ".comment": _COMMENT,
}

_ALL = ("contents", "alloc", "load", "read_only", "code", "tls", "small")


@dataclass(slots=True)
class _Anchor:
    """Where the orphans of one kind gather."""

    section: OutputSection | None = None
    latest: OutputSection | None = None
    """The orphan that was placed last: the next one follows it."""


def place_orphans(plan: Plan, files: list[InputFile]) -> None:
    """Give every section that is left an output section of its own name, or of an equal orphan's."""
    placer = _Placer(plan)
    for section in list(unplaced(files)):
        placer.place(section)


class _Placer:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.anchors: dict[str, _Anchor] = {}

    def place(self, section: InputSection) -> None:
        if section.name == "COMMON":
            self._place_common(section)
            return
        same = [s for s in self.plan.sections() if s.name == section.name]
        traits = Traits.of_input(section)
        unused = None
        for output in same:
            if output.created and not Traits.of_output(output).differs(traits, "load", "alloc"):
                if _types_agree(section, output):
                    output.add(section)
                    return
            elif not output.created:
                unused = output
        if unused is not None:
            unused.add(section)
            return
        self._insert(section, traits)

    def _place_common(self, section: InputSection) -> None:
        output = self.plan.find(".bss")
        if output is None:
            output = OutputSection(".bss")
            self.plan.commands.append(output)
        output.add(section)

    def _insert(self, section: InputSection, traits: Traits) -> None:
        kind = _kind(section, traits)
        output = OutputSection(section.name)
        output.add(section)
        if kind is None:
            self.plan.commands.append(output)
            return
        anchor = self.anchors.setdefault(kind, _Anchor())
        if anchor.section is None:
            anchor.section = self.plan.find(kind)
        after = anchor.section or self._neighbour(section, traits, anchor)
        if traits.alloc:
            output.like = after
        if anchor.latest is not None:
            self.plan.commands.insert(self.plan.commands.index(anchor.latest) + 1, output)
        else:
            self.plan.commands.insert(self._position_after(after), output)
        anchor.latest = output

    def _neighbour(self, section: InputSection, traits: Traits, anchor: _Anchor) -> OutputSection | None:
        outputs = self.plan.sections()
        known = [(output, Traits.of_output(output)) for output in outputs]
        fitting = [(output, own) for output, own in known if _types_agree(section, output)]
        exact = _last(output for output, own in fitting if not own.differs(traits, *_ALL))
        if exact is not None:
            anchor.section = exact
            return exact
        if not traits.alloc:
            return _last(output for output, own in known if own.debug == traits.debug)
        return self._similar(fitting, traits) or self._similar(known, traits)

    def _similar(self, outputs: list[tuple[OutputSection, Traits]], traits: Traits) -> OutputSection | None:
        if traits.code:
            names: tuple[str, ...] = ("contents", "alloc", "load", "code", "tls", "small")
        elif traits.read_only:
            names = ("contents", "alloc", "load", "read_only", "small")
        elif traits.tls:
            return self._before_tls(outputs, traits)
        elif traits.contents:
            names = ("contents", "alloc", "load", "tls", "small")
        else:
            names = ("alloc",)
        return _last(output for output, own in outputs if not own.differs(traits, *names))

    def _before_tls(self, outputs: list[tuple[OutputSection, Traits]], traits: Traits) -> OutputSection | None:
        """`.tdata` goes behind data, `.tbss` behind `.tdata`."""
        found, seen = None, False
        for output, own in outputs:
            if own.tls and own.alloc:
                if not own.load and traits.load:
                    break
                found, seen = output, True
            elif seen:
                break
            elif own.contents and own.alloc and own.load:
                found = output
        return found

    def _position_after(self, after: OutputSection | None) -> int:
        """Behind the section, and what belongs to it: up to the assignment to `.` that starts the next section."""
        commands = self.plan.commands
        index = commands.index(after) + 1 if after is not None else 0
        assignment: int | None = None
        ignore_first = after is None
        while index < len(commands):
            command = commands[index]
            if isinstance(command, OutputSection):
                if assignment is not None and (not command.has_input or command.alloc):
                    return assignment
                return index
            if isinstance(command, Assignment) and command.symbol == "." and assignment is None:
                if not ignore_first:
                    assignment = index
                ignore_first = False
            index += 1
        return index


def _last(outputs: Iterable[OutputSection]) -> OutputSection | None:
    return next(iter(deque(outputs, maxlen=1)), None)


def _kind(section: InputSection, traits: Traits) -> str | None:
    """The name of the section beside which such orphans gather; None: at the very end."""
    if not traits.alloc:
        return None if traits.debug else ".comment"
    if section.section.type == SectionType.NOTE and traits.load:
        return ".interp"
    if not traits.load and not traits.contents and not traits.tls:
        return ".bss"
    if traits.tls:
        return ".tdata"
    if not traits.read_only:
        return ".data"
    if section.section.type == SectionType.RELA:
        return ".rela.dyn"
    return ".text" if traits.code else ".rodata"


_PLAIN = {SectionType.NULL, SectionType.PROGBITS, SectionType.NOBITS}


def _types_agree(section: InputSection, output: OutputSection) -> bool:
    """Whether input and output have the same ELF type; PROGBITS and NOBITS count as one."""
    if not output.created or not output.has_input:
        return True
    own = SectionType.NULL if section.section.type in _PLAIN else section.section.type
    other = SectionType.NULL if output.type in _PLAIN else output.type
    return own == other
