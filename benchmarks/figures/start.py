"""The start: the command line with a guest that powers off at once, as a whole process."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import compute, qemu
from figures.size import size
from figures.table import processor_time, ratio, row, title


def main() -> None:
    """Print the part."""
    title("A guest that powers off at once, processor time of the whole process")
    if qemu.PROGRAM is None:
        row("nothing to measure: install qemu-system-misc")
        return
    command = str(Path(sys.executable).with_name("ekernel"))
    with TemporaryDirectory() as folder:
        kernel = Path(folder, "off")
        kernel.write_bytes(compute.program(compute.M_MODE, 1))
        ours = [command, "run", "-bios", "none", str(kernel)]
        rounds = [(processor_time(ours), processor_time(qemu.bare(kernel))) for _ in range(size(10))]
    start, reference = (min(times) for times in zip(*rounds, strict=True))
    ratio("ekernel run", start, "QEMU", reference, 3.0)
