"""For which address space memory was taken."""

from emu.address import PhysPageNum, VirtAddr
from emu.events import AddressSpaceSwitched, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, MachineReset
from emu.isa.privilege import Privilege
from emu.machine import Machine, MachineConfig
from emu.observe.allocations.holders import Holders

AT = {"instret": 0, "pc": VirtAddr(0x8020_0000), "privilege": Privilege.S}
ONE, TWO = 8 << 60 | 0x80400, 8 << 60 | 0x80500


def test_what_is_held_counts_for_the_space_that_was_current() -> None:
    machine = Machine(MachineConfig(ram_size=16 << 20))
    for kind in (FrameAllocated, FrameFreed, HeapAllocated, HeapFreed):
        machine.events.add_source(kind, lambda: lambda: None)
    holders = Holders(machine)
    emit = machine.events.emit
    emit(FrameAllocated(**AT, ppn=PhysPageNum(0x80600), count=3))
    emit(AddressSpaceSwitched(**AT, old=0, new=ONE))
    emit(HeapAllocated(**AT, address=VirtAddr(0x8060_0000), size=48, align=8))
    emit(HeapAllocated(**AT, address=VirtAddr(0x8060_0040), size=16, align=8))
    emit(AddressSpaceSwitched(**AT, old=ONE, new=TWO))
    emit(HeapAllocated(**AT, address=VirtAddr(0x8060_0080), size=100, align=8))
    emit(FrameAllocated(**AT, ppn=PhysPageNum(0x80700)))
    emit(FrameFreed(**AT, ppn=PhysPageNum(0x80601)))
    emit(HeapFreed(**AT, address=VirtAddr(0x8060_0040), size=16))
    assert holders.frames() == {0: (2, 8192), TWO: (1, 4096)}
    assert holders.blocks() == {TWO: (1, 100), ONE: (1, 48)}
    emit(MachineReset(**AT))
    assert holders.frames() == holders.blocks() == {}
    holders.close()
    machine.close()
