"""The engine: one Unicorn core with its state window, block clock, memory and callbacks."""

import ctypes
import gc
import mmap
import os
from collections.abc import Callable
from typing import Any

import unicorn

from emu.address import PAGE_SIZE
from emu.engine import floats, interrupts, library, native
from emu.engine.clock import BlockClock, PythonClock
from emu.engine.codepages import CodePages
from emu.engine.guest import Fault, Guest, Stop, Store
from emu.engine.slots import Slot
from emu.engine.tlb import Translations
from emu.engine.translated import installation, layout
from emu.engine.translated.features import Core, Feature, Jump
from emu.engine.translated.fetching import fetch
from emu.engine.translated.player import Entry
from emu.engine.window import EXT_ICSR_BYTE, StateWindow, Word, check_layout
from emu.errors import ConfigError, MachineError
from emu.isa.operands import instruction_length
from emu.isa.privilege import Access
from emu.isa.registers import SP
from emu.isa.status import Status

KNOWN_VERSIONS = ("2.1.4",)
_ROOM = (1 << 30) + (64 << 20)
"""Bytes of address space that a core takes: its buffer for translated code, which it does not ask for twice."""
_LAST_ADDRESS = (1 << 64) - 1
_MOST_ATTEMPTS = 10_000
"""How often the core may leave its loop before an instruction retires: a few times for each page that it accesses, and
once for each trap that leads to a trap."""
_DONE, _REFUSED = Store.DONE, Store.REFUSED  # looking a member up in its Enum is slow


class Engine:
    """A RISC-V core that executes from `ram` (mapped at `base`) and asks a `Guest` about everything privileged.

    `virtual` chooses who translates: True means the guest's `fill`. `probes` is "native", "python", or None for what
    the host can do (the environment variable EKERNEL_PROBES overrides it).
    """

    def __init__(self, guest: Guest, base: int, size: int, host_address: int, *, probes: str | None = None) -> None:
        if library.VERSION not in KNOWN_VERSIONS:
            raise MachineError(
                f"unicorn {library.VERSION} is installed, but this program knows the state layout of "
                f"{', '.join(KNOWN_VERSIONS)} only; install that version"
            )
        probes = probes or os.environ.get("EKERNEL_PROBES") or ("python" if installation.obstacle() else "native")
        if native.can_replace_functions() and os.environ.get("EKERNEL_PROBES") != "python":
            floats.replace()
        _check_room()
        self._guest = guest
        self._core = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
        self.handle = ctypes.c_void_p(self._core._uch.value)  # the binding has no public name for it
        self.base, self.size, self._host_address = base, size, host_address
        self.running = False
        self.in_memory_hook = False
        """Whether the core waits for the answer to an access: its TLB must not be touched, not even by a look-up."""
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
        self._features: tuple[Feature, ...] = ()
        self._switching = False
        self._one_block = False
        self.looks_at_jumps = False
        """Whether a feature wants to be told of traps, and of what leads back from them."""
        self._feature_error: BaseException | None = None
        self._host_translates = False
        self._keep: list[Any] = []
        self._value = (0, 0)
        self._translated = ctypes.c_uint64()
        self._translated_at = ctypes.addressof(self._translated)
        self.virtual = False
        library.set_exits(self.handle, [])
        self._cpu = ctypes.c_uint64.from_address((self.handle.value or 0) + layout.ENGINE_CPU).value
        self.pages = CodePages(self.handle, base, size)
        self.clock: BlockClock | PythonClock
        self.window: StateWindow
        if probes == "native":
            self._entries = installation.install().entries
            self.clock = BlockClock(self.handle, base, size, host_address, self.fail_after_block)
            self.window = self.clock.window
            self.pages.follow_natively(self.clock.state_address, host_address)
        else:
            self._entries = ()
            self.clock = PythonClock(self.handle, guest, base, size, host_address, self.fail_after_block)
            self.window = self.clock.window
            self.pages.follow(guest.code_address)
        self.words, self.slots = self.window.words, self.clock.slots
        self._reset_privilege()
        check_layout(self.window, self._write_register)
        library.check(
            library.mem_map_ptr(self.handle, base, size, library.PROT_ALL, host_address), f"map {size:#x} bytes of RAM"
        )
        self._add_hooks()

    @property
    def is_native(self) -> bool:
        """Whether native functions find the slots by the core's state."""
        return bool(self.window.words[Word.RDTIME_FUNCTION])

    def close(self) -> None:
        """Give the core back to the host; whoever has kept a word of it is told so."""
        self.words.release()
        self.window.octets.release()
        vars(self).clear()  # its callbacks know it, and it them

    def translate_in_guest(self, on: bool) -> None:
        """Let the guest's `fill` translate (True), or the core's own page walker."""
        self.virtual = on
        library.set_tlb_mode(self.handle, library.TLB_VIRTUAL if on else library.TLB_CPU)
        library.flush_tlb(self.handle)

    def add_device(self, base: int, size: int) -> None:
        """Send accesses to a range of physical addresses to the guest's `device_read` and `device_write`."""

        def read(_engine: int, offset: int, _size: int, _data: int) -> int:
            value, address = self._value
            if base + offset < address:  # the rest of an access that was refused, in the page behind it
                return 0
            return value >> (8 * (base + offset - address)) & _LAST_ADDRESS

        callback = library.MmioReadCallback(read)
        self._keep.append(callback)
        library.check(
            library.mmio_map(self.handle, base, size, library.address_of(callback), None, None, None),
            f"map a device at {base:#x}",
        )
        # Protection hooks see the whole access and an exact pc; the core's own device callbacks get neither.
        library.check(library.mem_protect(self.handle, base, size, library.PROT_NONE), "protect a device")

    def watch_stores(self, page: int) -> Callable[[], None]:
        """Send stores to a page of RAM to the guest's `device_write`, which carries them out; returns what ends it.

        Not while the core runs; the caller flushes the TLB.
        """
        protection = library.PROT_READ | library.PROT_EXEC
        library.check(library.mem_protect(self.handle, page, PAGE_SIZE, protection), "protect a page")
        last = page + PAGE_SIZE - 1
        identifier = self._hook(library.HOOK_WRITE_PROTECTED, self._memory, page, last, leaves=Entry.MEMORY)

        def remove() -> None:
            library.check(library.hook_del(self.handle, identifier), "remove a hook")
            library.check(library.mem_protect(self.handle, page, PAGE_SIZE, library.PROT_ALL), "release a page")

        return remove

    def run(self) -> Stop:
        """Execute from the window's pc until the deadline, a request to stop, or wfi.

        What a callback raised comes out here, with the machine still usable.
        """
        stop = self._run()
        error, self._feature_error = self._feature_error, None
        if error is not None:
            raise error
        return stop

    def _run(self) -> Stop:
        if self.running:
            raise MachineError("the machine is running already: a listener cannot run it again")
        handle, words, window = self.handle, self.words, self.window
        self.running = True
        self._stop_requested = False
        self.started_at = self.slots[Slot.COUNT]
        self.slots[Slot.HIT] = 0
        try:
            while True:
                error = library.emu_start(handle, words[Word.PC], 0, 0, 0)
                window.load()
                self._settle()
                if self._left_access:
                    stop = self._complete_access()
                    if stop is not None:
                        return stop
                    continue
                if error != library.ERR_OK:
                    pc = words[Word.PC]
                    try:
                        self._resolve(error)
                    finally:  # what the hart did stands, also when a listener has raised an exception behind it
                        window.store()
                    if self._has_exits and words[Word.PC] != pc:
                        self.set_exits([])  # the core looks them up when it stops: not with a trap handler's privilege
                    if self._stop_requested:
                        return Stop.REQUESTED
                    continue
                if self.slots[Slot.HIT]:
                    return Stop.DEADLINE
                return Stop.REQUESTED if self._stop_requested else Stop.WAITING
        finally:
            self.running = False

    def _settle(self) -> None:
        """What had to wait until the core was left; raises what a callback has raised."""
        if self._one_block:
            self._let_no_more_begin()
        while self._changed_code:
            self.forget_code(*self._changed_code.pop())
        if self._switching:
            self._switching = False
            self._apply_features()
        if self._error is not None:
            self._raise_kept()

    def _complete_access(self) -> Stop | None:
        """Have the guest complete an access that was left; why the run ends by it, if so."""
        self._left_access = False
        self._fault = None
        self.clock.features.left_store()
        if self.clock.features.looks_at_completed:
            self._report_completed(self.words[Word.PC], self._guest.access_done)
        else:
            self._guest.access_done()
        self.window.store()
        if self._stop_requested:
            return Stop.REQUESTED
        return Stop.DEADLINE if self.slots[Slot.COUNT] >= self.slots[Slot.DEADLINE] else None

    def _report_completed(self, pc: int, complete: Callable[[], None]) -> None:
        """Tell features what the guest makes of the instruction at `pc`, unless it traps."""
        core = Core(self.slots, self.base, self.size, self._host_address, 0, self.fail_after_block)
        code = fetch(core, self._guest.code_address, pc, 4)
        complete()
        length = instruction_length(code[0])
        if self.words[Word.PC] == pc + length & _LAST_ADDRESS:
            self.clock.features.completed(pc, int.from_bytes(code[:length], "little"), self.words)

    def jumped(self, pc: int, instruction: int, target: int, satp: int) -> None:
        """Tell features of a trap (instruction 0), or of an `sret` or `mret` that the guest has carried out."""
        jump = Jump(pc & _LAST_ADDRESS, instruction, target, self.words[SP], self.slots[Slot.COUNT], satp)
        self.clock.features.jumped(jump)

    def request_stop(self) -> None:
        """Return from `run` as soon as the current callback is done; not from a device's write: see Store.LEAVE."""
        self._stop_requested = True
        library.emu_stop(self.handle)

    def leave_load(self) -> None:
        """In `device_read`: stop right behind the load, which the guest completes in `access_done`."""
        self._left_access = True

    @property
    def stop_is_requested(self) -> bool:
        """Whether `request_stop` was called since the core was started."""
        return self._stop_requested

    def stop_after_block(self) -> None:
        """Return from `run` when the current block has ended."""
        self.slots[Slot.DEADLINE] = 0

    def not_later_than(self, deadline: int) -> None:
        """Return from `run` before more than so many instructions have retired."""
        if deadline < self.slots[Slot.DEADLINE]:
            self.slots[Slot.DEADLINE] = deadline

    def run_block(self, deadline: int) -> Stop:
        """Execute one block of code, or none when it would pass the deadline."""
        slots = self.slots
        slots[Slot.DEADLINE], slots[Slot.LIMIT] = 0, deadline
        self._one_block = True
        try:
            return self.run()
        finally:
            slots[Slot.LIMIT] = 0
            self._one_block = False

    def _let_no_more_begin(self) -> None:
        """Once the block of `run_block` has begun: what did not retire of it leaves room for others."""
        if not self.slots[Slot.LIMIT]:
            self.slots[Slot.DEADLINE] = 0

    def serve_time(self, instructions_per_tick: int, slept: int, offset: int) -> None:
        """Let the core read `time` by itself, as (instructions retired + slept) // instructions_per_tick + offset.

        With 0 instructions per tick, and where it cannot, reading it is an illegal instruction, which the guest gets.
        """
        # Who sleeps to the end of time has slept for more than 64 bits of instructions.
        ticks, rest = divmod(slept, instructions_per_tick) if instructions_per_tick else (0, 0)
        slots = self.slots
        slots[Slot.TICK], slots[Slot.SLEPT] = instructions_per_tick, rest
        slots[Slot.TIME_OFFSET] = (offset + ticks) & _LAST_ADDRESS

    def announce_interrupts(self) -> None:
        """Make the core look at the window's `mip` before its next block."""
        words, octets = self.words, self.window.octets
        if library.update_mip is not None:
            self.window.store()
            library.update_mip(self._cpu, 0xFFFF_FFFF, words[Word.MIP])
            return
        # By the public interface, which obeys the guest's privilege, and needs the core to have CSR instructions.
        privilege, has_csrs = words[Word.PRIVILEGE], octets[EXT_ICSR_BYTE]
        words[Word.PRIVILEGE], octets[EXT_ICSR_BYTE] = 3, 1
        self.window.store()
        value = ctypes.c_uint64(words[Word.MIP])
        library.check(library.reg_write(self.handle, library.REGISTER_MIP, ctypes.byref(value)), "write mip")
        words[Word.PRIVILEGE], octets[EXT_ICSR_BYTE] = privilege, has_csrs
        self.window.store()

    def enter_interrupts(self, is_due: Callable[[], bool], enter: Callable[[], None]) -> bool:
        """Have the guest enter interrupts, between two blocks; False where this core can only do it by itself."""
        window = self.window

        def due() -> bool:
            window.load()
            return is_due()

        slots = self.slots if self.is_native else memoryview(b"")
        kept = interrupts.ask_guest(self.handle, slots, due, lambda: self._guarded(enter))
        self._keep.append(kept)
        return kept is not None

    def translate_code(self, address: int) -> int | None:
        """Where the core's own page walker or its TLB finds an instruction; None when it does not."""
        if library.vmem_translate(self.handle, address, library.PROT_EXEC, self._translated_at) != library.ERR_OK:
            return None
        return self._translated.value

    def set_exits(self, addresses: list[int]) -> None:
        """Stop before these virtual addresses, until an exception. Their code must be forgotten by the caller."""
        self._has_exits = bool(addresses)
        library.set_exits(self.handle, addresses)

    def switch_on(self, feature: Feature) -> None:
        """Let all code do what a feature says; in a run from the end of the current slice on.

        All code is translated anew. MachineError for a feature that is on already.
        """
        if feature in self._features:
            raise MachineError("this feature is switched on already")
        self._features = (*self._features, feature)
        self._switch()

    def switch_off(self, feature: Feature) -> None:
        """End what `switch_on` has begun, when the buffers have been handed over; nothing for a feature that is off."""
        if feature in self._features:
            self._features = tuple(other for other in self._features if other is not feature)
            self._switch()

    def flush_features(self) -> None:
        """Have all features hand over what their buffers hold; not in the middle of a block."""
        self.clock.features.flush()

    def _switch(self) -> None:
        if self.running:
            self._switching = True
        else:
            self._apply_features()

    def _apply_features(self) -> None:
        self.clock.features.switch(self._features)
        self.looks_at_jumps = any(feature.looks_at_jumps for feature in self._features)
        self.forget_all_code()

    def flush_tlb(self) -> None:
        """Forget cached translations; not inside a memory callback."""
        library.flush_tlb(self.handle)

    def forget_all_code(self) -> None:
        """Forget all translated code; not inside a callback."""
        library.flush_blocks(self.handle)

    def forget_code(self, physical: int, length: int) -> None:
        """Forget what was translated from a range of physical addresses, because the host changed it.

        For a device that writes to memory while the core waits for its answer, it is done before the next instruction.
        """
        if not self.pages.holds_code(physical, length):
            return
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

    def add_code_hook(self, address: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back just before the instruction at a virtual address executes; returns what removes the hook.

        The caller must forget the code that was translated from there before.
        """

        def reached(_engine: int, _address: int, _size: int, _data: int) -> None:
            self._guarded(callback)

        identifier = self._hook(library.HOOK_CODE, library.CodeCallback(reached), address, address, leaves=Entry.CODE)

        def remove() -> None:
            library.check(library.hook_del(self.handle, identifier), "remove a hook")

        return remove

    def _guarded(self, call: Callable[[], None]) -> None:
        """Call into the guest from a hook: an exception is kept and raised again outside the core."""
        self.window.load()
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # everything is kept for `run` to raise: ctypes would swallow it
            self.fail(error)
        self.window.store()

    def fail(self, error: BaseException) -> None:
        """Stop, and raise `error` from `run`."""
        if self._error is None:
            self._error = error
        library.emu_stop(self.handle)

    def fail_after_block(self, error: BaseException) -> None:
        """Raise `error` from `run` when the current block has ended: in the middle of an access nothing can stop."""
        if self._feature_error is None:
            self._feature_error = error
        self.stop_after_block()

    def _raise_kept(self) -> None:
        kept, self._error = self._error, None
        self._fault = None
        self._refused = self._breakpoint = False
        if self._left_access:
            self._left_access = False
            self._guest.access_done()
            self.window.store()
        if kept is not None:
            raise kept

    def _resolve(self, error: int) -> None:
        """The core has left its loop because of an exception that it cannot enter: let the guest do it."""
        fault, self._fault = self._fault, None
        if fault is not None:
            self._guest.access_fault(fault)
        elif self._breakpoint:
            self._breakpoint = False
            self._guest.breakpoint()
        elif self._refused:
            self._refused = False
            self._guest.refused()
        else:
            raise MachineError(f"the engine stopped at pc {self.words[Word.PC]:#x}: {library.error_text(error)}")
        self._check_progress()

    def _check_progress(self) -> None:
        """Raise MachineError when the core is started again and again, and no instruction retires."""
        retired = self.slots[Slot.COUNT]
        self._attempts = self._attempts + 1 if retired == self._attempted_at else 1
        self._attempted_at = retired
        if self._attempts > _MOST_ATTEMPTS:
            self._attempts = 0
            raise MachineError(
                f"the engine does not get past the instruction at pc {self.words[Word.PC]:#x}: "
                f"it has tried {_MOST_ATTEMPTS:,} times"
            )

    def _add_hooks(self) -> None:
        exception = self._guest.exception
        direct = isinstance(self.clock, BlockClock)

        def on_exception(_engine: int, number: int) -> None:
            if self._one_block:
                self._let_no_more_begin()
            try:
                if self.clock.features.looks_at_completed:
                    self._report_completed(self.words[Word.PC] - 4, lambda: exception(number))
                else:
                    exception(number)
            except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
                self.fail(error)

        def on_exception_copied(_engine: int, number: int) -> None:
            self._guarded(lambda: exception(number))

        def on_invalid(_engine: int, _data: int) -> bool:
            self._breakpoint = True
            library.emu_stop(self.handle)
            return True

        self._hook(library.HOOK_INTERRUPT, library.InterruptCallback(on_exception if direct else on_exception_copied))
        self._hook(library.HOOK_INVALID, library.InvalidCallback(on_invalid))
        self._answer_fills()
        self._memory = memory = library.MemoryCallback(self._on_memory)
        # Hooks over RAM would make every store slow.
        for begin, end in ((0, self.base - 1), (self.base + self.size, _LAST_ADDRESS)):
            self._hook(library.HOOK_UNMAPPED, memory, begin, end, leaves=Entry.MEMORY)
            self._hook(library.HOOK_PROTECTED, memory, begin, end, leaves=Entry.MEMORY)

    def _answer_fills(self) -> None:
        window, fill, direct = self.window, self._guest.fill, isinstance(self.clock, BlockClock)
        cells: dict[int, Any] = {}
        self.translations = translations = Translations(self.handle)

        def on_fill(_engine: int, address: int, access: int, result: int) -> bool:
            try:
                if self._host_translates:
                    found: tuple[int, int] | None = (address, library.PROT_ALL)
                elif direct:
                    found = fill(address, access)
                else:
                    found = translations.ask(address, access, fill)
                if found is None:
                    self._refused = True
                    return False
                cell = cells.get(result)
                if cell is None:  # the result lies on the core's stack, at one of few places
                    cell = cells[result] = (ctypes.c_uint64 * 2).from_address(result)
                cell[0], cell[1] = found
            except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
                self.fail(error)
                return False
            return True

        def on_fill_copied(engine: int, address: int, access: int, result: int) -> bool:
            window.load()
            try:
                return on_fill(engine, address, access, result)
            finally:
                window.store()

        if direct:
            asked = library.FillCallback(on_fill)
            self._keep.append(asked)
            translations.serve(library.address_of(asked))
        else:
            self._hook(library.HOOK_FILL, library.FillCallback(on_fill_copied))

    def _hook(self, kind: int, callback: Any, begin: int = 1, end: int = 0, *, leaves: Entry | None = None) -> int:
        """Register a callback; `leaves` is the native function that is to leave the core behind it, if any."""
        self._keep.append(callback)
        if leaves is None or not self._entries:
            return library.add_hook(self.handle, kind, callback, None, begin, end)
        word = ctypes.c_void_p(library.address_of(callback))
        self._keep.append(word)
        return library.add_hook(self.handle, kind, self._entries[leaves], ctypes.addressof(word), begin, end)

    def _on_memory(self, _engine: int, kind: int, address: int, size: int, value: int) -> bool:
        if self._fault is not None or self._error is not None:
            return False  # a store that was refused as a whole is offered again byte by byte
        self.window.load()
        self.in_memory_hook = True
        try:
            if kind == library.MEM_WRITE_PROT:
                outcome = self._guest.device_write(address, size, value & ((1 << 8 * size) - 1))
                if outcome is _DONE and not self._changed_code:
                    return True
                # Stopping the core here would execute the store again: it is refused, and completed by the hart.
                self._left_access = outcome is not _REFUSED
            elif kind == library.MEM_READ_PROT:
                read = self._guest.device_read(address, size)
                if read is not None and not self._left_access:
                    self._value = (read, address)
                    return True
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            self._left_access = kind == library.MEM_WRITE_PROT  # the device has it: it must not be stored again
            self.fail(error)
            return False
        finally:
            self.in_memory_hook = False
            self.window.store()
        self._fault = Fault(_ACCESS[kind], address)
        return False

    def _reset_privilege(self) -> None:
        self.window.load()
        self.words[Word.PRIVILEGE] = 3
        self.words[Word.MSTATUS] = 0
        self.window.store()

    def _write_register(self, number: int, value: int) -> None:
        register = unicorn.riscv_const.UC_RISCV_REG_PC if number == 32 else unicorn.riscv_const.UC_RISCV_REG_X0 + number
        self._core.reg_write(register, value)


def _check_room() -> None:
    """Raise ConfigError where the core would find no room for what it translates, and end the process."""
    for attempt in range(2):
        try:
            mmap.mmap(-1, _ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        except (OSError, ValueError, AttributeError) as error:
            if isinstance(error, AttributeError):  # a host without mmap's flags
                return
            if attempt:
                raise ConfigError(
                    f"the host gives this process no {_ROOM >> 20} MiB of address space for the engine ({error}); "
                    "close other machines, or raise the limit (ulimit -v)"
                ) from None
            gc.collect()  # machines that are part of a cycle are closed by this
        else:
            return


_ACCESS = {
    library.MEM_READ_UNMAPPED: Access.LOAD,
    library.MEM_READ_PROT: Access.LOAD,
    library.MEM_WRITE_UNMAPPED: Access.STORE,
    library.MEM_WRITE_PROT: Access.STORE,
    library.MEM_FETCH_UNMAPPED: Access.FETCH,
    library.MEM_FETCH_PROT: Access.FETCH,
}
