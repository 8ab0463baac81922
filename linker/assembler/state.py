"""The state of one assembly: sections, symbols, the current place, and how things are written there."""

from dataclasses import dataclass, replace

from linker.assembler.absolute import AbsoluteSection
from linker.assembler.diagnostics import Diagnostics, StatementError
from linker.assembler.encoding.table import Table
from linker.assembler.evaluation import Evaluator
from linker.assembler.expressions import ExpressionError, ExpressionParser
from linker.assembler.frames import Frames
from linker.assembler.instructions import InstructionEncoder
from linker.assembler.isa import InstructionSet
from linker.assembler.layout import MAX_SIZE
from linker.assembler.options import AssemblerOptions
from linker.assembler.program import (
    AsmSymbol,
    Binary,
    Expr,
    Fixup,
    Fragment,
    LineEntry,
    SectionBuilder,
    Tail,
    WrittenRelocation,
)
from linker.assembler.source import Mark, Origin
from linker.assembler.symbols import SymbolTable
from linker.objects.model import SectionFlag, SectionType, SymbolBinding

_MOST_DIGITS = 18
"""Of the number of a label."""


@dataclass(frozen=True)
class Modes:
    """What `.option` switches, and `.option push` saves."""

    isa: InstructionSet
    relax: bool
    position_independent: bool = False


class Assembly:
    """Everything that directives and instructions work on."""

    def __init__(self, name: str, options: AssemblerOptions, isa: InstructionSet) -> None:
        self.name = name
        self.options = options
        self.diagnostics = Diagnostics()
        self.symbols = SymbolTable()
        self.evaluator = Evaluator()
        self.encoder = InstructionEncoder(self)
        self._parser = ExpressionParser(self)
        self.mark = Mark(Origin(name, [], 1), 0)
        """The statement being read."""
        self.sections: dict[tuple[str, str | None], SectionBuilder] = {}
        """By name and what else tells them apart: the group, the section that it follows."""
        self.first_sections: dict[str, SectionBuilder] = {}
        """The first of each name."""
        for section, flags, kind in (
            (".text", SectionFlag.ALLOC | SectionFlag.EXECINSTR, SectionType.PROGBITS),
            (".data", SectionFlag.ALLOC | SectionFlag.WRITE, SectionType.PROGBITS),
            (".bss", SectionFlag.ALLOC | SectionFlag.WRITE, SectionType.NOBITS),
        ):
            self.add_section((section, None), SectionBuilder(section, kind, flags))
        self.section = self.sections[".text", None]
        self.section.align = 2 if "c" in isa.extensions else 4
        self.offsets = AbsoluteSection()
        self.subsection = 0
        self.fragment = self.section.new_fragment(0)
        """Where the next byte goes."""
        self.previous: tuple[SectionBuilder, int] = (self.section, 0)
        self.section_stack: list[tuple[SectionBuilder, int, tuple[SectionBuilder, int]]] = []
        self.written_relocations: list[WrittenRelocation] = []
        """Of `.reloc`, in order."""
        self.frames = Frames()
        """What `.cfi_*` said."""
        self.modes_stack: list[Modes] = []
        self.ever_compressed = "c" in isa.extensions
        self.attributes: dict[int, int | str] = {}
        self.uses_privileged = False
        """Some instruction depends on the privileged version."""
        self.has_instructions = False
        """An instruction was written by its name."""
        self._looked_at = self.fragment, 0
        """Up to where data was looked for in a section that holds none."""
        self.volatile = 0
        """Counts what keeps a statement from being encoded the same way again: uses of symbols, and fixups."""
        self.caches: dict[Modes, dict[str, bytes]] = {}
        self.set_modes(Modes(isa, options.relax))
        self.source_file: str | None = None
        """The name that `.file` gives the object."""
        self.files: dict[int, str] = {}
        """Names of `.file` directives with a number, for `.loc`."""
        self.own_files: dict[str, int] = {}
        """Source files with their numbers in the line table of `-g`."""
        self.explicit_lines = False
        """`.loc` was used: the source's own line entries replace those of `-g`."""
        self.has_ident = False
        """`.ident` has begun the section `.comment`."""

    def set_modes(self, modes: Modes) -> None:
        """Switch to other instructions or options."""
        self.modes = modes
        self.table = Table.of(modes.isa.extensions)
        self.cache = {} if self.in_absolute or self.section.is_nobits else self.caches.setdefault(modes, {})
        """Statements whose bytes depend on nothing but these modes."""

    @property
    def in_absolute(self) -> bool:
        """Whether the current section is the absolute one."""
        return self.section is self.offsets.builder

    def set_isa(self, isa: InstructionSet) -> None:
        """Switch to another instruction set."""
        self.ever_compressed = self.ever_compressed or "c" in isa.extensions
        self.set_modes(replace(self.modes, isa=isa))

    @property
    def compressed(self) -> bool:
        """Whether compressed instructions may be written."""
        return "c" in self.modes.isa.extensions

    @property
    def position_independent(self) -> bool:
        """Whether `la` goes through the global offset table."""
        return self.modes.position_independent

    # Expressions and symbols

    def expression(self, text: str) -> Expr:
        """Read an expression. Raises ExpressionError."""
        return self._parser.parse(text)

    def expression_prefix(self, text: str) -> tuple[Expr, str]:
        """Read an expression at the start of a text; also gives the rest. Raises ExpressionError."""
        return self._parser.parse_prefix(text)

    def known(self, expression: Expr) -> int | None:
        """The number that an expression is now, or None. Raises ExpressionError."""
        return expression if type(expression) is int else self.evaluator.known(expression)

    def absolute(self, text: str) -> int:
        """The number that an expression is now.

        Raises:
            StatementError: it is no expression, or its value is not known here.

        """
        try:
            value = self.known(self.expression(text))
        except ExpressionError as error:
            raise StatementError(str(error), error.text or text) from None
        if value is None:
            raise StatementError(
                f"the value of {text.strip()!r} is not known here", text.strip(), "expected an absolute expression"
            )
        return value

    def value(self, text: str) -> Expr:
        """An expression whose value may come later.

        Raises:
            StatementError: it is no expression.

        """
        try:
            return self.expression(text)
        except ExpressionError as error:
            raise StatementError(str(error), error.text or text) from None

    def reference(self, name: str) -> Expr:
        """What a name stands for here: its number if it is absolute, else its symbol."""
        self.volatile += 1
        symbol = self.symbols.find_or_make(name, self.mark)
        symbol.mentioned = True
        return symbol.expression if isinstance(symbol.expression, int) else symbol

    def local_reference(self, number: int, *, forward: bool) -> AsmSymbol:
        """A numeric label. Raises ExpressionError."""
        self.volatile += 1
        symbol = self.symbols.local(number, self.mark, forward=forward)
        if symbol is None:
            raise ExpressionError(f"there is no label '{number}:' before this line", f"{number}b")
        return symbol

    def dot(self) -> Expr:
        """The current place."""
        return self.offsets.offset if self.in_absolute else self.place_here()

    def place_here(self) -> AsmSymbol:
        """An unnamed symbol for the current place."""
        self.volatile += 1
        return self.symbols.unnamed(self.fragment, len(self.fragment.data))

    def symbol(self, name: str) -> AsmSymbol:
        """The symbol of a name, as directives mean it."""
        symbol = self.symbols.find_or_make(name, self.mark)
        symbol.mentioned = True
        return symbol

    def define_label(self, name: str) -> None:
        """Define a label, or a numeric one, at the current place.

        Raises:
            StatementError: the name has a value already.

        """
        if self.in_absolute and not name.isdigit():
            self.assign(name, self.offsets.offset, once=True)
            return
        if name.isdigit():
            if len(name) > _MOST_DIGITS:
                raise StatementError("the number of this label is too large", name, "labels are numbered 0, 1, 2 ...")
            self.symbols.define_local(int(name), self.fragment, len(self.fragment.data), self.mark)
            return
        symbol = self.symbols.find_or_make(name, self.mark)
        if symbol.is_defined:
            if symbol.fragment is self.fragment and symbol.offset == len(self.fragment.data):
                return  # the same label once more at the same place says nothing new
            where = f" in line {symbol.mark.line} of {symbol.mark.origin.file}" if symbol.mark else ""
            raise StatementError(f"symbol {name!r} is already defined{where}", name)
        symbol.fragment, symbol.offset = self.fragment, len(self.fragment.data)
        symbol.mark, symbol.mentioned = self.mark, True

    def assign(self, name: str, value: Expr, *, once: bool = False) -> None:
        """Give a name the value of an expression, as `.set` does, or `.equiv` with `once`.

        Raises:
            StatementError: the name is a label, or may not be defined again.

        """
        self.volatile += 1
        symbol = self.symbols.find_or_make(name, self.mark)
        if symbol.is_defined:
            if once or symbol.expression is None:
                where = f" in line {symbol.mark.line} of {symbol.mark.origin.file}" if symbol.mark else ""
                raise StatementError(f"symbol {name!r} is already defined{where}", name)
            symbol = self.symbols.replace(symbol)
        symbol.mark, symbol.mentioned = self.mark, True
        try:
            known = self.known(value)
        except ExpressionError as error:
            raise StatementError(f"the value of {name!r}: {error}", name) from None
        symbol.expression = value if known is None else known
        match value:
            case (AsmSymbol() as other) | Binary("+" | "-", AsmSymbol() as other, int()):
                symbol.describe_as(other)

    def make_global(self, name: str, binding: SymbolBinding) -> None:
        """Set a symbol's binding."""
        self.symbol(name).binding = binding

    # Writing

    def emit(self, data: bytes) -> None:
        """Append bytes to the current section."""
        self.fragment.data += data

    def note_data(self) -> None:
        """Remember the current place if data was written in a section that holds none."""
        fragment, start = self._looked_at
        if fragment is not self.fragment:
            fragment, start = self.fragment, 0
        if self.section.data_mark is None and fragment.data.count(0, start) != len(fragment.data) - start:
            self.section.data_mark = self.mark
        self._looked_at = fragment, len(fragment.data)

    def add_fixup(self, fixup: Fixup) -> None:
        """Have a value written at the end."""
        self.volatile += 1
        if self.in_absolute:
            raise StatementError("the absolute section holds no data, only offsets")
        fixup.relax = self.modes.relax
        self.section.fixups.append(fixup)

    def add_tail(self, tail: Tail) -> None:
        """Append a part whose size is decided later."""
        self.volatile += 1
        if self.in_absolute:
            self.fragment = self.offsets.tail(tail)
            return
        self.fragment.tail = tail
        self.fragment = self.section.new_fragment(self.subsection)

    @property
    def position(self) -> tuple[SectionBuilder, int]:
        """The current section and subsection."""
        return self.section, self.subsection

    @property
    def run_position(self) -> tuple[Fragment, int, int]:
        """The current place: fragment, run of instructions in it, offset."""
        return self.fragment, self.fragment.runs, len(self.fragment.data)

    def end_run(self) -> None:
        """Note that the instruction just written could become shorter at the link."""
        self.volatile += 1
        self.fragment.runs += 1

    def reserve(self, size: int) -> None:
        """Check that some bytes still fit in the section.

        Raises:
            StatementError: the section would become absurdly large.

        """
        if size + len(self.fragment.data) > MAX_SIZE:
            raise StatementError(f"{size} bytes are more than a section may have ({MAX_SIZE})")

    def add_line(self, entry: LineEntry) -> None:
        """Append a row to the section's line table."""
        self.section.lines.append(entry)

    # Sections

    def add_section(self, key: tuple[str, str | None], section: SectionBuilder) -> SectionBuilder:
        """Enter a new section into the table."""
        self.sections[key] = section
        self.first_sections.setdefault(section.name, section)
        return section

    def switch(self, section: SectionBuilder, subsection: int = 0) -> None:
        """Make a section the current one."""
        self.previous = (self.section, self.subsection)
        self.enter(section, subsection)

    def enter(self, section: SectionBuilder, subsection: int) -> None:
        """Go to a section without remembering the one before as `.previous`."""
        self.section, self.subsection = section, subsection
        self.set_modes(self.modes)  # statements are not remembered in the absolute section
        fragments: list[Fragment] | None = section.subsections.get(subsection)
        self.fragment = fragments[-1] if fragments else section.new_fragment(subsection)
