"""The file of a snapshot: all that another process, or another computer, needs to go on from there.

It is a container as recordings are (see `emu.record.container`), with these sections:

    machine   one JSON object: versions, the configuration, the disks' digests, names of files, the state as plain data
    blobs     the bytes that the state refers to
    runs      the pages of RAM that are not zero: first page and number of pages, words of 64 bits
    pages     those pages
    file.N    the files that name addresses
    piece.N   what was loaded, for a reset
"""

import json
import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from emu.address import PAGE_SIZE, PhysAddr, VirtAddr
from emu.engine import library
from emu.engine.window import of_the_guest
from emu.errors import ConfigError, RecordingError
from emu.firmware.image import Image, ImageKind, Segment
from emu.firmware.names import SymbolFile
from emu.hints import Any
from emu.installed import installed_version
from emu.isa.privilege import Privilege
from emu.lateclass import field_names
from emu.machine import Machine, Snapshot
from emu.machine.boot import BootPlan
from emu.machine.config import Drive, MachineConfig, Semihosting
from emu.machine.htif import Htif
from emu.machine.snapshots import take
from emu.mmu import AdUpdate
from emu.record.container import Reader, Writer
from emu.record.plaindata import plain_data
from emu.record.structure import flattened, rebuilt, shape
from emu.wholefile import whole

FORMAT = 1
_MADE = "snapshot: those are made by snapshot.save(FILE) and `ekernel run --save FILE`"
_MACHINE, _BLOBS, _RUNS, _PAGES = "machine", "blobs", "runs", "pages"
_RUN = struct.Struct("<QQ")
_LARGEST_STATE = 1 << 30
_LEVEL = 3
"""Of Zstandard: a file is read more often than it is written, and is unpacked in less time than one of level 1."""
_PAGES_IN_CHUNK = 64
"""What is unpacked at once stays in the host's caches."""
_ANYWHERE = frozenset({"firmware", "bootargs", "device_tree", "console_kept", "reboot", "probes", "drives"})
"""What may differ between the machine that was saved and the one that goes on."""


def save(snapshot: Snapshot, path: str | Path) -> None:
    """Write a snapshot to a file, all or nothing; links are followed, and a device or a pipe is written to.

    See `Snapshot.save`.
    """
    platform, ready = snapshot.platform, snapshot.plan
    if snapshot.semihosting is not None and snapshot.semihosting[0]:
        raise ConfigError("a guest that holds files of the host by semihosting cannot be saved to a file")
    blobs = bytearray()
    state = flattened(_state(snapshot), blobs)
    files = list(platform.names.files)
    about = {
        "format": FORMAT, "program": installed_version(), "unicorn": library.VERSION, "shape": shape(_state(snapshot)),
        "config": _configuration(platform.config), "disks": [_digest(drive) for drive in platform.config.drives],
        "instret": snapshot.instret, "traps": snapshot.traps, "state": state, "files": [name for name, _ in files],
        "plan": None if ready is None else _plan(ready),
    }  # fmt: skip
    try:
        with whole(path) as place, Writer(place, level=_LEVEL) as writer:
            _sections(writer, snapshot, about, blobs, files, ready)
    except BrokenPipeError:  # whoever read it has gone
        raise
    except OSError as error:
        raise ConfigError(f"cannot save to {path}: {error.strerror}; name another file") from None
    except RecordingError as error:
        reason = error.__context__
        text = getattr(reason, "strerror", None) or str(reason or error)
        raise ConfigError(f"cannot save to {path}: {text}; name another file") from None


def _sections(
    writer: Writer, snapshot: Snapshot, about: dict[str, Any], blobs: bytearray, files: list[tuple[str, bytes]],
    ready: BootPlan | None,
) -> None:  # fmt: skip
    writer.add(_MACHINE, json.dumps(about).encode())
    writer.add(_BLOBS, bytes(blobs))
    runs = list(snapshot.platform.ram_history.runs(snapshot.ram))
    writer.add(_RUNS, b"".join(_RUN.pack(first, len(data) // PAGE_SIZE) for first, data in runs))
    waiting, most = bytearray(), _PAGES_IN_CHUNK * PAGE_SIZE
    for _, data in runs:
        waiting += data
        while len(waiting) >= most:
            writer.add(_PAGES, waiting[:most])
            del waiting[:most]
    writer.add(_PAGES, waiting)
    for number, (_, data) in enumerate(files):
        writer.add(f"file.{number}", data)
    for number, (_, data) in enumerate(ready.pieces if ready else ()):
        writer.add(f"piece.{number}", data)


def open_machine(path: str | Path) -> Machine:
    """A machine in the state that was saved. See `Machine.open`."""
    with Reader(path, _MADE) as reader:
        about = _about(reader)
        machine = Machine(_read_configuration(reader, about))
        try:
            _adopt(reader, about, machine)
            machine.restore(_load(reader, about, machine))
        except BaseException:
            machine.close()
            raise
        return machine


def load(path: str | Path, machine: Machine) -> Snapshot:
    """A saved snapshot, for a machine of the same configuration. See `Snapshot.load`."""
    with Reader(path, _MADE) as reader:
        return _load(reader, _about(reader), machine)


def _state(snapshot: Snapshot) -> tuple[object, ...]:
    htif = next((state for follower, state in snapshot.followers if isinstance(follower, Htif)), None)
    return (
        snapshot.hart, snapshot.devices, snapshot.clock, snapshot.timer, snapshot.console, snapshot.keyboard,
        snapshot.is_asleep, htif, 0 if snapshot.semihosting is None else snapshot.semihosting[1],
    )  # fmt: skip


def _about(reader: Reader) -> dict[str, Any]:
    """The section `machine`, when this program can read the file."""
    if reader.missing is not None:
        raise RecordingError(f"{reader.path} is not whole: {reader.missing}; save the snapshot again")
    try:
        about: dict[str, Any] = plain_data(reader.whole(_MACHINE))
        made = f"it was made by ekernel {about['program']} with unicorn {about['unicorn']}"
        if about["format"] != FORMAT or about["unicorn"] != library.VERSION:
            raise RecordingError(
                f"{reader.path} does not fit this ekernel ({installed_version()} with unicorn {library.VERSION}): "
                f"{made}; boot again, and save a new snapshot"
            )
    except (ValueError, KeyError, TypeError):
        raise RecordingError(f"{reader.path} is no {_MADE}") from None
    return about


def _load(reader: Reader, about: dict[str, Any], machine: Machine) -> Snapshot:
    platform = machine.platform
    _check_fit(reader, about, platform.config)
    now = take(platform, machine.followers, None)
    like = _state(now)
    if about["shape"] != shape(like):
        raise RecordingError(
            f"{reader.path}: its state was saved by another version of ekernel; boot again, and save a new one"
        )
    try:
        blobs = reader.whole(_BLOBS, most=_LARGEST_STATE)
        hart, devices, clock, timer, console, keyboard, asleep, htif, errno = rebuilt(about["state"], like, blobs)
        hart = _checked(hart, now.hart, platform.config)
        ram = platform.ram_history.add(_pages(reader, platform.config.ram_size // PAGE_SIZE))
        semihosting = None if now.semihosting is None else ((), errno)
        return Snapshot(
            platform=platform, instret=int(about["instret"]),
            traps=int(about["traps"]), ram=ram, hart=hart, devices=devices, clock=clock,
            timer=timer, console=console, keyboard=keyboard, semihosting=semihosting, is_asleep=asleep,
            followers=tuple((each, htif) for each in machine.followers if isinstance(each, Htif)), plan=now.plan,
        )  # fmt: skip
    except RecordingError as error:
        raise RecordingError(f"{reader.path}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise RecordingError(f"{reader.path} is damaged: {error}") from None


def _checked(hart: Any, now: Any, config: MachineConfig) -> Any:
    """The state of the hart without what belongs to a process of the host. Raises ValueError for an impossible one."""
    octets, csrs, *rest = hart
    if len(csrs[0]) != len(now[1][0]):
        raise ValueError("the CSRs have another size")
    if not all(0 <= each < 1 << 63 for each in rest if isinstance(each, int)):
        raise ValueError("a count of instructions is impossible")
    return (of_the_guest(octets, now[0], config.paging_modes), csrs, *rest)


def _pages(reader: Reader, count: int) -> Iterator[tuple[int, memoryview]]:
    """Runs of pages: the first page and the bytes."""
    chunks, rest = reader.chunks(_PAGES), memoryview(b"")
    at = 0
    for first, number in _RUN.iter_unpack(reader.whole(_RUNS)):
        if not at <= first <= first + number <= count:
            raise RecordingError("a page lies outside of RAM: the file is damaged")
        at, left = first, number * PAGE_SIZE
        while left:
            if not rest:
                rest = memoryview(next(chunks, b""))
                if not rest or len(rest) % PAGE_SIZE:
                    raise RecordingError("pages are missing: the file is damaged")
            part, rest = rest[:left], rest[left:]
            yield at, part
            at, left = at + len(part) // PAGE_SIZE, left - len(part)


# The configuration.


def _configuration(config: MachineConfig) -> dict[str, Any]:
    plain: dict[str, Any] = _jsonable(config)
    return plain


def _jsonable(value: object) -> Any:
    """A configuration as JSON has it."""
    names = field_names(value)
    if names is not None:
        return {name: _jsonable(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [_jsonable(each) for each in value]
    if isinstance(value, Enum):
        return _jsonable(value.value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _read_configuration(reader: Reader, about: dict[str, Any]) -> MachineConfig:
    try:
        plain = dict(about["config"])
        drives = tuple(Drive(**each) for each in plain.pop("drives"))
        semihosting, update = plain.pop("semihosting"), AdUpdate(plain.pop("ad_update"))
        asked = None if semihosting is None else Semihosting(
            **semihosting | {"arguments": tuple(semihosting["arguments"])}
        )  # fmt: skip
        plain["probes"] = None
        return MachineConfig(**plain, drives=drives, semihosting=asked, ad_update=update)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{reader.path} is damaged: {error}") from None


def _check_fit(reader: Reader, about: dict[str, Any], config: MachineConfig) -> None:
    saved, here = about["config"], _configuration(config)
    for name in here.keys() - _ANYWHERE:
        if saved.get(name) != here[name]:
            raise ConfigError(
                f"{reader.path} does not fit this machine: {name} is {saved.get(name)!r} there, and {here[name]!r} "
                "here; Machine.open(FILE) makes a machine that fits"
            )
    disks = about["disks"]
    if len(disks) != len(config.drives):
        raise ConfigError(
            f"{reader.path} does not fit this machine: it has {len(disks)} disks, and this one {len(config.drives)}"
        )
    for drive, digest in zip(config.drives, disks, strict=True):
        if _digest(drive) != digest:
            raise ConfigError(f"disk {drive.path} is not as it was when {reader.path} was saved: give that file again")


def _digest(drive: Drive) -> str:
    import hashlib  # 5 ms, for machines with disks

    with Path(drive.path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# What was loaded, and names.


def _plan(ready: BootPlan) -> dict[str, Any]:
    image = ready.image
    return {
        "pieces": [address for address, _ in ready.pieces], "zeroed": ready.zeroed, "entry": int(ready.entry),
        "mode": int(ready.mode), "tree": [number for number, each in enumerate(ready.pieces) if each[1] == ready.tree],
        "tree_address": ready.tree_address, "information": ready.information, "free": ready.free,
        "command_line": ready.command_line, "image": image.name, "kind": image.kind.name,
        "image_entry": [int(image.entry), int(image.entry_physical)],
        "segments": [[int(each.physical), int(each.virtual), each.memory_size, each.flags] for each in image.segments],
    }  # fmt: skip


class _Pieces:
    """What was loaded, unpacked when a reset loads it again: most machines that go on never see one."""

    def __init__(self, reader: Reader, addresses: list[int]) -> None:
        self._pieces = [
            (int(address), reader.packed(f"piece.{n}", most=1 << 30)) for n, address in enumerate(addresses)
        ]

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return ((address, self.data(number)) for number, (address, _) in enumerate(self._pieces))

    def data(self, number: int) -> bytes:
        """The bytes of one. Raises IndexError, RecordingError."""
        return b"".join(chunk.unpacked() for chunk in self._pieces[number][1])


def _adopt(reader: Reader, about: dict[str, Any], machine: Machine) -> None:
    """Know the names and what was loaded, as the machine did that was saved."""
    try:
        files = [(name, reader.whole(f"file.{n}", most=1 << 30)) for n, name in enumerate(about["files"])]
        saved = about["plan"]
        image: Image | None = None
        if saved is not None:
            kind = ImageKind[saved["kind"]]
            if kind is ImageKind.ELF and files:
                image = Image.from_bytes(files[0][1], saved["image"])
            else:
                segments = [Segment(PhysAddr(p), VirtAddr(v), b"", size, f) for p, v, size, f in saved["segments"]]
                entry, physical = saved["image_entry"]
                image = Image(saved["image"], kind, segments, VirtAddr(entry), PhysAddr(physical))
            pieces = _Pieces(reader, saved["pieces"])
            tree = pieces.data(saved["tree"][0]) if saved["tree"] else b""
            machine.adopt(
                BootPlan(
                    image,
                    pieces,
                    tuple((a, b) for a, b in saved["zeroed"]),
                    PhysAddr(saved["entry"]),
                    Privilege(saved["mode"]),
                    tree,
                    saved["tree_address"],
                    saved["information"],
                    (saved["free"][0], saved["free"][1]),
                    saved["command_line"],
                )
            )
        for name, data in files[image is not None and image.kind is ImageKind.ELF :]:
            machine.platform.names.add(SymbolFile(data, name))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RecordingError(f"{reader.path} is damaged: {error}") from None
