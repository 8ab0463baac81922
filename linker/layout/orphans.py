"""Orphans: input sections that no pattern of the script names, placed beside their like (GNU ld, place_orphan)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from linker.layout.insert import position_after
from linker.layout.placement import unplaced
from linker.layout.traits import NOTHING, PROMISED, Traits
from linker.objects.model import SectionType
from linker.parts.sections import OutputSection
from linker.script.syntax import Number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linker.layout.plan import Plan
    from linker.parts.inputs import InputFile, InputSection

_ALL = ("contents", "alloc", "load", "read_only", "code", "tls", "small")


@dataclass(slots=True)
class _Anchor:
    """Where the orphans of one kind gather."""

    section: OutputSection | None = None
    latest: OutputSection | None = None
    """The orphan that was placed last: the next one follows it."""
    command: int = 0
    """Where that stood among the commands, and in the order of sections: it can only have moved on since."""
    position: int = 0


def place_orphans(plan: Plan, files: list[InputFile], *, relocatable: bool = False) -> None:
    """Give every section that is left an output section of its own name, or of an equal orphan's.

    In a relocatable output they begin at 0, and the members of section groups are not joined.
    """
    placer = _Placer(plan, relocatable=relocatable)
    for section in list(unplaced(files)):
        placer.place(section)


class _Placer:
    def __init__(self, plan: Plan, *, relocatable: bool) -> None:
        self.plan = plan
        self.relocatable = relocatable
        self.anchors: dict[str, _Anchor] = {}
        self.promised: set[int] = set()
        """Sections (by id) that, while empty, have the traits of their names."""
        self.groups_notes = False
        """Whether the orphan that was a note found another one: they stay together."""
        self.by_file: dict[int, dict[str, list[InputSection]]] = {}

    def place(self, section: InputSection) -> None:
        if section.name == "COMMON":
            self._place_common(section)
            return
        traits = Traits.of_input(section)
        is_dynamic = section.section.type == SectionType.RELA and traits.alloc
        name = ".rela.dyn" if is_dynamic else section.name
        unused = None
        is_member = self.relocatable and section.section.group is not None
        for output in () if is_member else self.plan.named(name):
            if not output.created:
                unused = output
            elif output.group is None and _takes(output, section, traits):
                output.add(section)
                return
        if unused is not None:
            self.plan.create(unused)
            unused.add(section)
            return
        if not self.promised:
            self._promise()
        self._insert(section, name, self._with_namesakes(section, traits))

    def _place_common(self, section: InputSection) -> None:
        output = self.plan.common or self.plan.find(".bss")
        if output is None:
            output = OutputSection(".bss")
            self.plan.append(output)
        self.plan.create(output)
        output.add(section)

    def _promise(self) -> None:
        for name in PROMISED:
            output = self.plan.find(name)
            if output is not None and output.kind != "NOLOAD":
                self.promised.add(id(output))
        self.promised.add(0)

    def _traits(self, output: OutputSection) -> Traits:
        if output.created:
            return Traits.of_output(output)
        return PROMISED[output.name] if id(output) in self.promised else NOTHING

    def _with_namesakes(self, section: InputSection, traits: Traits) -> Traits:
        """Writable when another orphan of that name in its file is."""
        known = self.by_file.get(id(section.file))
        if known is None:
            known = self.by_file[id(section.file)] = {}
            for other in section.file.sections:
                known.setdefault(other.name, []).append(other)
        for other in known.get(section.name, ()):
            if other is section or other.output is not None or other.discarded:
                continue
            own = Traits.of_input(other)
            if other.section.type == section.section.type and not own.differs(traits, "load", "alloc"):
                traits = replace(traits, read_only=traits.read_only and own.read_only)
        return traits

    def _insert(self, section: InputSection, name: str, traits: Traits) -> None:
        kind = _kind(section, traits)
        anchor = self.anchors.setdefault(kind or "", _Anchor())
        after = None if kind is None else self._anchored(kind, anchor) or self._neighbour(section, traits, anchor)
        output = OutputSection(name)
        if self.relocatable or (not traits.alloc and not traits.load):
            output.address = Number(0)
        output.group = section.section.group if self.relocatable else None
        self.plan.create(output)
        output.add(section)
        self.plan.register(output)
        if kind is None:
            self.plan.commands.append(output)
            return
        if traits.alloc or traits.load:
            output.like = after
        if _is_note(output):
            if self._place_note(output, anchor):
                return
        elif self._place_behind_notes(output, anchor, anchor.latest or self._existing(after)):
            return
        if anchor.latest is not None:
            anchor.command = self.plan.commands.index(anchor.latest, anchor.command) + 1
            self.plan.commands.insert(anchor.command, output)
            self._order_behind(output, anchor.latest, anchor)
        else:
            self.plan.commands.insert(position_after(self.plan.commands, after), output)
            self._order_behind(output, self._existing(after), anchor)
        anchor.latest = output

    def _anchored(self, kind: str, anchor: _Anchor) -> OutputSection | None:
        if anchor.section is None:
            anchor.section = self._dynamic_relocations() if kind == ".rela.dyn" else self.plan.find(kind)
        return anchor.section

    def _dynamic_relocations(self) -> OutputSection | None:
        return next((s for s in self.plan.sections() if s.name.startswith(".rela") and not s.refused), None)

    def _existing(self, after: OutputSection | None) -> OutputSection | None:
        """The section itself, or the closest before it that something made."""
        if after is None or after.created:
            return after
        sections = self.plan.sections()
        before = sections[: sections.index(after)]
        return next((s for s in reversed(before) if s.created and not s.refused), None)

    def _order_behind(self, output: OutputSection, after: OutputSection | None, anchor: _Anchor) -> None:
        """Where the list of sections shows it."""
        order = self.plan.order
        order.pop()
        anchor.position = order.index(after, anchor.position) + 1 if after is not None else 0
        order.insert(anchor.position, output)

    def _place_note(self, output: OutputSection, anchor: _Anchor) -> bool:
        """Notes stand together, those with larger alignments first."""
        first = best = None
        for known in self.plan.order:
            if known is not output and _is_note(known):
                first = first or known
                if known.align >= output.align:
                    best = known
            elif first is not None and known is not output:
                break
        self.groups_notes = first is not None
        if first is None:
            return False
        commands, order = self.plan.commands, self.plan.order
        order.pop()
        if best is not None:
            order.insert(order.index(best) + 1, output)
            commands.insert(position_after(commands, best), output)
        else:
            order.insert(order.index(first), output)
            commands.insert(commands.index(first), output)
        anchor.latest, anchor.command, anchor.position = output, 0, 0
        return True

    def _place_behind_notes(self, output: OutputSection, anchor: _Anchor, before: OutputSection | None) -> bool:
        """What would stand between a section and a note goes behind the last of the notes, once they are a group."""
        order = self.plan.order
        position = order.index(before, anchor.position) + 1 if before is not None else 0
        if not self.groups_notes or not _is_note(order[position]):
            return False
        last = next(known for known in reversed(order) if _is_note(known))
        order.pop()
        order.insert(order.index(last) + 1, output)
        self.plan.commands.insert(position_after(self.plan.commands, last), output)
        anchor.latest, anchor.command, anchor.position = output, 0, 0
        return True

    def _neighbour(self, section: InputSection, traits: Traits, anchor: _Anchor) -> OutputSection | None:
        known = [(output, self._traits(output)) for output in self.plan.sections()]
        fitting = [(output, own) for output, own in known if _types_agree(section, output)]
        exact = _last(output for output, own in fitting if not own.differs(traits, *_ALL))
        if exact is not None:
            anchor.section = exact
            return exact
        if not traits.alloc:
            return _last(output for output, own in known if own.debug == traits.debug)
        if traits.tls and not traits.code and not traits.read_only:
            return self._before_tls(known, traits)
        if section.section.type == SectionType.RELA:
            return _last(output for output, own in known if own.alloc and own.read_only)
        alike = _last(output for output, own in known if not own.differs(traits, *_ALL))
        return self._similar(fitting, traits) or alike or self._similar(known, traits)

    def _similar(self, outputs: list[tuple[OutputSection, Traits]], traits: Traits) -> OutputSection | None:
        if traits.code:
            names: tuple[str, ...] = ("contents", "alloc", "load", "code", "tls", "small")
        elif traits.read_only:
            names = ("contents", "alloc", "load", "read_only")
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


def _is_note(output: OutputSection) -> bool:
    return output.type == SectionType.NOTE and output.load


def _last(outputs: Iterable[OutputSection]) -> OutputSection | None:
    return next(iter(deque(outputs, maxlen=1)), None)


def _takes(output: OutputSection, section: InputSection, traits: Traits) -> bool:
    """Whether an orphan goes into an output section of its name."""
    if _is_bare(output):
        return True
    return section.section.type == output.type and not Traits.of_output(output).differs(traits, "load", "alloc")


def _is_bare(output: OutputSection) -> bool:
    """Made by the command line or an expression: it has no properties yet."""
    flags = (output.alloc, output.load, output.has_contents, output.read_only, output.code, output.tls)
    return not output.has_input and not any(flags)


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


def _types_agree(section: InputSection, output: OutputSection) -> bool:
    """Whether input and output have the same ELF type."""
    return not output.created or output.type == section.section.type
