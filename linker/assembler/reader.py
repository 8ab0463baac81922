"""Reads statements and has them carried out: labels, assignments, directives, macros, instructions."""

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from linker.assembler.advice import for_operands
from linker.assembler.blocks import Blocks
from linker.assembler.conditionals import Conditionals
from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive, cfi, data, debug, relocations, riscv, space
from linker.assembler.directives import sections as section_directives
from linker.assembler.directives import symbols as symbol_directives
from linker.assembler.directives.arguments import fields, one_string
from linker.assembler.expressions import ExpressionError
from linker.assembler.files import find, read_source
from linker.assembler.instructions import split_operands, unknown_mnemonic
from linker.assembler.lexer import split_label, statements_of, strip_block_comments, unclosed_comment
from linker.assembler.program import LineEntry
from linker.assembler.pseudo import EXPANSIONS, NEEDS_INSTRUCTION
from linker.assembler.source import Mark, Origin
from linker.assembler.state import Assembly

_MAX_NESTING = 100
"""Macros within macros, and files within files."""

_ASSIGNMENT = re.compile(r'([A-Za-z_.$][\w.$]*|"[^"]+")\s*(==?)\s*(?!=)(.*)', re.DOTALL)
_LINE_MARKER = re.compile(r'#\s*(?:line\s+)?([0-9]{1,18})(?![0-9])(?:\s+"((?:[^"\\]++|\\.)*+)")?')
_LISTING = (
    ".ln", ".title", ".list", ".nolist", ".eject", ".psize", ".sbttl", ".page", ".nopage", ".plen", ".llen", ".lflags",
    ".format", ".noformat", ".name", ".spc",
)  # fmt: skip
"""Directives that only shape GNU's listing."""

_WORD = re.compile(r"\.[\w.$]*|\S+")
_MACRO_NAME = re.compile(r"[A-Za-z_.$][\w.$]*")

DIRECTIVES: dict[str, Directive] = {
    **data.DIRECTIVES,
    **space.DIRECTIVES,
    **symbol_directives.DIRECTIVES,
    **section_directives.DIRECTIVES,
    **riscv.DIRECTIVES,
    **debug.DIRECTIVES,
    **relocations.DIRECTIVES,
    **cfi.DIRECTIVES,
}

_BLOCKS = {
    ".macro": ((".macro",), (".endm", ".endmacro")),
    ".rept": ((".rept", ".rep", ".irp", ".irpc", ".irep", ".irepc"), (".endr",)),
}
"""What opens one more level within a block, and what closes one."""


class _End(Exception):
    """`.end`: the rest of the source does not count."""


class Reader:
    """Carries out the statements of a source."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self._conditionals = Conditionals(assembly)
        self._blocks = Blocks(assembly, self._conditionals, self)
        self._nesting = 0
        self._origin = assembly.mark.origin
        self._next = 0
        """Index of the line to read next, in the origin's lines."""
        self._control: dict[str, Callable[[str], None]] = {
            **self._blocks.directives,
            ".include": self._include, ".end": self._end, ".error": self._error, ".err": self._error,
            ".warning": self._warning, ".fail": self._fail, ".print": self._print,
            **dict.fromkeys(_LISTING, self._ignore),
        }  # fmt: skip

    def read(self, text: str, file: str) -> None:
        """Read a whole source."""
        origin = self._file_origin(text, file, None)
        with contextlib.suppress(_End):
            self.run(origin)
        self._conditionals.report_open(0)

    def _file_origin(self, text: str, file: str, caller: Mark | None) -> Origin:
        lines = strip_block_comments(text).split("\n")
        origin = Origin(file, lines, 1, caller, "included from here" if caller else "", is_file=True)
        unclosed = unclosed_comment(text)
        if unclosed is not None:
            self.assembly.diagnostics.error("this comment has no '*/'", Mark(origin, unclosed - 1))
        return origin

    # Lines

    def run(self, origin: Origin) -> None:
        """Read the lines of an origin, then go on where the reader was."""
        if self._nesting >= _MAX_NESTING:
            diagnostics = self.assembly.diagnostics
            message = f"macros or files are nested more than {_MAX_NESTING} deep; does one contain itself?"
            diagnostics.error(message, self.assembly.mark)
            diagnostics.raise_errors()  # what could follow is more of the same
        saved = self._origin, self._next
        self._origin, self._next = origin, 0
        self._nesting += 1
        try:
            self._loop()
        finally:
            self._origin, self._next = saved
            self._nesting -= 1

    def inside_expansion(self) -> bool:
        """Whether the lines being read come from a macro or a repetition."""
        return self._origin.caller is not None and not self._origin.is_file

    def _loop(self) -> None:
        assembly = self.assembly
        conditionals = self._conditionals
        debug_lines = assembly.options.debug
        lines = self._origin.lines
        total = len(lines)
        while self._next < total:
            line = lines[self._next]
            self._next += 1
            if not conditionals.skipping:
                # the same text gives the same bytes, as long as neither symbols nor modes have a part in it
                encoded = assembly.cache.get(line)
                if encoded is not None:
                    if debug_lines:
                        self._mark_line()
                    assembly.fragment.data += encoded
                    continue
            elif "." not in line:
                continue
            self._line(line)

    def _line(self, line: str) -> None:
        assembly = self.assembly
        if line.startswith("#") and self._line_marker(line):
            return
        statements = statements_of(line)
        if not statements:
            return
        assembly.mark = Mark(self._origin, self._next - 1)
        for statement in statements:
            try:
                self._statement(statement, line if len(statements) == 1 else None)
                if assembly.in_absolute:
                    assembly.offsets.settle()
                elif assembly.section.is_nobits:
                    assembly.note_data()
            except (StatementError, ExpressionError) as error:
                part = error.part if isinstance(error, StatementError) else error.text
                hint = error.hint if isinstance(error, StatementError) else ""
                assembly.diagnostics.error(str(error), assembly.mark, part, hint)

    def _line_marker(self, line: str) -> bool:
        match = _LINE_MARKER.match(line)
        if match is None:
            return False
        file = match[2] or self._origin.file
        origin = self._origin
        self._origin = replace(origin, file=file, first_line=int(match[1]) - self._next)
        return True

    def _mark_line(self) -> None:
        """Note for `-g` that the next instruction belongs to the current line, in macros to the line of the call."""
        assembly = self.assembly
        if assembly.explicit_lines:
            return
        mark = Mark(self._origin, self._next - 1)
        while mark.origin.caller is not None and not mark.origin.is_file:
            mark = mark.origin.caller
        fragment = assembly.fragment
        entry = LineEntry(fragment, len(fragment.data), self._file_number(mark.origin.file), mark.line)
        assembly.add_line(entry)

    def _file_number(self, file: str) -> int:
        return self.assembly.own_files.setdefault(file, len(self.assembly.own_files) + 1)

    # Statements

    def _statement(self, statement: str, line: str | None) -> None:
        assembly = self.assembly
        skipping = self._conditionals.skipping
        while ":" in statement:
            labelled = split_label(statement)
            if labelled is None:
                break
            label, statement = labelled
            line = None
            if not skipping:
                assembly.define_label(label)
            if not statement:
                return
        match = _WORD.match(statement)
        assert match is not None
        word = match[0]
        text = statement[match.end() :].strip()
        if word[0] == ".":
            directive = word.lower()
            if self._conditionals.handle(directive, text) or skipping:
                return
            if "=" not in statement or _ASSIGNMENT.match(statement) is None:
                self._directive(directive, statement, text)
                return
        elif skipping:
            return
        if self._blocks.macros and self._macro_call(statement):
            return
        if "=" in statement and self._assignment(statement):
            return
        self._instruction(word, text, line)

    def _macro_call(self, statement: str) -> bool:
        """Read what a call of a macro becomes; false when the statement is none."""
        match = _MACRO_NAME.match(statement)
        macro = self._blocks.macros.get(match[0].lower()) if match else None
        if match is None or macro is None:
            return False
        self._blocks.expand(macro, statement[match.end() :].strip())
        return True

    def _directive(self, directive: str, statement: str, text: str) -> None:
        control = self._control.get(directive)
        if control is not None:
            control(text)
            return
        handler = DIRECTIVES.get(directive)
        if handler is not None:
            handler(self.assembly, text)
        elif not self._macro_call(statement):
            word = statement.split(None, 1)[0]
            raise unknown_mnemonic(word, [*DIRECTIVES, *self._control])

    def _assignment(self, statement: str) -> bool:
        match = _ASSIGNMENT.fullmatch(statement)
        if match is None:
            return False
        name, operator, value = match[1].strip('"'), match[2], match[3]
        if name == ".":
            DIRECTIVES[".org"](self.assembly, value)
        else:
            self.assembly.assign(name, self.assembly.value(value), once=operator == "==")
        return True

    def _instruction(self, word: str, text: str, line: str | None) -> None:
        assembly = self.assembly
        if assembly.in_absolute:
            raise StatementError(
                f"instruction {word!r} stands in the absolute section, which '.struct' began",
                word,
                "go back to the code with '.text'",
            )
        if assembly.options.debug:
            self._mark_line()
        assembly.has_instructions = True
        fragment, start, volatile = assembly.fragment, len(assembly.fragment.data), assembly.volatile
        mnemonic = word if word in assembly.table.rows else word.lower()
        operands = split_operands(text)
        expansion = EXPANSIONS.get(mnemonic)
        if expansion is None or (mnemonic in NEEDS_INSTRUCTION and mnemonic not in assembly.table.rows):
            if not assembly.encoder.instruction(mnemonic, operands):
                raise unknown_mnemonic(word, [*assembly.table.rows, *EXPANSIONS, *self._blocks.macros])
        elif not assembly.encoder.fits(mnemonic, operands):
            self._expansion(mnemonic, operands)
        if line is not None and assembly.volatile == volatile and assembly.fragment is fragment:
            assembly.cache[line] = bytes(fragment.data[start:])

    def _expansion(self, mnemonic: str, operands: list[str]) -> None:
        """A pseudo-instruction; where the name is an instruction too, its own error says more about its operands."""
        assembly = self.assembly
        rows = assembly.table.rows.get(mnemonic)
        if rows is not None and mnemonic != "li" and not _looks_like_symbol(operands):
            assembly.encoder.instruction(mnemonic, operands)
        try:
            EXPANSIONS[mnemonic](assembly, mnemonic, operands)
        except StatementError as error:
            error.hint = "; ".join(filter(None, (error.hint, for_operands(mnemonic, operands))))
            raise

    # Blocks

    def take_block(self, kind: str) -> list[str]:
        """The lines up to the end of a block, which is taken too."""
        openers, closers = _BLOCKS[kind]
        depth = 1
        lines = self._origin.lines
        start = self._next
        for index in range(start, len(lines)):
            statements = statements_of(lines[index])
            for statement in statements:
                labelled = split_label(statement) if ":" in statement else None
                word = (labelled[1] if labelled else statement).split(None, 1)
                name = word[0].lower() if word else ""
                if name in openers:
                    depth += 1
                elif name in closers:
                    depth -= 1
            if depth <= 0:
                self._next = index + 1
                return lines[start:index]
        self._next = len(lines)
        raise StatementError(f"{kind!r} has no {closers[0]!r}", kind)

    # The rest

    def _include(self, text: str) -> None:
        name = one_string(text)
        mark = self.assembly.mark
        path = find(name, Path(mark.origin.file).parent, self.assembly.options.include_dirs)
        if path is None:
            raise StatementError(f"cannot find {name!r}", name, "looked beside the source and in the -I directories")
        try:
            content = read_source(path)
        except OSError as error:
            raise StatementError(f"cannot read {name!r}: {error.strerror}", name) from None
        self._blocks.spend(len(content), name)
        depth = self._conditionals.depth
        self.run(self._file_origin(content, str(path), mark))
        self._conditionals.report_open(depth)
        self.assembly.mark = mark

    def _end(self, text: str) -> None:  # noqa: ARG002
        raise _End

    def _error(self, text: str) -> None:
        raise StatementError(one_string(text) if text else "'.err' was reached")

    def _warning(self, text: str) -> None:
        message = one_string(text) if text else "'.warning' was reached"
        self.assembly.diagnostics.warning(message, self.assembly.mark)

    def _fail(self, text: str) -> None:
        value = self.assembly.absolute(text)
        if value >= 500:
            self.assembly.diagnostics.warning(f"'.fail {value}' was reached", self.assembly.mark)
        else:
            raise StatementError(f"'.fail {value}' was reached")

    def _print(self, text: str) -> None:
        self.assembly.diagnostics.note(one_string(fields(text, 1, 1, '.print "text"')[0]), self.assembly.mark)

    def _ignore(self, text: str) -> None:
        """Nothing to do."""


def _looks_like_symbol(operands: list[str]) -> bool:
    """Whether the second operand could be the symbol of `lw a0, symbol`."""
    return len(operands) >= 2 and bool(operands[1]) and not operands[1].endswith(")") and operands[1][0] != "%"
