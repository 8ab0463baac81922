"""A link from end to end: objects, archives and a script in, an executable out."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from linker.errors import Diagnostic, LinkError, Location, ScriptError, ToolchainError
from linker.layout.alignment import align_code, realign_code
from linker.layout.gc import collect
from linker.layout.merge import merge_sections
from linker.layout.orphans import place_orphans
from linker.layout.placement import Plan, mark_kept, place
from linker.layout.regions import DEFAULT, Region
from linker.layout.scope import Scope
from linker.layout.segments import Segmenter, SegmentFlag, SegmentType, guess_header_size
from linker.layout.sizing import Sizer
from linker.layout.symbols import SymbolTable
from linker.objects.archive import Archive
from linker.objects.model import ObjectFile
from linker.options import LinkOptions, LinkResult
from linker.output.contents import check_file_size, fill_sections
from linker.output.elf import write_elf
from linker.output.map import write_map
from linker.output.prepare import merge_attributes, merge_flags
from linker.output.symbols import output_symbols
from linker.relocate.apply import Relocator
from linker.relocate.got import make_got
from linker.script.default import default_script
from linker.script.evaluate import evaluate
from linker.script.parser import ScriptReader, parse_script
from linker.script.syntax import Assignment, Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linker.layout.sections import OutputSection
    from linker.layout.segments import Segment
    from linker.relocate.got import GlobalOffsetTable


_MAX_HEADER_GUESSES = 8
_DEFAULT_ENTRY = "start"
"""Of a script without ENTRY, as in GNU ld; behind it comes the first byte of .text."""


@dataclass(frozen=True, slots=True)
class ArchiveGroup:
    """Archives between `--start-group` and `--end-group`: searched again until none of them helps any more."""

    archives: tuple[Archive, ...]


Input: TypeAlias = ObjectFile | Archive | ArchiveGroup


def link(
    inputs: Sequence[Input],
    *,
    script: str | Script | None = None,
    script_name: str = "script.ld",
    options: LinkOptions | None = None,
) -> LinkResult:
    """Link objects and archives into an executable.

    `script` is the text of a linker script, or a script that was read before; without one a layout like that of GNU
    ld's default for bare metal is used. `script_name` stands in messages. Raises ScriptError, LinkError or
    ObjectFileError; each carries everything that was found wrong.
    """
    options = options or LinkOptions()
    if script is None:
        script = default_script()
    elif isinstance(script, str):
        script = parse_script(script, script_name, options.include_dirs)
    try:
        return _Link(script, options).run(inputs)
    except RecursionError:
        message = "an expression is nested more than is sensible"
        raise ScriptError([Diagnostic(message, Location(script.name))]) from None


@dataclass(slots=True)
class _Link:
    script: Script
    options: LinkOptions
    table: SymbolTable = field(default_factory=SymbolTable)
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)

    def run(self, inputs: Sequence[Input]) -> LinkResult:
        self._load(inputs)
        self.errors += self.table.errors
        flags = merge_flags(self.table.files, self.errors)
        self.table.allocate_commons()
        self._strip_and_collect()
        self.errors += align_code(s for f in self.table.files for s in f.sections if not s.discarded)
        self.warnings += merge_attributes(self.table.files)
        got = make_got(self.table)
        plan = self._plan()
        merge_sections(s for f in self.table.files for s in f.sections)
        scope = self._scope(plan)
        self._define_boundaries(plan)
        self._lay_out(scope)
        return self._write(plan, scope, got, flags)

    # Inputs

    def _load(self, inputs: Sequence[Input]) -> None:
        table, options = self.table, self.options
        table.allow_multiple = options.allow_multiple_definition
        for name in (*options.undefined, *self.script.undefined):
            table.reference(name)
        entry = self._entry_name()
        if entry is not None:
            table.reference(entry)
        for item in inputs:
            if isinstance(item, ObjectFile):
                table.add_object(item)
            elif isinstance(item, Archive):
                table.add_archives([item])
            else:
                table.add_archives(item.archives)
        if not table.files:
            raise LinkError([Diagnostic("nothing to link: no object among the inputs")])

    def _entry_name(self) -> str | None:
        entry = self.options.entry or self.script.entry or "_start"
        return None if entry[:1].isdigit() else entry

    def _strip_and_collect(self) -> None:
        files, options = self.table.files, self.options
        if options.strip_all or options.strip_debug:
            for file in files:
                for section in file.sections:
                    if not section.is_alloc and section.name.startswith((".debug", ".stab", ".line")):
                        section.discarded = True
        mark_kept(self.script, files)
        if options.gc_sections:
            entry = self._entry_name()
            roots = [*options.undefined, *self.script.undefined, *([entry] if entry else [])]
            collect(self.table, roots)

    # Layout

    def _plan(self) -> Plan:
        plan = place(self.script, self.table.files)
        self.errors += plan.errors
        place_orphans(plan, self.table.files)
        plan.fill()
        reader = ScriptReader()
        for name, expression in reversed(self.options.defines):
            plan.commands.insert(0, reader.definition(name, expression))
        return plan

    def _scope(self, plan: Plan) -> Scope:
        regions = {DEFAULT: Region(DEFAULT, 0, 1 << 64)}
        scope = Scope(self.table, plan, regions, self.options.page_size, dict(self.options.segment_starts))
        scope.final = True
        self._read_regions(scope)
        for alias, name in self.script.aliases.items():
            if name in regions:
                regions[alias] = regions[name]
            else:
                message = f"REGION_ALIAS names the memory region '{name}', which MEMORY lacks"
                scope.report(Diagnostic(message, Location(self.script.name)))
        if scope.errors:
            raise ScriptError(scope.errors)
        scope.final = False
        for section in plan.sections():
            scope.by_name.setdefault(section.name, section)
        return scope

    def _read_regions(self, scope: Scope) -> None:
        symbols = [c for c in scope.plan.commands if isinstance(c, Assignment) and c.symbol != "."]
        for assignment in symbols:  # a region's size may be a symbol of the script or of --defsym
            scope.final = False
            scope.assign(assignment)
        scope.final = True
        for region in self.script.regions:
            origin, length = evaluate(region.origin, scope), evaluate(region.length, scope)
            if region.name in scope.regions:
                scope.report(Diagnostic(f"memory region '{region.name}' is declared twice", region.location))
            elif origin is None or length is None:
                scope.report(Diagnostic(f"the bounds of region '{region.name}' are not known", region.location))
            else:
                scope.regions[region.name] = Region(
                    region.name, origin.absolute, length.absolute, region.attributes, region.location
                )

    def _define_boundaries(self, plan: Plan) -> None:
        """`__start_x` and `__stop_x` bound an output section whose name is an identifier."""
        for section in plan.sections():
            if not section.name.isidentifier() or not section.created:
                continue
            for prefix in ("__start_", "__stop_"):
                entry = self.table.names.get(prefix + section.name)
                if entry is not None and not entry.defined:
                    entry.defined, entry.weak, entry.home, entry.file = True, False, section, None

    def _lay_out(self, scope: Scope) -> None:
        sizer = Sizer(scope, dict(self.options.section_starts), check_regions=self.options.check_regions)
        sizer.drop_empty()
        scope.headers = guess_header_size(scope.plan.sections(), self.script)
        for _ in range(_MAX_HEADER_GUESSES):
            sizer.run()
            if realign_code(s for f in self.table.files for s in f.sections if not s.is_nobits):
                sizer.restart()
                continue
            size = self._segmenter(scope).header_size()
            if scope.errors or size == scope.headers:
                break
            scope.headers = size
            if not scope.loads_headers:
                break
            sizer.restart()
        self._stop_symbols(scope.plan)
        self.errors += scope.errors

    def _segmenter(self, scope: Scope) -> Segmenter:
        live = [section for section in scope.plan.sections() if section.created and not section.removed]
        return Segmenter(live, self.script, scope, self.options.page_size, scope.headers)

    def _stop_symbols(self, plan: Plan) -> None:
        for section in plan.sections():
            entry = self.table.names.get(f"__stop_{section.name}")
            if entry is not None and entry.home is section and not entry.from_script and entry.file is None:
                entry.value = section.size

    # Output

    def _write(self, plan: Plan, scope: Scope, got: GlobalOffsetTable | None, flags: int) -> LinkResult:
        segmenter = self._segmenter(scope)
        live = segmenter.sections
        segments = segmenter.run()
        self.errors += segmenter.errors
        self._check_overlaps(live)
        too_large = check_file_size(live)
        if too_large:
            self.errors += too_large
            raise self._failure()
        tls = [section for section in live if section.tls]
        relocator = Relocator(self.table, got, tls[0].vma if tls else 0)
        contents = fill_sections(live, relocator, got)
        relocator.finish()
        self.errors += relocator.errors
        if self.errors:
            raise self._failure()
        entry = self._entry(live)
        self._warn_rwx(segments)
        symbols = None if self.options.strip_all else output_symbols(self.table, scope, live, self.options)
        elf = write_elf(contents, segments, symbols, entry, flags)
        addresses = {
            name: entry.address for name, entry in self.table.names.items() if entry.defined and _placed(entry)
        }
        text = write_map(self.table, plan, scope)
        return LinkResult(elf, text, addresses, tuple(self.warnings + relocator.warnings))

    def _failure(self) -> ToolchainError:
        unique = list(dict.fromkeys(self.errors))
        script = self.script.name
        if all(error.location is not None and error.location.file == script for error in unique):
            return ScriptError(unique)
        return LinkError(unique)

    def _check_overlaps(self, live: list[OutputSection]) -> None:
        """Two sections that claim the same memory, or the same place in the load image."""
        if not self.options.check_regions:
            return
        solid = [section for section in live if section.alloc and section.size and not section.is_tbss]
        for what, start in (("address", "vma"), ("load address", "lma")):
            chosen = solid if start == "vma" else [section for section in solid if section.load]
            ordered = sorted(chosen, key=lambda section: getattr(section, start))
            for left, right in pairwise(ordered):
                begin, end = getattr(right, start), getattr(left, start) + left.size
                if begin < end:
                    where = right.statement.location if right.statement else None
                    message = (
                        f"section '{right.name}' ({what} {begin:#x}) overlaps section '{left.name}', ending at {end:#x}"
                    )
                    self.errors.append(Diagnostic(message, where))

    def _entry(self, live: list[OutputSection]) -> int:
        wanted = self.options.entry or self.script.entry
        name = wanted or _DEFAULT_ENTRY
        entry = self.table.names.get(name)
        if entry is not None and entry.defined and _placed(entry):
            return entry.address
        if name[:1].isdigit():
            try:
                return int(name, 0)
            except ValueError:
                pass
        code = next((section for section in live if section.name == ".text"), None)
        fallback = code.vma if code is not None else 0
        if wanted is not None:
            hint = "make it global with .globl, or name another with ENTRY or -e"
            message = f"there is no entry symbol '{name}'; the entry is {fallback:#x}"
            self.warnings.append(Diagnostic(message, severity="warning", hint=hint))
        return fallback

    def _warn_rwx(self, segments: list[Segment]) -> None:
        both = SegmentFlag.WRITE | SegmentFlag.EXECUTE
        if not self.options.warn_rwx or self.script.phdrs is not None:
            return
        for segment in segments:
            if segment.type == SegmentType.LOAD and segment.elf_flags & both == both:
                names = " ".join(section.name for section in segment.sections)
                message = f"a LOAD segment is writable and executable: {names}"
                hint = "align the first writable section to a page, or say --no-warn-rwx-segments"
                self.warnings.append(Diagnostic(message, severity="warning", hint=hint))


def _placed(entry: object) -> bool:
    home = getattr(entry, "home", None)
    return home is None or getattr(home, "output", home) is not None
