"""Machines that are there still when Python ends."""

import subprocess
import sys
from pathlib import Path

KEPT = """
import ctypes, json, sys
from emu.devices.virtio.disk import open_disk
from emu.machine import Machine, MachineConfig
from emu.machine.config import Drive
from emu.memory.ram import Ram

json.disk = open_disk("other.img")
json.machine = Machine(MachineConfig(drives=(Drive(path="disk.img"),), ram_size=1 << 20))
json.ram = Ram(1 << 20)
# Modules that somebody holds are emptied one after the other, those of the machine before the one that has it.
for name, module in tuple(sys.modules.items()):
    if name == "json" or name.startswith("emu"):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))
"""


def test_what_somebody_holds_to_the_end_goes_without_a_word(tmp_path: Path) -> None:
    for name in ("disk.img", "other.img"):
        (tmp_path / name).write_bytes(bytes(1 << 20))
    result = subprocess.run([sys.executable, "-c", KEPT], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
