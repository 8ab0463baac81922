"""The tables of a recording as Parquet, for pandas, Polars, DuckDB: made a column at a time, by NumPy and pyarrow."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any

from emu.address import VirtAddr
from emu.engine.translated.definitions import Block
from emu.errors import ConfigError
from emu.isa.privilege import Privilege
from emu.isa.registers import FLOAT_REGISTERS, INTEGER_REGISTERS
from emu.record import formats
from emu.record.recording import Recording, instructions_of
from emu.report.disassembly import disassemble
from emu.report.files.tables import TABLES, Chosen
from emu.report.places import PlaceNames
from emu.report.tracefile import Sink

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[Any]]

Columns = Sequence[object]
"""Values that pyarrow makes columns of, in the order of a table's."""
_END = (1 << 64) - 1
_AT_ONCE = 1 << 16
"""Blocks of instructions, or rows."""
_PRIVILEGES = tuple(Privilege(number).name if number in set(Privilege) else "" for number in range(4))


def write_parquet(
    what: str, recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen, stream: Sink
) -> None:
    """Write one of `TABLES`, a piece at a time. Raises ConfigError without the packages `pyarrow` and `numpy`."""
    try:
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        package = "numpy" if "numpy" in str(error) else "pyarrow"
        raise ConfigError(f"-format parquet needs the package {package}: pip install 'ekernel[parquet]'") from None

    kinds = {"number": pa.uint64(), "address": pa.uint64(), "text": pa.string()}
    described = TABLES[what].columns
    fields = [pa.field(name, kinds[kind], metadata={"about": about}) for name, kind, about in described]
    schema = pa.schema(fields)
    pieces: Iterator[Columns]
    if what in _BY_COLUMN:
        pieces = _BY_COLUMN[what](np, pa, recording, names, first, last, chosen)
    else:
        pieces = _of_rows(iter(TABLES[what].rows(recording, names, first, last, chosen)))
    with pq.ParquetWriter(pa.PythonFile(_NoClose(stream), mode="w"), schema, compression="zstd") as writer:
        for columns in pieces:
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.table(arrays, schema=schema))


class _NoClose:
    """What pyarrow takes for a file: it may neither close nor seek in it."""

    closed = False

    def __init__(self, stream: Sink) -> None:
        self.write = stream.write

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """The file is closed by whoever has opened it."""


def _of_rows(rows: Iterator[tuple[object, ...]]) -> Iterator[Columns]:
    while piece := list(islice(rows, _AT_ONCE)):
        yield list(zip(*piece, strict=True))


class _Code:
    """What is told of the instructions of blocks, each once, and where those of each block are in that."""

    def __init__(self, names: PlaceNames, chosen: Chosen) -> None:
        self._names, self._chosen = names, chosen
        self._places: dict[int, tuple[int, int]] = {}
        self._known: dict[tuple[int, bytes], int] = {}
        self.instructions: list[int] = []
        """Of one block after the other: places in what follows."""
        self.pcs: list[int] = []
        self.codes: list[int] = []
        self.texts: list[str] = []
        self.names: list[str] = []
        self.chosen: list[bool] = []

    def place(self, block: Block) -> tuple[int, int]:
        """Where a block begins in `instructions`, and how many it has."""
        place = self._places.get(block.number)
        if place is None:
            begin = len(self.instructions)
            self.instructions += [self._instruction(pc, code) for pc, code in instructions_of(block)]
            place = self._places[block.number] = begin, len(self.instructions) - begin
        return place

    def _instruction(self, pc: VirtAddr, code: bytes) -> int:
        known = self._known.get((pc, code))
        if known is None:
            known = self._known[pc, code] = len(self.pcs)
            is_chosen = self._chosen(pc)
            self.pcs.append(int(pc))
            self.codes.append(int.from_bytes(code, "little"))
            self.texts.append((disassemble(code, pc) or "") if is_chosen else "")
            self.names.append(self._names.name(pc) if is_chosen else "")
            self.chosen.append(is_chosen)
        return known


def _instructions(
    np: ModuleType, pa: ModuleType, recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen
) -> Iterator[Columns]:
    code = _Code(names, chosen)
    executed = recording.executed(first, last)
    while piece := list(islice(executed, _AT_ONCE)):
        places, lengths = np.array([code.place(each.block) for each in piece], np.int64).T
        retired = np.minimum([each.retired for each in piece], lengths)
        starts = np.array([each.instret for each in piece], np.uint64)
        modes = np.array([each.privilege for each in piece], np.int8)
        within = np.arange(retired.sum(), dtype=np.int64) - np.repeat(np.cumsum(retired) - retired, retired)
        times = np.repeat(starts, retired) + within.astype(np.uint64)
        which = np.array(code.instructions, np.int64)[np.repeat(places, retired) + within]
        kept = _within(np, times, first, last) & np.array(code.chosen, bool)[which]
        which = which[kept]
        yield (
            times[kept],
            _texts(pa, _PRIVILEGES, np.repeat(modes, retired)[kept]),
            np.array(code.pcs, np.uint64)[which],
            np.array(code.codes, np.uint64)[which],
            _texts(pa, code.texts, which),
            _texts(pa, code.names, which),
        )


def _accesses(
    np: ModuleType, pa: ModuleType, recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen
) -> Iterator[Columns]:
    for records in recording.records(formats.MEMORY):
        rows = np.frombuffer(records, np.uint64).reshape(-1, 4)
        rows = rows[_between(np, recording, rows[:, 3], first, last)]
        where, address, value, times = rows.T
        kept, pcs, at = _placed(np, pa, where, names, chosen)
        where = where[kept]
        sizes = np.uint64(1) << (where & np.uint64(3))
        mask = ~np.uint64(0) >> (np.uint64(64) - np.uint64(8) * sizes)
        is_store = (where >> np.uint64(7) & np.uint64(1)).astype(np.int8)
        yield (
            times[kept], pcs, _texts(pa, ("load", "store"), is_store), address[kept], sizes, value[kept] & mask, at,
        )  # fmt: skip


def _writes(
    np: ModuleType, pa: ModuleType, recording: Recording, names: PlaceNames, first: int, last: int, chosen: Chosen
) -> Iterator[Columns]:
    registers = (*INTEGER_REGISTERS, *FLOAT_REGISTERS)
    for rows in _last_of_each(np, recording.records(formats.REGISTERS)):
        inside = rows[_between(np, recording, rows[:, 2], first, last)]
        where, value, times = inside.T
        kept, pcs, at = _placed(np, pa, where, names, chosen)
        which = (where[kept] & np.uint64(0xFF)).astype(np.int16)
        yield times[kept], pcs, _texts(pa, registers, which), value[kept], at


def _last_of_each(np: ModuleType, parts: Iterator[bytes]) -> "Iterator[Numbers]":
    """Records of registers; of several of one register in one instruction, which follow each other, the last."""
    rest = np.empty((0, 3), np.uint64)
    for records in parts:
        rows = np.concatenate([rest, np.frombuffer(records, np.uint64).reshape(-1, 3)])
        registers, times = rows[:, 0] & np.uint64(0xFF), rows[:, 2]
        is_last = (registers[1:] != registers[:-1]) | (times[1:] != times[:-1])
        yield rows[:-1][is_last]
        rest = rows[-1:]
    yield rest


def _between(np: ModuleType, recording: Recording, times: "Numbers", first: int, last: int) -> "Numbers":
    if len(times):
        recording.on_reached(int(times[-1]))
    return _within(np, times, first, last)


def _within(np: ModuleType, times: "Numbers", first: int, last: int) -> "Numbers":
    first, last = (np.uint64(min(each, _END)) for each in (first, last))
    inside: Numbers = (times >= first) & (times <= last)
    return inside


def _placed(
    np: ModuleType, pa: ModuleType, where: "Numbers", names: PlaceNames, chosen: Chosen
) -> "tuple[Numbers, Numbers, object]":
    """Which records are those of chosen code; their pcs, and the places of these."""
    pcs = (where.view(np.int64) >> np.int64(8)).view(np.uint64)
    encoded = pa.array(pcs).dictionary_encode()
    which, known = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    is_chosen = [chosen(pc) for pc in known]
    texts = [names.name(VirtAddr(pc)) if wanted else "" for pc, wanted in zip(known, is_chosen, strict=True)]
    kept = np.array(is_chosen, bool)[which]
    return kept, pcs[kept], _texts(pa, texts, which[kept])


def _texts(pa: ModuleType, texts: Sequence[str], which: "Numbers") -> object:
    """A column of texts, by their places in a list."""
    return pa.array(texts, pa.string()).take(pa.array(which))


_BY_COLUMN: dict[str, Callable[..., Iterator[Columns]]] = {
    "instructions": _instructions, "memory": _accesses, "registers": _writes,
}  # fmt: skip
