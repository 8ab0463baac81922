"""CSR instructions by the guest's model, in native code: what it declares simple is served, the rest is refused.

The core's table of CSR operations belongs to all cores of the process. What is put into it here finds the model's CSRs
by the clock of its core, and for every other core does what the library does.
"""

import ctypes
from functools import cache, partial
from importlib import import_module

from emu.buffers import octets_type
from emu.engine import library, native
from emu.engine.assembled import ASSEMBLED
from emu.engine.csrs.layout import KINDS, NUMBERS, NUMBERS_IN_CORE, SIMPLE, Kind
from emu.engine.native import Probe
from emu.engine.slots import Slot


def _probe(name: str) -> Probe:
    def source(host: str) -> str:
        text: str = getattr(import_module(f"emu.engine.csrs.{host}"), name)
        return text

    return Probe(name.lower(), partial(source, "x86_64"), partial(source, "aarch64"))


MAY_ACCESS, ACCESS = _probe("MAY_ACCESS"), _probe("ACCESS")
"""Both end with the address of the table as the library had it."""


_WORDS = 4
"""What the core does for a CSR: functions that allow, read, write, or do both (`riscv_csr_operations` in QEMU)."""


class ModelCsrs:
    """The model's CSRs by number, in memory that native code finds, and who serves the instructions for each."""

    def __init__(self) -> None:
        self._memory = octets_type(KINDS + NUMBERS)()
        octets = memoryview(self._memory).cast("B")
        self.values = octets[:KINDS].cast("Q")
        self._kinds = octets[KINDS:]
        self.is_served = False
        """Whether native code serves the instructions; else all arrive as illegal ones, if the core has none at all."""

    def serve(self, slots: memoryview, default: Kind, kinds: dict[int, Kind]) -> None:
        """From now on the core whose native clock has these slots serves CSR instructions by kind."""
        if not _install():
            return
        octets = bytearray([default]) * NUMBERS
        for number, kind in kinds.items():
            octets[number] = kind
        self._kinds[:] = octets
        slots[Slot.MODEL] = ctypes.addressof(self._memory)
        self.is_served = True

    def set_kind(self, number: int, kind: Kind) -> None:
        """Change who serves the instructions that access one CSR."""
        self._kinds[number] = kind


@cache
def _install() -> bool:
    """Put the functions into the core's table, once in a process; False where the library does not export it."""
    try:
        get_operations = library.LIBRARY["riscv_get_csr_ops_riscv64"]
        set_operations = library.LIBRARY["riscv_set_csr_ops_riscv64"]
    except AttributeError:
        return False
    get_operations.argtypes = set_operations.argtypes = (ctypes.c_int, ctypes.c_void_p)
    table = (ctypes.c_uint64 * (_WORDS * NUMBERS))()
    address = ctypes.addressof(table)
    for number in NUMBERS_IN_CORE:
        get_operations(number, address + 8 * _WORDS * number)
    _kept.append(table)
    may_access, access = (_load(probe, address) for probe in (MAY_ACCESS, ACCESS))
    for number in NUMBERS_IN_CORE:
        allowed, read, write, both = table[_WORDS * number : _WORDS * (number + 1)]
        if not allowed:
            continue
        both = access if number in SIMPLE else both
        set_operations(number, (ctypes.c_uint64 * _WORDS)(may_access, read, write, both))
    return True


_kept: list[object] = []


def _load(probe: Probe, table: int) -> int:
    address = native.load(probe)
    end = address + len(ASSEMBLED[native.architecture() or ""][probe.name])
    ctypes.c_uint64.from_address(end - 8).value = table
    return address
