"""An allocator in a machine of its own: linked with the kernel's library and nothing else, its functions called."""

from functools import cache
from pathlib import Path

import kernel
from emu.errors import GuestPanic
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig, Snapshot
from linker import LinkOptions, link
from linker.assembler import AssemblerOptions, assemble_file
from linker.objects.model import ObjectFile

KERNEL = Path(kernel.__file__).parent
LIBRARY = ("console", "memory", "number", "panic", "printf", "shutdown")
SCRIPT = """
ENTRY(panic)
SECTIONS {
    . = 0x80200000;
    image_start = .;
    .text : { *(.text .text.*) }
    .rodata : { *(.rodata) }
    .bss : { *(.bss) . = ALIGN(4096); *(.bss.*) . = ALIGN(4096); }
    image_end = .;
    . = . + 0x4000;
    stack_top = .;
}
"""


class Guest:
    """A machine that has booted nothing: memory, an allocator, and a stack for the calls."""

    def __init__(
        self, *sources: str, heap_size: int = 1 << 20, ram_size: int = 8 << 20, ekernel: int = 0x8030_0000
    ) -> None:
        objects = [_assembled(f"lib/{name}.S", heap_size) for name in LIBRARY]
        options = LinkOptions(defines=(("ekernel", str(ekernel)),))
        linked = link(
            [*objects, *(_assembled(source, heap_size) for source in sources)], script=SCRIPT, options=options
        )
        self.machine = Machine(MachineConfig(ram_size=ram_size))
        self.machine.load(Image.from_bytes(linked.elf, sources[0]))
        self.machine.hart.x["sp"] = self.symbol("stack_top")

    @property
    def free_ppn(self) -> int:
        """The first frame behind the image and its stack."""
        return self.symbol("stack_top") >> 12

    @property
    def end_ppn(self) -> int:
        """The end of RAM."""
        ram = self.machine.memory.ram
        return ram.base + ram.size >> 12

    def call(self, function: str, *args: int) -> int:
        """What a function returns."""
        return self.machine.call(function, *args)

    def instructions(self, function: str, *args: int) -> int:
        """How many instructions a call executes."""
        start = self.machine.instret
        self.machine.call(function, *args)
        return self.machine.instret - start

    def call_checking_registers(self, function: str, *args: int) -> int:
        """As `call`; asserts that s0 to s11, sp, gp and tp are afterwards what they were (psABI, chapter 1)."""
        x, back = self.machine.hart.x, self.symbol("zero_frame")  # a place that no allocator goes to
        before = list(x)
        kept = {register: 0xABCD_0000_0000_1111 * register % (1 << 64) for register in (3, 4, 8, 9, *range(18, 28))}
        for register, value in kept.items():
            x[register] = value
        for number, value in enumerate(args):
            x[10 + number] = value
        x[1] = back
        self.machine.hart.pc = self.machine.symbols.lookup(function).address
        self.machine.run(until=back, max_instructions=10_000_000)
        assert self.machine.hart.pc == back, f"{function} did not return"
        after, result = list(x), x[10]
        for register, value in enumerate(before[1:], start=1):
            x[register] = value
        assert {register: after[register] for register in kept} == kept, function
        assert after[2] == before[2], f"{function} moved the stack"
        return result

    def refusal(self, function: str, *args: int, changes_memory: bool = False) -> str:
        """The message that a call panics with, before it has changed anything; afterwards all is as before the call."""
        machine = self.machine
        snapshot, printed = machine.snapshot(), len(machine.console)
        try:
            result = machine.call(function, *args)
        except GuestPanic:
            text = machine.console[printed:].decode()
            changed = [] if changes_memory else self._changed_since(snapshot)
            assert not changed, f"{function}{args} changed memory, then panicked: pages {changed}"
        else:
            raise AssertionError(f"{function}{args} returned {result:#x}: it should have panicked")
        finally:
            machine.restore(snapshot)
        opening, _, message = text.splitlines()[0].partition(" : ")
        assert opening.startswith("panic at 0x")
        return message

    def _changed_since(self, snapshot: Snapshot) -> list[str]:
        """Pages with other bytes than then, but for what a panic needs itself: its flag and the stack."""
        now = self.machine.snapshot()
        if now.ram is snapshot.ram:
            return []
        then = snapshot.ram.node
        assert then.toward is now.ram.node, "it is kept as the pages in which it differs"
        own = [
            (self.symbol("panicking"), self.symbol("panicking") + 8),
            (self.symbol("image_end"), self.symbol("stack_top")),
        ]
        changed = []
        for page, data in then.pages.items():
            start = self.machine.memory.ram.base + page * 4096
            before, after = bytearray(data), bytearray(self.read(start, 4096))
            for first, stop in own:
                part = slice(max(first - start, 0), max(stop - start, 0))
                before[part] = after[part]
            if before != after:
                changed.append(f"{start:#x}")
        return changed

    def symbol(self, name: str) -> int:
        """The address of a symbol, local ones included."""
        return self.machine.address_of(name)

    def variable(self, name: str, index: int = 0) -> int:
        """A doubleword of the guest."""
        return self.machine.memory.read_int(self.symbol(name) + 8 * index, 8)

    def read(self, address: int, length: int) -> bytes:
        """Bytes of memory."""
        return self.machine.memory.read(address, length)

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into memory, as the guest would."""
        self.machine.memory.write(address, data)

    def words(self, address: int, count: int) -> list[int]:
        """Words of memory, unsigned."""
        return list(memoryview(self.read(address, 4 * count)).cast("I")) if count else []

    def doublewords(self, address: int, count: int) -> list[int]:
        """Doublewords of memory, unsigned."""
        return list(memoryview(self.read(address, 8 * count)).cast("Q")) if count else []


@cache
def _assembled(source: str, heap_size: int) -> ObjectFile:
    defines = {"VIRTUAL_OFFSET": 0, "HEAP_SIZE": heap_size}
    return assemble_file(KERNEL / source, AssemblerOptions(include_dirs=(KERNEL,), defines=defines))
