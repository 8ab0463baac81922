"""A link from end to end: objects, archives and a script in, an executable or one object out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from linker.errors import Diagnostic, LinkError, Location, ScriptError, ToolchainError
from linker.layout.alignment import align_code
from linker.layout.alignments import align_thread_block
from linker.layout.assigning import assign_unplaced, hide_symbols
from linker.layout.checks import outside_of_regions, overlaps, stack_flags, unknown_regions, wrapping
from linker.layout.files import FilePlacer
from linker.layout.gc import collect
from linker.layout.ghosts import make_ghosts
from linker.layout.insert import insert_statements
from linker.layout.loading import Loader
from linker.layout.mapping import Mapper
from linker.layout.merge import merge_sections
from linker.layout.orphans import place_orphans
from linker.layout.passes import Layout
from linker.layout.placement import mark_kept, place
from linker.layout.plan import Plan
from linker.layout.scope import Phase, Scope
from linker.objects.archive import Archive
from linker.objects.model import ObjectFile
from linker.objects.writer import write_object
from linker.options import LinkOptions, LinkResult
from linker.output.contents import check_file_size, fill_sections
from linker.output.elf import write_elf
from linker.output.map import write_map
from linker.output.partial import Joiner
from linker.output.prepare import merge_attributes, merge_flags, settle_attributes
from linker.output.symbols import output_symbols
from linker.parts.regions import DEFAULT, Region
from linker.parts.segments import SegmentFlag, SegmentType
from linker.parts.symbols import SymbolTable
from linker.relocate.apply import Relocator
from linker.relocate.got import make_got
from linker.script.default import default_script
from linker.script.parser import ScriptReader, parse_script
from linker.script.syntax import Script
from linker.unwind.editing import NAME, UnwindTables
from linker.unwind.header import HEADER, header_bytes, make_header, settle_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linker.parts.inputs import InputSection
    from linker.parts.sections import OutputSection
    from linker.parts.segments import Segment
    from linker.relocate.got import GlobalOffsetTable
    from linker.script.syntax import SectionsCommand


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
    """Link objects and archives into an executable; with `options.relocatable` into one object.

    `script` is the text of a linker script, or a script that was read before; without one a layout like that of GNU
    ld's default for bare metal is used. `script_name` stands in messages. Raises ScriptError, LinkError or
    ObjectFileError; each carries everything that was found wrong.
    """
    options = options or LinkOptions()
    if script is None:
        script = default_script(relocatable=options.relocatable)
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
    header: InputSection | None = None
    """`.eh_frame_hdr`, when it was asked for and has something to say."""
    frames: UnwindTables = field(init=False)

    def run(self, inputs: Sequence[Input]) -> LinkResult:
        statements = self._statements()
        self._reference()
        scope = self._scope()
        for region in self.script.regions:  # so that PROVIDE provides what they mention
            scope.fold(region.origin)
            scope.fold(region.length)
        assign_unplaced(scope, statements, Phase.FIRST)
        relocatable = self.options.relocatable
        loader = Loader(self.table, relocatable)
        self._load(inputs, loader)
        self.errors += self.table.errors
        flags = merge_flags(self.table.files, self.errors)
        self._read_regions(scope)
        assign_unplaced(scope, statements, Phase.MARK)
        stack = stack_flags(self.table.files)
        if not relocatable or self.options.define_common:
            loader.allocate_commons()
        self._strip_and_collect()
        if self.options.eh_frame_hdr and not relocatable:
            self.header = make_header(self.table.files)
        if not relocatable:
            self.errors += align_code(s for f in self.table.files for s in f.sections if not s.discarded)
        self.warnings += merge_attributes(self.table.files)
        if relocatable:
            scope.plan = self._plan(statements)
            align_thread_block(scope)
            hide_symbols(scope, statements)
            self._lay_out(scope, None)
            return self._write_object(scope, flags)
        got = make_got(self.table)
        make_ghosts(self.table)
        scope.plan = self._plan(statements)
        if self.header is not None and not settle_header(self.header, scope.plan.find(NAME), self.table):
            self.header = None
        align_thread_block(scope)
        hide_symbols(scope, statements)
        merge_sections(s for f in self.table.files for s in f.sections)
        self._define_boundaries(scope.plan)
        segments = self._lay_out(scope, stack)
        return self._write(scope, segments, got, flags)

    # Inputs

    def _statements(self) -> list[SectionsCommand]:
        """Those of `--defsym` before those of the script."""
        reader = ScriptReader()
        defines: list[SectionsCommand] = [reader.definition(*define) for define in self.options.defines]
        return [*defines, *self.script.statements]

    def _reference(self) -> None:
        """What something outside the objects needs."""
        table, options = self.table, self.options
        for name in (*options.undefined, *self.script.undefined):
            table.reference(name)
        if options.entry or self.script.entry:
            entry = self._entry_name()
            if entry is not None:
                table.reference(entry)

    def _load(self, inputs: Sequence[Input], loader: Loader) -> None:
        table = self.table
        table.allow_multiple = self.options.allow_multiple_definition
        for item in inputs:
            if isinstance(item, ObjectFile):
                loader.add_object(item)
            elif isinstance(item, Archive):
                loader.add_archives([item])
            else:
                loader.add_archives(item.archives)
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
            if options.relocatable:
                entry = self._collecting_entry()
            roots = [*options.undefined, *self.script.undefined, *([entry] if entry else [])]
            collect(self.table, roots, relocatable=options.relocatable)

    def _collecting_entry(self) -> str | None:
        """Nothing says by itself what a part of a program must keep (GNU ld, lang_gc_sections)."""
        options, known = self.options, self.table.names
        roots = (options.entry, self.script.entry, *options.undefined, *self.script.undefined)
        if not any(name in known and known[name].defined for name in roots if name):
            hint = "name what must stay: -u SYMBOL"
            raise LinkError([Diagnostic("--gc-sections with -r needs a defined symbol of -e or -u", hint=hint)])
        return options.entry or self.script.entry

    # Layout

    def _plan(self, statements: list[SectionsCommand]) -> Plan:
        relocatable = self.options.relocatable
        plan = place(statements, self.table.files, dict(self.options.section_starts), keeps_groups=relocatable)
        insert_statements(plan)
        place_orphans(plan, self.table.files, relocatable=relocatable)
        self.errors += plan.errors
        text = next((section for section in plan.order if section.name == ".text"), None)
        if text is not None and not relocatable:  # GNU ld says so unless it is given -N
            text.read_only = not self.options.writable_text
        return plan

    def _scope(self) -> Scope:
        regions = {DEFAULT: Region(DEFAULT, 0, 1 << 64)}
        options = self.options
        return Scope(self.table, Plan(), regions, options.page_size, dict(options.segment_starts))

    def _read_regions(self, scope: Scope) -> None:
        scope.phase = Phase.FINAL  # a region's size may be a symbol of the script or of --defsym
        for region in self.script.regions:
            origin, length = scope.fold(region.origin), scope.fold(region.length)
            if region.name in scope.regions:
                scope.report(Diagnostic(f"memory region '{region.name}' is declared twice", region.location))
            elif origin is None or length is None:
                scope.report(Diagnostic(f"the bounds of region '{region.name}' are not known", region.location))
            else:
                scope.regions[region.name] = Region(
                    region.name, origin.absolute, length.absolute, region.attributes, region.location
                )
        for alias, name in self.script.aliases.items():
            if name in scope.regions:
                scope.regions[alias] = scope.regions[name]
            else:
                message = f"REGION_ALIAS names the memory region '{name}', which MEMORY lacks"
                scope.report(Diagnostic(message, Location(self.script.name)))
        scope.errors += unknown_regions(self.script, scope.regions)
        if scope.errors:
            raise ScriptError(scope.errors)

    def _define_boundaries(self, plan: Plan) -> None:
        """`__start_x` and `__stop_x` bound an output section whose name is an identifier."""
        for section in plan.order:
            if not section.name.isidentifier():
                continue
            for prefix in ("__start_", "__stop_"):
                entry = self.table.names.get(prefix + section.name)
                if entry is not None and not entry.defined:
                    entry.defined, entry.weak, entry.home, entry.file = True, False, section, None

    def _lay_out(self, scope: Scope, stack: int | None) -> list[Segment]:
        options = self.options
        mapper = Mapper(self.script, scope, options.page_size, options.paged, stack, options.relocatable)
        mapper.frame_header = self.header
        self.frames = UnwindTables(self.table)
        layout = Layout(scope, mapper, self.table.files, self.frames)
        segments = layout.run()
        self._stop_symbols(scope.plan)
        self.errors += scope.errors
        self.errors += mapper.errors
        return segments

    def _stop_symbols(self, plan: Plan) -> None:
        for section in plan.order:
            entry = self.table.names.get(f"__stop_{section.name}")
            if entry is not None and entry.home is section and not entry.from_script and entry.file is None:
                entry.value = section.size

    # Output

    def _write(self, scope: Scope, segments: list[Segment], got: GlobalOffsetTable | None, flags: int) -> LinkResult:
        live = scope.plan.live()
        settle_attributes(live)
        placer = FilePlacer(live, segments, self.options.page_size if self.options.paged else 1, scope.headers)
        placer.run()
        self.errors += placer.errors
        self.warnings += placer.warnings
        if self.options.check_regions:
            self.errors += wrapping(live)
            self.errors += overlaps(live)
            self.warnings += outside_of_regions(live, scope.regions.values())
        too_large = check_file_size(live)
        if too_large:
            self.errors += too_large
            raise self._failure()
        tls = [section for section in live if section.tls]
        relocator = Relocator(self.table, got, tls[0].vma if tls else 0)
        if got is not None and got.section.output is not None:
            got.fill(relocator.key_address, relocator.tls_base)
        contents = fill_sections(live, relocator)
        self._fill_header(scope.plan, contents)
        relocator.finish()
        self.errors += relocator.errors
        if self.errors:
            raise self._failure()
        entry = self._entry(live)
        self._warn_rwx(segments)
        symbols = None if self.options.strip_all else output_symbols(self.table, scope, live, self.options)
        elf = write_elf(contents, segments, symbols, entry, flags)
        return self._result(elf, scope, relocator.warnings)

    def _fill_header(self, plan: Plan, contents: list[tuple[OutputSection, bytes]]) -> None:
        header, frames = self.header, plan.find(NAME)
        if header is None or frames is None:
            return
        if self.frames.odd:
            names = ", ".join(section.file.name for section in self.frames.odd)
            self.warnings.append(
                Diagnostic(f"no table in {HEADER}: {NAME} of {names} is not understood", None, "warning")
            )
        made = header_bytes(header, frames, self.frames, self.errors)
        for index, (output, data) in enumerate(contents):
            if output is header.output:
                end = header.offset + header.size
                contents[index] = output, data[: header.offset] + made + data[end:]

    def _write_object(self, scope: Scope, flags: int) -> LinkResult:
        live = scope.plan.live()
        settle_attributes(live)
        self.errors += check_file_size(live)
        if self.errors:
            raise self._failure()
        joiner = Joiner(self.table, scope, live, self.options)
        joined = joiner.join("the output of -r", flags, self._entry(live))
        self.errors += joiner.errors
        if self.errors:
            raise self._failure()
        return self._result(write_object(joined), scope, [])

    def _result(self, elf: bytes, scope: Scope, warnings: list[Diagnostic]) -> LinkResult:
        addresses = {
            name: entry.address for name, entry in self.table.names.items() if entry.defined and _placed(entry)
        }
        text = write_map(self.table, scope.plan, scope)
        return LinkResult(elf, text, addresses, tuple(self.warnings + warnings))

    def _failure(self) -> ToolchainError:
        unique = list(dict.fromkeys(self.errors))
        script = self.script.name
        if all(error.location is not None and error.location.file == script for error in unique):
            return ScriptError(unique)
        return LinkError(unique)

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
        if wanted is not None and not self.options.relocatable:
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
