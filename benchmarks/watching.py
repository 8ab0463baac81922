"""What watching costs beside the same machine unwatched: `python benchmarks/watching.py`."""

import time
from collections.abc import Callable

from figures.compute import program
from figures.linux import built_linux
from figures.size import QUICK, size
from figures.table import ratio, row, title

from emu.events import MemoryAccessed, PteWritten
from emu.firmware.image import Image
from emu.machine import Drive, Machine, MachineConfig
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.memory import MemoryObserver, WatchedRange
from emu.observe.sanitizer.address import AddressSanitizer

_ROUNDS = size(40_000, 3)
_LIMIT = 1_000_000 if QUICK else None
Watch = Callable[[Machine], object]


def _nothing(_machine: Machine) -> None:
    return


def _ranges(machine: Machine) -> None:
    """A thousand watchpoints that nobody comes to."""
    MemoryObserver(machine, tuple(WatchedRange(0x8090_0000 + 64 * number, 8) for number in range(1000)))
    machine.on(MemoryAccessed, _told)


def _told(_event: object) -> None:
    return


def _guarded(machine: Machine) -> None:
    """All memory behind the program poisoned, as a sanitizer has it."""
    machine.core.shadow.open(_told).poison(0x8080_0000, 8 << 20)


def _computing(watch: Watch) -> float:
    machine = Machine(MachineConfig(fidelity="fast", firmware="none", ram_size=16 << 20))
    machine.load(Image.from_bytes(program(0x8000_0000, _ROUNDS), "compute.elf"))
    watch(machine)
    start = time.process_time()
    machine.run(max_instructions=_LIMIT)
    return time.process_time() - start


def _booting(watch: Watch) -> float:
    folder = built_linux()
    assert folder is not None
    drive = Drive(path=folder / "disk.img", snapshot=True)
    machine = Machine(MachineConfig(fidelity="fast", bootargs="console=ttyS0", drives=(drive,)))
    machine.load(folder / "Image", initrd=folder / "initrd.cpio")
    machine.add_symbols(folder / "vmlinux")
    watch(machine)
    start = time.process_time()
    machine.run(max_instructions=_LIMIT)
    return time.process_time() - start


def _follow(machine: Machine) -> None:
    FrameObserver(machine)
    HeapObserver(machine)
    AllocationLedger(machine)


def _compare(run: Callable[[Watch], float], watches: dict[str, tuple[Watch, float]], rounds: int) -> None:
    """Alternate, and take the smallest of each."""
    all_of = {"nothing": (_nothing, 1.0), **watches}
    times = [{name: run(watch) for name, (watch, _) in all_of.items()} for _ in range(size(rounds))]
    least = {name: min(each[name] for each in times) for name in all_of}
    for name, (_, goal) in watches.items():
        ratio(name, least[name], "unwatched", least["nothing"], goal)


def main() -> None:
    """Print all parts."""
    title("Computing, M mode, fast, processor time")
    _compare(_computing, {"check of each access (half of RAM poisoned)": (_guarded, 1.2),
                          "1,000 watchpoints": (_ranges, 1.2)}, 4)  # fmt: skip
    title("Linux, boot to power-off, fast, processor time")
    if built_linux() is None:
        row("nothing to measure: run tests/linux/build.py first")
        return
    watches: dict[str, tuple[Watch, float]] = {
        "check of each access": (lambda machine: machine.core.shadow.open(_told), 1.2),
        "PTE writes": (lambda machine: machine.on(PteWritten, _told), 1.1),
        "allocations followed": (_follow, 1.3),
        "--sanitize address": (AddressSanitizer, 1.3),
    }
    _compare(_booting, watches, 2)


if __name__ == "__main__":
    main()
