"""What may be written for an operand: registers, immediates with their ranges, labels, CSRs and the rest.

The names in the rows:

- `rd rs1 rs2 rs3` integer and `frd frs1 frs2 frs3` floating-point registers, each in the field of that name;
  with `'` one of x8..x15, with `!0` not x0, with `!2` not x2, with `!02` neither;
- `imm12` signed and `uimm12` unsigned immediate of that many bits, `x4` a multiple of 4, `nz` not zero;
  `simm12` is an `imm12` whose relocations are those of stores;
- `shamt6` shift amount, `zimm5` CSR immediate, `label13` target of a jump that reaches so many bits;
- `csr`, `pred`, `succ`, `rm` (may be left out: `dyn`), `rm0` (may be left out: `rne`), `tprel` (`%tprel_add(symbol)`);
- `opcode7`, `funct3` and their like: fields that `.insn` has written as numbers;
- `imm12(rs1)` an address, `(rs1)` one without offset; a register's or CSR's own name or a number is fixed.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

from linker.assembler.encoding.csrs import CSRS
from linker.assembler.encoding.registers import FLOAT, INTEGER, ROUNDING_MODES
from linker.objects.riscv import R


class Kind(Enum):
    """How an operand is read."""

    REGISTER = auto()
    IMMEDIATE = auto()
    LABEL = auto()
    NAMED = auto()
    """One of a set of names, nothing else."""
    CSR = auto()
    RELOCATION = auto()
    FIXED = auto()
    """Not written at all: the row fixes its value."""


FENCE_SETS: dict[str, int] = {
    "".join(letter for bit, letter in zip((8, 4, 2, 1), "iorw", strict=True) if bits & bit): bits
    for bits in range(1, 16)
}
"""Unprivileged manual, "Memory Ordering Instructions": device input and output, memory reads and writes."""

I_TYPE = {"%lo": R.LO12_I, "%pcrel_lo": R.PCREL_LO12_I, "%tprel_lo": R.TPREL_LO12_I}
S_TYPE = {"%lo": R.LO12_S, "%pcrel_lo": R.PCREL_LO12_S, "%tprel_lo": R.TPREL_LO12_S}
U_TYPE = {
    "%hi": R.HI20, "%pcrel_hi": R.PCREL_HI20, "%got_pcrel_hi": R.GOT_HI20, "%tprel_hi": R.TPREL_HI20,
    "%tls_ie_pcrel_hi": R.TLS_GOT_HI20, "%tls_gd_pcrel_hi": R.TLS_GD_HI20,
}  # fmt: skip
"""Assembly manual, "Assembler Relocation Functions"."""

_LABELS = {9: R.RVC_BRANCH, 12: R.RVC_JUMP, 13: R.BRANCH, 21: R.JAL}


@dataclass(frozen=True)
class Operand:
    """One operand of a row: what may stand there, and which field takes it."""

    text: str
    """As the row names it."""
    field: str
    kind: Kind
    names: dict[str, int]
    """Names with their values, for registers, CSRs and the like."""
    low: int = 0
    high: int = 0
    step: int = 1
    """The value is a multiple of this."""
    excluded: tuple[int, ...] | range = ()
    default: int | None = None
    """The value when the operand is left out at the end; None when it must be written."""
    relocations: dict[str, R] | None = None
    """By operator (`%lo`), and for labels by the empty string."""
    shift: int = 0
    """The field holds the number shifted left by so many bits (12 where the manual's `imm[31:12]` is written alone)."""

    def accepts(self, value: int) -> bool:
        """Whether a number is in this operand's range."""
        return self.low <= value <= self.high and value % self.step == 0 and value not in self.excluded

    @property
    def expectation(self) -> str:
        """What a message says should stand here."""
        match self.kind:
            case Kind.REGISTER:
                return _register_expectation(self)
            case Kind.IMMEDIATE:
                return _range(self)
            case Kind.LABEL:
                return "a label"
            case Kind.NAMED:
                return "one of " + ", ".join(self.names) if len(self.names) < 10 else "some of i, o, r, w in that order"
            case Kind.CSR:
                return "a CSR, by name or number 0..4095"
            case Kind.RELOCATION:
                return "%tprel_add(symbol)"
            case Kind.FIXED:
                return self.text


def _register_expectation(operand: Operand) -> str:
    floating = operand.text.startswith("f")
    count = len(set(operand.names.values()))
    if count == 1:
        return "sp" if 2 in operand.names.values() else operand.text
    if count == 8:
        return "one of f8..f15 (fs0, fs1, fa0..fa5)" if floating else "one of x8..x15 (s0, s1, a0..a5)"
    kind = "a floating-point register" if floating else "an integer register"
    numbers = set(operand.names.values())
    excluded = [name for name, number in (("zero", 0), ("sp", 2)) if number not in numbers]
    return kind + (f" other than {' and '.join(excluded)}" if excluded else "")


def _range(operand: Operand) -> str:
    text = f"{operand.low}..{operand.high}"
    if operand.step > 1:
        text += f", a multiple of {operand.step}"
    if isinstance(operand.excluded, range):
        text = f"{operand.low}..{operand.excluded.start - 1} or {operand.excluded.stop:#x}..{operand.high:#x}"
    elif operand.excluded:
        text += ", not 0"
    operators = [name for name in operand.relocations or () if name]
    return f"a number {text}" + (f" or {operators[0]}(symbol)" if operators else "")


_REGISTER = re.compile(r"(f?)(rd|rs1|rs2|rs3)('|![02]+)?")
_IMMEDIATE = re.compile(r"(nz)?(u|s)?imm(\d+)(?:x(\d+))?")


@cache
def parse_operand(name: str) -> tuple[Operand, ...]:
    """Read an operand's name in a row; an address becomes its offset and its register.

    Raises:
        ValueError: no operand is named so.

    """
    if name.endswith(")"):
        offset, _, register = name[:-1].partition("(")
        return (*parse_operand(offset or "imm0"), *parse_operand(register))
    return (_named(name) or _register(name) or _number(name) or _fixed(name),)


def _register(name: str) -> Operand | None:
    match = _REGISTER.fullmatch(name)
    if not match:
        return None
    floating, field, restriction = match.groups()
    names = FLOAT if floating else INTEGER
    if restriction == "'":
        names = {register: number - 8 for register, number in names.items() if 8 <= number <= 15}
        field += "'"
    elif restriction:
        excluded = {int(digit) for digit in restriction[1:]}
        names = {register: number for register, number in names.items() if number not in excluded}
    return Operand(name, field, Kind.REGISTER, names)


def _number(name: str) -> Operand | None:
    match = _IMMEDIATE.fullmatch(name)
    if match:
        bits = int(match[3])
        unsigned = match[2] == "u"
        low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits >> 1), (1 << bits >> 1) - 1)
        relocations = {"imm12": I_TYPE, "simm12": S_TYPE, "uimm20": U_TYPE}.get(name)
        step = int(match[4] or 1)
        excluded = (0,) if match[1] else ()
        high = max(high - high % step, 0)
        shift = 12 if name == "uimm20" else 0
        return Operand(name, "imm", Kind.IMMEDIATE, {}, low, high, step, excluded, None, relocations, shift)
    if name.removeprefix("nz").startswith("shamt"):
        excluded = (0,) if name.startswith("nz") else ()
        return Operand(name, "shamt", Kind.IMMEDIATE, {}, 0, (1 << int(name[-1])) - 1, 1, excluded)
    if name.startswith("label"):
        return Operand(name, "imm", Kind.LABEL, {}, relocations={"": _LABELS[int(name[5:])]})
    return None


def _named(name: str) -> Operand | None:
    match name:
        case "zimm5":
            return Operand(name, "zimm", Kind.IMMEDIATE, {}, 0, 31)
        case "csr":
            return Operand(name, "csr", Kind.CSR, CSRS, 0, 0xFFF)
        case "pred" | "succ":
            return Operand(name, name, Kind.NAMED, FENCE_SETS)
        case "rm" | "rm0":
            default = ROUNDING_MODES["dyn" if name == "rm" else "rne"]
            return Operand(name, "rm", Kind.NAMED, ROUNDING_MODES, default=default)
        case "opcode7" | "opcode2" | "funct2" | "funct3" | "funct4" | "funct6" | "funct7":
            field = "opcode" if name == "opcode7" else name
            return Operand(name, field, Kind.IMMEDIATE, {}, 0, (1 << int(name[-1])) - 1)
        case "tprel":
            return Operand(name, "", Kind.RELOCATION, {}, relocations={"%tprel_add": R.TPREL_ADD})
        case "nzuimm20c":
            # c.lui holds a signed 6-bit immediate, written as the 20 bits that lui would load
            return Operand(name, "imm", Kind.IMMEDIATE, {}, 1, 0xFFFFF, 1, range(32, 0xFFFE0), shift=12)
    return None


def _fixed(name: str) -> Operand:
    for names in (INTEGER, CSRS, FENCE_SETS):
        if name in names:
            value = names[name]
            break
    else:
        value = int(name)
    return Operand(name, "", Kind.FIXED, {}, value, value)
