"""GDB's Remote Serial Protocol (GDB manual, appendix E): gdb, lldb and what speaks it, attached to a machine."""

from emu.debug.gdb.server import GdbServer

__all__ = ["GdbServer"]
