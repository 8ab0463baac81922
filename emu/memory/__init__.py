"""RAM and the physical memory map."""

from emu.memory.map import PhysicalMemory, Region
from emu.memory.ram import RAM_BASE, Ram

__all__ = ["RAM_BASE", "PhysicalMemory", "Ram", "Region"]
