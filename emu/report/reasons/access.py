"""Why an access fault happened: what physical memory protection, a device or the memory map has against it."""

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.devices.device import Device
from emu.isa.csrs import PMP_ADDRESSES, PMP_CONFIGS
from emu.isa.privilege import Access, Privilege
from emu.isa.status import Status
from emu.machine import Machine
from emu.mmu import pmp
from emu.mmu.pte import Pte
from emu.report.reasons.pages import refusal
from emu.walks import Refusal, Walk

_VERBS = {Access.FETCH: "fetches", Access.LOAD: "loads", Access.STORE: "stores"}
_LETTERS = ((pmp.R, "r"), (pmp.W, "w"), (pmp.X, "x"))
_NAMES = {"plic": "the PLIC", "clint": "the CLINT", "uart": "the UART", "rtc": "the RTC", "test": "the test finisher"}
_SIZES = (1, 2, 4, 8)


def access_reason(machine: Machine, address: int, access: Access, privilege: Privilege, size: int) -> str:
    """Why an access of `size` bytes at a virtual address ends in an access fault; completes "..., because: ...".

    `privilege` is the hart's before the trap.
    """
    seen = _refused_walk(machine, address, access, privilege)
    if seen.refusal is not None and seen.refusal is not Refusal.PHYSICAL_PROTECTION:
        return f"its page walk cannot go on: {refusal(seen)}"
    physical = _physical(seen)
    where = "" if physical == address else f", physical {physical:#x}"
    device = _device_at(machine, physical)
    if device is not None:
        return _device_reason(device, physical, access, size) + where
    ram = machine.memory.ram
    if not ram.contains(physical, size):
        return _outside(machine, physical, size) + where
    return (_protection_reason(machine, physical, access, seen.privilege, size) or "the hart refuses it") + where


def device_name(device: Device) -> str:
    """A device as one names it in a sentence."""
    return _NAMES.get(device.name, device.name)


def unmapped_device(machine: Machine, address: int) -> str | None:
    """The device whose physical address a virtual one is, as code from before paging has it; None if there is none."""
    device = _device_at(machine, address)
    return None if device is None else device_name(device)


def _refused_walk(machine: Machine, address: int, access: Access, privilege: Privilege) -> Walk:
    """The walk of the access; with MPRV, of the privilege that refuses it: the trap has overwritten MPP."""
    if privilege is not Privilege.M or access is Access.FETCH or not machine.hart.csr["mstatus"] & Status.MPRV:
        return machine.walk(address, access, privilege)
    walks = [machine.walk(address, access, each) for each in (Privilege.S, Privilege.U, Privilege.M)]
    return next((seen for seen in walks if seen.refusal is not None), walks[-1])


def _physical(seen: Walk) -> int:
    """Where an access that only physical memory protection refuses would have gone."""
    if seen.physical is not None:
        return int(seen.physical)
    leaf = seen.leaf
    if leaf is None:
        return int(seen.address)
    offset = int(seen.address) & (1 << PAGE_BITS + 9 * leaf.level) - 1
    return Pte(leaf.pte).ppn.address() | offset


def _device_at(machine: Machine, physical: int) -> Device | None:
    devices = machine.platform.devices
    return next((device for device in devices if device.base <= physical < device.base + device.size), None)


def _device_reason(device: Device, physical: int, access: Access, size: int) -> str:
    name = device_name(device)
    if access is Access.FETCH:
        return f"{name} is a device, and no instruction is fetched from it"
    offset = physical - device.base
    taken = [each for each in _SIZES if device.takes(offset & -each, each)]
    if taken and size not in taken:
        widths = " or ".join(str(8 * each) for each in taken)
        return f"{name} takes {widths}-bit accesses only, and this one {_VERBS[access]} {8 * size} bits"
    if physical & (size - 1):
        return f"{name} takes aligned accesses only, and {physical:#x} is no multiple of {size}"
    return f"{name} has no register at offset {offset:#x}"


def _outside(machine: Machine, physical: int, size: int) -> str:
    ram = machine.memory.ram
    end = ram.base + ram.size
    if ram.base <= physical < end:
        return f"its last bytes are outside of memory: RAM ends at {end:#x}, {end - physical} of {size} bytes further"
    text = f"outside of memory: RAM is {ram.base:#x}..{end - 1:#x}, and no device is at {physical:#x}"
    if physical < PAGE_SIZE:
        return f"{text} (a null pointer?)"
    return f"{text} (-m SIZE gives more RAM)" if end <= physical < 2 * end else text


def _protection_reason(machine: Machine, physical: int, access: Access, privilege: Privilege, size: int) -> str | None:
    csr = machine.hart.csr
    configs = [csr[number] >> 8 * byte & 0xFF for number in PMP_CONFIGS for byte in range(8)]
    regions = pmp.decode(configs, [csr[number] for number in PMP_ADDRESSES])
    if pmp.allows(regions, physical, size, access, privilege):
        return None
    mode = privilege.name
    entry = pmp.deciding(regions, physical, size)
    if entry is None:
        which = "no PMP entry matches it" if regions else "no PMP entry is on"
        return f"{which}, and {mode} mode needs one (pmpaddr0 = -1 with pmpcfg0 = 0x1f opens all of memory)"
    place = f"PMP entry {entry.entry} ({entry.start:#x}..{entry.end - 1:#x})"
    if not (entry.start <= physical and physical + size <= entry.end):
        return f"{place} matches some of its {size} bytes only, and must match all of them"
    granted = "".join(letter for bit, letter in _LETTERS if entry.permissions & bit) or "nothing"
    locked = ", locked" if entry.locked else ""
    return f"{place}, the first that matches, gives {mode} mode {granted} only{locked}"
