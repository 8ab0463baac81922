"""What the host does with machines: making them, calling functions, going back to snapshots."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from emu.address import PAGE_SIZE
from emu.machine import Machine, MachineConfig
from figures.privileged import image
from figures.size import size
from figures.table import row, title

_SMALL, _LARGE = 16 << 20, 4 << 30


def timed(action: Callable[[], object], times: int) -> float:
    """The mean processor time of an action, in seconds."""
    times = size(times)
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
    view = machine.memory.ram.view
    machine.memory.write(0x8100_0000, b"x" * (6000 * PAGE_SIZE))
    snapshot = machine.snapshot()

    def touch(pages: int) -> None:
        for page in range(0x1000, 0x1000 + pages):
            view[page * PAGE_SIZE] ^= 1

    for pages, goal in ((0, 0.1), (44, None), (1000, 0.4)):
        _milliseconds(
            f"return to a snapshot, {pages:,} dirty pages",
            lambda: machine.restore(snapshot),
            partial(touch, pages),
            goal,
        )
    _milliseconds("snapshot of 6,000 dirty pages", machine.snapshot, partial(touch, 6000), 10)


def _milliseconds(
    what: str, action: Callable[[], object], before: Callable[[], object], goal: float | None, times: int = 40
) -> None:
    """Print the least processor time of an action."""
    least = float("inf")
    for _ in range(size(times, 2)):
        before()
        start = time.process_time()
        action()
        least = min(least, time.process_time() - start)
    if goal is None:
        row(what, f"{least * 1e3:.2f} ms")
    else:
        row(what, f"{least * 1e3:.2f} ms", target=f"at most {goal} ms", met=least * 1e3 <= goal)
