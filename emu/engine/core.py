"""The engine: one Unicorn core with its state window, block clock, memory and callbacks; here it runs."""

from emu.engine import library
from emu.engine.answers import EngineAnswers
from emu.engine.calls import alone
from emu.engine.calls.frame import DONE, NOT_BEGUN, RETURNED
from emu.engine.guest import NUMBER_SHIFT, RETURN_ADDRESS, Note, Stop
from emu.engine.parts import LAST_ADDRESS
from emu.engine.slots import Slot
from emu.engine.translated.features import Feature
from emu.engine.traps.returns import Returns
from emu.engine.window import Word
from emu.errors import MachineError
from emu.hints import TYPE_CHECKING
from emu.isa.registers import SP

if TYPE_CHECKING:
    from emu.engine.calls.repeated import Repeater

_MOST_ATTEMPTS = 10_000
"""How often the core may leave its loop before an instruction retires: a few times for each page that it accesses, and
once for each trap that leads to a trap."""
_COUNT, _DEADLINE = Slot.COUNT, Slot.DEADLINE
_NEEDS_NATIVE_CODE = "without native code (`ekernel doctor` says why) no function is called without Python"


class Engine(EngineAnswers):
    """A RISC-V core that executes from `ram` (mapped at `base`) and asks a `Guest` about everything privileged.

    `virtual` chooses who translates: True means the guest's `fill`. `probes` is "native", "python", or None for what
    the host can do (the environment variable EKERNEL_PROBES overrides it).
    """

    @property
    def can_call_alone(self) -> bool:
        """Whether `call_alone` is possible now: with native probes, and while no feature is on that needs Python."""
        return self._lone_calls is not None and self._features_work_alone and not self.running

    def call_alone(self, deadline: int) -> bool:
        """Call the guest's function that `frame` says, which returns to RETURN_ADDRESS; registers are put back.

        False when it has not returned, because of the deadline or because the guest is to be asked for something: the
        core has stopped in the middle, and `run(begun=True)` goes on. A signal's handler may raise in here; then
        `left` tells whether that is so, too.
        """
        calls, slots, frame = self._lone_calls, self.slots, self.frame
        if calls is None:
            raise MachineError(_NEEDS_NATIVE_CODE)
        slots[_DEADLINE] = deadline
        self.started_at = slots[_COUNT]
        frame.words[DONE] = NOT_BEGUN
        if self._told_of_calls:
            self.host_calls()
        try:
            self.running = True
            calls.call(frame.address)
        finally:
            self.running = False
        return frame.words[DONE] == RETURNED

    def host_calls(self) -> None:
        """Tell features of a call by the host that is about to begin."""
        for feature in self._told_of_calls:
            feature.host_calls(RETURN_ADDRESS, self.words[SP])

    def repeat_alone(self, repeater: "Repeater", deadline: int) -> bool:
        """Call a function with many inputs; True when all were executed, and each has returned without anything new.

        Where the last one has stopped in the middle it is as with `call_alone`.
        """
        if self._lone_calls is None:
            raise MachineError(_NEEDS_NATIVE_CODE)
        self.started_at = start = self.slots[_COUNT]
        self.frame.words[DONE] = NOT_BEGUN
        try:
            self.running = True
            repeater.repeat(start, deadline)
        finally:
            self.running = False
        return repeater.is_done

    @property
    def left(self) -> alone.LoneCalls | None:
        """What `call_alone` has left in the middle."""
        calls = self._lone_calls
        return calls if calls is not None and calls.is_left else None

    @property
    def saved_registers(self) -> bytes:
        """The registers before the last `call_alone`, for `HartCore.restore_registers`."""
        return b"" if self._lone_calls is None else self._lone_calls.saved_registers

    def settle_left(self) -> None:
        """Have the guest correct its count where `call_alone` has left the core, which will not go on there."""
        calls = self.left
        if calls is None:
            return
        if calls.note & Note.CODE:
            self.pages.catch_up()
        if calls.note & Note.EXCEPTION:
            self.words[Word.PC] = self.words[Word.PC] - 4 & LAST_ADDRESS
        if calls.note & (Note.DATA | Note.EXCEPTION | Note.BREAKPOINT):
            self._guest.not_begun(fetch=False)
        elif calls.note & (Note.FETCH | Note.RETURNED):
            self._guest.not_begun(fetch=True)
        calls.forget()

    def run(self, *, begun: bool = False) -> Stop:
        """Execute from the window's pc until the deadline, a request to stop, or wfi.

        What a callback raised comes out here, with the machine still usable. `begun`: go on where `call_alone` has
        left the core.
        """
        stop = self._run(self.left if begun else None)
        self.clock.features.empty_full()
        error, self._feature_error = self._feature_error, None
        if error is not None:
            raise error
        return stop

    def _run(self, left: alone.LoneCalls | None) -> Stop:
        if self.running:
            raise MachineError("the machine is running already: a listener cannot run it again")
        handle, words, window = self.handle, self.words, self.window
        self.running = True
        self._stop_requested = False
        if left is None:
            self.started_at = self.slots[Slot.COUNT]
            self.slots[Slot.HIT] = 0
        try:
            stop = None if left is None else self._finish(left)
            if stop is not None:
                return stop
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

    def _finish(self, left: alone.LoneCalls) -> Stop | None:
        """Do what had to wait until a call without Python was left; why the run ends by it, if so."""
        note, error = left.note, left.error
        left.forget()
        if note & Note.CODE:
            self.pages.catch_up()
        if note & Note.EXCEPTION:
            self._guest.exception(note >> NUMBER_SHIFT)
        elif note & Note.BREAKPOINT:
            self._guest.breakpoint()
        elif note & Note.DATA:
            self._guest.not_begun(fetch=False)
        elif note & (Note.FETCH | Note.RETURNED):
            self._guest.not_begun(fetch=True)
        elif not note & (Note.INTERRUPT | Note.CODE):
            if error != library.ERR_OK:
                self._resolve(error)
            return Stop.DEADLINE if self.slots[Slot.HIT] else Stop.WAITING
        return Stop.REQUESTED if self._stop_requested else None

    def _settle(self) -> None:
        """What had to wait until the core was left; raises what a callback has raised."""
        self.show_sent()
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

    def run_block(self, deadline: int) -> Stop:
        """Execute one block of code, or none when it would pass the deadline."""
        slots = self.slots
        slots[Slot.DEADLINE], slots[Slot.LIMIT] = 0, deadline
        self._one_block = True
        entries, returns = slots[Slot.ENTRIES], slots[Slot.RETURNS]
        raises = slots[Slot.RAISES]
        slots[Slot.RAISES] = 0  # the core looks up exits, which may lie on pages that are refused
        slots[Slot.ENTRIES] = slots[Slot.RETURNS] = 0  # what does not retire of the block leaves room for others
        try:
            return self.run()
        finally:
            slots[Slot.LIMIT] = 0
            self._one_block = False
            slots[Slot.ENTRIES], slots[Slot.RETURNS], slots[Slot.RAISES] = entries, returns, raises

    @property
    def has_features(self) -> bool:
        """Whether any feature is on."""
        return bool(self._features)

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

    def tell_blocks(self) -> None:
        """Have features told of all blocks that were translated, as before any buffer is emptied because it is full."""
        self.clock.features.tell_blocks()

    def _switch(self) -> None:
        if self.running:
            self._switching = True
        else:
            self._apply_features()

    def _apply_features(self) -> None:
        self.clock.features.switch(self._features)
        self.looks_at_jumps = any(feature.looks_at_jumps for feature in self._features)
        self.serve_traps(entries_by=self._entries_by, returns=self._serves_returns)
        self._features_work_alone = all(feature.works_alone for feature in self._features)
        self._told_of_calls = tuple(
            feature for feature in self._features if type(feature).host_calls is not Feature.host_calls
        )
        self.forget_all_code()
        self._guest.features_switched()

    def serve_traps(self, *, entries_by: int, returns: bool) -> None:
        """Have native code enter the handlers of each `ecall`, and carry out what `note_return` has named.

        `entries_by` is one of those of `emu.engine.traps.entries`, or 0 to have no handler entered. Neither is done
        while a feature is to be told of it, nor without native code.
        """
        self._entries_by, self._serves_returns = entries_by, returns
        if not self.is_native:
            return
        completed = self.clock.features.looks_at_completed
        told = any(feature.looks_at_jumps and not feature.has_entries_noted for feature in self._features)
        serves = not (self.looks_at_jumps or completed)
        self.slots[Slot.ENTRIES] = entries_by if not (told or completed) else 0
        if self._returns is None:
            if not returns:
                return
            self._returns = Returns(self.slots)
        self._returns.serve(returns and serves)

    def raise_refused(self) -> None:
        """Have the core raise pages that the guest refuses as exceptions, which is quicker than to be left."""
        self.slots[Slot.RAISES] = self.is_native

    def note_return(self, block: int, place: int, word: int = 0) -> None:
        """In the block of this number an `sret` stands so many bytes behind its start.

        Or an `sfence.vma` of an address, with a word about it (see `emu.engine.traps.fences`).
        """
        if self._returns is not None:
            self._returns.note(block, place, word)

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
            if self.clock.features.looks_at_completed:
                self._report_completed(self.words[Word.PC], self._guest.breakpoint)
            else:
                self._guest.breakpoint()
        elif self._refused:
            self._refused = False
            self._guest.refused()
        else:
            raise MachineError(f"the engine stopped at pc {self.words[Word.PC]:#x}: {library.error_text(error)}")
        self._check_progress()

    def begin_again(self) -> None:
        """The count of instructions was set back: what was tried before is no sign that nothing progresses."""
        self._attempts = 0

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
