"""Address translation as pure functions: PTEs, `satp`, and the page walk with its reasons."""

from emu.mmu.pte import Pte
from emu.mmu.walk import AdUpdate, satp_mode, walk

__all__ = ["AdUpdate", "Pte", "satp_mode", "walk"]
