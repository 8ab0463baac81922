"""`ekernel ld`: the linker with GNU ld's command line."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from linker.commands.files import read_input, show, write_output
from linker.commands.run import guarded
from linker.errors import Diagnostic, LinkError, Location, ToolchainError
from linker.layout.placement import named_files
from linker.linking import ArchiveGroup, Input, link
from linker.objects.archive import Archive, is_archive, read_archive
from linker.objects.reader import read_object
from linker.options import LinkOptions
from linker.script.default import default_script
from linker.script.parser import ScriptReader, parse_script
from linker.script.syntax import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "ekernel ld"
_DESCRIPTION = (
    "Link RISC-V objects and archives (FILE) into an ELF executable, as a GNU linker script says (-r: an object)."
)
_IGNORED_FLAGS = (
    "-no-relax --relax -nostdlib -static -Bstatic -dn -non_shared --no-warn-rwx-segments --no-dynamic-linker"
    " --fatal-warnings --warn-common --no-undefined --as-needed"
    " --no-as-needed --cref -t --trace --verbose --no-gc-sections --print-gc-sections"
    " --sort-common --emit-relocs -q -EL --no-export-dynamic --no-print-gc-sections --stats -no-pie"
    " --orphan-handling=place --error-rwx-segments --no-ld-generated-unwind-info"
)
_EMULATIONS = ("elf64lriscv", "elf64lriscv_lp64", "elf64lriscv_lp64f")


class _Place(argparse.Action):
    """Remember an input or a switch among the inputs: their order matters."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        del parser
        sequence: list[tuple[str, str]] = namespace.sequence
        kind = self.dest
        texts = [str(value) for value in values] if isinstance(values, list) else [str(values)]
        sequence.extend((kind, text) for text in texts or [option_string or ""])


class _Say(argparse.Action):
    """Remember what adds to the script: a later one builds on those before it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        del parser, option_string
        said: list[tuple[str, str]] = namespace.said
        said.append((self.dest, str(values)))
        if self.dest == "scripts":
            namespace.sequence.append(("named_by", str(len(said) - 1)))


def main(argv: Sequence[str] | None = None) -> int:
    """Link as the arguments say. Returns the exit status; errors go to stderr, never as a traceback."""
    parser = _parser()
    arguments = [_normal(argument) for argument in (sys.argv[1:] if argv is None else argv)]
    options = parser.parse_args(_name_files(arguments))
    return guarded(lambda: _Command(options).run())


_ONE_DASH = frozenset(
    (  # noqa: SIM905 - a list would have a line for each
        "-Map -defsym -entry -gc-sections -whole-archive -no-whole-archive -Ttext -Tdata -Tbss -Ttext-segment"
        " -nostdlib -static -no-relax -start-group -end-group -no-pie -non_shared -dc -dp -dn -EL -relocatable"
    ).split()
)
_WITH_VALUE = frozenset(
    (  # noqa: SIM905
        "-o --output -T --script --Map --defsym -e --entry -u --undefined -L --library-path -l --library --Ttext"
        " --Tdata --Tbss --Ttext-segment --image-base --section-start -z -m -O --hash-style --orphan-handling"
        " --sysroot -dynamic-linker -rpath-link -plugin"
    ).split()
)


def _normal(argument: str) -> str:
    """GNU takes long options with one dash too, and `-(` for `--start-group`."""
    if argument in ("-(", "-)"):
        return "--start-group" if argument == "-(" else "--end-group"
    return "-" + argument if argument.partition("=")[0] in _ONE_DASH else argument


def _name_files(arguments: list[str]) -> list[str]:
    """Make options of the files: argparse would lose their order among `-l` and `--start-group`."""
    result: list[str] = []
    before = ""
    for argument in arguments:
        is_file = before not in _WITH_VALUE and not argument.startswith("-")
        result.append(f"--files={argument}" if is_file else argument)
        before = argument
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, usage=f"{PROGRAM} [options] FILE...", description=_DESCRIPTION, allow_abbrev=False
    )
    add = parser.add_argument
    parser.set_defaults(sequence=[], said=[])
    add("--files", action=_Place, help=argparse.SUPPRESS)
    add("-o", "--output", default="a.out", metavar="FILE", help="write the executable here (a.out)")
    add("-T", "--script", dest="scripts", action=_Say, metavar="FILE", help="use this linker script; more -T add to it")
    add("--Map", metavar="FILE", help="write a memory map ('-' for stdout)")
    add("--defsym", dest="defsym", action=_Say, metavar="SYMBOL=EXPRESSION", help="define a symbol")
    add("-e", "--entry", metavar="SYMBOL", help="the entry point")
    add("-u", "--undefined", action="append", default=[], metavar="SYMBOL", help="have archives deliver a symbol")
    add("-L", "--library-path", action="append", default=[], metavar="DIR", help="look here for -l and INCLUDE")
    add("-l", "--library", action=_Place, metavar="NAME", help="link libNAME.a")
    add("--gc-sections", action="store_true", help="leave out sections that nothing uses")
    add("--start-group", action=_Place, nargs=0, help="search the archives up to --end-group repeatedly")
    add("--end-group", action=_Place, nargs=0, help=argparse.SUPPRESS)
    add("--whole-archive", action=_Place, nargs=0, help="take all members of the following archives")
    add("--no-whole-archive", action=_Place, nargs=0, help=argparse.SUPPRESS)
    add("--Ttext", metavar="ADDRESS", help="the address of .text")
    add("--Tdata", metavar="ADDRESS", help="the address of .data")
    add("--Tbss", metavar="ADDRESS", help="the address of .bss")
    add("--Ttext-segment", metavar="ADDRESS", help="the address of the text segment")
    add("--image-base", metavar="ADDRESS", help=argparse.SUPPRESS)
    add("--section-start", action="append", default=[], metavar="SECTION=ADDRESS", help="the address of a section")
    add("-n", "--nmagic", action="store_true", help="do not align segments to pages in the file")
    add("-N", "--omagic", action="store_true", help="as -n, and .text may be written")
    add("-s", "--strip-all", action="store_true", help="leave out the symbol table and debug sections")
    add("-S", "--strip-debug", action="store_true", help="leave out debug sections")
    add("-x", "--discard-all", action="store_true", help="leave out local symbols")
    add("-X", "--discard-locals", action="store_true", help="leave out local symbols that begin with .L")
    add("-z", action="append", default=[], metavar="KEYWORD", help="max-page-size=SIZE, muldefs; others are ignored")
    add("-m", metavar="EMULATION", help="elf64lriscv")
    add("--no-check-sections", action="store_true", help="allow sections to overlap")
    add("--allow-multiple-definition", action="store_true", help="the first definition of a symbol wins")
    add("--no-warn-rwx-segments", action="store_true", help="no warning of writable and executable segments")
    add("--eh-frame-hdr", action="store_true", help="make a table that finds unwind entries by address, .eh_frame_hdr")
    add("--no-eh-frame-hdr", dest="eh_frame_hdr", action="store_false", help=argparse.SUPPRESS)
    add("-v", "--version", action="version", version="ekernel ld (takes the options of GNU ld)")
    ignored = [flag for flag in _IGNORED_FLAGS.split() if flag not in parser._option_string_actions]
    add("-r", "-i", "--relocatable", "-Ur", action="store_true", help="join the objects into one object to link again")
    add("-d", "--dc", "--dp", dest="define_common", action="store_true", help="with -r, give COMMON symbols a place")
    for flag in ("-shared", "--shared", "-pie", "--pie"):
        add(flag, dest="unsupported", action="append_const", const=flag, help=argparse.SUPPRESS)
    add(*("-" + flag if flag in ("-no-relax", "-static", "-nostdlib", "-non_shared", "-no-pie", "-dn") else flag
          for flag in ignored if "=" not in flag),
        dest="ignored", action="append_const", const="", help=argparse.SUPPRESS)  # fmt: skip
    add("--build-id", nargs="?", dest="ignored_value", help=argparse.SUPPRESS)
    for flag in ("-O", "--hash-style", "--orphan-handling", "--sysroot", "-dynamic-linker", "-rpath-link", "-plugin"):
        add(flag, dest="ignored_value", action="append", help=argparse.SUPPRESS)
    return parser


@dataclass(slots=True)
class _Command:
    options: argparse.Namespace
    search: list[Path] = field(default_factory=list)
    script: Script | None = None
    replaces: bool = False
    """Whether a script takes the place of the built-in one; one with INSERT adds to it."""
    inputs: list[Input] = field(default_factory=list)
    group: list[Archive] | None = None
    whole: bool = False
    named: dict[str, list[str]] = field(default_factory=dict)
    """The objects that each script names."""
    early: set[str] = field(default_factory=set)
    """Those of them that were read in its place."""
    read: set[str] = field(default_factory=set)

    def run(self) -> int:
        options = self.options
        if options.unsupported:
            hint = "this linker makes static executables, and with -r objects"
            raise LinkError([Diagnostic(f"'{options.unsupported[0]}' is not supported", hint=hint)])
        if options.m is not None and options.m not in _EMULATIONS:
            raise LinkError([Diagnostic(f"unknown emulation '{options.m}'", hint="elf64lriscv is the only one")])
        self.search = [Path(directory.removeprefix("=")) for directory in options.library_path]
        self._read_scripts()
        sequence = list(options.sequence)
        if self.script is not None:
            sequence += [("library", n[2:]) if n.startswith("-l") else ("files", n) for n in self.script.inputs]
        self._read_inputs(sequence)
        # A given script replaces the default layout, unless it only adds commands such as INPUT.
        if not self.replaces:
            self.script = default_script(self.script, relocatable=options.relocatable)
        result = link(self.inputs, script=self.script, options=self._link_options())
        for warning in result.warnings:
            show(warning)
        if options.Map == "-":
            sys.stdout.write(result.map)
        elif options.Map:
            write_output(options.Map, result.map.encode("utf-8", "surrogateescape"))
        write_output(options.output, result.elf, executable=not options.relocatable)
        return 0

    # Files

    def _find_script(self, name: str) -> Path:
        for directory in [Path(), *self.search]:
            if _is_file(directory / name):
                return directory / name
        return Path(name)

    def _read_scripts(self) -> None:
        for index, (kind, text) in enumerate(self.options.said):
            if kind == "scripts":
                known = len(self.script.statements) if self.script is not None else 0
                self._read_script(self._find_script(text))
                assert self.script is not None
                self.named[str(index)] = named_files(self.script.statements[known:])
                continue
            name, expression = self._pair(text, "--defsym")
            script = self.script or Script("--defsym")
            script.statements.append(ScriptReader().definition(name, expression))
            self.script = script

    def _read_script(self, path: Path) -> None:
        text = read_input(path).decode("utf-8", "surrogateescape")
        known = len(self.script.search_dirs) if self.script is not None else 0
        self.script = parse_script(text, str(path), self.search, self.script)
        self.search += [Path(directory.removeprefix("=")) for directory in self.script.search_dirs[known:]]
        self.replaces |= not self.script.augments

    def _read_inputs(self, sequence: list[tuple[str, str]]) -> None:
        errors: list[Diagnostic] = []
        for kind, text in sequence:
            try:
                self._read_one(kind, text)
            except ToolchainError as error:
                errors += error.diagnostics
        if self.group is not None:
            errors.append(Diagnostic("--start-group without --end-group"))
        if errors:
            raise LinkError(errors)
        if not self.inputs:
            raise LinkError([Diagnostic("no input files", hint=f"{PROGRAM} -T kernel.ld -o kernel.elf boot.o main.o")])

    def _read_one(self, kind: str, text: str) -> None:
        if kind == "start_group":
            self.group = []
        elif kind == "end_group":
            self.inputs.append(ArchiveGroup(tuple(self.group or ())))
            self.group = None
        elif kind in ("whole_archive", "no_whole_archive"):
            self.whole = kind == "whole_archive"
        elif kind == "named_by":
            self._read_named(self.named[text])
        elif kind != "files" or text not in self.early:
            self._read_file(self._library(text) if kind == "library" else text)

    def _read_named(self, names: list[str]) -> None:
        """Objects that a script names come before those that follow it, and need not be given (GNU ld)."""
        for name in names:
            given = ("files", name) in self.options.sequence
            if name not in self.early and name not in self.read and (given or _is_file(Path(name))):
                self._read_file(name)
                self.early.add(name)

    def _library(self, name: str) -> str:
        file = name[1:] if name.startswith(":") else f"lib{name}.a"
        for directory in self.search:
            if _is_file(directory / file):
                return str(directory / file)
        searched = ", ".join(str(directory) for directory in self.search) or "nowhere: name directories with -L"
        raise LinkError([Diagnostic(f"cannot find -l{name} ({file})", hint=f"searched: {searched}")])

    def _read_file(self, name: str) -> None:
        self.read.add(name)
        data = read_input(name)
        if is_archive(data):
            self._add_archive(read_archive(data, name))
        elif data[:4] == b"\x7fELF" or self.replaces or not _is_text(data):
            self.inputs.append(read_object(data, name))
        else:  # GNU takes a text file among the inputs as a script
            known = len(self.script.inputs) if self.script is not None else 0
            self._read_script(Path(name))
            assert self.script is not None
            self.replaces = self.script.has_sections
            for file in self.script.inputs[known:]:
                self._read_file(self._library(file[2:]) if file.startswith("-l") else file)

    def _add_archive(self, archive: Archive) -> None:
        if self.whole:
            self.inputs += [archive.load(member) for member in archive.members]
        elif self.group is not None:
            self.group.append(archive)
        else:
            self.inputs.append(archive)

    # Options

    def _link_options(self) -> LinkOptions:
        options = self.options
        starts = [(f".{name}", getattr(options, f"T{name}")) for name in ("text", "data", "bss")]
        starts = [(name, text) for name, text in starts if text is not None]
        starts += [self._pair(text, "--section-start") for text in options.section_start]
        base = options.Ttext_segment or options.image_base
        return LinkOptions(
            entry=options.entry,
            undefined=tuple(options.undefined),
            gc_sections=options.gc_sections,
            include_dirs=tuple(self.search),
            segment_starts=(("text-segment", self._address(base)),) if base is not None else (),
            section_starts=tuple((name, self._address(text)) for name, text in starts),
            page_size=self._page_size(),
            relocatable=options.relocatable,
            define_common=options.define_common,
            paged=not options.nmagic and not options.omagic,
            writable_text=options.omagic,
            strip_all=options.strip_all,
            strip_debug=options.strip_debug,
            discard_locals=options.discard_all,
            allow_multiple_definition=options.allow_multiple_definition or "muldefs" in options.z,
            warn_rwx=not options.no_warn_rwx_segments,
            eh_frame_hdr=options.eh_frame_hdr,
            check_regions=not options.no_check_sections,
        )

    def _pair(self, text: str, option: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise LinkError([Diagnostic(f"{option} takes NAME=VALUE, not '{text}'")])
        return name, value

    def _address(self, text: str) -> int:
        """GNU reads these as hexadecimal, with or without 0x."""
        try:
            return int(text, 16) & 0xFFFF_FFFF_FFFF_FFFF
        except ValueError:
            raise LinkError([Diagnostic(f"'{text}' is no address", hint="write it in hexadecimal")]) from None

    def _page_size(self) -> int:
        for keyword in self.options.z:
            name, _, value = keyword.partition("=")
            if name == "max-page-size":
                try:
                    size = int(value, 0)
                except ValueError:
                    size = 0
                if size <= 0 or size & (size - 1):
                    raise LinkError([Diagnostic(f"max-page-size={value} is not a power of two", Location("-z"))])
                return size
        return 0x1000


def _is_text(data: bytes) -> bool:
    return b"\0" not in data[:4096]


def _is_file(path: Path) -> bool:
    """Whether there is a file; none has a name that the system does not take."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
