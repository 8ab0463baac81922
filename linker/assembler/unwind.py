"""Unwind tables: what `.cfi_*` gathered, as `.eh_frame` and `.debug_frame` (DWARF 5, section 6.4)."""

from dataclasses import dataclass

from linker.assembler.frames import DATA_ALIGNMENT, Frames, Pointer, Procedure, Rule, Step
from linker.assembler.layout import advance
from linker.assembler.program import Advance, Align, AsmSymbol, Binary, Expr, Fixup, Fragment, SectionBuilder
from linker.assembler.state import Assembly
from linker.objects import leb128
from linker.objects.model import SectionFlag
from linker.objects.riscv import R

_VERSION = 3
_CODE_ALIGNMENT = 1
_DEBUG_FRAME_ID = 0xFFFF_FFFF
_POINTER_ENCODING = 0x1B
"""DW_EH_PE_pcrel | DW_EH_PE_sdata4: how `.eh_frame` writes addresses of code."""
_PC_RELATIVE = 0x10


@dataclass(frozen=True, slots=True)
class _CommonEntry:
    """A CIE that was written."""

    place: AsmSymbol
    identity: tuple[int, bool, Pointer | None, int | None]
    rules: list[Rule]


def write_unwind_tables(assembly: Assembly, frames: Frames) -> None:
    """Append `.eh_frame`, for all procedures of the source, and `.debug_frame`, as far as they are wanted."""
    sections = frames.wanted
    if not sections:
        return
    back = assembly.section, assembly.subsection
    for name, flags in ((".eh_frame", SectionFlag.ALLOC), (".debug_frame", 0)):
        if name in sections:
            section = assembly.sections.get((name, None))
            if section is None:
                section = assembly.add_section((name, None), SectionBuilder(name, flags=flags))
            section.flags |= flags  # which `.section .eh_frame` alone does not say
            section.align = max(section.align, 8)
            assembly.enter(section, 0)
            exceptions = name == ".eh_frame"
            _Writer(assembly, exceptions=exceptions).write(
                [p for p in frames.procedures if exceptions or name in p.sections]
            )
    assembly.enter(*back)


class _Writer:
    """Writes one table into the current section."""

    def __init__(self, assembly: Assembly, *, exceptions: bool) -> None:
        self._assembly = assembly
        self._exceptions = exceptions
        """`.eh_frame`, which is read at run time, not `.debug_frame`."""
        self._mark = assembly.mark
        self._common: list[_CommonEntry] = []

    def write(self, procedures: list[Procedure]) -> None:
        for procedure in procedures:
            self._mark = procedure.mark
            entry, rules = self._entry_of(procedure)
            last = procedure is procedures[-1]
            self._procedure(procedure, entry, rules, 8 if last or not self._exceptions else 4)

    # Pieces

    @property
    def _fragment(self) -> Fragment:
        return self._assembly.fragment

    def _bytes(self, data: bytes) -> None:
        self._assembly.emit(data)

    def _value(self, expression: Expr, size: int, kind: R | None = None) -> None:
        fragment = self._fragment
        self._assembly.add_fixup(Fixup(fragment, len(fragment.data), kind, expression, self._mark, size))
        self._bytes(bytes(size))

    def _pointer(self, pointer: Pointer) -> None:
        if pointer.encoding & _PC_RELATIVE:
            self._value(pointer.target, pointer.size, R.PCREL32)
        else:
            self._value(pointer.target, pointer.size)

    def _length(self) -> AsmSymbol:
        """The length of an entry, up to a place that is defined when its end is reached."""
        end = self._assembly.symbols.unnamed(self._fragment, 0)
        length = self._fragment, len(self._fragment.data)
        self._bytes(bytes(4))
        start = self._assembly.place_here()
        fixup = Fixup(length[0], length[1], None, Binary("-", end, start), self._mark, 4)
        self._assembly.add_fixup(fixup)
        return end

    def _close(self, end: AsmSymbol, alignment: int) -> None:
        self._assembly.add_tail(Align(alignment, b"\0", 0, self._mark))
        end.fragment, end.offset = self._fragment, len(self._fragment.data)

    # Common entries

    def _entry_of(self, procedure: Procedure) -> tuple[_CommonEntry, list[Rule | Step]]:
        """The common entry of a procedure, and the rules that it does not state."""
        data = procedure.data if self._exceptions else None
        personality = procedure.personality if self._exceptions else None
        identity = procedure.return_column, procedure.signal_frame, personality, data.encoding if data else None
        for entry in reversed(self._common):
            count = len(entry.rules)
            if entry.identity == identity and procedure.rules[:count] == entry.rules:
                return entry, procedure.rules[count:]
        rules = procedure.common()
        entry = _CommonEntry(self._assembly.place_here(), identity, rules)
        self._common.append(entry)
        self._common_entry(procedure, rules)
        return entry, procedure.rules[len(rules) :]

    def _common_entry(self, procedure: Procedure, rules: list[Rule]) -> None:
        end = self._length()
        self._bytes((0 if self._exceptions else _DEBUG_FRAME_ID).to_bytes(4, "little") + bytes([_VERSION]))
        signal = "S" if procedure.signal_frame else ""
        personality, data = procedure.personality, procedure.data
        letters = f"z{'P' if personality else ''}{'L' if data else ''}R{signal}" if self._exceptions else signal
        self._bytes(letters.encode() + b"\0")
        self._bytes(leb128.written(_CODE_ALIGNMENT, signed=False) + leb128.written(DATA_ALIGNMENT, signed=True))
        self._bytes(leb128.written(procedure.return_column, signed=False))
        if self._exceptions:
            size = 1 + (data is not None) + (1 + personality.size if personality else 0)
            self._bytes(leb128.written(size, signed=False))
            if personality:
                self._bytes(bytes([personality.encoding]))
                self._pointer(personality)
            if data:
                self._bytes(bytes([data.encoding]))
            self._bytes(bytes([_POINTER_ENCODING]))
        for rule in rules:
            self._bytes(rule.code)
        self._close(end, 4 if self._exceptions else 8)

    # Procedures

    def _procedure(self, procedure: Procedure, entry: _CommonEntry, rules: list[Rule | Step], alignment: int) -> None:
        assert procedure.end is not None
        size: Expr = Binary("-", procedure.end, procedure.start)
        end = self._length()
        if self._exceptions:
            self._value(Binary("-", self._assembly.place_here(), entry.place), 4)
            self._value(procedure.start, 4, R.PCREL32)
            self._value(size, 4)
            self._bytes(leb128.written(procedure.data.size if procedure.data else 0, signed=False))
            if procedure.data:
                self._pointer(procedure.data)
        else:
            self._value(entry.place, 4)
            self._value(procedure.start, 8)
            self._value(size, 8)
        for rule in rules:
            if isinstance(rule, Rule):
                self._bytes(rule.code)
            elif rule.distance is not None:
                self._bytes(b"".join(advance(rule.distance)))
            else:
                self._assembly.add_tail(Advance(rule.start, rule.end, self._mark))
        self._close(end, alignment)
