"""The CSRs of physical memory protection: which values they take, and when they are locked (section 3.7.1)."""

from collections.abc import Callable

from emu.isa.csrs import PMP_ADDRESSES, PMP_CONFIGS
from emu.mmu.pmp import ADDRESS_MASK, LOCKED, Region, decode, is_address_locked, legal_config

_PER_REGISTER = 8


class PmpCsrs:
    """Reads and writes `pmpcfg0`, `pmpcfg2` and `pmpaddr0` to `pmpaddr15` where `values` keeps all CSRs by number."""

    def __init__(self, values: memoryview, changed: Callable[[], None]) -> None:
        """`changed` is called when what is protected may be another than before."""
        self._values, self._changed = values, changed

    def regions(self) -> tuple[Region, ...]:
        """What the entries say now, in the order of their priority."""
        return decode(self._configs(), [self._values[number] for number in PMP_ADDRESSES])

    def state(self) -> tuple[int, ...]:
        """The values of all the registers."""
        return tuple(self._values[number] for number in (*PMP_CONFIGS, *PMP_ADDRESSES))

    def read(self, number: int) -> int:
        """The value of one of the registers."""
        return self._values[number]

    def write(self, number: int, value: int) -> bool:
        """Write one of the registers; what is locked keeps its value."""
        values, old = self._values, self._values[number]
        if number in PMP_ADDRESSES:
            if not is_address_locked(self._configs(), number - PMP_ADDRESSES.start):
                values[number] = value & ADDRESS_MASK
        else:
            held = old.to_bytes(_PER_REGISTER, "little")
            wanted = value.to_bytes(_PER_REGISTER, "little")
            new = [one if one & LOCKED else legal_config(other) for one, other in zip(held, wanted, strict=True)]
            values[number] = int.from_bytes(bytes(new), "little")
        if values[number] != old:
            self._changed()
        return True

    def _configs(self) -> bytes:
        return b"".join(self._values[number].to_bytes(_PER_REGISTER, "little") for number in PMP_CONFIGS)
