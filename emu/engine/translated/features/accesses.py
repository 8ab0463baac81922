"""A record of all loads and stores."""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

from emu.engine.slots import Slot
from emu.engine.translated.features import Access, Core, Feature
from emu.engine.translated.operations import ADDRESS, VALUE, Operand, Operation, T, known, op
from emu.engine.translated.plan import Known, Part
from emu.engine.translated.rings import Drain, Ring

RECORD = struct.Struct("<qQQQ")
"""pc << 8 | 0x80 for a store | log2 of the bytes; the address; the value, whose upper bits may be anything; instret."""
_STORE = 0x80


def instret(result: Operand) -> tuple[Operation, ...]:
    """Leave in a temporary how many instructions had retired before the current one; uses T[7]."""
    return (
        op("movi", result, known(Known.SLOTS)),
        op("ld", result, result, 8 * Slot.COUNT),
        op("movi", T[7], known(Known.REMAINING)),
        op("sub", result, result, T[7]),
    )


class Accesses(Feature):
    """Hands over blocks of `RECORD`s, in the order in which the accesses were carried out; `decode` reads them."""

    def __init__(self, drain: Drain, *, loads: bool = True, stores: bool = True, size: int = 1 << 20) -> None:
        """`size` is that of the buffer in bytes."""
        self.ring = Ring(size, drain)
        self._loads, self._stores = loads, stores

    @property
    def rings(self) -> Sequence[Ring]:
        """See `Feature`."""
        return (self.ring,)

    def _record(self, kind: int) -> tuple[Operation, ...]:
        where, when = T[0], T[1]
        return (
            op("movi", where, known(Known.PC, shift=8, plus=kind)),
            op("movi", when, known(Known.SIZE)),
            op("or", where, where, when),
            *instret(when),
            *self.ring.record(where, ADDRESS, VALUE, when),
        )

    def operations(self, _core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        parts = {Part.CONDITION: self.ring.condition}
        if self._loads:
            parts[Part.AFTER_LOAD] = self._record(0)
        if self._stores:
            parts[Part.AFTER_STORE] = self._record(_STORE)
        return parts

    def accessed(self, access: Access, _physical: int, /) -> None:
        """See `Feature`."""
        if self._stores if access.is_store else self._loads:
            kind = (_STORE if access.is_store else 0) | access.size.bit_length() - 1
            pc = access.pc - (access.pc >> 63 << 64)
            self.ring.append(RECORD.pack(_signed(pc << 8 | kind), access.address, access.value, access.instret))
            self.ring.empty_if_full()


def _signed(word: int) -> int:
    word &= (1 << 64) - 1
    return word - (word >> 63 << 64)


def decode(records: bytes | memoryview) -> Iterator[Access]:
    """What `Accesses` has handed over."""
    for where, address, value, time in RECORD.iter_unpack(records):
        size = 1 << (where & 3)
        yield Access(where >> 8 & (1 << 64) - 1, address, size, bool(where & _STORE), value & (1 << 8 * size) - 1, time)


def collect(into: list[Access]) -> Callable[[memoryview], None]:
    """A drain that decodes into a list: for short runs."""
    return lambda records: into.extend(decode(records))
