"""A record of what is written to registers."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from emu.engine.translated.features import Core, Feature, Write
from emu.engine.translated.features.accesses import instret
from emu.engine.translated.operations import VALUE, Operation, T, known, op
from emu.engine.translated.plan import Known, Part
from emu.engine.translated.rings import Drain, Ring

RECORD = struct.Struct("<qQQ")
"""pc << 8 | register; the value; instret. Of several for one register of one instruction the last counts."""


class RegisterWrites(Feature):
    """Hands over `RECORD`s in the order of the instructions; `decode` reads them.

    Also what Python completes is there: CSR instructions, loads from devices, what an `ecall` that the host answers
    returns.
    """

    def __init__(self, drain: Drain, *, size: int = 1 << 20) -> None:
        """`size` is that of the buffer in bytes."""
        self.ring = Ring(size, drain)

    @property
    def looks_at_registers(self) -> bool:
        """See `Feature`."""
        return True

    @property
    def rings(self) -> Sequence[Ring]:
        """See `Feature`."""
        return (self.ring,)

    def operations(self, _core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        where, when = T[0], T[1]
        return {
            Part.CONDITION: self.ring.condition,
            Part.WRITTEN: (
                op("movi", where, known(Known.PC, shift=8)),
                op("movi", when, known(Known.REGISTER)),
                op("or", where, where, when),
                *instret(when),
                *self.ring.record(where, VALUE, when),
            ),
        }

    def written(self, write: Write, /) -> None:
        """See `Feature`."""
        where = write.pc << 8 & (1 << 64) - 1 | write.register
        self.ring.append(RECORD.pack(where - (where >> 63 << 64), write.value, write.instret))
        self.ring.empty_if_full()


def decode(records: bytes | memoryview) -> Iterator[Write]:
    """What `RegisterWrites` has handed over: whole runs, for the last of several records is looked for."""
    return decode_all((records,))


def decode_all(parts: Iterable[bytes | memoryview]) -> Iterator[Write]:
    """The same of what was handed over in parts."""
    last: Write | None = None
    for records in parts:
        for where, value, time in RECORD.iter_unpack(records):
            write = Write(where >> 8 & (1 << 64) - 1, where & 0xFF, value, time)
            if last is not None and (last.instret, last.register) != (time, write.register):
                yield last
            last = write
    if last is not None:
        yield last
