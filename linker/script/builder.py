"""From lark's parse tree to the syntax tree."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from lark import Token, Tree

from linker.errors import Location
from linker.script.expressions import ExpressionBuilder, Node, Source, tokens_of
from linker.script.overlay import spread
from linker.script.syntax import (
    Assignment,
    Data,
    FilePattern,
    Fill,
    InputSections,
    Insert,
    MemoryRegion,
    OutputSectionStatement,
    ProgramHeader,
    Script,
    SectionPattern,
    SectionsCommand,
    Statement,
)

_SORTS = {
    "SORT": "name",
    "SORT_BY_NAME": "name",
    "SORT_BY_ALIGNMENT": "alignment",
    "SORT_BY_INIT_PRIORITY": "init_priority",
    "SORT_NONE": "none",
}
_DATA_SIZES = {"BYTE": 1, "SHORT": 2, "LONG": 4, "QUAD": 8, "SQUAD": 8}
_SEGMENT_TYPES = {"PT_NULL": 0, "PT_LOAD": 1, "PT_DYNAMIC": 2, "PT_INTERP": 3, "PT_NOTE": 4, "PT_SHLIB": 5}
_SEGMENT_TYPES |= {"PT_PHDR": 6, "PT_TLS": 7, "PT_GNU_EH_FRAME": 0x6474E550, "PT_GNU_STACK": 0x6474E551}
_LAST_TYPE = 0xFFFF_FFFF
_SEGMENT_TYPES |= {"PT_GNU_RELRO": 0x6474E552, "PT_RISCV_ATTRIBUTES": 0x70000003}


class Includer(Protocol):
    """Reads the files that a script includes."""

    depth: int
    """How deep INCLUDE is nested where the builder is."""

    def include(self, name: str, where: Location, start: str) -> "tuple[Tree[Token], str, str]":
        """The tree of an included file, its path and its text. Raises ScriptError."""
        ...


def build_script(reader: Includer, tree: "Tree[Token]", source: Source, script: Script) -> None:
    """Add what a parsed file says to a script."""
    script.augments = False
    _Builder(reader, script, source).commands(tree.children)


def _trees(nodes: "Sequence[Node]") -> "list[Tree[Token]]":
    return [node for node in nodes if isinstance(node, Tree)]


class _Builder(ExpressionBuilder):
    def __init__(self, reader: Includer, script: Script, source: Source) -> None:
        super().__init__(source)
        self.reader = reader
        self.script = script

    def included(self, node: "Tree[Token]", start: str) -> "tuple[_Builder, Sequence[Node]]":
        name = self.word(node.children[0])
        tree, path, text = self.reader.include(name, self.location(node), start)
        return _Builder(self.reader, self.script, Source(path, text.split("\n"))), list(tree.children)

    # Commands

    def commands(self, nodes: "Sequence[Node]") -> None:
        for node in _trees(nodes):
            handler = getattr(self, f"_command_{node.data}", None)
            if handler is not None:
                handler(node)

    def _command_entry(self, node: "Tree[Token]") -> None:
        self.script.entry = self.word(node.children[0])

    def _command_output(self, node: "Tree[Token]") -> None:
        self.script.output = self.word(node.children[0])

    def _command_search_dir(self, node: "Tree[Token]") -> None:
        self.script.search_dirs.append(self.word(node.children[0]))

    def _command_inputs(self, node: "Tree[Token]") -> None:
        self.script.inputs += self.words(node.children)

    _command_group = _command_inputs

    def _command_startup(self, node: "Tree[Token]") -> None:
        self.script.inputs.insert(0, self.word(node.children[0]))

    def _command_extern(self, node: "Tree[Token]") -> None:
        self.script.undefined += self.words(node.children)

    def _command_region_alias(self, node: "Tree[Token]") -> None:
        self.script.aliases[self.word(node.children[0])] = self.word(node.children[1])

    def _command_include(self, node: "Tree[Token]") -> None:
        builder, nodes = self.included(node, "script")
        self.reader.depth += 1
        builder.commands(nodes)
        self.reader.depth -= 1

    def _command_insert_after(self, node: "Tree[Token]") -> None:
        self.insert(node, before=False)

    def _command_insert_before(self, node: "Tree[Token]") -> None:
        self.insert(node, before=True)

    def insert(self, node: "Tree[Token]", *, before: bool) -> None:
        self.script.augments = True
        self.script.statements.append(Insert(self.word(node.children[0]), before, self.location(node)))

    def _command_memory(self, node: "Tree[Token]") -> None:
        self.regions(node.children)

    def _command_phdrs(self, node: "Tree[Token]") -> None:
        self.script.phdrs = (self.script.phdrs or []) + [self.phdr(child) for child in _trees(node.children)]

    def _command_sections(self, node: "Tree[Token]") -> None:
        self.script.has_sections = True
        self.script.statements += self.section_commands(node.children)

    def _command_assignment(self, node: "Tree[Token]") -> None:
        self.script.statements.append(self.assignment(node))

    def _command_provision(self, node: "Tree[Token]") -> None:
        self.script.statements.append(self.provision(node))

    def _command_assertion(self, node: "Tree[Token]") -> None:
        self.script.statements.append(self.assertion(node))

    # MEMORY and PHDRS

    def regions(self, nodes: "Sequence[Node]") -> None:
        for node in _trees(nodes):
            if node.data == "include":
                builder, inner = self.included(node, "regions")
                self.reader.depth += 1
                builder.regions(inner)
                self.reader.depth -= 1
                continue
            name, attributes, origin, length = node.children[:4]
            values = [self.expression(_trees(part.children)[0]) for part in (origin, length) if isinstance(part, Tree)]
            text = "".join(tokens_of(attributes))
            self.script.regions.append(MemoryRegion(self.word(name), text, values[0], values[1], self.location(name)))

    def phdr(self, node: "Tree[Token]") -> ProgramHeader:
        name, kind = node.children[:2]
        header = ProgramHeader(self.word(name), self.segment_type(kind), self.location(node))
        for option in _trees(node.children[2:]):
            if option.data == "filehdr":
                header = replace(header, filehdr=True)
            elif option.data == "phdrs_header":
                header = replace(header, phdrs=True)
            elif option.data == "phdr_at":
                header = replace(header, at=self.expression(option.children[0]))
            else:
                header = replace(header, flags=self.expression(option.children[0]))
        return header

    def segment_type(self, node: Node) -> int:
        text = self.word(node)
        if text in _SEGMENT_TYPES:
            return _SEGMENT_TYPES[text]
        try:
            number = int(text, 0)
        except ValueError:
            number = -1
        if not 0 <= number <= _LAST_TYPE:
            raise self.error(f"'{text}' is no segment type", node, "PT_LOAD, PT_NOTE, PT_TLS ... or a number")
        return number

    # SECTIONS

    def section_commands(self, nodes: "Sequence[Node]") -> list[SectionsCommand]:
        result: list[SectionsCommand] = []
        for node in _trees(nodes):
            if node.data == "include":
                builder, inner = self.included(node, "section_commands")
                self.reader.depth += 1
                result += builder.section_commands(inner)
                self.reader.depth -= 1
            elif node.data == "entry":
                self._command_entry(node)
            elif node.data == "assignment":
                result.append(self.assignment(node))
            elif node.data == "provision":
                result.append(self.provision(node))
            elif node.data == "assertion":
                result.append(self.assertion(node))
            elif node.data == "overlay":
                result += self.overlay(node)
            elif node.data == "output_section":
                result.append(self.output_section(node))
        return result

    def overlay(self, node: "Tree[Token]") -> list[OutputSectionStatement | Assignment]:
        address, *rest = node.children
        whole = OutputSectionStatement("", self.location(node), ())
        if isinstance(address, Tree):
            whole = replace(whole, address=self.expression(address.children[0]))
        for option in _trees([child for child in rest if _is_option(child)]):
            whole = self.with_option(whole, option)
        members = []
        for child in _trees([child for child in rest if not _is_option(child)]):
            name, *parts = child.children
            statements = self.statements([part for part in parts if not _is_option(part)])
            member = OutputSectionStatement(self.word(name), self.location(name), tuple(statements))
            for option in _trees([part for part in parts if _is_option(part)]):
                member = self.with_option(member, option)
            members.append(member)
        return spread(whole, members)

    def output_section(self, node: "Tree[Token]") -> OutputSectionStatement:
        name, address, kind, *rest = node.children
        statements = self.statements([child for child in rest if not _is_option(child)])
        section = OutputSectionStatement(
            self.word(name),
            self.location(name),
            tuple(statements),
            address=self.expression(address.children[0]) if isinstance(address, Tree) else None,
        )
        words = kind.children[0] if isinstance(kind, Tree) and kind.children else None
        if isinstance(words, Tree):
            section = self.with_type(section, words)
        for option in _trees([child for child in rest if _is_option(child)]):
            section = self.with_option(section, option)
        return section

    def with_type(self, section: OutputSectionStatement, node: "Tree[Token]") -> OutputSectionStatement:
        words = [str(child) for child in node.children if isinstance(child, Token)]
        keywords = [word for word in words if word.isalpha()]
        values = _trees(node.children)
        return replace(
            section, type=" ".join(keywords), elf_type=self.expression(values[0]) if values else section.elf_type
        )

    def with_option(self, section: OutputSectionStatement, option: "Tree[Token]") -> OutputSectionStatement:
        first = option.children[0] if option.children else None
        match str(option.data):
            case "at":
                return replace(section, load_address=self.expression(first))
            case "align":
                return replace(section, align=self.expression(first))
            case "subalign":
                return replace(section, subalign=self.expression(first))
            case "align_with_input":
                return replace(section, align_with_input=True)
            case "only_if_ro":
                return replace(section, only_if="ro")
            case "only_if_rw":
                return replace(section, only_if="rw")
            case "region_name":
                return replace(section, region=self.word(first))
            case "lma_region":
                return replace(section, load_region=self.word(first))
            case "in_phdr":
                return replace(section, phdrs=(*section.phdrs, self.word(first)))
        return replace(section, fill=self.expression(_trees(option.children)[-1]))

    def statements(self, nodes: "Sequence[Node]") -> list[Statement]:
        result: list[Statement] = []
        for node in _trees(nodes):
            match str(node.data):
                case "include":
                    builder, inner = self.included(node, "statements")
                    self.reader.depth += 1
                    result += builder.statements(inner)
                    self.reader.depth -= 1
                case "assignment":
                    result.append(self.assignment(node))
                case "provision":
                    result.append(self.provision(node))
                case "assertion":
                    result.append(self.assertion(node))
                case "input_section":
                    result.append(self.input_sections(node))
                case "keep":
                    inner_node = _trees(node.children)[0]
                    kept = self.input_sections(inner_node)
                    result.append(replace(kept, keep=True, text=f"KEEP ({kept.text})"))
                case "data":
                    keyword, value = node.children
                    size = _DATA_SIZES[str(tokens_of(keyword)[0])]
                    result.append(Data(size, self.expression(value), self.location(node)))
                case "fill":
                    result.append(Fill(self.expression(node.children[0])))
        return result

    def input_sections(self, node: "Tree[Token]") -> InputSections:
        exclusion, files, patterns = node.children
        sort_files = isinstance(files, Tree) and files.data == "sorted_file"
        if isinstance(files, Tree) and files.data in ("sorted_file", "unsorted_file"):
            files = files.children[-1]
        sections = (
            tuple(self.section_pattern(child) for child in _trees(patterns.children))
            if isinstance(patterns, Tree)
            else ()
        )
        return InputSections(
            self.file_pattern(files),
            sections,
            self.location(node),
            exclude=self.exclusion(exclusion),
            sort_files=sort_files,
            text=self.source_text(node),
        )

    def source_text(self, node: "Tree[Token]") -> str:
        """The statement as the map shows it: rebuilt from its tokens."""
        tokens = tokens_of(node)
        text = " ".join(str(token) for token in tokens[1:] if token.type in ("NAME", "STRING"))
        return f"{tokens[0]}({text})" if len(tokens) > 1 else str(tokens[0])

    def exclusion(self, node: Node) -> tuple[FilePattern, ...]:
        if not isinstance(node, Tree):
            return ()
        return tuple(self.file_pattern(child) for child in _trees(node.children))

    def file_pattern(self, node: Node) -> FilePattern:
        if not isinstance(node, Tree):
            return FilePattern(self.word(node))
        words = self.words(list(node.children))
        match str(node.data):
            case "member_pattern":
                return FilePattern(words[1], archive=words[0])
            case "archive_pattern":
                return FilePattern("*", archive=words[0])
            case "loose_file_pattern":
                return FilePattern(words[0], archive="")
        return FilePattern(words[0])

    def section_pattern(self, node: "Tree[Token]") -> SectionPattern:
        match str(node.data):
            case "excluded":
                exclusion, inner = node.children
                pattern = self.section_pattern(_trees([inner])[0])
                return replace(pattern, exclude=pattern.exclude + self.exclusion(exclusion))
            case "sorted":
                keyword, inner = node.children
                pattern = self.section_pattern(_trees([inner])[0])
                word = str(tokens_of(keyword)[0])
                if word == "REVERSE":
                    return replace(pattern, reverse=True)
                return replace(pattern, sort=(_SORTS[word], *pattern.sort))
        return SectionPattern(self.word(node))


_OPTIONS = {"at", "align", "subalign", "align_with_input", "only_if_ro", "only_if_rw"}
_OPTIONS |= {"region_name", "lma_region", "in_phdr", "fill_value"}


def _is_option(node: Node) -> bool:
    return isinstance(node, Tree) and node.data in _OPTIONS
