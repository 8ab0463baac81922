"""What `.cfi_*` directives gather: procedures, and the rules by which their frames are unwound."""

from dataclasses import dataclass, field

from linker.assembler.program import AsmSymbol, Expr, Fragment, SectionBuilder
from linker.assembler.source import Mark

DATA_ALIGNMENT = -4
"""Offsets are stored as multiples of it."""

_POINTER_SIZES = {0x0: 8, 0x2: 2, 0x3: 4, 0x4: 8, 0xA: 2, 0xB: 4, 0xC: 8}
"""By the low four bits of a pointer's encoding."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer with its encoding (`DW_EH_PE_*`)."""

    encoding: int
    target: Expr

    @property
    def size(self) -> int:
        """In bytes."""
        return _POINTER_SIZES.get(self.encoding & 0xF, 8)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that holds from here on."""

    code: bytes
    shared: bool = True
    """Several functions may state it at once, where it stands at their start."""


@dataclass(frozen=True, slots=True)
class Step:
    """The rules that follow hold from a later place on."""

    start: AsmSymbol
    end: AsmSymbol
    distance: int | None
    """In bytes, where nothing between the places can change it."""


@dataclass(eq=False, slots=True)
class Procedure:
    """What lies between `.cfi_startproc` and `.cfi_endproc`."""

    start: AsmSymbol
    mark: Mark
    sections: frozenset[str]
    """What `.cfi_sections` named before it."""
    place: tuple[Fragment, int, int]
    """Where the rules given last hold from: fragment, run of instructions in it, offset."""
    last: AsmSymbol | None = None
    """The same place as a symbol, when it is not the start."""
    offset: int = 0
    """The frame's address lies so far from the register that it is counted from."""
    remembered: list[int] = field(default_factory=list)
    """Offsets of `.cfi_remember_state`."""
    rules: list[Rule | Step] = field(default_factory=list)
    end: AsmSymbol | None = None
    return_column: int = 1
    """The register that holds the return address."""
    signal_frame: bool = False
    personality: Pointer | None = None
    data: Pointer | None = None
    """The language-specific data, of `.cfi_lsda`."""

    def common(self) -> list[Rule]:
        """The rules at the start, which a common entry can state."""
        common: list[Rule] = []
        for rule in self.rules:
            if not isinstance(rule, Rule) or not rule.shared:
                break
            common.append(rule)
        return common


class Frames:
    """The procedures of a source."""

    def __init__(self) -> None:
        self.procedures: list[Procedure] = []
        self.open: dict[tuple[SectionBuilder, int], Procedure] = {}
        """By section and subsection, those without their `.cfi_endproc` so far."""
        self.sections = frozenset({".eh_frame"})
        """Where the tables of the procedures that follow go."""

    @property
    def wanted(self) -> frozenset[str]:
        """All sections that some procedure is in."""
        return frozenset().union(*(procedure.sections for procedure in self.procedures))
