"""The CSRs of physical memory protection: which values they take, and when they are locked (section 3.7.1)."""

from collections.abc import Callable, Iterable

from emu.isa.csrs import PMP_ADDRESSES, PMP_CONFIGS
from emu.mmu.pmp import ADDRESS_MASK, LOCKED, Region, decode, is_address_locked, legal_config

_PER_REGISTER = 8


class PmpCsrs:
    """Reads and writes `pmpcfg0`, `pmpcfg2` and `pmpaddr0` to `pmpaddr15` where `values` keeps all CSRs by number."""

    def __init__(self, values: memoryview, changed: Callable[[], None]) -> None:
        """`changed` is called when what is protected may be another than before."""
        self._values, self._changed = values, changed

    def state(self) -> tuple[int, ...]:
        """The values of all the registers, for `regions`."""
        values = self._values
        return (*[values[number] for number in PMP_CONFIGS], *values[PMP_ADDRESSES.start : PMP_ADDRESSES.stop])

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
        return _bytes_of(self._values[number] for number in PMP_CONFIGS)


def regions(state: tuple[int, ...]) -> tuple[Region, ...]:
    """What the entries say, in the order of their priority, by the values of all the registers."""
    return decode(_bytes_of(state[: len(PMP_CONFIGS)]), state[len(PMP_CONFIGS) :])


def _bytes_of(configs: Iterable[int]) -> bytes:
    return b"".join(config.to_bytes(_PER_REGISTER, "little") for config in configs)
