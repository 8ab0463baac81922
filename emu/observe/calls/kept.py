"""Follows calls of guest functions whose returns are told in bulk, to those who need not be asked at each moment."""

from collections.abc import Callable

from emu.address import VirtAddr
from emu.engine.slots import Slot
from emu.engine.translated.callentries import RETURN
from emu.engine.translated.features import Feature
from emu.isa.registers import A0, RA, SP, TP
from emu.machine import Machine
from emu.observe.calls.opened import Awaited, Ended, OpenCalls
from emu.observe.calls.tracer import Call, Return


class _Asking(Feature):
    """Does nothing; while it is on, the engine calls no function without Python, which returns could not be told in."""


class KeptTracer:
    """Reports calls and returns as `CallTracer` does, at a fraction of the cost; natively only.

    It reports no call that is made inside another one of its layer. What it calls must only look at the machine: it
    can neither stop nor change it.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._calls = OpenCalls.of(machine)
        self._remove: dict[int, Callable[[], None]] = {}
        self._asking = _Asking()
        machine.core.engine.switch_on(self._asking)

    @staticmethod
    def is_possible(machine: Machine) -> bool:
        """Whether calls can be followed so from now on."""
        return machine.core.engine.is_native and not machine.core.engine.running

    def trace(
        self,
        layer: object,
        name: str,
        address: VirtAddr,
        on_call: Callable[[Call], None] | None,
        ended: Ended | None,
        on_return: Callable[[Return], None],
        *,
        nested: bool,
    ) -> bool:
        """Follow the function that starts at `address`, as one of a layer; False if that is not possible now.

        With `nested`, calls inside others of the layer are reported, too, with depth 1; their returns are not.
        `on_return` is for a tracer that follows them on; see `Awaited`.
        """
        machine, calls, kept, mark = self._machine, self._calls, self._calls.kept, self._calls.layer(layer)
        core = machine.core
        if mark is None or not self.is_possible(machine):
            return False
        words, waits = core.words, ended is not None
        give_mark = kept.mark if waits else kept.mark_only

        def entered() -> None:
            return_address, stack_pointer = where = words[RA], words[SP]
            marks = give_mark(return_address, stack_pointer, mark)
            depth = 1 if marks & mark else 0
            if depth and not nested:
                return
            call = Call(
                name, address, tuple(words[A0 : A0 + 8]), VirtAddr(return_address), stack_pointer, words[TP],
                self._retired(address), core.privilege, depth,
            )  # fmt: skip
            if not depth:
                awaited = Awaited(self, call, on_return, ended)
                if waits or marks & RETURN:
                    calls.await_return(where, awaited, also=bool(marks & RETURN))
                else:
                    calls.begin(where, mark, awaited)
            if on_call is not None:
                on_call(call)

        self._remove[address] = core.engine.add_code_hook(address, entered)
        core.engine.forget_all_code()
        return True

    def _retired(self, pc: int) -> int:
        """Instructions that have retired before the one at pc, in the block that has begun."""
        slots = self._machine.core.slots
        if slots[Slot.BLOCK_PC] == pc:
            return slots[Slot.COUNT] - slots[Slot.BLOCK_LENGTH]
        return slots[Slot.COUNT] - self._machine.core.instructions_from(pc)

    def traces(self, address: int) -> bool:
        """Whether a function is followed."""
        return address in self._remove

    def untrace(self, address: int) -> None:
        """Stop following one function."""
        remove = self._remove.pop(address, None)
        if remove is not None:
            remove()

    def close(self) -> list[Awaited]:
        """Stop following; the calls that have not returned."""
        self._calls.kept.flush()
        for remove in self._remove.values():
            remove()
        self._remove.clear()
        self._machine.core.engine.switch_off(self._asking)
        given_up = self._calls.give_up(self)
        self._calls.close()
        return given_up
