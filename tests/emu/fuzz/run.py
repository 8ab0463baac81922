"""Fuzzes the machine with random guests: `python -m tests.emu.fuzz.run --count 200000 --seed 0`.

Guests run in worker processes, so that a crash of the host's process is seen, and a hang is ended. What breaks a worker
is run again with fewer guests, and kept as a file for the corpus (--keep FOLDER).
"""

import argparse
import collections
import faulthandler
import json
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.emu.fuzz.sessions import GUESTS, SECTORS, Session, run, session

_PATIENCE = 120.0
"""Seconds that a worker may take for one guest of some hundred instructions."""
_POLL = 0.1
_PROGRESS = struct.Struct("<QQ")
"""The session and the guest that a worker is at."""
_ROOT = Path(__file__).parents[3]


@dataclass(slots=True)
class Found:
    """A guest that broke its process."""

    session: int
    guest: int
    how: str
    output: str


@dataclass(slots=True)
class Result:
    """What a run has seen."""

    guests: int = 0
    endings: collections.Counter[str] = field(default_factory=collections.Counter)
    found: list[Found] = field(default_factory=list)


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    end: int
    progress: mmap.mmap
    folder: tempfile.TemporaryDirectory[str]
    last: bytes = b""
    since: float = 0.0


def fuzz(first: int, sessions: int, workers: int) -> Result:
    """Run sessions from number `first` on in so many processes; each failure costs the rest of its session only."""
    result = Result()
    share = -(-sessions // workers)
    last = first + sessions
    active = [_start(at, min(at + share, last)) for at in range(first, last, share)]
    while active:
        time.sleep(_POLL)
        for worker in list(active):
            how = _state(worker)
            if how is None:
                continue
            active.remove(worker)
            at, guest = _PROGRESS.unpack(worker.progress[:])
            output = (Path(worker.folder.name) / "output").read_text(errors="replace")
            for line in output.splitlines():
                if line.startswith("{"):
                    endings = json.loads(line)
                    result.endings.update(endings)
                    result.guests += sum(endings.values())
            if how:
                result.found.append(Found(at, guest, how, output[-3000:]))
                if at + 1 < worker.end:
                    active.append(_start(at + 1, worker.end))
            worker.folder.cleanup()
    return result


def _start(first: int, end: int) -> _Worker:
    folder = tempfile.TemporaryDirectory(prefix="fuzz-")
    path = Path(folder.name)
    (path / "progress").write_bytes(bytes(_PROGRESS.size))
    with (path / "progress").open("r+b") as file:
        progress = mmap.mmap(file.fileno(), _PROGRESS.size)
    return _Worker(_spawn(path, str(first), str(end)), end, progress, folder, since=time.monotonic())


def _spawn(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        __spec__.name if __name__ == "__main__" else __name__,
        "--worker",
        str(folder),
        *arguments,
    ]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=_ROOT)


def _state(worker: _Worker) -> str | None:
    """None while it runs, "" when it has ended well, else what happened."""
    status = worker.process.poll()
    if status is None:
        at = worker.progress[:]
        if at != worker.last:
            worker.last, worker.since = at, time.monotonic()
        if time.monotonic() - worker.since < _PATIENCE:
            return None
        worker.process.kill()
        worker.process.wait()
        return f"hang: more than {_PATIENCE:.0f} seconds"
    return "" if status == 0 else f"ended with status {status}"


def _work(folder: Path, first: int, end: int) -> None:
    """What a worker does: endings of each session as a line of JSON, an exception as its traceback."""
    faulthandler.enable()
    disk = _disk(folder)
    with (folder / "progress").open("r+b") as file, mmap.mmap(file.fileno(), _PROGRESS.size) as progress:
        for number in range(first, end):

            def note(guest: int, number: int = number) -> None:
                _PROGRESS.pack_into(progress, 0, number, guest)

            endings = collections.Counter(run(session(number), disk, note))
            print(json.dumps(endings), flush=True)


def _disk(folder: Path) -> Path:
    disk = folder / "disk.img"
    if not disk.exists():
        disk.write_bytes(os.urandom(16) * (SECTORS * 512 // 16))
    return disk


def survives(played: Session, seconds: float = _PATIENCE) -> bool:
    """Whether a process of its own runs a session to its end."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        (folder / "session.json").write_text(played.to_json())
        process = _spawn(folder, "replay")
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False


def reduced(found: Found) -> Session:
    """The fewest guests before the one that broke its process with which it still does; all of them if none do."""
    whole = session(found.session)
    for before in (0, 1, 3, 10, 30, found.guest):
        part = Session(whole.settings, whole.guests[max(0, found.guest - before) : found.guest + 1])
        if not survives(part):
            return part
    return Session(whole.settings, whole.guests[: found.guest + 1])


def report(result: Result, keep: Path | None) -> Iterator[str]:
    """What a person reads at the end, line by line."""
    yield f"{result.guests:,} guests: " + ", ".join(f"{count:,} {name}" for name, count in result.endings.most_common())
    for found in result.found:
        yield f"session {found.session}, guest {found.guest} {found.how}:\n{found.output}"
        if keep is not None:
            path = keep / f"session-{found.session}-guest-{found.guest}.json"
            path.write_text(reduced(found).to_json())
            yield f"kept as {path}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="run random guests and say what broke the host's process")
    parser.add_argument("--count", type=int, default=200_000, help="guests")
    parser.add_argument("--seed", type=int, default=0, help="number of the first session of 100 guests")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="folder for what broke a process")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        folder, *rest = options.worker
        if rest == ["replay"]:
            faulthandler.enable()
            text = (Path(folder) / "session.json").read_text()
            collections.deque(run(Session.from_json(text), _disk(Path(folder))), maxlen=0)
        else:
            _work(Path(folder), *map(int, rest))
        return 0
    result = fuzz(options.seed, -(-options.count // GUESTS), options.workers)
    for line in report(result, options.keep):
        print(line)
    return 1 if result.found else 0


if __name__ == "__main__":
    sys.exit(main())
