"""The monitor: QEMU's words for a stopped machine."""

from emu.terminal.monitor.monitor import PROMPT, Monitor

__all__ = ["PROMPT", "Monitor"]
