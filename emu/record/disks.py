"""The disks of a recorded machine, as they were at power-on: the run lived again reads them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emu.counted import counted
from emu.machine.config import Drive
from emu.record.container import Reader

DISKS = "replay.disks"
"""The section: the bytes of all of them, one behind the other."""
MOST = 64 << 20
"""Bytes that all disks of a recorded machine have at most."""
_AT_ONCE = 1 << 22


def obstacle_of_disks(drives: Sequence[Drive]) -> str | None:
    """Why disks do not go into a recording; None when they do."""
    try:
        size = sum(Path(drive.path).stat().st_size for drive in drives)
    except OSError as error:
        return f"a disk of the machine is not there any more: {error.strerror}"
    if size > MOST:
        return f"the machine's disks have {size >> 20} MiB, and no more than {MOST >> 20} go into a recording"
    return None


def write_disks(drives: Sequence[Drive], section: Callable[[str, bytes], None]) -> list[dict[str, object]]:
    """Write the section, before the guest has written to any; what `disks_again` has to know of them."""
    about: list[dict[str, object]] = []
    for drive in drives:
        size = 0
        with Path(drive.path).open("rb") as stream:
            while part := stream.read(_AT_ONCE):
                size += len(part)
                section(DISKS, part)
        about.append({"size": size, "read_only": drive.read_only, "serial": drive.serial, "slot": drive.slot})
    return about


@contextmanager
def disks_again(reader: Reader, about: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Drive, ...]]:
    """The disks, in files that are there while the machine is made: it keeps what it writes in memory.

    Raises ValueError or KeyError for what no recorder has written.
    """
    sizes = [int(each["size"]) for each in about]
    if not 0 <= sum(sizes) <= MOST or min(sizes, default=0) < 0:
        raise ValueError(f"disks of {counted(sum(sizes), 'byte')}")
    with TemporaryDirectory() as folder:
        drives = []
        chunks, rest = reader.chunks(DISKS), b""
        for number, (size, each) in enumerate(zip(sizes, about, strict=True)):
            path = Path(folder, f"{number}.img")
            with path.open("wb") as stream:
                left = size
                while left:
                    rest = rest or next(chunks, b"")
                    if not rest:
                        raise ValueError(f"a disk lacks {counted(left, 'byte')}")
                    stream.write(rest[:left])
                    left, rest = left - len(rest[:left]), rest[left:]
            slot = None if each["slot"] is None else int(each["slot"])
            drives.append(
                Drive(
                    path=path, read_only=bool(each["read_only"]), snapshot=True, serial=str(each["serial"]), slot=slot
                )
            )
        yield tuple(drives)
