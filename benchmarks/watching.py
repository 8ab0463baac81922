"""What watching costs beside the same machine unwatched: `python benchmarks/watching.py`.

Features of translated code are told beside an earlier machine, too, which had no operations of its own there: what is
watched now may well be faster than what was unwatched then.
"""

import gc
import time
from collections.abc import Callable

from figures import earlier
from figures.compute import program
from figures.linux import built_linux
from figures.size import QUICK, size
from figures.table import ratio, row, title

from emu.engine.translated.features import Feature
from emu.engine.translated.features.accesses import Accesses
from emu.engine.translated.features.calls import Calls
from emu.engine.translated.features.counts import Counts, Coverage, Edges
from emu.engine.translated.features.lastwriter import LastWriter
from emu.events import MemoryAccessed, PteWritten
from emu.firmware.image import Image
from emu.machine import Drive, Machine, MachineConfig
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.faults import PageFaultObserver
from emu.observe.memory import MemoryObserver, WatchedRange
from emu.observe.pagetables.faults import FaultGroups
from emu.observe.pagetables.invariants import Invariants, named
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.uninit.sanitizer import UninitSanitizer
from emu.record.hits import HitCounter

_ROUNDS = size(40_000, 3)
_LIMIT = 1_000_000 if QUICK else None
_SLOWLY = size(1_000_000, 100)
"""Instructions that are executed without native probes."""
_BASE = 0x8000_0000
UNWATCHED = """
import sys, time
from pathlib import Path
from emu.firmware.image import Image
from emu.machine import Drive, Machine, MachineConfig
if sys.argv[2:]:
    folder = Path(sys.argv[2])
    drive = Drive(path=folder / "disk.img", snapshot=True)
    machine = Machine(MachineConfig(fidelity="fast", bootargs="console=ttyS0", drives=(drive,)))
    machine.load(folder / "Image", initrd=folder / "initrd.cpio")
else:
    machine = Machine(MachineConfig(fidelity="fast", firmware="none", ram_size=16 << 20))
    machine.load(Image.from_bytes(Path(sys.argv[1]).read_bytes(), "compute.elf"))
start = time.process_time()
machine.run(max_instructions=int(sys.argv[3]) if sys.argv[3:] else None)
print(time.process_time() - start)
"""
Watch = Callable[[Machine], object]


_NOTHING = "unwatched"


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


def _faults(machine: Machine) -> None:
    FaultGroups(machine, PageFaultObserver(machine))


def _feature(make: Callable[[], Feature]) -> Watch:
    return lambda machine: machine.core.engine.switch_on(make())


def _measured(machine: Machine, most: int | None = _LIMIT) -> float:
    """Processor time of a run in which no garbage of earlier ones is looked for: `ekernel run` has none either."""
    gc.collect()
    gc.freeze()
    start = time.process_time()
    machine.run(max_instructions=most)
    seconds = time.process_time() - start
    gc.unfreeze()
    return seconds


def _computing(watch: Watch) -> float:
    machine = Machine(MachineConfig(fidelity="fast", firmware="none", ram_size=16 << 20))
    machine.load(Image.from_bytes(program(_BASE, _ROUNDS), "compute.elf"))
    watch(machine)
    return _measured(machine)


def _booting(watch: Watch, probes: str | None = None, most: int | None = _LIMIT) -> float:
    folder = built_linux()
    assert folder is not None
    drive = Drive(path=folder / "disk.img", snapshot=True)
    machine = Machine(MachineConfig(fidelity="fast", bootargs="console=ttyS0", drives=(drive,), probes=probes))
    machine.load(folder / "Image", initrd=folder / "initrd.cpio")
    machine.add_symbols(folder / "vmlinux")
    watch(machine)
    return _measured(machine, most)


def _follow(machine: Machine) -> None:
    FrameObserver(machine)
    HeapObserver(machine)
    AllocationLedger(machine)


def _compare(run: Callable[[Watch], float], watches: dict[str, tuple[Watch, float]], rounds: int) -> dict[str, float]:
    """Alternate, take the smallest of each, and print its ratio where it has a goal; the times."""
    all_of = {_NOTHING: (_nothing, 1.0), **watches}
    times = [{name: run(watch) for name, (watch, _) in all_of.items()} for _ in range(size(rounds))]
    least = {name: min(each[name] for each in times) for name in all_of}
    for name, (_, goal) in watches.items():
        ratio(name, least[name], _NOTHING, least[_NOTHING], goal)
    return least


def _earlier(rounds: int, *linux: str) -> float | None:
    """Seconds of the computation, or of Linux's boot, in the earlier machine; None where its revision is missing."""
    with earlier.sources() as folder:
        if folder is None:
            return None
        (folder / "compute.elf").write_bytes(program(_BASE, _ROUNDS))
        return min(
            seconds
            for _ in range(size(rounds))
            for seconds in earlier.measured(UNWATCHED, ["compute.elf", *linux], folder)
        )


def main() -> None:
    """Print all parts."""
    title("Computing, M mode, fast, processor time")
    features: dict[str, tuple[Watch, float]] = {
        "coverage of blocks": (_feature(Coverage), 1.15),
        "calls": (_feature(lambda: Calls(_told)), 1.15),
        "counts of blocks": (_feature(Counts), 1.15),
        "edges from block to block": (_feature(Edges), 1.15),
        "counts of instructions": (HitCounter, 1.15),
        "last writer": (_feature(LastWriter), 1.1),
    }
    checks: dict[str, tuple[Watch, float]] = {
        "check of each access (half of RAM poisoned)": (_guarded, 1.2), "1,000 watchpoints": (_ranges, 1.2),
    }  # fmt: skip
    least = _compare(_computing, features | checks, 4)
    before = _earlier(4)
    if before is None:
        row(f"no revision {earlier.REVISION} to compare with")
    else:
        title(f"The same beside the machine of {earlier.REVISION}, unwatched")
        for name, (_, goal) in features.items():
            ratio(name, least[name], "unwatched", before, goal)
    title("Linux, boot to power-off, fast, processor time")
    folder = built_linux()
    if folder is None:
        row("nothing to measure: run tests/linux/build.py first")
        return
    watches: dict[str, tuple[Watch, float]] = features | {
        "1,000 watchpoints": (_ranges, 1.2),
        "every load and store": (_feature(lambda: Accesses(_told)), 1.4),
        "check of each access": (lambda machine: machine.core.shadow.open(_told), 1.2),
        "PTE writes": (lambda machine: machine.on(PteWritten, _told), 1.1),
        "page faults, and what resolved them": (_faults, 1.1),
        "--invariant wx,mapped-once": (lambda machine: Invariants(machine, named("no-writable-code,mapped-once")), 1.4),
        "allocations followed": (_follow, 1.3),
        "--sanitize address": (AddressSanitizer, 1.2),
        "--sanitize address,uninit": (lambda machine: UninitSanitizer(machine, AddressSanitizer(machine)), 3.0),
    }
    least = _compare(_booting, watches, 2)
    before = _earlier(2, str(folder), *([str(_LIMIT)] if _LIMIT else ()))
    if before is not None:
        title(f"The same beside the machine of {earlier.REVISION}, unwatched")
        for name, (_, goal) in watches.items():
            ratio(name, least[name], "unwatched", before, goal)
    title(f"The first {_SLOWLY:,} instructions of it without native probes (EKERNEL_PROBES=python)")
    for name, (watch, _) in {_NOTHING: (_nothing, 1.0), **watches}.items():
        slow, quick = (_booting(watch, probes, _SLOWLY) for probes in ("python", None))
        row(name, f"{slow:.3f} s", f"native {quick:.3f} s", f"{slow / quick:.0f} times")


if __name__ == "__main__":
    main()
