"""`info mtree` and `info qtree`: memory, and the devices behind it, in QEMU's form."""

from collections.abc import Iterator

from emu.machine import Machine

_ALL = (1 << 64) - 1


def memory_tree(machine: Machine) -> Iterator[str]:
    """Each range of physical addresses that answers."""
    ranges = [(device.base, device.size, "i/o", device.name) for device in machine.platform.devices]
    ram = machine.memory.ram
    yield "address-space: memory"
    yield f"  {0:016x}-{_ALL:016x} (prio 0, i/o): system"
    for base, size, kind, name in sorted([*ranges, (ram.base, ram.size, "ram", "ram")]):
        yield f"    {base:016x}-{base + size - 1:016x} (prio 0, {kind}): {name}"


def device_tree(machine: Machine) -> Iterator[str]:
    """Each device on the one bus."""
    yield "bus: main-system-bus"
    yield "  type System"
    for device in sorted(machine.platform.devices, key=lambda device: device.base):
        yield f'  dev: {device.name}, id ""'
        yield f"    mmio {device.base:016x}/{device.size:016x}"
