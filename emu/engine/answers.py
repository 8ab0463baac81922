"""What the core calls back, what it is answered, and how it is stopped by an answer."""

import ctypes
from collections.abc import Callable

from emu.buffers import words_type
from emu.engine import library, native
from emu.engine.calls import alone
from emu.engine.clock import BlockClock
from emu.engine.codehooks import CodeHooks
from emu.engine.fills.tlb import Translations
from emu.engine.guest import Fault, Store
from emu.engine.native import StandsBefore
from emu.engine.parts import LAST_ADDRESS, EngineParts
from emu.engine.slots import Slot
from emu.engine.translated.features import Core, Jump
from emu.engine.translated.fetching import fetch
from emu.engine.translated.player import Entry
from emu.engine.traps import interrupts
from emu.engine.window import EXT_ICSR_BYTE, Word
from emu.hints import Any
from emu.isa.operands import instruction_length
from emu.isa.privilege import Access
from emu.isa.registers import SP

_PAGE_FAULTS = (12, 13, 15)
"""What the core raises for pages that the guest has refused."""
_DONE, _REFUSED = Store.DONE, Store.REFUSED  # looking a member up in its Enum is slow
_ACCESS = {
    library.MEM_READ_UNMAPPED: Access.LOAD,
    library.MEM_READ_PROT: Access.LOAD,
    library.MEM_WRITE_UNMAPPED: Access.STORE,
    library.MEM_WRITE_PROT: Access.STORE,
    library.MEM_FETCH_UNMAPPED: Access.FETCH,
    library.MEM_FETCH_PROT: Access.FETCH,
}


class EngineAnswers(EngineParts):
    """Answers as its guest does."""

    def request_stop(self) -> None:
        """Return from `run` as soon as the current callback is done; not from a device's write: see Store.LEAVE.

        In the report of an access, which cannot be left, when the current block has ended.
        """
        if self.in_report:
            self.stop_after_block()
            return
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

    def _let_no_more_begin(self) -> None:
        """Once the block of `run_block` has begun: what did not retire of it leaves room for others."""
        if not self.slots[Slot.LIMIT]:
            self.slots[Slot.DEADLINE] = 0

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

    def add_code_hook(
        self, address: int, callback: Callable[[], None], before: StandsBefore | None = None
    ) -> Callable[[], None]:
        """Call back just before the instruction at a virtual address executes; returns what removes the hook.

        The caller must forget the code that was translated from there before. With native probes, `before` decides
        whether to call.
        """

        def reached(_engine: int, _address: int, _size: int, _data: int) -> None:
            self._guarded(callback)

        handle, hooks = self.handle, self._code_hooks
        if hooks is None:
            hooks = self._code_hooks = CodeHooks(handle.value or 0)
            if self._entries:
                hooks.show(self.slots)
        hooks.add(address)
        identifier = self._hook(
            library.HOOK_CODE, library.CodeCallback(reached), address, address, leaves=Entry.CODE, before=before
        )

        def remove() -> None:
            library.remove_hook(handle, identifier)
            hooks.remove(address)

        return remove

    def _report_completed(self, pc: int, complete: Callable[[], None]) -> None:
        """Tell features what the guest makes of the instruction at `pc`, unless it traps."""
        core = Core(self.slots, self.base, self.size, self._host_address, 0, self.fail_after_block)
        code = fetch(core, self._guest.code_address, pc, 4)
        complete()
        length = instruction_length(code[0])
        if self.words[Word.PC] == pc + length & LAST_ADDRESS:
            self.clock.features.completed(pc, int.from_bytes(code[:length], "little"), self.words)

    def jumped(self, pc: int, instruction: int, target: int, satp: int) -> None:
        """Tell features of a trap (instruction 0), of an `sret` or `mret` that the guest has carried out.

        Or that a write of `satp` has brought another stack: `OTHER_STACK` of `emu.isa.encodings`, and the old value.
        """
        jump = Jump(pc & LAST_ADDRESS, instruction, target, self.words[SP], self.slots[Slot.COUNT], satp)
        self.clock.features.jumped(jump)

    def _guarded(self, call: Callable[[], None]) -> None:
        """Call into the guest from a hook: an exception is kept and raised again outside the core."""
        self.window.load()
        try:
            self.show_sent()
            call()
        except BaseException as error:  # noqa: BLE001  # everything is kept for `run` to raise: ctypes would swallow it
            self.fail(error)
        self.window.store()

    def show_sent(self) -> None:
        """Have what the console's port has sent shown, before somebody looks."""
        port = self.port
        if port is not None and port.waits:
            port.flush()

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

    def _add_hooks(self) -> None:
        exception, features, slots, refused = (
            self._guest.exception, self.clock.features, self.slots, self._guest.refused,
        )  # fmt: skip
        direct = isinstance(self.clock, BlockClock)

        def on_exception(_engine: int, number: int) -> None:
            if self._one_block:
                self._let_no_more_begin()
            if number in _PAGE_FAULTS and slots[Slot.RAISES]:
                self.words[Word.PC] = self.words[Word.PC] - 4 & LAST_ADDRESS
                if self._error is None:  # else the core is left already
                    self._guarded(refused)
                return
            try:
                if not features.looks_at_completed:
                    exception(number)
                else:
                    self._report_completed(self.words[Word.PC] - 4, lambda: exception(number))
            except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
                self.fail(error)

        def on_exception_copied(_engine: int, number: int) -> None:
            self._guarded(lambda: exception(number))

        def on_invalid(_engine: int, _data: int) -> bool:
            self._breakpoint = True
            library.emu_stop(self.handle)
            return True

        asked = library.InterruptCallback(on_exception if direct else on_exception_copied)
        self._hook(library.HOOK_INTERRUPT, asked, before=alone.EXCEPTION)
        self._hook(library.HOOK_INVALID, library.InvalidCallback(on_invalid), before=alone.INVALID)
        self._answer_fills()
        self._memory = memory = library.MemoryCallback(self._on_memory)
        # Hooks over RAM would make every store slow.
        for begin, end in ((0, self.base - 1), (self.base + self.size, LAST_ADDRESS)):
            self._hook(library.HOOK_UNMAPPED, memory, begin, end, leaves=Entry.MEMORY)
            self._hook(library.HOOK_PROTECTED, memory, begin, end, leaves=Entry.MEMORY)

    def _answer_fills(self) -> None:
        window, fill, direct, slots = self.window, self._guest.fill, isinstance(self.clock, BlockClock), self.slots
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
                    self._refused = not slots[Slot.RAISES]
                    return False
                cell = cells.get(result)
                if cell is None:  # the result lies on the core's stack, at one of few places
                    cell = cells[result] = words_type(2).from_address(result)
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

        if isinstance(self.clock, BlockClock):
            asked = library.FillCallback(on_fill)
            self._keep.append(asked)
            translations.serve(library.address_of(asked), self.clock.slots_address)
            self.slots[Slot.TRANSLATIONS] = translations.address
        else:
            self._hook(library.HOOK_FILL, library.FillCallback(on_fill_copied))

    def _hook(
        self,
        kind: int,
        callback: Any,
        begin: int = 1,
        end: int = 0,
        *,
        leaves: Entry | None = None,
        before: native.Probe | StandsBefore | None = None,
    ) -> int:
        """Register a callback; `leaves`, or `before`, is the native function that is to stand before it, if any."""
        self._keep.append(callback)
        if not self._entries or (leaves is None and before is None):
            return library.add_hook(self.handle, kind, callback, None, begin, end)
        clock = self.clock
        assert isinstance(clock, BlockClock)
        first = (library.address_of(callback), clock.slots_address, clock.state_address)
        if isinstance(before, StandsBefore):
            words, before = before.words, before.probe
            words[: len(first) + 1] = [*first, self._entries[leaves or 0]]
        else:
            words = words_type(3)(*first)
        self._keep.append(words)
        function = native.load(before) if before is not None else self._entries[leaves or 0]
        return library.add_hook(self.handle, kind, function, ctypes.addressof(words), begin, end)

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
                    answer = self._core.answer
                    answer[0], answer[1] = read, address
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
