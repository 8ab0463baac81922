"""The packets of RVFI-DII (TestRIG's RVFI-DII.md; version 2 as the Sail model's rvfi_dii.sail has it)."""

import struct
from enum import IntEnum
from typing import NamedTuple

INSTRUCTION = struct.Struct("<IHBx")
"""Instruction, time, command."""
_EXECUTION = struct.Struct("<10Q8B")
_HEAD = struct.Struct("<8sQ QQ6BH QQ Q")
_INTEGERS = struct.Struct("<8sQQQ3B5x")
_MEMORY = struct.Struct("<8s4Q4QIIQ")
_VERSION = struct.Struct("<8sQ")
_HAS_INTEGERS, _HAS_MEMORY = 1, 2
_IXL_64 = 2
VERSIONS = (1, 2)
ASKS_FOR_VERSIONS = int.from_bytes(b"VERS", "big")
"""The instruction of an end of a trace by which a client asks whether there are later versions (Sail's riscv_sim.c)."""


class Command(IntEnum):
    """What a client wants."""

    END_OF_TRACE = 0
    INSTRUCTION = 1
    SET_VERSION = ord("v")


class Execution(NamedTuple):
    """What an instruction has done; the names are those of RVFI."""

    order: int = 0
    pc_rdata: int = 0
    pc_wdata: int = 0
    insn: int = 0
    rs1_data: int = 0
    rs2_data: int = 0
    rd_wdata: int = 0
    mem_addr: int = 0
    mem_rdata: int = 0
    mem_wdata: int = 0
    mem_rmask: int = 0
    mem_wmask: int = 0
    rs1_addr: int = 0
    rs2_addr: int = 0
    rd_addr: int = 0
    trap: int = 0
    halt: int = 0
    intr: int = 0
    mode: int = 3
    """The privilege; in version 2 alone."""

    def packed(self, version: int = 1) -> bytes:
        """The packet.

        >>> len(Execution().packed()), len(Execution(rd_addr=1).packed(2)), len(Execution(mem_rmask=1).packed(2))
        (88, 104, 192)
        >>> len(Execution(halt=1).packed(2))
        64
        """
        if version == 1:
            return _EXECUTION.pack(*self[:18])
        parts, fields = list[bytes](), 0
        if not self.halt:  # the answer to the end of a trace tells of no instruction
            fields |= _HAS_INTEGERS
            parts.append(_INTEGERS.pack(
                b"int-data", self.rd_wdata, self.rs1_data, self.rs2_data, self.rd_addr, self.rs1_addr, self.rs2_addr
            ))  # fmt: skip
        if self.mem_rmask or self.mem_wmask:
            fields |= _HAS_MEMORY
            parts.append(_MEMORY.pack(
                b"mem-data", self.mem_rdata, 0, 0, 0, self.mem_wdata, 0, 0, 0, self.mem_rmask, self.mem_wmask,
                self.mem_addr,
            ))  # fmt: skip
        size = _HEAD.size + sum(map(len, parts))
        mode, width, valid = (0, 0, 0) if self.halt else (self.mode, _IXL_64, 1)
        head = _HEAD.pack(
            b"trace-v2", size, self.order, self.insn, self.trap, self.halt, self.intr, mode, width, valid, 0,
            self.pc_rdata, self.pc_wdata, fields,
        )  # fmt: skip
        return b"".join((head, *parts))


def version_packet(version: int) -> bytes:
    """The answer to a client that sets a version."""
    return _VERSION.pack(b"version=", version)
