"""What OpenSBI's `fw_dynamic` is told about the next stage (OpenSBI, docs/firmware/fw_dynamic.md)."""

import struct

from emu.address import PhysAddr
from emu.isa.privilege import Privilege

_INFO = struct.Struct("<6Q")
"""magic, version, next_addr, next_mode, options, boot_hart."""
_MAGIC = 0x4942_534F
_VERSION = 2

DYNAMIC_INFO_SIZE = _INFO.size


def dynamic_info(next_stage: PhysAddr, mode: Privilege = Privilege.S) -> bytes:
    """The structure whose address the firmware gets in `a2`; it enters `next_stage` in `mode` on hart 0.

    >>> len(dynamic_info(PhysAddr(0x80200000))) == DYNAMIC_INFO_SIZE
    True
    """
    return _INFO.pack(_MAGIC, _VERSION, next_stage, mode, 0, 0)
