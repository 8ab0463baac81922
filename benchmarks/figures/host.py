"""What the host does with machines: making them, calling functions, going back to snapshots."""

import time
from collections.abc import Callable
from pathlib import Path

from emu.machine import Machine, MachineConfig
from figures.privileged import image
from figures.table import row, title

_SMALL, _LARGE = 16 << 20, 4 << 30


def timed(action: Callable[[], object], times: int) -> float:
    """The mean processor time of an action, in seconds."""
    action()
    start = time.process_time()
    for _ in range(times):
        action()
    return (time.process_time() - start) / times


def resident() -> int:
    """Bytes of the host's memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Print the part."""
    title("Machines, snapshots and calls, processor time")
    small = timed(lambda: Machine(MachineConfig(ram_size=_SMALL)), 20)
    large = timed(lambda: Machine(MachineConfig(ram_size=_LARGE)), 20)
    row(
        "a machine of 4 GiB made",
        f"{large * 1e3:.2f} ms", f"16 MiB {small * 1e3:.2f} ms", f"{large / small:.2f} times",
        target="at most 1.5 times", met=large <= 1.5 * small,
    )  # fmt: skip
    before = resident()
    machine = Machine(MachineConfig(ram_size=_LARGE))
    machine.load(image("j .\n .globl f\n f: addi a0, a0, 1\n ret\n"))
    machine.run(max_instructions=1000)
    taken = resident() - before
    row("its memory", f"{taken / 2**20:.1f} MiB", target="at most 32 MiB", met=taken <= 32 << 20)
    machine = Machine()
    machine.load(image("j .\n .globl f\n f: addi a0, a0, 1\n ret\n"))
    row("call of a guest function", f"{timed(lambda: machine.call('f', 1), 2000) * 1e6:.1f} us")
    machine.memory.write(0x8100_0000, b"x" * (64 * 4096))
    snapshot = machine.snapshot()

    def dirty_and_restore() -> None:
        machine.memory.write(0x8100_0000, b"y" * (44 * 4096))
        machine.restore(snapshot)

    row("return to a snapshot, 44 dirty pages", f"{timed(dirty_and_restore, 200) * 1e6:.0f} us")
