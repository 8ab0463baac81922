"""The calls that are open: each entry leads to the one that it was made inside of, kept by the calls themselves.

A table has an entry for each place of a stack pointer, and the entry says who has called from there last: where the
call returns to, and which entry was the innermost one before. A call writes its entry, which becomes the innermost; a
return that finds its own entry goes back to what that one leads to, on whatever stack it is: so a switch of threads
needs no attention. Python is asked, before the next block begins, about what is not like that: a call that is made no
deeper than the last one, a return that has no entry, `sret` and `mret`. It enters traps, too.
"""

import ctypes
import mmap
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from emu.buffers import buffer_address
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated.features import Core, Feature, Jump, callentries, interrupted
from emu.engine.translated.features.callentries import INHERITED, PATH_SHIFT, RETURN, Around, OpenCall, Table
from emu.engine.translated.features.interrupted import Apart, Interrupted
from emu.engine.translated.message import Message
from emu.engine.translated.operations import Operation
from emu.engine.translated.plan import Part
from emu.engine.translated.rings import Buffer
from emu.hints import ClassVar, cast
from emu.isa.encodings import OTHER_STACK
from emu.isa.operands import instruction_length

_ENTRY = 32
"""Bytes: the stack pointer, the return address, the entry before; and path << 16 | marks."""
_APART = 1 << 12
"""Entries that stand for no place: the end, and those of calls made where another open call was made."""
_END, _FIRST = 0, 1
_MOST_FOLLOWED = 1 << 16
_LARGEST, _SMALLEST = 1 << 29, 1 << 24


_Saved = tuple[int, int, int, interrupted.Saved, interrupted.Entries]
"""What was open at a moment: the innermost entry there, and where a trap was taken last; the next one apart; contexts;
entries of the table."""


def _nobody(_call: OpenCall, _instret: int) -> None:
    return


class KeptCalls(Feature):
    """Says which calls are open. Calls that link into ra count, and returns by it.

    A trap is made inside of nothing; what it has interrupted is open again when `sret` or `mret` leads back to its
    stack pointer and address space.
    """

    works_alone: ClassVar[bool] = True  # as with `Blocks`; where a call is marked, Python has been asked
    has_entries_noted: ClassVar[bool] = True

    def __init__(self, returned: Callable[[OpenCall, int], None] = _nobody, apart: Apart | None = None) -> None:
        """`returned` is told of the return of each call that `mark` was said of, and the count of instructions then.

        Before any further instruction, but in the middle of a run, where the machine can only be looked at.
        """
        self._tell_returned = returned
        self._message = Message(callentries.WORDS, self._read)
        self._memory: mmap.mmap | None = None
        self._words = memoryview(b"").cast("Q")
        self._base = self._mask = 0
        self._none = (ctypes.c_uint64 * (_ENTRY // 8))()
        table = (ctypes.c_uint64 * Table.END)(ctypes.addressof(self._none))
        self._table, self.innermost_address = memoryview(table).cast("B").cast("Q"), ctypes.addressof(table)
        """Where the host has the address of the innermost call's entry, one without marks before there is any."""
        self._innermost = self._table[:1]
        self._spare = _FIRST
        self._was_off = False
        self._slots = memoryview(bytearray(8 * SLOTS)).cast("Q")
        self._contexts = Interrupted(self._chain, self.put_back, apart)

    @property
    def rings(self) -> Sequence[Buffer]:
        """See `Feature`."""
        return (self._message,)

    @property
    def looks_at_jumps(self) -> bool:
        """See `Feature`."""
        return True

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        self._prepare(core)
        if self._was_off:  # meanwhile calls may have returned unseen
            self._was_off = False
            self.forget()
        if not core.state_address:  # Python is told of jumps instead
            return {}
        table = self._table
        table[Table.ENTRIES], table[Table.MASK] = self._apart(_APART), self._mask
        table[Table.MESSAGE], table[Table.SLOTS] = self._message.address, buffer_address(core.slots)
        table[Table.CONTEXTS], table[Table.OUTERMOST] = self._contexts.address, self._end
        self._slots, core.slots[Slot.KEPT] = core.slots, self.innermost_address
        return {
            Part.CONDITION: self._message.condition,
            Part.CALLING: callentries.calling(self.innermost_address),
            Part.RETURNING: callentries.returning(self.innermost_address),
            Part.RETURNING_FROM_TRAP: callentries.returning_from_trap(self.innermost_address),
        }

    def native(self, core: Core) -> callentries.Native:
        """Where the table and the rest are in the host's memory."""
        self._prepare(core)
        rest = self._mask, self._message.address, self._end
        return callentries.Native(self.innermost_address, self._apart(_APART), *rest)

    def switched_off(self) -> None:
        """See `Feature`."""
        self._was_off = True
        self._slots[Slot.KEPT] = 0

    def open_calls(self, return_address: int, stack_pointer: int) -> Iterator[OpenCall] | None:
        """The calls above one that was made last or has just returned, here or where a trap was taken last.

        Innermost first; None where it is not known. What was called before the feature was switched on is not in it.
        """
        entry = self._found(OpenCall(return_address, stack_pointer))
        return None if entry is None else self._from(self._before(entry))

    def _found(self, call: OpenCall) -> int | None:
        self._message.empty()
        if self._memory is None:
            return None
        place = self._place(call.stack_pointer)
        for innermost in (self._innermost[0], self._contexts.interrupted):
            for entry in (innermost, place):
                if self._call(entry) == call and innermost in (entry, self._before(entry)):
                    return entry
        return None

    @property
    def innermost(self) -> OpenCall | None:
        """The call that was made last and has not returned; None where it is not known."""
        self._message.empty()
        entry = self._innermost[0]
        return None if self._memory is None or entry == self._end else self._call(entry)

    def mark(self, return_address: int, stack_pointer: int, mark: int) -> int:
        """Give the call that stands at its first instruction a mark, one of bits 1 to 15, and have its return told.

        Which of these bits, and of `RETURN`, it had before, by itself or from the calls around it. One that has the
        mark stays as it is.
        """
        words, place = self._words, self._entered(return_address, stack_pointer)
        word: int = words[place]
        if not word & mark:
            words[place] = word | mark | RETURN
        return word & (INHERITED | RETURN)

    def mark_only(self, return_address: int, stack_pointer: int, mark: int) -> int:
        """The same without having its return told, when the mark is gone."""
        words, place = self._words, self._entered(return_address, stack_pointer)
        word: int = words[place]
        words[place] = word | mark
        return word & (INHERITED | RETURN)

    def has_mark(self, call: OpenCall, mark: int) -> bool:
        """Whether a call that was given a mark, one that nobody waits for, is still open."""
        self._message.empty()
        entry, rest = self._place(call.stack_pointer), iter(range(_MOST_FOLLOWED))
        if self._call(entry) != call:  # another one was made where it was
            entry = self._innermost[0]
            while self._call(entry) != call:
                if entry == self._end or next(rest, None) is None:
                    return False
                entry = self._before(entry)
        here, around = (self._words[(each - self._base >> 3) + 3] & mark for each in (entry, self._before(entry)))
        return bool(here and not around)

    def _entered(self, return_address: int, stack_pointer: int) -> int:
        """Where the marks are of the call that stands at its first instruction; made now, if it came by a jump."""
        words = self._words
        place = self._innermost[0] - self._base >> 3
        if words[place] != stack_pointer or words[place + 1] != return_address:
            self._called(return_address, stack_pointer)
            place = self._innermost[0] - self._base >> 3
        return place + 3

    @property
    def marks_here(self) -> int:
        """The marks of the innermost call and of those around it."""
        return self._words[(self._innermost[0] - self._base >> 3) + 3] & INHERITED if self._memory is not None else 0

    def around(self, return_address: int, stack_pointer: int) -> Around | None:
        """What a call was made inside of that was made last or has just returned; None where it is not known."""
        if not self._mask:
            return None
        self._message.empty()
        words, innermost = self._words, self._innermost[0]
        place = (_APART * _ENTRY + (stack_pointer << 2 & self._mask)) >> 3  # where it is most often
        before: int = words[place + 2]
        if (
            words[place] != stack_pointer
            or words[place + 1] != return_address
            or (innermost not in (before, self._base + 8 * place))
        ):
            entry = self._found(OpenCall(return_address, stack_pointer))
            if entry is None:
                return None
            before = self._before(entry)
        return self.around_entry(before)

    def path(self, return_address: int, stack_pointer: int) -> int | None:
        """A number for a call that is in its place, or has just returned, and all around it; None for another one."""
        place = self._place(stack_pointer) - self._base >> 3
        words = self._words[place : place + _ENTRY // 8]
        return words[3] >> PATH_SHIFT if (words[0], words[1]) == (stack_pointer, return_address) else None

    def around_entry(self, entry: int) -> Around:
        """The same of an entry that another one has led to."""
        place = entry - self._base >> 3
        stack_pointer, return_address, before, path = self._words[place : place + _ENTRY // 8]
        return Around(path >> PATH_SHIFT, OpenCall(return_address, stack_pointer), before, entry == self._base)

    def forget(self) -> None:
        """The hart was put into another state: nothing is known of what is open."""
        self._message.empty()
        self._contexts.clear()
        if self._memory is not None:
            self._memory.madvise(mmap.MADV_DONTNEED)
            self._begin()

    def saved(self, places: Iterable[OpenCall]) -> object:
        """What is open here, behind traps and around the given calls, for `restore`; not that of all other stacks."""
        self._message.empty()
        contexts, first = self._contexts, (self._innermost[0], self._contexts.interrupted)
        return *first, self._spare, contexts.saved(), self._chain(*first, *contexts) | self.copied(places)

    def copied(self, calls: Iterable[OpenCall]) -> interrupted.Entries:
        """The entries of calls that are in their places, and all that they lead to."""
        return self._chain(*(place for call in calls if self._call(place := self._place(call.stack_pointer)) == call))

    def _chain(self, *starts: int) -> interrupted.Entries:
        """These entries, and those that they lead to."""
        entries: interrupted.Entries = {}
        for entry in starts:
            for _ in range(_MOST_FOLLOWED):
                if entry in entries:
                    break
                place = entry - self._base >> 3
                entries[entry] = tuple(self._words[place : place + _ENTRY // 8])
                entry = self._before(entry)
        return entries

    def restore(self, state: object) -> None:
        """Go back to that."""
        self.forget()
        innermost, at_trap, self._spare, contexts, entries = cast("_Saved", state)
        self._innermost[0], self._contexts.interrupted = innermost, at_trap
        self._contexts.restore(contexts)
        self.put_back(entries)

    def put_back(self, entries: interrupted.Entries) -> None:
        """Have them in their places again."""
        for entry, words in entries.items():
            place = entry - self._base >> 3
            self._words[place : place + len(words)] = memoryview(array("Q", words))

    def host_calls(self, return_address: int, stack_pointer: int, /) -> None:
        """See `Feature`."""
        if self._memory is not None:
            self._message.empty()
            self._called(return_address, stack_pointer)

    def jumped(self, jump: Jump, /) -> None:
        """See `Feature`."""
        self._message.empty()
        kind = callentries.kind_of(jump.instruction)
        if jump.instruction == OTHER_STACK:
            innermost = self._contexts.other_stack(jump.target, jump.satp, self._innermost[0])
            self._innermost[0] = self._end if innermost is None else innermost
        elif kind == callentries.CALLED:
            self._called(jump.pc + instruction_length(jump.instruction) & callentries.HIGHEST, jump.stack_pointer)
        elif kind == callentries.RETURNED:
            self._returned(OpenCall(jump.target, jump.stack_pointer), jump.instret)
        elif kind:
            self._trap_returned(jump.stack_pointer, jump.satp)
        elif kind == 0:
            self._park(jump.stack_pointer, jump.satp)
            self._innermost[0] = self._end

    # The table, from Python.

    def _prepare(self, core: Core) -> None:
        if self._memory is not None:
            return
        size = max(_SMALLEST, min(_LARGEST, 1 << (4 * core.size - 1).bit_length()))
        self._memory = mmap.mmap(-1, size + _APART * _ENTRY, flags=mmap.MAP_PRIVATE)
        self._words = memoryview(self._memory).cast("Q")
        self._base = buffer_address(self._memory)
        self._mask = size - _ENTRY
        self._begin()

    def _begin(self) -> None:
        self._write(self._end, callentries.HIGHEST, 0, self._end)
        self._innermost[0] = self._contexts.interrupted = self._end

    def _apart(self, number: int) -> int:
        return self._base + _ENTRY * number

    def _place(self, stack_pointer: int) -> int:
        return self._apart(_APART) + (stack_pointer << 2 & self._mask)

    def _write(self, entry: int, stack_pointer: int, return_address: int, before: int) -> None:
        place = entry - self._base >> 3
        words = self._words
        words[place], words[place + 1], words[place + 2] = stack_pointer, return_address, before
        around = words[(before - self._base >> 3) + 3]
        words[place + 3] = callentries.inside(around, return_address, stack_pointer)

    def _call(self, entry: int) -> OpenCall:
        place = entry - self._base >> 3
        return OpenCall(self._words[place + 1], self._words[place])

    def _before(self, entry: int) -> int:
        return self._words[(entry - self._base >> 3) + 2]

    @property
    def _end(self) -> int:
        return self._apart(_END)

    def _from(self, entry: int) -> Iterator[OpenCall]:
        for _ in range(_MOST_FOLLOWED):
            if entry == self._end:
                return
            yield self._call(entry)
            entry = self._before(entry)

    # What the table cannot tell.

    def _read(self) -> None:
        _, kind, address, stack_pointer, last = self._message.words
        if kind == callentries.RETURNED:
            self._returned(OpenCall(address, stack_pointer), last)
        elif kind == callentries.CALLED:
            self._called(address, stack_pointer)
        else:
            self._trap_returned(stack_pointer, last)

    def _trap_returned(self, stack_pointer: int, satp: int) -> None:
        innermost = self._contexts.returned((stack_pointer, satp))
        self._innermost[0] = self._end if innermost is None else innermost

    def _park(self, stack_pointer: int, satp: int) -> None:
        self._contexts.trapped((stack_pointer, satp), self._innermost[0])

    def _called(self, return_address: int, stack_pointer: int) -> None:
        innermost, place = self._innermost[0], self._place(stack_pointer)
        if self._call(innermost) == (return_address, stack_pointer):
            innermost = self._before(innermost)  # it is made again, so the first one has been given up
        around = self._above(innermost, stack_pointer)
        if around != self._end:  # else the function has gone to another stack
            innermost = around
        if innermost == place:  # by a function that keeps its return address elsewhere
            innermost = self._apart(self._spare)
            self._spare = self._spare + 1 if self._spare < _APART - 1 else _FIRST
            to, of = innermost - self._base >> 3, place - self._base >> 3
            self._words[to : to + 4] = self._words[of : of + 4]
        self._write(place, stack_pointer, return_address, innermost)
        self._innermost[0] = place

    def _above(self, entry: int, stack_pointer: int) -> int:
        """The innermost call that was not made below a place of the stack, from an entry on."""
        for _ in range(_MOST_FOLLOWED):
            if entry == self._end or self._call(entry).stack_pointer >= stack_pointer:
                return entry
            entry = self._before(entry)
        return self._end

    def _returned(self, call: OpenCall, instret: int) -> None:
        words, place = self._words, _APART * _ENTRY + (call.stack_pointer << 2 & self._mask) >> 3
        if words[place] == call.stack_pointer and words[place + 1] == call.return_address:  # as native code has it
            self._innermost[0] = words[place + 2]
            self._ended(place + 3, call, instret)
            return
        entry = self._innermost[0]
        if entry == self._end:
            return
        if call.stack_pointer < self._call(entry).stack_pointer:  # to a stack that is not known
            self._innermost[0] = self._end
            return
        entry = self._above(entry, call.stack_pointer)
        while self._call(entry).stack_pointer == call.stack_pointer:
            ended, entry = entry, self._before(entry)
            if self._call(ended) == call:
                self._ended((ended - self._base >> 3) + 3, call, instret)
                break
        self._innermost[0] = entry

    def _ended(self, place: int, call: OpenCall, instret: int) -> None:
        word = self._words[place]
        self._words[place] = word & ~(INHERITED | RETURN)
        if word & RETURN:
            self._tell_returned(call, instret)
