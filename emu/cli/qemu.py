"""The words of QEMU's command line for disks, virtio devices and semihosting, read into what the machine takes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from emu.errors import ConfigError
from emu.machine import Drive, Semihosting

_SWITCH = {"on": True, "off": False}
_BUS = re.compile(r"virtio-mmio-bus\.([0-7])$")
_DRIVE_WORDS = ("file", "format", "if", "id", "readonly", "snapshot", "media")
_DEVICES: dict[str, tuple[str, ...]] = {
    "virtio-blk-device": ("drive", "bus", "serial", "id"),
    "virtio-rng-device": ("bus", "id"),
    "virtio-serial-device": ("bus", "id"),
    "virtconsole": ("chardev", "id"),
}
_FORCE_LEGACY = "virtio-mmio.force-legacy"


@dataclass(frozen=True, slots=True)
class VirtioWords:
    """What `-drive`, `-device`, `-global` and `-snapshot` ask for together."""

    drives: tuple[Drive, ...]
    entropy: bool
    console: bool
    version: int


def read_virtio(
    drives: Iterable[str], devices: Iterable[str], settings: Iterable[str], *, snapshot: bool
) -> VirtioWords:
    """Read the options' texts. Raises ConfigError for a word that is not known, with those that are.

    >>> words = read_virtio(["file=a.img,format=raw,if=none,id=x"], ["virtio-blk-device,drive=x"], [], snapshot=True)
    >>> words.drives[0].path, words.drives[0].snapshot
    ('a.img', True)
    """
    attached: list[Drive] = []
    detached: dict[str, Drive] = {}
    for number, text in enumerate(drives):
        words = _words(f"-drive {text}", text, _DRIVE_WORDS)
        drive = _drive(text, words, snapshot=snapshot)
        if words.get("if", "virtio") == "none":
            detached[words.get("id", f"#{number}")] = drive
        else:
            attached.append(drive)
    entropy = console = False
    for text in devices:
        kind, _, rest = text.partition(",")
        if kind == "loader":
            raise ConfigError(f"-device {text}: the kernel is given by -kernel FILE, also a raw one")
        if kind not in _DEVICES:
            raise ConfigError(f"-device {kind}: {_near(kind, _DEVICES)}there are {', '.join(_DEVICES)}")
        words = _words(f"-device {text}", rest, _DEVICES[kind])
        entropy |= kind == "virtio-rng-device"
        console |= kind == "virtconsole"
        if kind == "virtio-blk-device":
            attached.append(_attached(text, words, detached))
    for name in detached:
        raise ConfigError(
            f"-drive id={name} with if=none is attached to nothing; add -device virtio-blk-device,drive={name}, "
            "or leave if=none out"
        )
    return VirtioWords(tuple(attached), entropy, console, _version(settings))


def read_machine(text: str) -> str:
    """Read `-machine`: the file of its `dumpdtb`, or nothing. Raises ConfigError for another machine or property.

    >>> read_machine("virt,dumpdtb=virt.dtb")
    'virt.dtb'
    """
    option = f"-machine {text}"
    kind, _, rest = text.removeprefix("type=").partition(",")
    if kind != "virt":
        raise ConfigError(f"{option}: there is only virt")
    return _words(option, rest, ("dumpdtb",)).get("dumpdtb", "")


def check_harts(text: str) -> None:
    """Read `-smp`, in which every number must be 1. Raises ConfigError.

    >>> check_harts("1"), check_harts("cpus=1,maxcpus=1")
    (None, None)
    """
    first, comma, rest = text.partition(",")
    words = text if "=" in first else f"cpus={first}{comma}{rest}"
    for _, number in _pairs(f"-smp {text}", words, ("cpus", "sockets", "cores", "threads", "maxcpus")):
        if number != "1":
            raise ConfigError(f"-smp {text}: this machine has one hart; write -smp 1, or leave it out")


def read_semihosting(settings: Iterable[str], *, wanted: bool, files: Path | None) -> Semihosting | None:
    """Read `-semihosting`, the texts of `-semihosting-config` and the folder; None: the guest asks the host nothing.

    >>> read_semihosting(["enable=on,arg=prog,arg=-v"], wanted=False, files=None).arguments
    ('prog', '-v')
    """
    arguments: list[str] = []
    user_mode, wanted = False, wanted or files is not None
    for text in settings:
        option = f"-semihosting-config {text}"
        wanted = True
        for name, value in _pairs(option, text, ("enable", "target", "userspace", "arg")):
            if name == "arg":
                arguments.append(value)
            elif name == "enable":
                wanted = _switch(option, {name: value}, name)
            elif name == "userspace":
                user_mode = _switch(option, {name: value}, name)
            elif value not in ("native", "auto"):
                raise ConfigError(f"{option}: there is only target=native")
    if not wanted:
        return None
    return Semihosting(arguments=tuple(arguments), directory=files, user_mode=user_mode)


def _drive(text: str, words: Mapping[str, str], *, snapshot: bool) -> Drive:
    option = f"-drive {text}"
    if not words.get("file"):
        raise ConfigError(f"{option}: which file? Write -drive file=FILE,format=raw")
    if words.get("format", "raw") != "raw":
        raise ConfigError(f"{option}: there is only format=raw; convert the image: qemu-img convert -O raw FILE NEW")
    if words.get("media", "disk") != "disk":
        raise ConfigError(f"{option}: there is only media=disk; for a disk that is not written, readonly=on")
    if words.get("if", "virtio") not in ("virtio", "none"):
        raise ConfigError(f"{option}: there are if=virtio and if=none")
    return Drive(
        path=words["file"],
        read_only=_switch(option, words, "readonly"),
        snapshot=snapshot or _switch(option, words, "snapshot"),
    )


def _attached(text: str, words: Mapping[str, str], detached: dict[str, Drive]) -> Drive:
    name = words.get("drive", "")
    if name not in detached:
        raise ConfigError(f"-device {text}: there is no free -drive with if=none,id={name or 'NAME'}")
    slot = None
    if "bus" in words:
        bus = _BUS.match(words["bus"])
        if bus is None:
            raise ConfigError(f"-device {text}: the buses are virtio-mmio-bus.0 to virtio-mmio-bus.7")
        slot = int(bus[1])
    return replace(detached.pop(name), slot=slot, serial=words.get("serial", ""))


def _version(settings: Iterable[str]) -> int:
    version = 1
    for text in settings:
        name, _, value = text.partition("=")
        if name != _FORCE_LEGACY or value not in ("true", "false", "on", "off"):
            raise ConfigError(f"-global {text}: there is only {_FORCE_LEGACY}=true or false")
        version = 1 if value in ("true", "on") else 2
    return version


def _words(option: str, text: str, known: tuple[str, ...]) -> dict[str, str]:
    """`name=value` pairs; of two with the same name the last counts."""
    return dict(_pairs(option, text, known))


def _pairs(option: str, text: str, known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """`name=value` pairs between commas; two commas stand for one that belongs to a value."""
    for part in text.replace(",,", "\0").split(",") if text else ():
        name, is_pair, value = part.replace("\0", ",").partition("=")
        if name in known and not is_pair:
            raise ConfigError(f"{option}: '{name}' has no value: write {name}=...")
        if name not in known:
            there = "there are " + ", ".join(known) if len(known) > 1 else f"there is only {known[0]}"
            raise ConfigError(f"{option}: '{name}' is not known here: {_near(name, known)}{there}")
        yield name, value


def _switch(option: str, words: Mapping[str, str], name: str) -> bool:
    value = words.get(name, "off")
    if value not in _SWITCH:
        raise ConfigError(f"{option}: {name} is on or off, not '{value}'")
    return _SWITCH[value]


def _near(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, known, 1)
    return f"did you mean '{near[0]}'? " if near else ""
