"""Names for the raw addresses on the last lines of a console: a panic often prints its backtrace as numbers."""

import re
from collections.abc import Iterator

from emu.address import VirtAddr
from emu.firmware.symbols import SymbolKind
from emu.machine import Machine
from emu.observe.calls.backtrace import Backtrace
from emu.report.places import Places

_LAST_BYTES, _LAST_LINES, _MOST = 4096, 30, 16
_CALLERS = 3
_ADDRESS = re.compile(r"(?<![\w.])(?:0[xX]([0-9a-fA-F]{5,16})|([0-9a-fA-F]{16}))(?![\w])")
"""Hexadecimal with 0x, or all sixteen digits without."""


def named_addresses(machine: Machine, places: Places) -> Iterator[str]:
    """Each address of code among them once, in their order, with its function and source line."""
    tail = machine.console[-_LAST_BYTES:].decode(errors="replace").splitlines()[-_LAST_LINES:]
    seen: set[int] = set()
    for match in _ADDRESS.finditer("\n".join(tail)):
        address = int(match[1] or match[2], 16)
        if address in seen or len(seen) == _MOST or not _is_code(machine, address):
            continue
        seen.add(address)
        yield f"{match[0]} is {places.name(VirtAddr(address))}"


def standing(machine: Machine, places: Places) -> str:
    """Where the guest stands, and by which calls it came there: `at spin+0x4 (lock.c:9), from take+0x8 (lock.c:20)`."""
    callers = Backtrace(machine).callers_here()
    named = ", ".join(places.name(caller) for caller in callers[:_CALLERS])
    more = f" and {len(callers) - _CALLERS} more" if len(callers) > _CALLERS else ""
    return f"at {places.name(machine.hart.pc)}{f', from {named}{more}' if named else ''}"


def _is_code(machine: Machine, address: int) -> bool:
    found = machine.symbols.at(address)
    if found is None or found[0].kind is SymbolKind.OBJECT:
        return False
    return found[0].kind is SymbolKind.FUNCTION or machine.lines.at(address) is not None
