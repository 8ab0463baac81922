"""The words of QEMU's command line for disks, virtio devices and semihosting, read into what the machine takes."""

from collections.abc import Iterable, Iterator, Mapping

from emu.cli.words.reading import written
from emu.cli.words.requests import RunWords
from emu.counted import number_in
from emu.devices.virtio.mmio import SLOTS
from emu.errors import ConfigError
from emu.firmware.image import Image, read_file
from emu.hints import FilePath
from emu.lateclass import dataclass, replace
from emu.machine import Drive, Semihosting
from emu.spelling import did_you_mean

_SWITCH = {"on": True, "off": False}
_BUS = r"virtio-mmio-bus\.([0-7])$"
_DRIVE_WORDS = ("file", "format", "if", "id", "readonly", "snapshot", "media")
_DEVICES: dict[str, tuple[str, ...]] = {
    "virtio-blk-device": ("drive", "bus", "serial", "id"),
    "virtio-rng-device": ("bus", "id"),
    "virtio-serial-device": ("bus", "id"),
    "virtconsole": ("chardev", "bus", "id"),
    "loader": ("file", "addr", "force-raw", "cpu-num"),
}
_LARGEST_SHIFT = 10
_UNITS = {"": 1 << 20, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_FORCE_LEGACY = "virtio-mmio.force-legacy"


@dataclass(frozen=True, slots=True)
class VirtioWords:
    """What `-drive`, `-device`, `-global` and `-snapshot` ask for together."""

    drives: tuple[Drive, ...]
    entropy: int | None
    """The slot of an entropy device; None: there is none."""
    console: int | None
    """The slot of a console; None: there is none."""
    version: int
    files: tuple[Image, ...]
    """What `-device loader` puts into memory."""


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
        words = _words(f"-drive {written(text)}", text, _DRIVE_WORDS)
        drive = _drive(text, words, snapshot=snapshot)
        if words.get("if", "virtio") == "none":
            detached[words.get("id", f"#{number}")] = drive
        else:
            attached.append(drive)
    files: list[Image] = []
    slots = _Slots()
    entropy: int | None = None
    console: int | None = None
    with_console = False
    for text in devices:
        kind, _, rest = text.partition(",")
        if kind not in _DEVICES:
            raise ConfigError(f"-device {written(kind)}: {did_you_mean(kind, _DEVICES)}there are {', '.join(_DEVICES)}")
        words = _words(f"-device {text}", rest, _DEVICES[kind])
        option = f"-device {text}"
        if kind == "virtio-rng-device":
            entropy = slots.take(option, words)
        if kind == "virtio-serial-device" or (kind == "virtconsole" and console is None):
            console = slots.take(option, words)
        with_console |= kind == "virtconsole"
        if kind == "loader":
            files.append(_loaded(option, words))
        if kind == "virtio-blk-device":
            attached.append(replace(_attached(option, words, detached), slot=slots.take(option, words)))
    for name in detached:
        raise ConfigError(
            f"-drive id={name} with if=none is attached to nothing; add -device virtio-blk-device,drive={name}, "
            "or leave if=none out"
        )
    return VirtioWords(tuple(attached), entropy, console if with_console else None, _version(settings), tuple(files))


class _Slots:
    """The slots that `-device` fills: without `bus=` the last that is free, as on QEMU."""

    def __init__(self) -> None:
        self._free = set(range(SLOTS))

    def take(self, option: str, words: Mapping[str, str]) -> int:
        """The slot of a device."""
        slot = max(self._free, default=None)
        if "bus" in words:
            import re  # each start pays for what it needs only

            bus = re.match(_BUS, words["bus"])
            if bus is None:
                raise ConfigError(f"{option}: the buses are virtio-mmio-bus.0 to virtio-mmio-bus.7")
            slot = int(bus[1])
        if slot not in self._free:
            raise ConfigError(f"{option}: no slot is free" if slot is None else f"{option}: this slot is taken")
        self._free.remove(slot)
        return slot


def check_unchanging(words: RunWords) -> None:
    """Check QEMU's options that change nothing here. Raises ConfigError for those that would change something."""
    for option, value, known, otherwise in (
        ("-serial", words.serial, ("stdio", "mon:stdio"), "the guest's console is this terminal"),
        ("-monitor", words.monitor, ("none", "stdio"), "the monitor is behind Ctrl-A C"),
        ("-display", words.display, ("none",), "there is no display"),
        ("-cpu", words.cpu, ("rv64", "max"), "the hart is RV64GC with M, S and U mode"),
        ("-accel", words.accelerator.partition(",")[0], ("tcg",), "code is translated"),
        *(("-nic", nic, ("none",), "there is no network device") for nic in words.nic),
        ("-vga", words.vga, ("none",), "there is no display"),
        ("-parallel", words.parallel, ("none",), "there is no such port"),
    ):
        if value not in known:
            raise ConfigError(f"{option} {written(value)}: {otherwise}; write {option} {known[0]}, or leave it out")

    if words.icount:
        _check_icount(words.icount)


def _check_icount(text: str) -> None:
    """Check `-icount`, whose values are QEMU's: the guest cannot tell how much time they give an instruction."""
    option = f"-icount {text}"
    first, comma, rest = text.partition(",")
    words = _words(option, text if "=" in first else f"shift={first}{comma}{rest}", ("shift", "align", "sleep"))
    shift = words.get("shift", "auto")
    if shift != "auto" and shift not in map(str, range(_LARGEST_SHIFT + 1)):
        raise ConfigError(f"{option}: shift is auto or 0 to {_LARGEST_SHIFT}, not '{shift}'")
    for name in ("align", "sleep"):
        _switch(option, words, name)


LOGS = ("int", "in_asm", "exec", "nochain", "guest_errors")
"""What `-d` can log here. Blocks are always told one by one, as QEMU does with `nochain`."""


def read_log(text: str) -> frozenset[str]:
    """The words of `-d`. Raises ConfigError for what is not logged here.

    >>> sorted(read_log("int,guest_errors"))
    ['guest_errors', 'int']
    """
    words = [word for word in text.split(",") if word]
    for word in words:
        if word not in LOGS:
            raise ConfigError(f"-d {word}: there are {', '.join(LOGS)}; to see more, write --trace KINDS")
    return frozenset(words)


def parse_size(text: str, *, unit: int = _UNITS[""]) -> int:
    """Bytes of a memory size as QEMU's `-m` takes it: a number with K, M or G, perhaps behind `size=`.

    `unit` is what a bare number counts: MiB.

    >>> parse_size("128"), parse_size("size=1G"), parse_size("1.5k")
    (134217728, 1073741824, 1536)
    """
    import re  # as above

    match = re.fullmatch(r"(?:size=)?([0-9]{1,18}(?:\.[0-9]{1,18})?)([kmg]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise ConfigError(f"'{text}' is not a memory size; write for example 128M or 1G")
    whole, _, part = match[1].partition(".")
    unit = _UNITS[match[2]] if match[2] else unit
    return int(whole) * unit + (int(part) * unit // 10 ** len(part) if part else 0)


def read_machine(text: str) -> str:
    """Read `-machine`: the file of its `dumpdtb`, or nothing. Raises ConfigError for another machine or property.

    >>> read_machine("virt,dumpdtb=virt.dtb")
    'virt.dtb'
    """
    option = f"-machine {written(text)}"
    kind, _, rest = text.removeprefix("type=").partition(",")
    if kind != "virt":
        raise ConfigError(f"{option}: there is only virt")
    return _words(option, rest, ("dumpdtb",)).get("dumpdtb", "")


def check_harts(text: str, *, most: int = 1) -> int:
    """Read `-smp`: the number of harts. Raises ConfigError for more than `most`.

    >>> check_harts("1"), check_harts("cpus=1,maxcpus=1"), check_harts("4,sockets=1", most=8)
    (1, 1, 4)
    """
    first, comma, rest = text.partition(",")
    words = text if "=" in first else f"cpus={first}{comma}{rest}"
    harts = 1
    for name, number in _pairs(f"-smp {text}", words, ("cpus", "sockets", "cores", "threads", "maxcpus")):
        if not 1 <= (number_in(number) or 0) <= most:
            few = "one hart; write -smp 1, or leave it out" if most == 1 else f"up to {most} harts"
            raise ConfigError(f"-smp {written(text)}: this machine has {few}")
        harts = int(number) if name == "cpus" else harts
    return harts


def read_semihosting(settings: Iterable[str], *, wanted: bool, files: FilePath | None) -> Semihosting | None:
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
    option = f"-drive {written(text)}"
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


def _attached(option: str, words: Mapping[str, str], detached: dict[str, Drive]) -> Drive:
    name = words.get("drive", "")
    if name not in detached:
        raise ConfigError(f"{option}: there is no free -drive with if=none,id={name or 'NAME'}")
    return replace(detached.pop(name), serial=words.get("serial", ""))


def _loaded(option: str, words: Mapping[str, str]) -> Image:
    """A file for memory: an ELF at its own addresses, anything else where `addr` says."""
    if not words.get("file"):
        raise ConfigError(f"{option}: which file? Write -device loader,file=FILE,addr=ADDRESS")
    if words.get("cpu-num", "0") != "0":
        raise ConfigError(f"{option}: there is cpu-num=0 only")
    data = read_file(words["file"], "file")
    if data.startswith(b"\x7fELF") and not _switch(option, words, "force-raw"):
        return Image.open(words["file"])
    try:
        address = int(words.get("addr", ""), 0)
    except ValueError:
        raise ConfigError(f"{option}: where? Write addr=0x80200000, for example") from None
    return Image.raw(data, words["file"], address)


def _version(settings: Iterable[str]) -> int:
    version = 1
    for text in settings:
        name, _, value = text.partition("=")
        if name != _FORCE_LEGACY or value not in ("true", "false", "on", "off"):
            raise ConfigError(f"-global {written(text)}: there is only {_FORCE_LEGACY}=true or false")
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
            raise ConfigError(f"{option}: '{name}' is not known here: {did_you_mean(name, known)}{there}")
        yield name, value


def _switch(option: str, words: Mapping[str, str], name: str) -> bool:
    value = words.get(name, "off")
    if value not in _SWITCH:
        raise ConfigError(f"{option}: {name} is on or off, not '{value}'")
    return _SWITCH[value]
