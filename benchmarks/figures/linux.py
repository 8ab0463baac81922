"""Linux from its first instruction to power-off, as a whole process."""

import os
import sys
from pathlib import Path

from figures import qemu
from figures.size import size
from figures.table import ratio, row, title, wall

_BOOT = """
import sys
from emu.machine import Drive, Machine, MachineConfig
_, fidelity, kernel, initrd, disk, arguments = sys.argv
machine = Machine(MachineConfig(fidelity=fidelity, bootargs=arguments, drives=(Drive(path=disk, snapshot=True),)))
machine.load(kernel, initrd=initrd)
outcome = machine.run()
sys.stdout.buffer.write(machine.console)
sys.exit(outcome.reason.name != "POWERED_OFF")
"""
_ARGUMENTS = "console=ttyS0"


def built_linux() -> Path | None:
    """The newest Linux that tests/linux/build.py has left in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ekernel"
    images = sorted(cache.glob("linux-????????????????/Image"), key=lambda path: path.stat().st_mtime)
    return images[-1].parent if images else None


def main() -> None:
    """Print the part."""
    title("Linux, boot to power-off, wall time of the whole process")
    built = built_linux()
    if built is None or qemu.PROGRAM is None:
        row("nothing to measure: run tests/linux/build.py first, and install qemu-system-misc")
        return
    kernel, initrd, disk = (str(built / name) for name in ("Image", "initrd.cpio", "disk.img"))
    commands = {
        fidelity: [sys.executable, "-c", _BOOT, fidelity, kernel, initrd, disk, _ARGUMENTS]
        for fidelity in ("fast", "exact")
    }
    commands["qemu"] = qemu.command(
        "-m", "128M", "-kernel", kernel, "-initrd", initrd, "-append", _ARGUMENTS,
        "-drive", f"file={disk},format=raw,if=none,snapshot=on,id=disk", "-device", "virtio-blk-device,drive=disk",
    )  # fmt: skip
    rounds = [{name: wall(command) for name, command in commands.items()} for _ in range(size(5))]
    times = {name: min(times[name] for times in rounds) for name in commands}
    ratio("Linux 6.1, fast", times["fast"], "QEMU", times["qemu"], 1.0)
    ratio("Linux 6.1, exact", times["exact"], "QEMU", times["qemu"], 1.4)
