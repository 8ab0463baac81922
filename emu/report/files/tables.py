"""What a recording holds as rows with named columns, and these as JSON lines."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from emu.address import VirtAddr
from emu.engine.translated.features.calls import Kind
from emu.isa.privilege import Privilege
from emu.isa.registers import FLOAT_REGISTERS, INTEGER_REGISTERS
from emu.observe.calls.stacks import CallStacks
from emu.record.recording import Recording
from emu.report.disassembly import disassemble
from emu.report.instructionlines import instruction_lines
from emu.report.places import PlaceNames
from emu.report.tracefile import to_json

Chosen = Callable[[int], bool]
Row = tuple[object, ...]
_LARGEST_PLAIN = 1 << 53
_LONGEST_BLOCK = 1 << 16


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: str
    """`number` (unsigned, 64 bits), `address` (the same, in hexadecimal in JSON) or `text`."""
    about: str


class Table(NamedTuple):
    """What is told of a kind of records, and how it is read from a recording."""

    columns: tuple[Column, ...]
    rows: Callable[[Recording, PlaceNames, int, int, Chosen], Iterator[Row]]


def _instructions(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[Row]:
    texts: dict[tuple[int, bytes], tuple[int, str, str]] = {}
    for instret, pc, code, privilege in recording.instructions(first, last):
        if not chosen(pc):
            continue
        text = texts.get((pc, code))
        if text is None:
            text = texts[pc, code] = int.from_bytes(code, "little"), disassemble(code, pc) or "", names.name(pc)
        yield instret, privilege.name, int(pc), *text


def _functions(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[Row]:
    stacks = CallStacks()
    for transfer in recording.transfers():
        if transfer.instret > last:
            return
        stacks.apply(transfer)
        kind, target, pc = transfer.kind, transfer.target, transfer.pc
        if kind in (Kind.CALL, Kind.SWAP, Kind.TRAP) and transfer.instret >= first and chosen(target):
            word = "trap" if kind is Kind.TRAP else "call"
            name = names.function(VirtAddr(target))
            yield transfer.instret, word, name, target, len(stacks.current), pc, names.name(VirtAddr(pc))


def _accesses(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[Row]:
    name = lru_cache(maxsize=1 << 16)(lambda pc: names.name(VirtAddr(pc)))
    for pc, address, size, is_store, value, instret in recording.accesses(first, last):
        if chosen(pc):
            yield instret, pc, "store" if is_store else "load", address, size, value, name(pc)


def _writes(recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen) -> Iterator[Row]:
    registers = (*INTEGER_REGISTERS, *FLOAT_REGISTERS)
    name = lru_cache(maxsize=1 << 16)(lambda pc: names.name(VirtAddr(pc)))
    for pc, register, value, instret in recording.writes(first, last):
        if chosen(pc):
            yield instret, pc, registers[register], value, name(pc)


_INSTRET = Column("instret", "number", "Instructions that had retired before.")
_PC = Column("pc", "address", "The virtual address of the instruction.")
_AT = Column("at", "text", "The place of pc: symbol, offset, file and line, as far as they are known.")
TABLES = {
    "instructions": Table(
        (
            _INSTRET,
            Column("privilege", "text", "The mode that executed it: U, S or M."),
            _PC,
            Column("code", "address", "Its 16 or 32 bits, as they were when it was executed."),
            Column("assembly", "text", "The same in assembly language; empty for what is none."),
            _AT,
        ),
        _instructions,
    ),
    "functions": Table(
        (
            Column("instret", "number", "Instructions that had retired before its first one."),
            Column("kind", "text", "`call` or `trap`."),
            Column("function", "text", "The function called, or the handler."),
            Column("entry", "address", "Where it begins."),
            Column("depth", "number", "Open calls and traps of its stack, with this one."),
            Column("pc", "address", "The call instruction; of a trap the instruction in front of which it was taken."),
            _AT,
        ),
        _functions,
    ),
    "memory": Table(
        (
            _INSTRET,
            _PC,
            Column("access", "text", "`load` or `store`."),
            Column("address", "address", "The virtual address of its first byte."),
            Column("size", "number", "Bytes: 1, 2, 4 or 8."),
            Column("value", "address", "What was read or written, unsigned."),
            _AT,
        ),
        _accesses,
    ),
    "registers": Table(
        (
            _INSTRET,
            _PC,
            Column("register", "text", "Its name in the calling convention: a0, fa0."),
            Column("value", "address", "What it holds behind the instruction, unsigned."),
            _AT,
        ),
        _writes,
    ),
}
"""What can be told in rows."""


def json_lines(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    """A JSON object for each row; docs/trace.schema.json describes them."""
    forms = {"number": "%s", "address": '"%#x"', "text": "%s"}
    parts = ", ".join(f'"{column.name}": {forms[column.kind]}' for column in columns)
    line = f"{{{parts}}}"
    texts = [place for place, column in enumerate(columns) if column.kind == "text"]
    numbers = [place for place, column in enumerate(columns) if column.kind == "number"]
    quoted = lru_cache(maxsize=1 << 16)(json.dumps)
    for row in rows:
        values = list(row)
        for place in texts:
            values[place] = quoted(values[place])
        for place in numbers:
            if values[place] >= _LARGEST_PLAIN:  # type: ignore[operator]  # a number: the column says so
                values[place] = json.dumps(to_json(values[place]))
        yield line % tuple(values)


def instructions_as_json(
    recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen
) -> Iterator[str]:
    """The same lines as `json_lines` of the instructions, in pieces of many: several times as fast."""

    def rest(pc: VirtAddr, code: bytes, privilege: Privilege) -> str:
        values = {"privilege": privilege.name, "pc": hex(pc), "code": hex(int.from_bytes(code, "little"))}
        return f", {json.dumps(values | {'assembly': disassemble(code, pc) or '', 'at': names.name(pc)})[1:]}"

    def numbered(instret: int, rests: list[tuple[int, str]]) -> list[str]:
        if instret + _LONGEST_BLOCK < _LARGEST_PLAIN:
            return [f'{{"instret": {instret + place}{text}' for place, text in rests]
        return [f'{{"instret": {json.dumps(to_json(instret + place))}{text}' for place, text in rests]

    return instruction_lines(recording, first, last, chosen, rest, numbered)
