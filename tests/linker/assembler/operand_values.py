"""Operands for every row of the encoding table: edge values for enumeration, any value for hypothesis."""

from collections.abc import Iterator

from hypothesis import strategies as st

from linker.assembler.encoding.operands import Kind, Operand
from linker.assembler.encoding.rows import AddressSlot, Row, Slot, ValueSlot
from linker.assembler.encoding.table import Table
from linker.assembler.isa import InstructionSet

RV64GC = Table.of(InstructionSet.parse("rv64gc").extensions)


def all_rows(table: Table = RV64GC) -> Iterator[Row]:
    for rows in table.rows.values():
        yield from rows


def _number_edges(operand: Operand) -> list[str]:
    low, high, step = operand.low, operand.high, operand.step
    values = {low, high, 0, 1, -1, step, -step, low + step, high - step, 31, 32, -32, -33, 63, 0xFFFE0, 2 * step}
    return [str(value) for value in sorted(values) if operand.accepts(value)]


def edges(row: Row, slot: Slot) -> list[str]:
    """Texts for one operand: the ends of its range, and what lies just inside."""
    if isinstance(slot, dict):
        names = list(slot)
        preferred = ["zero", "ra", "sp", "s0", "a0", "a5", "s2", "t6", "ft0", "fs0", "fa5", "ft11"]
        return [name for name in preferred if name in slot] or names
    if isinstance(slot, AddressSlot):
        registers = [name for name in ("sp", "s0", "a5", "t6", "zero") if name in slot.registers]
        return [f"{offset}({register})" for offset in _number_edges(slot.offset.operand) for register in registers]
    match slot.operand.kind:
        case Kind.LABEL:
            return ["target"]
        case Kind.CSR:
            return ["mstatus", "satp", "0", "0xfff", "fcsr"]
        case Kind.RELOCATION:
            return ["%tprel_add(symbol)"]
        case _:
            return _number_edges(slot.operand)


def most_operands(row: Row) -> int:
    """GNU as 2.40 does not take the rounding mode of exact conversions, which newer ones do."""
    return row.required if row.signature.endswith("rm0") else len(row.slots)


def statements(row: Row) -> Iterator[str]:
    """One statement for each edge value of each operand, the others being ordinary."""
    choices = [edges(row, slot) for slot in row.slots]
    for count in range(row.required, most_operands(row) + 1):
        ordinary = [choice[len(choice) // 2] for choice in choices[:count]]
        texts = {tuple(ordinary)}
        for index, choice in enumerate(choices[:count]):
            for value in choice:
                texts.add((*ordinary[:index], value, *ordinary[index + 1 :]))
        # the same register everywhere is what compressed forms want
        for register in ("a0", "s2", "sp", "fa0"):
            same = tuple(
                register if isinstance(slot, dict) and register in slot else text
                for slot, text in zip(row.slots, ordinary, strict=False)
            )
            texts.add(same)
        for operands in sorted(texts):
            yield f"{row.mnemonic} {', '.join(operands)}".rstrip()


def _any_operand(slot: Slot) -> st.SearchStrategy[str]:
    if isinstance(slot, dict):
        return st.sampled_from(sorted(slot))
    if isinstance(slot, AddressSlot):
        offsets = _any_number(slot.offset.operand)
        return st.tuples(offsets, st.sampled_from(sorted(slot.registers))).map(lambda pair: f"{pair[0]}({pair[1]})")
    return _any_value(slot)


def _any_value(slot: ValueSlot) -> st.SearchStrategy[str]:
    match slot.operand.kind:
        case Kind.LABEL:
            return st.just("target")
        case Kind.CSR:
            return st.one_of(st.sampled_from(sorted(slot.operand.names)), st.integers(0, 4095).map(str))
        case Kind.RELOCATION:
            return st.just("%tprel_add(symbol)")
        case _:
            return _any_number(slot.operand)


def _any_number(operand: Operand) -> st.SearchStrategy[str]:
    edge = st.sampled_from(_number_edges(operand))
    anything = st.integers(operand.low // operand.step, operand.high // operand.step).map(lambda n: n * operand.step)
    return st.one_of(edge, anything.filter(operand.accepts).map(str))


@st.composite
def any_statement(draw: st.DrawFn) -> str:
    """Some instruction with some operands that it takes."""
    row = draw(st.sampled_from(list(all_rows())))
    count = draw(st.integers(row.required, most_operands(row)))
    operands = [draw(_any_operand(slot)) for slot in row.slots[:count]]
    return f"{row.mnemonic} {', '.join(operands)}".rstrip()
