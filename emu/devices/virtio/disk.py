"""Disk images: a raw file that is written, only read, or covered by what the guest wrote (`snapshot`)."""

import fcntl
import os
import weakref
from stat import S_ISREG

from emu.counted import counted
from emu.errors import ConfigError, ImageError
from emu.hints import FilePath, Protocol, Self, cast

SECTOR = 512
"""Bytes."""

_CLUSTER = 4096
_FOREIGN = {
    b"QFI\xfb": ("a qcow2 image", "qemu-img convert -O raw FILE NEW"),
    b"KDMV": ("a VMDK image", "qemu-img convert -O raw FILE NEW"),
    b"conectix": ("a VHD image", "qemu-img convert -O raw FILE NEW"),
    b"vhdxfile": ("a VHDX image", "qemu-img convert -O raw FILE NEW"),
    b"\x1f\x8b": ("compressed with gzip", "gunzip FILE"),
    b"\xfd7zXZ": ("compressed with xz", "unxz FILE"),
}


class Disk(Protocol):
    """What a block device reads and writes; offsets and lengths are in bytes and lie inside the capacity.

    `read`, `write` and `flush` may raise OSError: the host's disk is full or gone.
    """

    capacity: int
    """Sectors."""
    read_only: bool

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the disk."""

    def write(self, offset: int, data: bytes) -> None:
        """Store; a later read sees it, and a crash keeps the order of writes."""

    def flush(self) -> None:
        """Return when everything written is on stable storage."""

    def save(self) -> object:
        """The content that differs from the file; raises ConfigError when the file itself is written."""

    def restore(self, state: object) -> None:
        """Return to a saved content."""

    def close(self) -> None:
        """Release what the host lent."""


def open_disk(path: FilePath, *, read_only: bool = False, snapshot: bool = False) -> "RawDisk | SnapshotDisk":
    """Open a raw image file and lock it: for others too to read, or for this machine alone to write.

    With `snapshot` the file is never written; what the guest writes is kept in memory. Raises ImageError when the
    file is missing, too short, of another format, not writable, or in use by another machine.
    """
    writable = not (read_only or snapshot)
    descriptor = _open(path, writable=writable)
    try:
        size = _check_content(path, descriptor)
        _lock(path, descriptor, exclusive=writable)
    except BaseException:
        os.close(descriptor)
        raise
    disk = RawDisk(path, descriptor, size, read_only=not writable)
    return SnapshotDisk(disk, read_only=read_only) if snapshot else disk


def _open(path: FilePath, *, writable: bool) -> int:
    if os.path.isdir(path):  # noqa: PTH112
        raise ImageError(f"disk {path} is a directory; give an image file")
    # O_NONBLOCK: opening a FIFO would wait for its other end; on files it means nothing.
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise ImageError(f"disk {path} does not exist; create it, for example: truncate -s 64M {path}") from None
    except PermissionError:
        advice = "attach it with readonly=on or snapshot=on" if writable else "correct its permissions"
        what = "is not writable" if writable else "cannot be read"
        raise ImageError(f"disk {path} {what}; {advice}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"disk {path} cannot be opened: {reason}") from None
    return descriptor


def _check_content(path: FilePath, descriptor: int) -> int:
    status = os.fstat(descriptor)
    if not S_ISREG(status.st_mode):
        raise ImageError(f"disk {path} is not a regular file; copy its content into one")
    if status.st_size < SECTOR:
        raise ImageError(
            f"disk {path} is too short: {counted(status.st_size, 'byte')}, and a sector has {SECTOR}; "
            f"make it larger, for example: truncate -s 64M {path}"
        )
    start = os.pread(descriptor, 8, 0)
    for magic, (what, command) in _FOREIGN.items():
        if start.startswith(magic):
            raise ImageError(f"disk {path} is {what}, not a raw image; convert it: {command}")
    return status.st_size


def _lock(path: FilePath, descriptor: int, *, exclusive: bool) -> None:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ImageError(
            f"disk {path} is in use by another machine; stop that one, or attach copies"
            + (" (or snapshot=on in both)" if exclusive else "")
        ) from None
    except OSError as error:
        raise ImageError(f"disk {path} cannot be locked: {error.strerror}; copy it to a local file system") from None


_WRITTEN: "weakref.WeakSet[RawDisk]" = weakref.WeakSet()
"""The disks of this process whose files are written."""


def _leave_to_parent() -> None:
    """In a child after a fork: files that the parent writes stay the parent's, and so do their locks."""
    for disk in list(_WRITTEN):
        disk.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


class RawDisk:
    """A file, sector by sector as it is; a last sector that the file does not fill reads as zeros there.

    A file that is written belongs to the process that opened it: in a child after a fork, access raises ConfigError.
    """

    _close = staticmethod(os.close)  # when an object goes at the interpreter's end, the module's `os` may be gone

    def __init__(self, path: FilePath, descriptor: int, size: int, *, read_only: bool) -> None:
        self.path = path
        self.capacity = -(-size // SECTOR)
        self.read_only = read_only
        self._descriptor = descriptor
        self._owner: int | None = None
        """The process that the file was left to."""
        if not read_only:
            _WRITTEN.add(self)

    def leave_to_parent(self) -> None:
        """Give up the file, which the parent process goes on to write."""
        if self._descriptor >= 0:
            self.close()
            self._owner = os.getppid()

    def _check_owner(self) -> None:
        if self._owner is not None:
            raise ConfigError(
                f"disk {self.path} is written by process {self._owner}, which this one was forked from; "
                "attach it with snapshot=on, or make a machine with a disk of its own in each process"
            )

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file."""
        self._check_owner()
        data = os.pread(self._descriptor, length, offset)
        return data if len(data) == length else data.ljust(length, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        """Write at once: there is no cache here in which the order could be lost."""
        self._check_owner()
        done = os.pwrite(self._descriptor, data, offset)
        while done < len(data):
            done += os.pwrite(self._descriptor, data[done:], offset + done)

    def flush(self) -> None:
        """Return when the host's disk has it."""
        self._check_owner()
        os.fsync(self._descriptor)

    def save(self) -> object:
        """Nothing to save while the file cannot change."""
        if not self.read_only:
            raise ConfigError(
                f"a machine that writes to disk {self.path} cannot be saved, because the file would not return "
                "with it; attach the disk with snapshot=on"
            )
        return None

    def restore(self, state: object) -> None:
        """Nothing to restore, as nothing was saved."""

    def close(self) -> None:
        """Release the file and its lock."""
        if self._descriptor >= 0:
            self._close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class SnapshotDisk:
    """A disk whose file is only read: what is written stays in memory, in clusters of 4 KiB."""

    def __init__(self, below: RawDisk, *, read_only: bool = False) -> None:
        self.capacity = below.capacity
        self.read_only = read_only
        self._below = below
        self._clusters: dict[int, bytes] = {}

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file, or what was written over them."""
        first, last = offset // _CLUSTER, (offset + length - 1) // _CLUSTER
        if not any(number in self._clusters for number in range(first, last + 1)):
            return self._below.read(offset, length)
        data = b"".join(self._cluster(number) for number in range(first, last + 1))
        start = offset - first * _CLUSTER
        return data[start : start + length]

    def write(self, offset: int, data: bytes) -> None:
        """Keep bytes over the file's."""
        at = 0
        while at < len(data):
            number, start = divmod(offset + at, _CLUSTER)
            part = data[at : at + _CLUSTER - start]
            # New bytes instead of a change in place: saved states share the clusters.
            old = self._cluster(number)
            self._clusters[number] = old[:start] + part + old[start + len(part) :]
            at += len(part)

    def flush(self) -> None:
        """Memory needs none."""

    def save(self) -> object:
        """The clusters that were written."""
        return dict(self._clusters)

    def restore(self, state: object) -> None:
        """Return to saved clusters."""
        self._clusters = dict(cast("dict[int, bytes]", state))

    def close(self) -> None:
        """Release the file and its lock, and forget what was written."""
        self._clusters.clear()
        self._below.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cluster(self, number: int) -> bytes:
        kept = self._clusters.get(number)
        return kept if kept is not None else self._below.read(number * _CLUSTER, _CLUSTER)
