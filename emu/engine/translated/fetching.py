"""The guest's code, as it is in RAM now."""

import ctypes
from collections.abc import Callable

from emu.address import PAGE_SIZE
from emu.engine.translated.features import Core


def fetch(core: Core, translate: Callable[[int], int | None], pc: int, size: int) -> bytes:
    """Bytes from a virtual address on; zeros where `translate` finds no RAM."""
    code = b""
    while size > 0:
        part = min(size, PAGE_SIZE - pc % PAGE_SIZE)
        physical = translate(pc)
        offset = -1 if physical is None else physical - core.base
        known = 0 <= offset < core.size
        code += ctypes.string_at(core.host_address + offset, part) if known else bytes(part)
        pc, size = pc + part, size - part
    return code
