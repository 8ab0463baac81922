"""Rows of the encoding table, made ready to encode with: fixed bits, and a slot for each operand as it is written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from linker.assembler.encoding.fields import Field, Pattern, parse_pattern
from linker.assembler.encoding.operands import Kind, Operand, parse_operand
from linker.assembler.encoding.privileged import RECORDED

Flat = tuple[tuple[Operand, tuple[Field, ...]], ...]
"""Operands in written order, an address taken apart, each with the fields that take its value."""


class ValueSlot:
    """An operand that is a number or a symbol: its range, and how its value becomes bits."""

    __slots__ = ("_pieces", "high", "low", "operand", "simple")

    def __init__(self, operand: Operand, fields: tuple[Field, ...]) -> None:
        self.operand = operand
        self.low = operand.low
        self.high = operand.high
        self.simple = operand.step == 1 and not operand.excluded
        self._pieces = [
            (piece.source - operand.shift, (1 << piece.width) - 1, piece.target) for f in fields for piece in f.pieces
        ]

    def encode(self, value: int) -> int | None:
        """The bits of a number; None when it is out of range."""
        if not self.low <= value <= self.high or not (self.simple or self.operand.accepts(value)):
            return None
        return self.place(value)

    def place(self, value: int) -> int:
        """The bits of a number whose range has been checked, or does not matter."""
        bits = 0
        for source, mask, target in self._pieces:
            bits |= ((value >> source if source >= 0 else value << -source) & mask) << target
        return bits


@dataclass(frozen=True, slots=True)
class AddressSlot:
    """An offset and a register: `8(sp)`."""

    offset: ValueSlot
    registers: dict[str, int]


Slot = dict[str, int] | ValueSlot | AddressSlot
"""Names with the bits they stand for, or a value, or an address."""


@dataclass(eq=False)
class Row:
    """One instruction in one form of writing."""

    mnemonic: str
    signature: str
    """The operands as the table names them."""
    size: int
    word: int
    """The fixed bits, and those of operands that may be left out."""
    slots: tuple[Slot, ...]
    required: int
    """How many operands must be written."""
    optional_mask: int
    """The bits to clear when an operand that may be left out is written."""
    flat: Flat
    extension: str
    alias: bool = False
    """A pseudo-instruction."""
    base: "Row | None" = None
    """The instruction that a pseudo-instruction stands for, and whose compressed forms it may take."""
    compressions: tuple["Compression", ...] = ()
    label: ValueSlot | None = None
    """The slot of a jump or branch target."""
    privileged: bool = False
    """It depends on the privileged version, which the object's attributes then name."""
    _compressed: dict[int, int | None] = field(default_factory=dict)

    def compress(self, word: int) -> int | None:
        """The 16-bit form of an encoded instruction; None when it has none."""
        try:
            return self._compressed[word]
        except KeyError:
            short = next((s for s in (c.apply(word) for c in self.compressions) if s is not None), None)
            self._compressed[word] = short
            return short


@dataclass(frozen=True)
class Check:
    """What one operand of the long form must be for a compressed form to stand for it."""

    source: Field
    operand: Operand
    """As the compressed form's rule names it."""
    signed_bits: int
    shift: int
    name: str
    same: bool
    """Its name stood before in the rule: the value must be the same."""

    def value(self, word: int) -> int:
        """The operand of an encoded instruction."""
        value = self.source.extract(word) >> self.shift
        if self.signed_bits and value >> (self.signed_bits - 1):
            value -= 1 << self.signed_bits
        return value

    def accepts(self, value: int) -> bool:
        """Whether the compressed form can hold that."""
        if self.operand.kind is Kind.REGISTER:
            return value - _first_register(self.operand) in _register_numbers(self.operand.text)
        return self.operand.accepts(value)


def _first_register(operand: Operand) -> int:
    return 8 if operand.text.endswith("'") else 0


@cache
def _register_numbers(token: str) -> frozenset[int]:
    return frozenset(parse_operand(token)[0].names.values())


@dataclass(frozen=True)
class Compression:
    """A rule "this instruction may be written as that compressed one"."""

    checks: tuple[Check, ...]
    short: Row

    def apply(self, word: int) -> int | None:
        """The compressed instruction, without the bits of a label; None when the rule does not fit."""
        values: dict[str, int] = {}
        for check in self.checks:
            value = check.value(word)
            if not check.accepts(value) or (check.same and values[check.name] != value):
                return None
            values[check.name] = value
        result = self.short.word
        for operand, fields in self.short.flat:
            if operand.kind is Kind.FIXED or operand.kind is Kind.LABEL:
                continue
            value = (values[_name(operand)] - _first_register(operand)) << operand.shift
            for target in fields:
                result |= target.place(value)
        return result


def _name(operand: Operand) -> str:
    return operand.field.rstrip("'")


def compression(rule: str, base: Row, short: Row) -> Compression:
    """Make a rule of the third column of a compressed row, such as `addi rd!0, rd, nzimm6`, for that `addi`."""
    checks: list[Check] = []
    seen: set[str] = set()
    operands = [operand for token in _tokens(rule) for operand in parse_operand(token)]
    for operand, (long, fields) in zip(operands, base.flat, strict=True):
        if operand.kind is Kind.LABEL:
            continue
        name = _name(operand)
        signed_bits = (-long.low).bit_length() if long.low < 0 else 0
        checks.append(Check(fields[0], operand, signed_bits, long.shift, name, name in seen))
        if name:
            seen.add(name)
    return Compression(tuple(checks), short)


def _tokens(signature: str) -> Iterator[str]:
    for token in signature.split(","):
        if token.strip():
            yield token.strip()


def make_row(mnemonic: str, signature: str, bits: str, extension: str) -> Row:
    """Make a row of the table: `addi`, `rd, rs1, imm12` and the manual's bits."""
    pattern = parse_pattern(bits)
    operands = [parse_operand(token) for token in _tokens(signature)]
    flat = tuple((operand, _fields_of(operand, pattern)) for parts in operands for operand in parts)
    return assemble_row(mnemonic, signature, pattern.size, pattern.match, operands, flat, extension)


def _fields_of(operand: Operand, pattern: Pattern) -> tuple[Field, ...]:
    return (pattern.fields[operand.field],) if operand.field in pattern.fields else ()


def assemble_row(
    mnemonic: str,
    signature: str,
    size: int,
    word: int,
    operands: list[tuple[Operand, ...]],
    flat: Flat,
    extension: str,
) -> Row:
    """Put a row together from its operands, grouped as they are written, and their fields."""
    slots: list[Slot] = []
    required = 0
    optional_mask = 0
    label: ValueSlot | None = None
    remaining = iter(flat)
    for parts in operands:
        fields = [next(remaining)[1] for _ in parts]
        slot = _slot(parts, fields)
        if slot is None:
            continue
        slots.append(slot)
        if parts[0].kind is Kind.LABEL:
            assert isinstance(slot, ValueSlot)
            label = slot
        if parts[0].default is None:
            required = len(slots)
        else:
            for target in fields[0]:
                word |= target.place(parts[0].default)
                optional_mask |= target.mask
    privileged = mnemonic in RECORDED or any(operand.kind is Kind.CSR for operand, _ in flat)
    return Row(
        mnemonic,
        signature,
        size,
        word,
        tuple(slots),
        required,
        optional_mask,
        flat,
        extension,
        label=label,
        privileged=privileged,
    )


def _slot(parts: tuple[Operand, ...], fields: list[tuple[Field, ...]]) -> Slot | None:
    if len(parts) == 2:
        offset, register = parts
        return AddressSlot(ValueSlot(offset, fields[0]), _names_with_bits(register, fields[1]))
    operand = parts[0]
    if operand.kind is Kind.FIXED:
        # a register that the compressed instruction implies is written all the same
        return {operand.text: 0}
    if operand.kind in (Kind.REGISTER, Kind.NAMED):
        return _names_with_bits(operand, fields[0])
    return ValueSlot(operand, fields[0])


def _names_with_bits(operand: Operand, fields: tuple[Field, ...]) -> dict[str, int]:
    if operand.kind is Kind.FIXED:
        return {operand.text: 0, f"x{operand.low}": 0}
    key = operand.text, fields
    found = _NAMED.get(key)
    if found is None:
        found = {name: sum(target.place(number) for target in fields) for name, number in operand.names.items()}
        _NAMED[key] = found
    return found


_NAMED: dict[tuple[str, tuple[Field, ...]], dict[str, int]] = {}
"""Of each operand, as rows name it, in the fields where instructions have it: hundreds of rows share a dozen."""


def make_alias(mnemonic: str, signature: str, base: Row, arguments: str, extension: str) -> Row:
    """Make a row that stands for another one: `mv`, `rd, rs1`, the row of `addi` and `rd, rs1, 0`."""
    operands = [parse_operand(token) for token in _tokens(signature)]
    given = [operand for token in _tokens(arguments) for operand in parse_operand(token)]
    word = base.word
    taken: dict[str, list[Field]] = {}
    for operand, (original, fields) in zip(given, base.flat, strict=True):
        if operand.kind is Kind.FIXED:
            for target in fields:
                word |= target.place(operand.low << original.shift)
        else:
            taken.setdefault(_name(operand), []).extend(fields)
    flat = tuple((operand, tuple(taken[_name(operand)])) for parts in operands for operand in parts)
    row = assemble_row(mnemonic, signature, base.size, word, operands, flat, extension)
    row.base = base
    row.alias = True
    return row
