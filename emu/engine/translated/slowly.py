"""Features without native probes: the core calls Python at each block and each access. The results are the same."""

from collections.abc import Callable, Sequence

from emu.engine import library
from emu.engine.guest import Guest
from emu.engine.library import Handle
from emu.engine.slots import Slot
from emu.engine.translated.definitions import Block
from emu.engine.translated.features import MOST_BLOCKS, Access, Core, Feature, Jump, Write
from emu.engine.translated.features.calls import always_jumps
from emu.engine.translated.fetching import fetch
from emu.engine.window import StateWindow, Word
from emu.isa.operands import memory_operand
from emu.isa.registers import SP
from emu.isa.results import registers_written


class SlowFeatures:
    """What one core's blocks do, told by the core's hooks."""

    def __init__(
        self, handle: Handle, guest: Guest, core: Core, window: StateWindow, fail: Callable[[BaseException], None]
    ) -> None:
        self._handle, self._guest, self._core, self._window, self._fail = handle, guest, core, window, fail
        self._features: tuple[Feature, ...] = ()
        self._hooks: list[int] = []
        self._memory = library.MemoryCallback(self._on_memory)
        self._numbers: dict[tuple[int, int, int, bytes], int] = {}
        self._code_hook = 0
        self._instruction = library.CodeCallback(self._on_instruction)
        self._position = 0
        self._looks_at_jumps = False
        self._jump: tuple[int, int, int] | None = None  # pc, instruction, the count of instructions behind it
        self._stored: tuple[Access, int] | None = None
        self._writing: tuple[int, tuple[int, ...], int] | None = None  # pc, registers, instret
        core.slots[Slot.MOST] = MOST_BLOCKS
        self.in_access = False
        """Whether an access is being told of whose page the core has looked up already: its TLB must stay as it is."""

    def switch(self, features: Sequence[Feature]) -> None:
        """See `emu.engine.translated.composition.Features`."""
        self.flush()
        for feature in self._features:
            if feature not in features:
                feature.switched_off()
        self._features = tuple(sorted(features, key=lambda feature: feature.order))
        self._numbers.clear()
        self._core.slots[Slot.FIRST] = self._core.slots[Slot.SERIAL]
        for feature in self._features:
            feature.operations(self._core)  # it prepares itself there
        if self._features and not self._hooks:
            kinds = library.HOOK_READ_AFTER, library.HOOK_WRITE
            self._hooks = [library.add_hook(self._handle, kind, self._memory, None) for kind in kinds]
        elif self._hooks and not self._features:
            for identifier in self._hooks:
                library.remove_hook(self._handle, identifier)
            self._hooks.clear()

        self._looks_at_jumps = any(feature.looks_at_jumps for feature in self._features)
        looks = any(feature.looks_at_registers for feature in self._features)
        if looks and not self._code_hook:
            self._code_hook = library.add_hook(self._handle, library.HOOK_CODE, self._instruction, None)
        elif self._code_hook and not looks:
            library.remove_hook(self._handle, self._code_hook)
            self._code_hook = 0

    def flush(self) -> None:
        """Hand over what buffers hold."""
        self._window.load()
        self._settle(self._core.slots[Slot.COUNT])
        self._settle_register(self._core.slots[Slot.COUNT])
        self._settle_jump(self._core.slots[Slot.COUNT], self._window.words[Word.PC])
        for feature in self._features:
            feature.flush()

    def tell_blocks(self) -> None:
        """Nothing: features are told of each block when it is new."""

    def empty_full(self) -> None:
        """Nothing: what fills a buffer here empties it, too."""

    def left_store(self) -> None:
        """The store that was reported last is completed by Python: no feature is to see it."""
        self._stored = None

    def block_began(self, pc: int, size: int, length: int) -> None:
        """Called by the clock, when it has counted a block."""
        self._position = 0
        if not self._features:
            return
        try:
            self._window.load()
            self._settle(self._core.slots[Slot.COUNT] - length)
            privilege = self._window.words[Word.PRIVILEGE]
            code = fetch(self._core, self._guest.code_address, pc, size)
            key = pc, length, privilege, code
            number = self._numbers.get(key)
            if number is None:
                number = self._core.slots[Slot.SERIAL] = self._numbers[key] = self._core.slots[Slot.SERIAL] + 1
                for feature in self._features:
                    feature.block_defined(Block(number, pc, length, privilege, code))
            self._settle_jump(self._core.slots[Slot.COUNT] - length, pc)
            if self._looks_at_jumps:
                last = Block(number, pc, length, privilege, code).addresses()[-1]
                instruction = int.from_bytes(code[last - pc :][:4], "little")
                if always_jumps(instruction):
                    self._jump = last, instruction, self._core.slots[Slot.COUNT]
            for feature in self._features:
                feature.block_began(number, length)
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            self._fail(error)

    def _settle_jump(self, retired: int, target: int) -> None:
        """An instruction that always jumps has done so if all of its block has retired."""
        jump, self._jump = self._jump, None
        if jump is not None and jump[2] == retired:
            words = self._window.words
            self._tell(Jump(jump[0], jump[1], target, words[SP], retired, words[Word.SATP]))

    def jumped(self, jump: Jump) -> None:
        """See `emu.engine.translated.composition.Features`."""
        if jump.instruction:
            self._jump = None
        else:
            self._settle_jump(jump.instret, jump.pc)
        self._tell(jump)

    def _tell(self, jump: Jump) -> None:
        for feature in self._features:
            if feature.looks_at_jumps:
                feature.jumped(jump)

    def _settle(self, retired: int) -> None:
        """A store has been carried out if its instruction has retired."""
        stored, self._stored = self._stored, None
        if stored is not None and stored[0].instret < retired:
            for feature in self._features:
                feature.accessed(*stored)

    looks_at_completed = False
    """What Python completes is seen by the hook of the next instruction."""

    def completed(self, pc: int, instruction: int, registers: memoryview) -> None:
        """See `looks_at_completed`."""

    def _on_instruction(self, _engine: int, pc: int, size: int, _data: int) -> None:
        try:
            self._window.load()
            slots = self._core.slots
            instret = slots[Slot.COUNT] - slots[Slot.BLOCK_LENGTH] + self._position
            self._position += 1
            self._settle_register(instret)
            code = fetch(self._core, self._guest.code_address, pc, size)
            registers = registers_written(int.from_bytes(code, "little"))
            if registers:
                self._writing = pc, registers, instret
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            self._fail(error)

    def _settle_register(self, retired: int) -> None:
        """A register has been written if its instruction has retired."""
        writing, self._writing = self._writing, None
        if writing is not None and writing[2] < retired:
            pc, registers, instret = writing
            for feature in self._features:
                if feature.looks_at_registers:
                    for register in registers:
                        feature.written(Write(pc, register, self._window.words[register], instret))

    def _on_memory(self, _engine: int, kind: int, physical: int, size: int, value: int) -> bool:
        self.in_access = True
        try:
            self._window.load()
            words, slots = self._window.words, self._core.slots
            pc = words[Word.PC]
            begin = slots[Slot.COUNT] - slots[Slot.BLOCK_LENGTH]
            instret = begin + self._guest.instructions_between(slots[Slot.BLOCK_PC], pc)
            self._settle(instret)
            operand = memory_operand(int.from_bytes(fetch(self._core, self._guest.code_address, pc, 4), "little"))
            address = operand.address(words) if operand else physical
            is_store = kind == library.MEM_WRITE
            access = Access(pc, address, size, is_store, value & (1 << 8 * size) - 1, instret)
            if is_store:
                self._stored = access, physical
                for feature in self._features:
                    feature.stores(access)
            else:
                for feature in self._features:
                    feature.accessed(access, physical)
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            self._fail(error)
        finally:
            self.in_access = False
        return True
