"""Which line of the program an instruction belongs to when the compiler has put other functions' code there."""

from io import BytesIO
from pathlib import PurePath

from emu.address import VirtAddr
from emu.report.places import Places

_LARGEST = 32 << 20
"""Bytes of a file whose debugging entries are read through for one answer."""


def calling_line(places: Places, address: VirtAddr) -> str | None:
    """`main.rs:20`, where a call was inlined whose code is at the address; None where none is known.

    Of calls within calls it is the outermost: the line that stands in the function whose name the place has.
    """
    names = places.machine.platform.names
    if names.lines.at(address) is None:
        return None
    for _, data in names.files:
        found = _outermost(data, names.linked(address)) if len(data) <= _LARGEST else None
        if found is not None:
            return found
    return None


def _outermost(data: bytes, address: int) -> str | None:
    if not data.startswith(b"\x7fELF"):
        return None
    from elftools.elf.elffile import ELFFile

    from emu.firmware.functions import FunctionFinder

    try:
        *inner, outermost = FunctionFinder(ELFFile(BytesIO(data))).frames(address)
    except Exception:  # noqa: BLE001  # damaged section tables trip the parser anywhere
        return None
    return f"{PurePath(outermost.file).name}:{outermost.line}" if inner and outermost.file else None
