"""Features without native probes: the core calls Python at each block and each access. The results are the same."""

import ctypes
from collections.abc import Callable, Sequence

from emu.engine import library
from emu.engine.guest import Guest
from emu.engine.library import Handle
from emu.engine.slots import Slot
from emu.engine.translated.definitions import Block
from emu.engine.translated.features import MOST_BLOCKS, Access, Core, Feature
from emu.engine.window import StateWindow, Word
from emu.isa.operands import memory_operand


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
        self._stored: tuple[Access, int] | None = None
        core.slots[Slot.MOST] = MOST_BLOCKS

    def switch(self, features: Sequence[Feature]) -> None:
        """See `emu.engine.translated.composition.Features`."""
        self.flush()
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
                library.check(library.hook_del(self._handle, identifier), "remove a hook")
            self._hooks.clear()

    def flush(self) -> None:
        """Hand over what buffers hold."""
        self._settle(self._core.slots[Slot.COUNT])
        for feature in self._features:
            feature.flush()

    def left_store(self) -> None:
        """The store that was reported last is completed by Python: no feature is to see it."""
        self._stored = None

    def block_began(self, pc: int, size: int, length: int) -> None:
        """Called by the clock, when it has counted a block."""
        if not self._features:
            return
        try:
            self._settle(self._core.slots[Slot.COUNT] - length)
            privilege = self._window.words[Word.PRIVILEGE]
            code = self._code(pc, size)
            key = pc, length, privilege, code
            number = self._numbers.get(key)
            if number is None:
                number = self._core.slots[Slot.SERIAL] = self._numbers[key] = self._core.slots[Slot.SERIAL] + 1
                for feature in self._features:
                    feature.block_defined(Block(number, pc, length, privilege, code))
            for feature in self._features:
                feature.block_began(number, length)
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            self._fail(error)

    def _code(self, pc: int, size: int) -> bytes:
        code = b""
        while size > 0:
            part = min(size, 0x1000 - (pc & 0xFFF))
            physical = self._guest.code_address(pc)
            offset = -1 if physical is None else physical - self._core.base
            known = 0 <= offset < self._core.size
            code += ctypes.string_at(self._core.host_address + offset, part) if known else bytes(part)
            pc, size = pc + part, size - part
        return code

    def _settle(self, retired: int) -> None:
        """A store has been carried out if its instruction has retired."""
        stored, self._stored = self._stored, None
        if stored is not None and stored[0].instret < retired:
            for feature in self._features:
                feature.accessed(*stored)

    def _on_memory(self, _engine: int, kind: int, physical: int, size: int, value: int) -> bool:
        try:
            self._window.load()
            words, slots = self._window.words, self._core.slots
            pc = words[Word.PC]
            begin = slots[Slot.COUNT] - slots[Slot.BLOCK_LENGTH]
            instret = begin + self._guest.instructions_between(slots[Slot.BLOCK_PC], pc)
            self._settle(instret)
            operand = memory_operand(int.from_bytes(self._code(pc, 4), "little"))
            address = operand.address(words) if operand else physical
            is_store = kind == library.MEM_WRITE
            access = Access(pc, address, size, is_store, value & (1 << 8 * size) - 1, instret)
            if is_store:
                self._stored = access, physical
            else:
                for feature in self._features:
                    feature.accessed(access, physical)
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            self._fail(error)
        return True
