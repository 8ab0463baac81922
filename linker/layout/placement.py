"""Which input section goes into which output section: the script's patterns, in its order, the first match wins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from linker.errors import Diagnostic
from linker.layout.sections import DataItem, MatchedInput, OutputSection
from linker.script.patterns import file_matches, is_excluded, is_wild, matcher, sort_key
from linker.script.syntax import Assertion, Assignment, Data, InputSections, OutputSectionStatement, SectionPattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from linker.layout.inputs import InputFile, InputSection
    from linker.script.syntax import Script

DISCARD = "/DISCARD/"
_WRITES = 0x1

Command: TypeAlias = "Assignment | Assertion | OutputSection"


@dataclass(slots=True)
class Plan:
    """The memory image in the order of the script: assignments and output sections."""

    commands: list[Command] = field(default_factory=list)
    discarded: list[InputSection] = field(default_factory=list)
    errors: list[Diagnostic] = field(default_factory=list)
    filled: list[tuple[OutputSection, bool, bool]] = field(default_factory=list)
    """Sections that data statements fill too: what that makes them shows after orphans found their place (GNU ld)."""

    def fill(self) -> None:
        """Give those sections their properties: whether they are memory, and loaded."""
        for section, alloc, load in self.filled:
            section.init(alloc=alloc, load=load, has_contents=True)

    def sections(self) -> list[OutputSection]:
        """All output sections, also the empty ones."""
        return [command for command in self.commands if isinstance(command, OutputSection)]

    def find(self, name: str) -> OutputSection | None:
        """The first output section of that name."""
        return next((section for section in self.sections() if section.name == name), None)


def input_statements(script: Script) -> Iterator[InputSections]:
    """All input statements of a script."""
    for command in script.statements:
        if isinstance(command, OutputSectionStatement):
            for statement in command.statements:
                if isinstance(statement, InputSections):
                    yield statement


def mark_kept(script: Script, files: list[InputFile]) -> None:
    """Mark the sections that KEEP names."""
    for statement in input_statements(script):
        if statement.keep:
            for file in _files(statement, files):
                for section, _ in _matches(statement, file):
                    section.keep = True


def place(script: Script, files: list[InputFile]) -> Plan:
    """Follow the script; sections that no pattern names stay without output."""
    plan = Plan()
    for command in script.statements:
        if not isinstance(command, OutputSectionStatement):
            plan.commands.append(command)
        elif command.name == DISCARD:
            for statement in command.statements:
                if isinstance(statement, InputSections):
                    for section in _ordered(plan, statement, files):
                        section.discarded = True
                        plan.discarded.append(section)
        elif not command.only_if or _constraint_holds(command, files):
            plan.commands.append(_output_section(plan, command, files))
    return plan


def _output_section(plan: Plan, command: OutputSectionStatement, files: list[InputFile]) -> OutputSection:
    known = next((s for s in plan.sections() if s.name == command.name and not command.only_if and s.statement), None)
    result = OutputSection(command.name, command)
    if known is not None:  # a second statement of that name adds to the first, in the place of the second
        result = known
        plan.commands.remove(known)
    for statement in command.statements:
        if isinstance(statement, InputSections):
            result.items.append(MatchedInput(statement.text))
            for section in _ordered(plan, statement, files):
                result.add(section)
        elif isinstance(statement, Data):
            result.items.append(DataItem(statement))
            alloc = command.type not in ("COPY", "INFO", "OVERLAY", "DSECT")
            load = alloc and command.type != "NOLOAD"
            if result.created:
                plan.filled.append((result, alloc, load))
            else:
                result.init(alloc=alloc, load=load, has_contents=True, read_only=True)
        else:
            result.items.append(statement)
            if isinstance(statement, Assignment):
                result.init(alloc=False, load=False, has_contents=False)
    return result


def _constraint_holds(command: OutputSectionStatement, files: list[InputFile]) -> bool:
    """ONLY_IF_RO and ONLY_IF_RW: look at what the statement would get (GNU ld, check_input_sections)."""
    writable = False
    for statement in command.statements:
        if isinstance(statement, InputSections):
            for file in _files(statement, files):
                for section, _ in _matches(statement, file):
                    if section.output is None and not section.discarded:
                        writable |= bool(section.section.flags & _WRITES)
    return writable == (command.only_if == "rw")


def _files(statement: InputSections, files: list[InputFile]) -> list[InputFile]:
    return [file for file in files if file_matches(statement.files, file) and not is_excluded(statement.exclude, file)]


def _matches(statement: InputSections, file: InputFile) -> Iterator[tuple[InputSection, SectionPattern | None]]:
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


def _ordered(plan: Plan, statement: InputSections, files: list[InputFile]) -> list[InputSection]:
    """The sections that a statement gets, in its order (GNU ld, wild_sort)."""
    candidates = _files(statement, files)
    if not candidates and not is_wild(statement.files.glob):
        message = f"no input file is named '{statement.files.glob}'"
        plan.errors.append(Diagnostic(message, statement.location, hint="name it on the command line"))
    if statement.sort_files:
        candidates = sorted(candidates, key=lambda file: file.name)
    result: list[InputSection] = []
    for file in candidates:
        begin = len(result) if statement.sort_files else 0
        for section, pattern in _matches(statement, file):
            if section.output is not None or section.discarded:
                continue
            _insert(result, section, pattern, begin)
    return result


def _insert(result: list[InputSection], section: InputSection, pattern: SectionPattern | None, begin: int) -> None:
    """Append, or with SORT insert before the first that comes after it."""
    key = sort_key(pattern.sort) if pattern is not None else None
    if key is None:
        result.append(section)
        return
    own = key(section)
    for index in range(begin, len(result)):
        other = key(result[index])
        if own > other if pattern is not None and pattern.reverse else own < other:
            result.insert(index, section)
            return
    result.append(section)


def unplaced(files: Iterable[InputFile]) -> Iterator[InputSection]:
    """Input sections that are nowhere yet."""
    for file in files:
        for section in file.sections:
            if section.output is None and not section.discarded:
                yield section
