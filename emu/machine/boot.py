"""Booting: what lies in memory when the first instruction executes, and the state in which it finds the hart."""

from collections.abc import Iterable, Sequence
from itertools import combinations

from emu.address import PhysAddr
from emu.errors import ConfigError
from emu.firmware.devicetree import Chosen, Described, Hardware, generate, load_given
from emu.firmware.dynamic import DYNAMIC_INFO_SIZE, dynamic_info
from emu.firmware.image import KERNEL_OFFSET, Image, ImageKind, read_file
from emu.firmware.placement import Layout, Range
from emu.hart.core import HartCore
from emu.hart.counter_csrs import STCE
from emu.hart.words import PC
from emu.hints import FilePath
from emu.isa.csrs import Csr
from emu.isa.privilege import Privilege
from emu.isa.registers import A0, A1
from emu.lateclass import dataclass
from emu.machine.config import BUILT_IN, NO_FIRMWARE, MachineConfig
from emu.memory import PhysicalMemory, Ram
from emu.mmu.pmp import ADDRESS_MASK, NAPOT, R, W, X

A2 = 12
_DELEGATED_BY_SBI = 0xB1FF
"""All exceptions but `ecall` from S mode: what the firmware would hand back to S mode anyway."""
_ALL_OF_MEMORY, _ALL_ALLOWED = ADDRESS_MASK, NAPOT << 3 | R | W | X
"""One PMP entry that lets S and U mode do anything: without entries they could do nothing."""
_WRITTEN_BY_SBI = (
    (Csr.MEDELEG, _DELEGATED_BY_SBI), (Csr.MIDELEG, (1 << 64) - 1),
    (Csr.MCOUNTEREN, 7), (Csr.SCOUNTEREN, 7),  # as OpenSBI does: user programs read `time`
    (Csr.PMPADDR0, _ALL_OF_MEMORY), (Csr.PMPCFG0, _ALL_ALLOWED),
)  # fmt: skip
"""What S mode finds in the CSRs of M mode, beside `menvcfg.STCE`."""
_GROWTH = 4096
"""Firmware adds nodes to the device tree where it lies: so much room is left behind it."""


@dataclass(frozen=True, slots=True)
class BootPlan:
    """Everything that is loaded, and where the hart starts."""

    image: Image
    """Whose symbols and lines are the guest's: the kernel, or the firmware where there is no kernel."""
    pieces: Iterable[tuple[int, bytes]]
    """Physical addresses and bytes; each reset goes through them again."""
    zeroed: tuple[Range, ...]
    """What ELF segments have in memory beyond their bytes in the file."""
    entry: PhysAddr
    mode: Privilege
    tree: bytes
    tree_address: int
    information: int
    """What a2 is to be: where `fw_dynamic` reads what comes next; 0 without firmware of that kind."""
    free: Range
    """The largest range of RAM that nothing was loaded into."""
    command_line: str
    """The kernel's name and the words of its command line."""

    def place(self, memory: PhysicalMemory, *, again: bool) -> None:
        """Put everything where it belongs; `again` after the guest has executed, when not all is zero any more."""
        for start, end in self.zeroed if again else ():
            memory.transfer(start, bytes(end - start))
        for address, data in self.pieces:
            memory.transfer(address, data)

    def enter(self, core: HartCore) -> None:
        """Put the hart at its first instruction: a0 = hart id, a1 = device tree."""
        words = core.words
        words[PC] = self.entry
        words[A0], words[A1], words[A2] = 0, self.tree_address, self.information
        core.engine.window.store()
        if self.mode is Privilege.S:
            core.write_csrs(((Csr.MENVCFG, core.csr_values[Csr.MENVCFG] | STCE), *_WRITTEN_BY_SBI))
            core.set_privilege(Privilege.S)


def plan(
    config: MachineConfig,
    ram: Ram,
    devices: Iterable[Described],
    kernel: Image | FilePath | None,
    initrd: FilePath | None,
    files: Sequence[Image] = (),
) -> BootPlan:
    """Read all files, check them against each other and place them; nothing is written yet.

    Raises ImageError for a file that cannot be loaded, ConfigError when memory is too small.
    """
    images = _images(config, kernel)
    loaded = [*images, *files]
    for image in loaded:
        image.check_inside(ram.base, ram.size)
    for one, other in combinations(loaded, 2):
        other.check_apart(one)
    layout = Layout.of(ram.base, ram.size, loaded)
    pieces = [(int(segment.physical), segment.data) for image in loaded for segment in image.segments]
    zeroed = tuple(
        (segment.physical + len(segment.data), int(segment.end))
        for image in loaded
        for segment in image.segments
        if image.kind is ImageKind.ELF
    )
    chosen = Chosen(bootargs=config.bootargs)
    if initrd is not None:
        disk = read_file(initrd, "initial RAM disk")
        layout, place = layout.with_initrd(images[-1], len(disk))
        pieces.append((place[0], disk))
        chosen = Chosen(bootargs=config.bootargs, initrd=place)
    tree = _tree(config, ram, devices, chosen)
    layout, (tree_address, end) = layout.with_device_tree(len(tree) + _GROWTH + DYNAMIC_INFO_SIZE)
    pieces.append((tree_address, tree))
    information = 0
    if len(images) > 1 or config.has_firmware_file:
        following = images[1].entry_physical if len(images) > 1 else PhysAddr(ram.base + KERNEL_OFFSET)
        information = (end - DYNAMIC_INFO_SIZE) & ~7
        pieces.append((information, dynamic_info(following)))
    mode = Privilege.S if config.firmware == BUILT_IN else Privilege.M
    entry, words = images[0].entry_physical, " ".join([images[-1].name, *config.bootargs.split()])
    return BootPlan(
        images[-1], tuple(pieces), zeroed, entry, mode, tree, tree_address, information, layout.largest_gap, words
    )


def device_tree(config: MachineConfig, ram: Ram, devices: Iterable[Described]) -> bytes:
    """The device tree of a machine into which nothing is loaded."""
    return _tree(config, ram, devices, Chosen(bootargs=config.bootargs))


def _images(config: MachineConfig, kernel: Image | FilePath | None) -> list[Image]:
    """Firmware and kernel, in the order in which they execute."""
    if config.firmware == NO_FIRMWARE:
        return [_opened(_required(kernel, "without firmware (-bios none)"), raw_offset=0)]
    if config.firmware == BUILT_IN:
        return [_opened(_required(kernel, "with the built-in firmware"), raw_offset=KERNEL_OFFSET)]
    firmware = _opened(config.firmware, raw_offset=0)
    return [firmware] if kernel is None else [firmware, _opened(kernel, raw_offset=KERNEL_OFFSET)]


def _required(kernel: Image | FilePath | None, when: str) -> Image | FilePath:
    if kernel is None:
        raise ConfigError(f"there is nothing to boot: {when} a kernel is needed (-kernel FILE)")
    return kernel


def _opened(image: Image | FilePath, raw_offset: int) -> Image:
    return image if isinstance(image, Image) else Image.open(image, raw_offset=raw_offset)


def _tree(config: MachineConfig, ram: Ram, devices: Iterable[Described], chosen: Chosen) -> bytes:
    hardware = Hardware(ram_size=ram.size, mmu_type=f"riscv,{config.paging}")
    if config.device_tree is not None:
        return load_given(config.device_tree, hardware, chosen)
    return generate(hardware, devices, chosen)
