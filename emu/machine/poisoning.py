"""Ranges of a machine's memory that nobody is to access, by the reasons that the user gives."""

from emu.machine.upward import sanitizer_of
from emu.subscriptions import EventBus


class Poisoning:
    """A part of `Machine`."""

    events: EventBus

    def poison(self, place: range, why: str) -> None:
        """Report each access to these virtual addresses, as a MemoryBug event with the reason, until `unpoison`.

        An address sanitizer that is attached already does it, and is one with the kernel's allocators; without, one
        that knows no allocators is attached.

        >>> from ekernel import Image, Machine, MachineConfig
        >>> from emu.observe.sanitizer.bugs import MemoryBug
        >>> machine = Machine(MachineConfig(ram_size=16 << 20))
        >>> code = bytes.fromhex("23300500" "93088000" "73000000")  # sd zero, 0(a0); li a7, 8; ecall
        >>> machine.load(Image.from_bytes(code, "off.bin"))
        >>> machine.hart.x["a0"] = 0x80300008
        >>> machine.poison(range(0x80300000, 0x80300100), "the table is complete and stays as it is")
        >>> found = machine.on(MemoryBug, lambda bug: print(bug.bug.value, hex(bug.address), bug.why))
        >>> machine.run().description
        user-poisoned-access 0x80300008 the table is complete and stays as it is
        'the guest powered off'
        """
        sanitizer_of(self).poison(place, why)

    def unpoison(self, place: range) -> None:
        """Whoever accesses these virtual addresses may do so."""
        sanitizer_of(self).unpoison(place)
