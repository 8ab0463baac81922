"""Executes a guest function again and again from one state of its machine, without Python while it executes."""

from collections.abc import Iterable, Sequence

from emu.address import PAGE_SIZE
from emu.engine.calls.repeated import Repeater
from emu.engine.translated.features.fuzzed import Fuzzed
from emu.engine.window import Word
from emu.hart.words import COUNT, PC
from emu.isa.encodings import BRANCH, C_BEQZ, C_BNEZ, C_J, C_JR, C_JUMP_MASK, JAL, JALR, OPCODE, SYSTEM
from emu.isa.operands import instruction_length
from emu.isa.privilege import Access, Privilege
from emu.isa.status import SATP_MODE_SHIFT
from emu.machine.machine import Machine
from emu.memory.rewind import Known, Rewinder

_JUMPS = frozenset({BRANCH, JALR, JAL, SYSTEM})
"""Opcodes that end a block: branches, jumps, SYSTEM."""
_COMPRESSED_JUMPS = frozenset({C_J, C_BEQZ, C_BNEZ, C_JR})
_FIRST, _LAST = (
    slice(8 * (Word.LOAD_RESERVATION + 1), 8 * Word.BAD_ADDRESS),
    slice(8 * (Word.BAD_ADDRESS + 1), None),
)
"""What of a core's state is no register, and no trace of how it has executed."""


class Repetition:
    """One function, called each time as if nothing had been called before.

    What an execution leaves is taken back by the list of the pages that it has written; CSRs are compared, and devices
    where Python was needed.

    >>> from emu.firmware.image import Image
    >>> from emu.machine.config import MachineConfig
    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("1305150093000000 67800000"), "code.bin"))
    >>> again = Repetition(machine, "code", machine.hart.pc, 1000)
    """

    def __init__(self, machine: Machine, name: str, address: int, most: int) -> None:
        """From the machine's present state; `most` instructions in one execution."""
        self._machine, self._name, self._address, self._most = machine, name, address, most
        self._caller = machine._caller
        self.snapshot = machine.snapshot()
        platform = machine.platform
        self._core = core = platform.core
        self._hart = core.save()
        self._rewinder = Rewinder(machine.memory.ram, platform.ram_history, self.snapshot.ram)
        self._count, self._traps = core.slots[COUNT], core.traps_taken
        self._octets = core.engine.window.octets
        self._values = core.csr_values.cast("B")
        self._parts = [octets[part] for octets, part in ((self._octets, _FIRST), (self._octets, _LAST))]
        self._parts.append(self._values)
        """The state of the hart but for registers."""
        self._repeater: Repeater | None = None
        self._known: Known | None = None
        self.called = 0
        """How many executions the last `call_all` has made."""
        self._baseline, self._around = self._others(), self._outside()
        satp = machine.hart.csr["satp"]
        self._translates = machine.hart.privilege is not Privilege.M and bool(satp >> SATP_MODE_SHIFT)

    @property
    def pages(self) -> int:
        """How many pages are copied after each execution."""
        return self._rewinder.pages

    @property
    def instructions(self) -> int:
        """Of the last execution. Before `rewind`."""
        return int(self._core.slots[COUNT]) - self._count

    def call(self, args: tuple[int, ...]) -> int:
        """What the function returns; `rewind` before the next one, also when it has raised. As `Machine.call`."""
        return self._caller.repeat(self._name, self._address, args, self._most)

    def feed(self, edges: Fuzzed, buffer: memoryview, arguments: Sequence[int | None]) -> None:
        """Say what `call_all` is to do with an input: put it into `buffer`, and call with these arguments.

        None stands for the size of the input. `edges` is a feature that is on.
        """
        if self._core.engine.can_call_alone and not self._translates:
            self._repeater = Repeater(self._core.engine.frame, self._core.slots, edges, self._parts)
            self._repeater.aim(self._address, buffer, arguments)

    def call_all(self, inputs: Sequence[bytes]) -> int:
        """Call with one input after the other, without Python; how many executions that were.

        All have returned, went no new way and are taken back, but for the last one: `rewind`. It raises as `call`
        does; `called` tells their number then. 0 where it cannot be, as before `call` has shown what is written.
        """
        self.called = 0
        repeater = self._repeater
        known = None if repeater is None else self._rewinder.known
        if repeater is None or known is None:
            return 0
        if known is not self._known:
            self._known = known
            repeater.expect(*known)
        repeater.give(inputs)
        has_begun = True
        try:
            has_begun = self._caller.repeat_all(repeater, self._name, self._most)
        finally:
            if has_begun:
                self.called = repeater.done + (not repeater.is_done)
                self._rewinder.rewound(repeater.done)
        return self.called

    def rewind(self) -> None:
        """Take back what the last execution has done."""
        core, was_alone = self._core, self._caller.was_alone
        if not was_alone and self._outside() != self._around:
            self.return_whole()
            return
        changed_code = self._rewinder.rewind()
        core.engine.begin_again()
        core.slots[COUNT], core.traps_taken = self._count, self._traps
        if changed_code or self._others() != self._baseline:
            core.restore(self._hart, forget_code=changed_code)
        else:
            core.between_blocks(int(core.words[PC]))
            if self._translates:
                core.flush_translations()

    def return_whole(self) -> None:
        """Take back all that the machine has done, devices and console, too."""
        self._machine.restore(self.snapshot)
        self._rewinder.forget()

    def return_followers(self) -> None:
        """Have accounts of the machine return, which `rewind` leaves alone: their changes would have to be known."""
        for follower, state in self.snapshot.followers:
            follower.restore(state)

    def _outside(self) -> tuple[object, ...]:
        """The state of all but hart and memory."""
        platform = self._machine.platform
        return (
            [device.save() for device in platform.devices], platform.clock.save(), platform.supervisor_timer.save(),
            platform.console.save(), platform.keyboard.save(), platform.is_asleep,
        )  # fmt: skip

    def _others(self) -> list[bytes]:
        """The state but for registers."""
        self._core.engine.window.load()
        return [bytes(part) for part in self._parts]

    def executed(self, blocks: Iterable[int]) -> None:
        """Blocks at these addresses have been executed: their instructions are compared from now on."""
        ram = self._machine.memory.ram
        for pc in blocks:
            physical = self._machine.walk(pc, Access.FETCH).physical
            if physical is not None and ram.contains(int(physical), 2):
                start = int(physical) - ram.base
                self._rewinder.add_code(start, start + self._block_size(start))

    def _block_size(self, start: int) -> int:
        """Bytes up to the first jump, or to the end of the page."""
        view, at = self._machine.memory.ram.view, start
        while at - start < PAGE_SIZE:
            word = int.from_bytes(view[at : at + 4], "little")
            at += instruction_length(word & 0xFF)
            compressed = word & C_JUMP_MASK
            is_jump = word & OPCODE in _JUMPS if word & 3 == 3 else compressed in _COMPRESSED_JUMPS
            if is_jump or not at % PAGE_SIZE:
                break
        return at - start

    def close(self) -> None:
        """Return to the state, and give back what it took."""
        self.return_whole()
        self._rewinder.close()
