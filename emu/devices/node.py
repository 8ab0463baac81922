"""How a device describes itself to the guest: a node of the device tree, before phandles have numbers."""

from collections.abc import Mapping

from emu.lateclass import dataclass, field


@dataclass(frozen=True, slots=True)
class Phandle:
    """A reference to the node with this label; becomes the node's phandle number."""

    label: str


Cells = tuple[int | Phandle, ...]
"""32-bit cells."""
Property = str | tuple[str, ...] | Cells | bytes | bool
"""A string, a list of strings, cells, raw bytes, or True for a property that is only present."""

PLIC = Phandle("plic")
"""The interrupt controller of the devices."""
HART_INTC = Phandle("hart0-intc")
"""The interrupt controller inside hart 0."""


@dataclass(frozen=True, slots=True)
class Node:
    """A device-tree node (Devicetree specification 0.4, section 2.2)."""

    name: str
    """With its unit address, for example `serial@10000000`."""
    properties: Mapping[str, Property] = field(default_factory=dict)
    children: tuple["Node", ...] = ()
    label: str = ""
    """What a Phandle elsewhere calls it; empty: no phandle."""
    at_root: bool = False
    """A child of the root instead of `/soc`."""


def wide(*values: int) -> Cells:
    """Numbers of two cells each, the high one first, as `reg` has them under `/soc`.

    >>> wide(0x10_0000_0008)
    (16, 8)
    """
    return tuple(cell for value in values for cell in (value >> 32, value & 0xFFFF_FFFF))
