"""From lark's parse tree to the syntax tree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from lark import Token, Tree

from linker.errors import Diagnostic, Location, ScriptError
from linker.script.syntax import (
    Assertion,
    Assignment,
    Binary,
    Call,
    Conditional,
    Data,
    Expression,
    FilePattern,
    Fill,
    InputSections,
    MemoryRegion,
    Name,
    Number,
    OutputSectionStatement,
    ProgramHeader,
    Script,
    SectionPattern,
    SectionsCommand,
    Statement,
    Unary,
)

if TYPE_CHECKING:
    from linker.script.parser import ScriptReader

Node: TypeAlias = "Tree[Token] | Token | None"

_PRECEDENCE = {
    operator: level
    for level, operators in enumerate(("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %"))
    for operator in operators.split()
}
_ARGUMENTS = {
    "ABSOLUTE": (1, 1),
    "ALIGN": (1, 2),
    "BLOCK": (1, 1),
    "DATA_SEGMENT_ALIGN": (2, 2),
    "DATA_SEGMENT_END": (1, 1),
    "DATA_SEGMENT_RELRO_END": (2, 2),
    "LOG2CEIL": (1, 1),
    "MAX": (2, 2),
    "MIN": (2, 2),
    "NEXT": (1, 1),
}
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
_SEGMENT_TYPES |= {"PT_GNU_RELRO": 0x6474E552, "PT_RISCV_ATTRIBUTES": 0x70000003}
_MAX_DEPTH = 200
"""Of nested expressions; deeper ones are no program's."""


@dataclass(frozen=True, slots=True)
class Source:
    """The file that a tree came from, for messages."""

    name: str
    lines: list[str]


def build_script(reader: "ScriptReader", tree: "Tree[Token]", source: Source) -> Script:
    """The syntax tree of a whole script."""
    script = Script(source.name)
    _Builder(reader, script, source).commands(tree.children)
    return script


def _unquote(token: str) -> str:
    return token[1:-1] if token.startswith('"') else token


def _tokens(node: Node) -> list[Token]:
    """All tokens below a node, in order."""
    if node is None:
        return []
    if isinstance(node, Token):
        return [node]
    return [token for child in node.children for token in _tokens(child)]


def _trees(nodes: "Sequence[Node]") -> "list[Tree[Token]]":
    return [node for node in nodes if isinstance(node, Tree)]


class _Builder:
    def __init__(self, reader: "ScriptReader", script: Script, source: Source) -> None:
        self.reader = reader
        self.script = script
        self.source = source
        self.depth = 0

    # Places and words

    def location(self, node: Node) -> Location:
        token = next(iter(_tokens(node)), None)
        if token is None or token.line is None:
            return Location(self.source.name)
        return Location(self.source.name, token.line, token.column or 0, self.source.lines[token.line - 1])

    def error(self, message: str, node: Node, hint: str = "") -> ScriptError:
        return ScriptError([Diagnostic(message, self.location(node), hint=hint)])

    def word(self, node: Node) -> str:
        """The text of a `word` or `symbol`."""
        return _unquote(str(_tokens(node)[0]))

    def words(self, nodes: "Sequence[Node]") -> list[str]:
        return [_unquote(str(token)) for node in nodes for token in _tokens(node) if token.type in ("NAME", "STRING")]

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
            text = "".join(_tokens(attributes))
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
            return int(text, 0)
        except ValueError:
            raise self.error(f"'{text}' is no segment type", node, "PT_LOAD, PT_NOTE, PT_TLS ... or a number") from None

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
            elif node.data == "output_section":
                result.append(self.output_section(node))
        return result

    def output_section(self, node: "Tree[Token]") -> OutputSectionStatement:
        name, address, kind, *rest = node.children
        statements = self.statements([child for child in rest if not _is_option(child)])
        keywords = _tokens(kind)
        section = OutputSectionStatement(
            self.word(name),
            self.location(name),
            tuple(statements),
            address=self.expression(address.children[0]) if isinstance(address, Tree) else None,
            type=str(keywords[0]) if keywords else "",
        )
        for option in _trees([child for child in rest if _is_option(child)]):
            section = self.with_option(section, option)
        return section

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
                    size = _DATA_SIZES[str(_tokens(keyword)[0])]
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
        tokens = _tokens(node)
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
                word = str(_tokens(keyword)[0])
                if word == "REVERSE":
                    return replace(pattern, reverse=True)
                return replace(pattern, sort=(_SORTS[word], *pattern.sort))
        return SectionPattern(self.word(node))

    # Assignments and expressions

    def assignment(self, node: "Tree[Token]") -> Assignment:
        target, operation, value = node.children
        symbol = self.word(target)
        expression = self.expression(value)
        if len(str(operation)) > 1:
            where = self.location(target)
            expression = Binary(str(operation)[:-1], Name(symbol, where), expression, where)
        return Assignment(symbol, expression, self.location(target))

    def provision(self, node: "Tree[Token]") -> Assignment:
        keyword, symbol, _, value = node.children
        word = str(_tokens(keyword)[0])
        return Assignment(
            self.word(symbol),
            self.expression(value),
            self.location(symbol),
            provide=word.startswith("PROVIDE"),
            hidden=word.endswith("HIDDEN"),
        )

    def assertion(self, node: "Tree[Token]") -> Assertion:
        condition, message = node.children
        return Assertion(self.expression(condition), _unquote(str(message)), self.location(node))

    def expression(self, node: Node) -> Expression:
        assert isinstance(node, Tree)
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error(f"an expression nested more than {_MAX_DEPTH} deep", node)
        try:
            return self.operand(node)
        finally:
            self.depth -= 1

    def operand(self, node: "Tree[Token]") -> Expression:
        children = node.children
        match str(node.data):
            case "expression":
                return self.operator_row(node)
            case "number":
                return Number(self.number(children[0]), str(children[0]))
            case "name":
                return self.name(children[0])
            case "unary":
                return Unary(str(children[0]), self.expression(children[1]))
            case "assertion":
                return self.assertion(node)
            case "word_call":
                return Call(str(_tokens(children[0])[0]), self.location(node), word=self.word(children[1]))
            case "segment_start":
                return Call(
                    "SEGMENT_START", self.location(node), (self.expression(children[1]),), self.word(children[0])
                )
        return self.call(node)

    def name(self, token: Node) -> Expression:
        text = self.word(token)
        if text == "SIZEOF_HEADERS":
            return Call(text, self.location(token))
        return Name(text, self.location(token))

    def call(self, node: "Tree[Token]") -> Call:
        name = self.word(node.children[0])
        if name not in _ARGUMENTS:
            known = ", ".join(sorted([*_ARGUMENTS, "ADDR", "LOADADDR", "SIZEOF"]))
            raise self.error(f"there is no built-in function '{name}'", node, f"there are {known} ...")
        arguments = tuple(self.expression(child) for child in node.children[1:])
        least, most = _ARGUMENTS[name]
        if not least <= len(arguments) <= most:
            expected = f"{least}" if least == most else f"{least} or {most}"
            raise self.error(f"{name} takes {expected} argument(s), not {len(arguments)}", node)
        return Call(name, self.location(node), arguments)

    def number(self, token: Node) -> int:
        text = str(token)
        scale = {"k": 1 << 10, "m": 1 << 20}.get(text[-1].lower(), 1)
        digits = text[:-1] if scale > 1 else text
        try:
            if digits[0] == "$":
                value = int(digits[1:], 16)
            elif digits[-1] in "hHxX":
                value = int(digits[:-1], 16)
            elif digits[:2] in ("0x", "0X"):
                value = int(digits, 16)
            else:
                value = int(digits, 8 if digits[0] == "0" else 10)
        except ValueError:
            raise self.error(f"'{text}' is no number", token) from None
        return value * scale & 0xFFFF_FFFF_FFFF_FFFF

    def operator_row(self, node: "Tree[Token]") -> Expression:
        *row, then, otherwise = node.children
        position = 0

        def climb(level: int) -> Expression:
            nonlocal position
            left = self.expression(row[position])
            position += 1
            while position < len(row) and _PRECEDENCE[str(row[position])] >= level:
                token = row[position]
                position += 1
                right = climb(_PRECEDENCE[str(token)] + 1)
                left = Binary(str(token), left, right, self.location(token))
            return left

        condition = climb(0)
        if then is None:
            return condition
        return Conditional(condition, self.expression(then), self.expression(otherwise))


_OPTIONS = {"at", "align", "subalign", "align_with_input", "only_if_ro", "only_if_rw"}
_OPTIONS |= {"region_name", "lma_region", "in_phdr", "fill_value"}


def _is_option(node: Node) -> bool:
    return isinstance(node, Tree) and node.data in _OPTIONS
