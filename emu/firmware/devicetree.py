"""The device tree of a configured machine: generated in the shape of QEMU's `virt`, or given by the user."""

from collections import deque
from collections.abc import Iterable

from emu.devices.clint import TICKS_PER_SECOND
from emu.devices.node import HART_INTC, Node, Phandle, Property, wide
from emu.errors import ImageError
from emu.firmware import fdt
from emu.firmware.image import read_file
from emu.hints import FilePath, Protocol
from emu.lateclass import dataclass
from emu.memory import RAM_BASE

_CPU = Phandle("hart0")


class Described(Protocol):
    """A device, as far as the device tree is concerned."""

    def nodes(self) -> tuple[Node, ...]:
        """How the device tree describes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the firmware tells the kernel in `/chosen` (Devicetree specification 0.4, section 3.6)."""

    bootargs: str = ""
    """The kernel's command line; empty: none."""
    initrd: tuple[int, int] | None = None
    """First address of the initial RAM disk, and the first one after it."""


RNG_SEED = bytes(range(0x51, 0x71))
"""What a kernel starts its random numbers from (section 3.6, rng-seed): fixed, so that a run can be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What the device tree says about the hart and its memory."""

    ram_size: int
    """Bytes."""
    ram_base: int = RAM_BASE
    isa: str = "rv64imafdc_zicsr_zifencei_sstc"
    mmu_type: str = "riscv,sv39"
    """The largest translation scheme that `satp` takes: riscv,sv39, riscv,sv48 or riscv,sv57."""


def generate(hardware: Hardware, devices: Iterable[Described], chosen: Chosen | None = None) -> bytes:
    """The blob that describes the machine.

    Raises ConfigError when a device refers to one that is not there (an interrupt line without a PLIC).
    """
    described = tuple(node for device in devices for node in device.nodes())
    return _encoded((hardware, described, chosen or Chosen()))


_Contents = tuple[Hardware, tuple[Node, ...], Chosen]
_KEPT = 16
_made: deque[tuple[_Contents, bytes]] = deque(maxlen=_KEPT)
"""The last blobs: machines of one kind are often made one after another."""


def _encoded(contents: _Contents) -> bytes:
    for known, blob in _made:
        if known == contents:
            return blob
    blob = fdt.encode(_tree(*contents))
    _made.append((contents, blob))
    return blob


def _tree(hardware: Hardware, described: tuple[Node, ...], chosen: Chosen) -> Node:
    soc = Node(
        "soc",
        {"#address-cells": (2,), "#size-cells": (2,), "compatible": "simple-bus", "ranges": True},
        tuple(node for node in described if not node.at_root),
    )
    memory = Node(
        f"memory@{hardware.ram_base:x}",
        {"device_type": "memory", "reg": wide(hardware.ram_base, hardware.ram_size)},
    )
    root = Node(
        "",
        {"#address-cells": (2,), "#size-cells": (2,), "compatible": "riscv-virtio", "model": "riscv-virtio,ekernel"},
        (
            _chosen_node(soc),
            *(node for node in described if node.at_root),
            memory,
            _cpus_node(hardware),
            soc,
        ),
    )
    return _with_chosen(root, chosen)


def load_given(path: FilePath, hardware: Hardware, chosen: Chosen | None = None) -> bytes:
    """A blob that the user gives (`-dtb`), checked, with the command line and the RAM disk of this run put in.

    Raises ImageError when it is damaged, or describes memory that the machine does not have.
    """
    root, reservations = fdt.decode(read_file(path, "device tree"), str(path))
    _check_memory(root, str(path), hardware)
    if chosen is None or chosen == Chosen():
        return fdt.encode(root, reservations)
    return fdt.encode(_with_chosen(root, chosen), reservations)


def _cpus_node(hardware: Hardware) -> Node:
    """`/cpus` (section 3.7 and 3.8; RISC-V: Linux, Documentation/devicetree/bindings/riscv/cpus.yaml)."""
    intc = Node(
        "interrupt-controller",
        {"#interrupt-cells": (1,), "interrupt-controller": True, "compatible": "riscv,cpu-intc"},
        label=HART_INTC.label,
    )
    cpu = Node(
        "cpu@0",
        {
            "device_type": "cpu",
            "reg": (0,),
            "status": "okay",
            "compatible": "riscv",
            "riscv,isa": hardware.isa,
            "mmu-type": hardware.mmu_type,
        },
        (intc,),
        label=_CPU.label,
    )
    topology = Node("cpu-map", {}, (Node("cluster0", {}, (Node("core0", {"cpu": (_CPU,)}),)),))
    return Node(
        "cpus",
        {"#address-cells": (1,), "#size-cells": (0,), "timebase-frequency": (TICKS_PER_SECOND,)},
        (cpu, topology),
    )


def _chosen_node(soc: Node) -> Node:
    serial = next((node.name for node in soc.children if node.name.startswith("serial@")), None)
    console: dict[str, Property] = {"stdout-path": f"/soc/{serial}"} if serial else {}
    return Node("chosen", {"rng-seed": RNG_SEED, **console})


def _with_chosen(root: Node, chosen: Chosen) -> Node:
    try:
        node = fdt.find(root, "/chosen")
    except KeyError:
        node = Node("chosen")
    properties: dict[str, Property] = {}
    if chosen.bootargs:
        properties["bootargs"] = chosen.bootargs
    if chosen.initrd is not None:
        start, end = chosen.initrd
        properties |= {"linux,initrd-start": wide(start), "linux,initrd-end": wide(end)}
    for name, value in properties.items():
        node = fdt.with_property(node, name, value)
    return fdt.with_child(root, node)


def _check_memory(root: Node, name: str, hardware: Hardware) -> None:
    ram_end = hardware.ram_base + hardware.ram_size
    found = False
    for node in root.children:
        if node.name.partition("@")[0] != "memory":
            continue
        for start, size in _ranges(root, node, name):
            found = True
            if not hardware.ram_base <= start <= start + size <= ram_end:
                raise ImageError(
                    f"the device tree {name} describes memory at {start:#x}..{start + size:#x}, but the machine's RAM "
                    f"is {hardware.ram_base:#x}..{ram_end:#x}; correct it, or the size of the machine (-m)"
                )
    if not found:
        raise ImageError(f"the device tree {name} describes no memory; add a node memory@{hardware.ram_base:x}")


def _ranges(root: Node, node: Node, name: str) -> Iterable[tuple[int, int]]:
    """The `reg` of a child of the root, in the root's cell counts (section 2.3.5 and 2.3.6: 2 and 1 by default)."""
    try:
        address_cells = fdt.cells(root, "#address-cells")[0] if "#address-cells" in root.properties else 2
        size_cells = fdt.cells(root, "#size-cells")[0] if "#size-cells" in root.properties else 1
        reg = fdt.cells(node, "reg")
    except (KeyError, IndexError):
        raise ImageError(f"the device tree {name}: node '{node.name}' has no usable reg; correct it") from None
    step = address_cells + size_cells
    if step == 0 or address_cells > 2 or size_cells > 2 or len(reg) % step:
        raise ImageError(f"the device tree {name}: reg of '{node.name}' does not fit the cell counts; correct it")
    for at in range(0, len(reg), step):
        yield _joined(reg[at : at + address_cells]), _joined(reg[at + address_cells : at + step])


def _joined(parts: tuple[int, ...]) -> int:
    value = 0
    for part in parts:
        value = value << 32 | part
    return value
