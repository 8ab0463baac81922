"""What a machine is made of, and how a run of it ends."""

from enum import Enum

from emu.address import PAGE_SIZE
from emu.counted import counted
from emu.errors import ConfigError
from emu.hints import FilePath, Literal
from emu.isa.status import SATP_SV39, SATP_SV48, SATP_SV57
from emu.lateclass import dataclass
from emu.memory.ram import LARGEST, SMALLEST
from emu.mmu import AdUpdate

Fidelity = Literal["exact", "fast"]
BUILT_IN, NO_FIRMWARE = "sbi", "none"
"""What `firmware` can be beside the path of a file."""
INSTRUCTION_CLOCK, HOST_CLOCK = "instructions", "host"
_PAGING = {
    "sv39": frozenset({SATP_SV39}),
    "sv48": frozenset({SATP_SV39, SATP_SV48}),
    "sv57": frozenset({SATP_SV39, SATP_SV48, SATP_SV57}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A raw disk image behind a virtio slot."""

    path: FilePath
    read_only: bool = False
    """The guest cannot write."""
    snapshot: bool = False
    """What the guest writes is kept in memory; the file is never changed."""
    serial: str = ""
    """What the guest reads as the disk's identity, at most 20 bytes."""
    slot: int | None = None
    """The slot from 0 to 7; None: the first that is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Semihosting:
    """That a guest may ask the host by `ebreak` between the marks of semihosting, and for how much."""

    arguments: tuple[str, ...] = ()
    """What the guest gets as its command line; by default the kernel's name and `bootargs`."""
    directory: FilePath | None = None
    """The folder whose files the guest may open, create, change and remove; None: no files of the host."""
    user_mode: bool = False
    """Whether U mode may ask too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig:
    """The machine that is wanted. Raises ConfigError for what does not fit together.

    >>> MachineConfig(ram_size=64 << 20).fidelity
    'exact'
    >>> MachineConfig(fidelity="quick")
    Traceback (most recent call last):
    emu.errors.ConfigError: fidelity 'quick': there are exact, fast
    """

    ram_size: int = 128 << 20
    """Bytes, a multiple of a page, from 1 MiB to 8 GiB."""
    fidelity: str = "exact"
    """`exact`: the Python model decides everything privileged; `fast`: Unicorn's own CSRs and page walker."""
    clock: str = INSTRUCTION_CLOCK
    """What time passes by: `instructions` makes two runs identical; `host` is the host's clock, and `wfi` sleeps."""
    firmware: FilePath = BUILT_IN
    """`sbi`: the built-in firmware, and the image enters in S mode; `none`: the image enters in M mode; else a file
    that is entered in M mode, and told where the image is as OpenSBI's `fw_dynamic` expects it."""
    bootargs: str = ""
    """The kernel's command line, for the device tree."""
    device_tree: FilePath | None = None
    """A device tree that the guest gets instead of the generated one."""
    semihosting: Semihosting | None = None
    """Whether the guest may ask the host by `ebreak`; None: `ebreak` is a breakpoint."""
    drives: tuple[Drive, ...] = ()
    """Disks, at most 8."""
    entropy: bool = False
    """Whether there is a virtio entropy device; its bytes are the same in each run."""
    entropy_slot: int | None = None
    """Its slot; None: the first that is free."""
    virtio_console: bool = False
    """Whether there is a virtio console. What the guest sends there joins the output of the UART; once it has sent
    something, it is typed to there."""
    virtio_console_slot: int | None = None
    """Its slot; None: the first that is free."""
    virtio_version: int = 1
    """The register layout of the virtio slots: 1 is legacy and QEMU's default, 2 is modern."""
    paging: str = "sv57"
    """The largest scheme that `satp` takes: sv39, sv48 or sv57 (fidelity `exact`)."""
    ad_update: AdUpdate = AdUpdate.HARDWARE
    """Who sets A and D bits of PTEs (fidelity `exact`)."""
    console_kept: int = 16 << 20
    """How many bytes of the console's output, the last ones, the machine keeps; listeners get all of it."""
    reboot: bool = True
    """Whether a guest that asks for a reset starts again; else the run ends with StopReason.RESET."""
    probes: str | None = None
    """`native` or `python` callbacks in the engine; None: what the host can do."""

    def __post_init__(self) -> None:
        _choose("fidelity", self.fidelity, ("exact", "fast"))
        _choose("clock", self.clock, (INSTRUCTION_CLOCK, HOST_CLOCK))
        _choose("paging", self.paging, tuple(_PAGING))
        if self.probes is not None:
            _choose("probes", self.probes, ("native", "python"))
        if not isinstance(self.ram_size, int):
            raise ConfigError(f"ram_size {self.ram_size!r}: give a number of bytes, for example 128 << 20")
        if self.ram_size % PAGE_SIZE or not SMALLEST <= self.ram_size <= LARGEST:
            raise ConfigError(
                f"RAM of {counted(self.ram_size, 'byte')}: from 1M to 8G, in whole pages of {PAGE_SIZE} bytes, "
                "for example 128M"
            )
        if self.console_kept < 0:
            raise ConfigError(f"{counted(self.console_kept, 'byte')} of console output cannot be kept: give 0 or more")
        if self.virtio_version not in (1, 2):
            raise ConfigError(f"virtio version {self.virtio_version}: there are 1 (legacy) and 2 (modern)")
        if "\0" in self.bootargs:
            raise ConfigError("the kernel's command line has a zero byte; remove it")

    @property
    def has_firmware_file(self) -> bool:
        """Whether the machine starts in firmware from a file."""
        return self.firmware not in (BUILT_IN, NO_FIRMWARE)

    @property
    def paging_modes(self) -> frozenset[int]:
        """The values of `satp.MODE` that turn paging on."""
        return _PAGING[self.paging]


def _choose(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{name} {value!r}: there are {', '.join(known)}")


class StopReason(Enum):
    """Why a run ended; the value completes the sentence "the guest ..."."""

    POWERED_OFF = "powered off"
    RESET = "asked for a reset"
    INSTRUCTION_LIMIT = "reached the limit of instructions"
    TIMED_OUT = "ran out of the time that it was given"
    REACHED = "reached the address that the run was to stop at"
    INTERRUPTED = "was interrupted by the host"
    WANTS_INPUT = "waits for something to be typed"
    ASLEEP = "waits (wfi) for a deadline of the host's clock"
    IDLE_FOREVER = "waits (wfi) for an interrupt that can never come"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    >>> Outcome(StopReason.POWERED_OFF, 3, 1000).description
    'the guest powered off'
    """

    reason: StopReason
    exit_code: int
    """What the guest said when it powered off, 0 to 65535; 0 for every other reason."""
    instructions: int
    """Instructions retired since power-on."""

    @property
    def description(self) -> str:
        """The reason as a sentence."""
        return f"the guest {self.reason.value}"
