"""Which input section goes into which output section: the script's patterns, in its order, the first match wins."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from linker.errors import Diagnostic
from linker.layout.plan import DISCARD, Plan
from linker.layout.sorting import in_order
from linker.objects.model import SectionType
from linker.parts.sections import NOT_ALLOCATED, DataItem, MatchedInput, OutputSection
from linker.script.mentions import mentioned_sections
from linker.script.patterns import file_matches, is_excluded, is_wild, matcher
from linker.script.syntax import Data, InputSections, Name, Number, OutputSectionStatement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from linker.layout.sorting import Match
    from linker.parts.inputs import InputFile, InputSection
    from linker.script.syntax import Expression, Script, SectionsCommand

_WRITES = 0x1


def input_statements(script: Script) -> Iterator[InputSections]:
    """All input statements of a script."""
    for command in script.statements:
        if isinstance(command, OutputSectionStatement):
            for statement in command.statements:
                if isinstance(statement, InputSections):
                    yield statement


def named_files(statements: Iterable[SectionsCommand]) -> list[str]:
    """The objects that statements take sections of by an exact name, in their order."""
    names: dict[str, None] = {}
    for command in statements:
        for item in command.statements if isinstance(command, OutputSectionStatement) else ():
            if isinstance(item, InputSections) and item.files.archive is None and not is_wild(item.files.glob):
                names.setdefault(item.files.glob)
    return list(names)


def mark_kept(script: Script, files: list[InputFile]) -> None:
    """Mark the sections that KEEP names."""
    for statement in input_statements(script):
        if statement.keep:
            for file in _files(statement, files):
                for section, _ in _matches(statement, file):
                    section.keep = True


def place(
    statements: Iterable[SectionsCommand],
    files: list[InputFile],
    addresses: dict[str, int],
    *,
    keeps_groups: bool = False,
) -> Plan:
    """Follow the statements; sections that no pattern names stay without output.

    `addresses` are those that the command line gives to sections (`-Ttext`). With `keeps_groups`, statements pass over
    the members of section groups (but /DISCARD/): each stays a section of its own.
    """
    plan = Plan()
    for command in statements:
        if isinstance(command, OutputSectionStatement):
            plan.append(OutputSection(command.name, command, address=command.address))
        else:
            plan.append(command)
    placer = _Placer(plan, files, keeps_groups=keeps_groups)
    steps = list(plan.commands)
    for name, address in addresses.items():  # GNU ld has them before its script
        known = plan.find(name)
        if known is None:
            known = OutputSection(name)
            plan.append(known)
        known.address = Number(address)
        plan.create(known)
    for step in steps:
        if isinstance(step, OutputSection):
            placer.section(step)
        else:
            placer.create_mentioned(step)
    return plan


class _Placer:
    def __init__(self, plan: Plan, files: list[InputFile], *, keeps_groups: bool) -> None:
        self.plan = plan
        self.files = files
        self.keeps_groups = keeps_groups

    def create(self, section: OutputSection, **properties: bool) -> None:
        """Bring a section into being, and those that its address mentions."""
        if section.created:
            return
        self.plan.create(section, **properties)
        self.create_mentioned(section.address)
        self.create_mentioned(section.load_address)

    def create_mentioned(self, expression: object) -> None:
        """ADDR and LOADADDR need a section that exists, though nothing may go into it."""
        for name in mentioned_sections(expression):
            section = self.plan.find(name)
            if section is not None:
                self.create(section)

    def section(self, output: OutputSection) -> None:
        statement = output.statement
        assert statement is not None
        if output.name == DISCARD:
            self._discard(statement)
            return
        if statement.only_if and not self._constraint_holds(statement):
            output.refused = True
            return
        for item in statement.statements:
            if isinstance(item, InputSections):
                output.items.append(MatchedInput(item.text))
                for section in self._ordered(item):
                    if self.keeps_groups and section.section.group is not None:
                        continue
                    if not output.created:
                        self.create(output)
                    output.add(section)
                if self.plan.common is None and any(pattern.glob == "COMMON" for pattern in item.sections):
                    self.plan.common = output
            elif isinstance(item, Data):
                output.items.append(DataItem(item))
                self.create_mentioned(item.value)
                self._fill(output, statement)
            else:
                output.items.append(item)
                self.create(output)
                self.create_mentioned(item)

    def _discard(self, statement: OutputSectionStatement) -> None:
        for item in statement.statements:
            if isinstance(item, InputSections):
                for section in self._ordered(item):
                    section.discarded = True
                    self.plan.discarded.append(section)

    def _fill(self, output: OutputSection, statement: OutputSectionStatement) -> None:
        """What a data statement makes of its section."""
        kind = statement.type
        alloc, loaded = kind not in NOT_ALLOCATED, kind not in NOT_ALLOCATED and kind != "NOLOAD"
        contents = kind != "NOLOAD"
        if output.created:
            output.alloc |= alloc
            output.load |= loaded
            output.has_contents |= contents
            output.read_only |= kind.startswith("READONLY")
        else:
            self.create(output, alloc=alloc, load=loaded, has_contents=contents, read_only=True)
        output.wanted_type = self._elf_type(statement.elf_type, statement) if "TYPE" in kind else SectionType.NULL

    def _elf_type(self, wanted: Expression | None, statement: OutputSectionStatement) -> int:
        if isinstance(wanted, Number) and wanted.value <= _LAST_TYPE:
            return wanted.value
        if isinstance(wanted, Name) and wanted.name.removeprefix("SHT_") in _TYPES:
            return SectionType[wanted.name.removeprefix("SHT_")]
        message = f"the type of section '{statement.name}' is not known"
        hint = "a number, or one of " + " ".join(f"SHT_{name}" for name in _TYPES)
        self.plan.errors.append(Diagnostic(message, statement.location, hint=hint))
        return SectionType.NULL

    def _constraint_holds(self, statement: OutputSectionStatement) -> bool:
        """ONLY_IF_RO and ONLY_IF_RW: look at what the statement would get (GNU ld, check_input_sections)."""
        writable = False
        for item in statement.statements:
            if isinstance(item, InputSections):
                for file in _files(item, self.files):
                    for section, _ in _matches(item, file):
                        if section.output is None and not section.discarded:
                            writable |= bool(section.section.flags & _WRITES)
        return writable == (statement.only_if == "rw")

    def _ordered(self, statement: InputSections) -> Iterable[InputSection]:
        """The sections that a statement gets, in its order (GNU ld, wild_sort)."""
        candidates = _files(statement, self.files)
        if not candidates and not is_wild(statement.files.glob):
            message = f"no input file is named '{statement.files.glob}'"
            hint = "name it on the command line"
            self.plan.errors.append(Diagnostic(message, statement.location, hint=hint))
        if statement.sort_files:
            candidates = sorted(candidates, key=lambda file: (file.archive or file.name, file.name))
        found: list[Match] = []
        for file in candidates:
            mine = [pair for pair in _matches(statement, file) if pair[0].output is None and not pair[0].discarded]
            found += in_order(mine) if statement.sort_files else mine
        if not statement.sort_files:
            found = in_order(found)
        return (section for section, _ in found)


_LAST_TYPE = 0xFFFF_FFFF
_TYPES = ("PROGBITS", "STRTAB", "NOTE", "NOBITS", "INIT_ARRAY", "FINI_ARRAY", "PREINIT_ARRAY")


def _files(statement: InputSections, files: list[InputFile]) -> list[InputFile]:
    return [file for file in files if file_matches(statement.files, file) and not is_excluded(statement.exclude, file)]


def _matches(statement: InputSections, file: InputFile) -> Iterator[Match]:
    if not statement.sections:
        for section in file.sections:
            yield section, None
        return
    patterns = [
        (matcher(pattern.glob), pattern)
        for pattern in statement.sections
        if not pattern.exclude or not is_excluded(pattern.exclude, file)
    ]
    for section in file.sections:
        for match, pattern in patterns:
            if match(section.name):
                yield section, pattern
                break


def unplaced(files: Iterable[InputFile]) -> Iterator[InputSection]:
    """Input sections that are nowhere yet."""
    for section in chain.from_iterable(file.sections for file in files):
        if section.output is None and not section.discarded:
            yield section
