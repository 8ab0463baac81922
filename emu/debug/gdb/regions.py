"""What is mapped around an address, as lldb asks for it: it looks for free addresses, and shows `memory region`."""

from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.mmu.pte import Pte, R, W, X

_ALL = (1 << 64) - 1


def region(machine: Machine, address: int) -> str:
    """The answer to `qMemoryRegionInfo`: the part of the present address space with one set of permissions.

    It is cut where its end would be 2**64, which lldb takes for 0.
    """
    start, end = 0, _ALL
    for first, last, permissions in _mapped(machine):
        if first <= address <= last:
            return f"start:{first:x};size:{last - first + (last < _ALL):x};permissions:{permissions};"
        if last < address:
            start = max(start, last + 1)
        else:
            end = min(end, first)
    return f"start:{start:x};size:{max(end - start, 1):x};"


def _mapped(machine: Machine) -> list[tuple[int, int, str]]:
    """First and last address of each mapped range, and what its pages allow."""
    space = machine.address_space()
    if not space.levels or machine.hart.privilege is Privilege.M:
        ram = machine.memory.ram
        return [(ram.base, ram.base + ram.size - 1, "rwx")]
    return [(int(each.first), each.last, _permissions(each.flags)) for each in space.ranges()]


def _permissions(flags: int) -> str:
    pte = Pte(flags)
    return "".join(letter for letter, bit in (("r", R), ("w", W), ("x", X)) if pte & bit)
