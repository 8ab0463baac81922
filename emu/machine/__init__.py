"""The machine: the object that users hold. It wires hart, memory, devices and firmware, and runs them."""

from emu.machine.config import Drive, Fidelity, MachineConfig, Outcome, Semihosting, StopReason
from emu.machine.machine import Machine
from emu.machine.snapshots import Snapshot

__all__ = ["Drive", "Fidelity", "Machine", "MachineConfig", "Outcome", "Semihosting", "Snapshot", "StopReason"]
