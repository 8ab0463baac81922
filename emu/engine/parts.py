"""What an engine is made of, and what can be changed in it while its core does not execute."""

import ctypes
import os
from abc import ABC, abstractmethod

from emu.buffers import buffer_address
from emu.engine import floats, library, native
from emu.engine.calls import alone
from emu.engine.calls.frame import Frame
from emu.engine.clock import BlockClock, PythonClock
from emu.engine.codehooks import CodeHooks
from emu.engine.codepages import CodePages
from emu.engine.cores import Core, MemoryMap, Ranges
from emu.engine.fills.tlb import Translations
from emu.engine.guest import Fault, Guest
from emu.engine.port import Port
from emu.engine.slots import Slot
from emu.engine.translated import installation, layout
from emu.engine.translated.features import Feature
from emu.engine.traps.returns import Returns
from emu.engine.window import DirectWindow, StateWindow, Word, check_layout
from emu.errors import MachineError
from emu.hints import Any
from emu.isa.status import Status

_MOST_BLOCKS_OF_USED = 4096
"""A core that has translated more is not used again: what its code takes of the host's memory is given back."""
LAST_ADDRESS = (1 << 64) - 1


class EngineParts(ABC):
    """The base of `Engine`."""

    translations: Translations
    """What the guest's answers to the core's questions for pages are kept in."""

    def __init__(
        self, guest: Guest, base: int, size: int, host_address: int, devices: Ranges = (), *, probes: str | None = None
    ) -> None:
        """Accesses to `devices` go to the guest's `device_read` and `device_write`."""
        if library.VERSION not in library.KNOWN_VERSIONS:
            raise MachineError(
                f"unicorn {library.VERSION} is installed, but this program knows the state layout of "
                f"{', '.join(library.KNOWN_VERSIONS)} only; install that version"
            )
        probes = probes or os.environ.get("EKERNEL_PROBES") or ("python" if installation.obstacle() else "native")
        if native.can_replace_functions() and os.environ.get("EKERNEL_PROBES") != "python":
            floats.replace()
        self._guest = guest
        self._core = Core(MemoryMap(base, size, devices), host_address, used=probes == "native")
        self.handle = self._core.handle
        self.base, self.size, self._host_address = base, size, host_address
        self._begin_run_state()
        self._begin_features()
        self._begin_calls()
        self.pages = CodePages(self.handle, self._cpu, base, size, host_address)
        self.clock: BlockClock | PythonClock = self._native_clock() if probes == "native" else self._python_clock()
        self.window: StateWindow = self.clock.window
        self.words, self.slots = self.window.words, self.clock.slots
        self._forgotten_to = self.slots[Slot.SERIAL]
        """The number of the last block of which nothing is left, with native probes."""
        if self._core.is_new:
            self._reset_privilege()
            check_layout(self.window, self._write_register)
            if isinstance(self.window, DirectWindow):
                self._core.is_fresh(self.window)
        self._add_hooks()

    def _begin_run_state(self) -> None:
        """What a run of the core, and what is called back from it, leaves for one another."""
        self.running = False
        self.in_memory_hook = False
        """Whether the core waits for the answer to an access: its TLB must not be touched, not even by a look-up."""
        self.port: Port | None = None
        """The console's, where there are native probes."""
        self.in_report = False
        """Whether an access is being reported by the shadow."""
        self._error: BaseException | None = None
        self._fault: Fault | None = None
        self._stop_requested = False
        self._has_exits = False
        self.started_at = 0
        """Instructions retired when the core was started last."""
        self._breakpoint = False
        self._refused = False
        self._attempted_at = self._attempts = 0
        self._left_access = False
        self._changed_code: list[tuple[int, int]] = []
        self._one_block = False
        self._keep: list[Any] = []

    def _begin_features(self) -> None:
        """Which features are on, and what they want to be told of."""
        self._features: tuple[Feature, ...] = ()
        self._features_work_alone = True
        self._told_of_calls: tuple[Feature, ...] = ()
        self._switching = False
        self._returns: Returns | None = None
        self._serves_returns = False
        self._entries_by = 0
        self.looks_at_jumps = False
        """Whether a feature wants to be told of traps, and of what leads back from them."""
        self._feature_error: BaseException | None = None

    def _begin_calls(self) -> None:
        """What the host asks of the core: translations, and calls of guest functions."""
        self._host_translates = False
        self._translated = ctypes.c_uint64()
        self._translated_at = ctypes.addressof(self._translated)
        self.virtual = False
        self.frame = Frame(alone.REGISTERS)
        """What functions that the host calls are given and give."""
        self._lone_calls: alone.LoneCalls | None = None
        self._entries: tuple[int, ...] = ()
        self._code_hooks: CodeHooks | None = None
        self._cpu = ctypes.c_uint64.from_address((self.handle.value or 0) + layout.ENGINE_CPU).value

    def _native_clock(self) -> BlockClock:
        self._entries = installation.install().entries
        clock = BlockClock(self._core, self.base, self.size, self._host_address, self.fail_after_block)
        self.pages.follow_natively(clock.state_address)
        self._lone_calls = alone.LoneCalls(self.handle, clock.state_address, clock.slots_address, self.frame)
        self.port = Port(clock.slots, buffer_address(self._core.answer))
        return clock

    def _python_clock(self) -> PythonClock:
        clock = PythonClock(self.handle, self._guest, self.base, self.size, self._host_address, self.fail_after_block)
        self.pages.follow(self._guest.code_address)
        return clock

    @property
    def is_native(self) -> bool:
        """Whether native functions find the slots by the core's state."""
        return bool(self.window.words[Word.RDTIME_FUNCTION])

    def close(self) -> None:
        """Give the core back to the host; whoever has kept a word of it is told so."""
        core, clock, host_address = self._core, self.clock, self._host_address
        is_small = isinstance(clock, BlockClock) and self.slots[Slot.SERIAL] < _MOST_BLOCKS_OF_USED
        self.words.release()
        self.window.octets.release()
        for part in (self.pages, clock.features, self):  # their callbacks know them, and they their callbacks
            vars(part).clear()
        if is_small and isinstance(clock, BlockClock):
            core.give_back(clock.state_address, host_address)

    def translate_in_guest(self, on: bool) -> None:
        """Let the guest's `fill` translate (True), or the core's own page walker."""
        self.virtual = on
        library.set_tlb_mode(self.handle, library.TLB_VIRTUAL if on else library.TLB_CPU)
        if self.is_native:
            self.translations.stand_before_core(walks=not on)
        library.flush_tlb(self.handle)

    def serve_time(self, instructions_per_tick: int, slept: int, offset: int) -> None:
        """Let the core read `time` by itself, as (instructions retired + slept) // instructions_per_tick + offset.

        With 0 instructions per tick, and where it cannot, reading it is an illegal instruction, which the guest gets.
        """
        # Who sleeps to the end of time has slept for more than 64 bits of instructions.
        ticks, rest = divmod(slept, instructions_per_tick) if instructions_per_tick else (0, 0)
        slots = self.slots
        slots[Slot.TICK], slots[Slot.SLEPT] = instructions_per_tick, rest
        slots[Slot.TIME_OFFSET] = (offset + ticks) & LAST_ADDRESS

    def translate_code(self, address: int) -> int | None:
        """Where the core's own page walker or its TLB finds an instruction; None when it does not."""
        if library.vmem_translate(self.handle, address, library.PROT_EXEC, self._translated_at) != library.ERR_OK:
            return None
        return self._translated.value

    def set_exits(self, addresses: list[int]) -> None:
        """Stop before these virtual addresses, until an exception. Their code must be forgotten by the caller."""
        self._has_exits = bool(addresses)
        library.set_exits(self.handle, addresses)

    def flush_tlb(self) -> None:
        """Forget cached translations; not inside a memory callback."""
        library.flush_tlb(self.handle)

    @property
    def in_access(self) -> bool:
        """Whether an access is being told that the core is in the middle of: its TLB must not be touched, either."""
        return isinstance(self.clock, PythonClock) and self.clock.features.in_access

    def forget_all_code(self) -> None:
        """Forget all translated code; not inside a callback."""
        library.flush_blocks(self.handle)
        self._forgotten_to = self.slots[Slot.SERIAL]

    def forget_code(self, physical: int, length: int) -> None:
        """Forget what was translated from a range of physical addresses, because the host changed it.

        For a device that writes to memory while the core waits for its answer, it is done before the next instruction.
        """
        if not self.pages.holds_code(physical, length):
            return
        if self._lone_calls is not None and self.slots[Slot.SERIAL] == self._forgotten_to:
            return  # nothing was translated since all was forgotten
        if self.in_memory_hook:
            self._changed_code.append((physical, length))
            return
        words = self.words
        self.window.load()
        privilege, status = words[Word.PRIVILEGE], words[Word.MSTATUS]
        words[Word.PRIVILEGE], words[Word.MSTATUS] = 3, status & ~int(Status.MPRV)
        self.window.store()
        self._host_translates = True
        with self.translations.suspended():
            library.remove_cache(self.handle, physical, physical + length)
        self._host_translates = False
        words[Word.PRIVILEGE], words[Word.MSTATUS] = privilege, status
        self.window.store()

    def _reset_privilege(self) -> None:
        self.window.load()
        self.words[Word.PRIVILEGE] = 3
        self.words[Word.MSTATUS] = 0
        self.window.store()

    def _write_register(self, number: int, value: int) -> None:
        register = library.REGISTER_PC if number == 32 else library.REGISTER_X0 + number
        library.write_register(self.handle, register, value)

    @abstractmethod
    def _add_hooks(self) -> None:
        """Have the core call back."""

    @abstractmethod
    def fail_after_block(self, error: BaseException) -> None:
        """Raise `error` from `run` when the current block has ended: in the middle of an access nothing can stop."""
