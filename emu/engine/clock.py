"""The block clock: counts retired instructions block by block, and stops the core before a deadline is passed.

Each translated block begins with operations of its own (`emu.engine.translated`). If the whole block fits before the
deadline they add the block's length to the count, and the block executes; otherwise it does not begin, and pc is exact.
"""

import ctypes
import mmap
from collections.abc import Callable

from emu.buffers import buffer_address, words_type
from emu.engine import cores, counters, library
from emu.engine.guest import Guest
from emu.engine.library import Handle
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated import installation, layout
from emu.engine.translated.composition import Features
from emu.engine.translated.features import Core
from emu.engine.window import CopiedWindow, DirectWindow, Word
from emu.errors import MachineError

NEVER = (1 << 63) - 1
"""A deadline that no guest reaches."""

_JUMP_TO_NEXT = bytes.fromhex("6f004000")
_WFI = bytes.fromhex("73005010")
_SCRATCH, _SCRATCH_SIZE = 0x1000, 0x1000
_FIRST_BLOCKS = 2
"""How many blocks each core has translated before its guest's."""


class BlockClock:
    """The native clock. `slots` is what the hart reads and corrects (see `Slot`)."""

    def __init__(
        self, used: cores.Core, base: int, size: int, host_address: int, fail: Callable[[BaseException], None]
    ) -> None:
        """RAM has `size` bytes, and lies at `base` for the guest; `fail` gets what a feature raises in a run."""
        installed = installation.install()
        counters.install()
        self._memory = words_type(SLOTS)()
        self.slots = memoryview(self._memory).cast("B").cast("Q")
        self.slots[Slot.DEADLINE] = NEVER
        self.slots_address = ctypes.addressof(self._memory)
        """Where they lie in host memory."""
        self.slots[Slot.STOP] = library.function_address("uc_emu_stop", "")
        self.slots[Slot.FORGET_PAGE] = library.function_address("tlb_flush_page")
        self.slots[Slot.SET_PAGE] = installation.word_of("tlb_set_page")
        self.slots[Slot.RAISE] = library.function_address("riscv_raise_exception")
        handle = used.handle
        engine = handle.value or 0
        core = ctypes.c_uint64.from_address(engine + layout.ENGINE_CPU).value
        self.state_address = ctypes.c_uint64.from_address(core + installed.layout.env_pointer).value
        """Where the core keeps its state in host memory."""
        self.features = Features(
            installed, handle, Core(self.slots, base, size, host_address, self.state_address, fail), fail
        )
        ctypes.c_uint8.from_address(engine + layout.ENGINE_NO_EXIT_REQUEST).value = 1
        self.window = DirectWindow(self.state_address)
        self.window.words[Word.RDTIME_FUNCTION] = self.slots_address
        self.slots[Slot.SERIAL] = _FIRST_BLOCKS
        if used.is_new:
            self._try(handle)

    def _try(self, handle: Handle) -> None:
        """See that the core does what this class expects; raises MachineError."""
        self.slots[Slot.SERIAL] = 0
        run_first_blocks(handle)
        if self.slots[Slot.BLOCK_PC] != _SCRATCH + len(_JUMP_TO_NEXT) or self.slots[Slot.BLOCK] != _FIRST_BLOCKS:
            raise MachineError(
                f"this build of unicorn {library.VERSION} does not call its own functions in the way that this program "
                "knows; run without native code (slower): EKERNEL_PROBES=python"
            )
        for slot in (Slot.COUNT, Slot.HIT, Slot.BLOCK, Slot.BLOCK_PC, Slot.BLOCK_LENGTH):
            self.slots[slot] = 0


class PythonClock:
    """The same clock without native code: each block calls Python. Some fifty times slower, for other hosts."""

    def __init__(
        self, handle: Handle, guest: Guest, base: int, size: int, host_address: int,
        fail: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """See `BlockClock`; the guest counts instructions."""
        from emu.engine.translated.slowly import SlowFeatures

        self._memory = words_type(SLOTS)()
        self.slots = slots = memoryview(self._memory).cast("B").cast("Q")
        slots[Slot.DEADLINE] = NEVER
        run_first_blocks(handle)
        self.window = CopiedWindow(handle)
        self.features = features = SlowFeatures(
            handle, guest, Core(slots, base, size, host_address, 0, fail), self.window, fail
        )

        def block(_engine: int, address: int, size: int, _data: int) -> None:
            instructions = guest.instructions_between(address, address + size)
            count = slots[Slot.COUNT] + instructions
            if count > slots[Slot.DEADLINE] and count <= slots[Slot.LIMIT]:
                slots[Slot.LIMIT] = 0
            elif count > slots[Slot.DEADLINE]:
                slots[Slot.HIT] = 1
                library.emu_stop(handle)
                return
            slots[Slot.COUNT] = count
            slots[Slot.BLOCK_PC] = address
            slots[Slot.BLOCK_LENGTH] = instructions
            features.block_began(address, size, instructions)

        self._block = library.CodeCallback(block)
        library.add_hook(handle, library.HOOK_BLOCK, self._block, None)


def run_first_blocks(handle: Handle) -> None:
    """Run two blocks that do nothing: the engine reports no edge before its first block."""
    page = mmap.mmap(-1, _SCRATCH_SIZE)
    page[:8] = _JUMP_TO_NEXT + _WFI
    address = buffer_address(page)
    library.check(library.mem_map_ptr(handle, _SCRATCH, _SCRATCH_SIZE, library.PROT_ALL, address), "map a page")
    library.check(library.emu_start(handle, _SCRATCH, 0, 0, 0), "run its first block")
    library.check(library.mem_unmap(handle, _SCRATCH, _SCRATCH_SIZE), "unmap a page")
