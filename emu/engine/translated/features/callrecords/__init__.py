"""Records of calls: native code writes one where a function is entered, and where it has returned; Python reads many.

It stands on `KeptCalls`: what that tells of each return is recorded instead, where the call was. Python is asked where
native code cannot decide: a function that was jumped to, one in the middle of a block, a call inside of another that
waits, memory that is not as it was when Python has looked at it for the same call before (`learn`).
"""

import ctypes
import mmap
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, pairwise
from struct import Struct

from emu.buffers import buffer_address
from emu.engine import native
from emu.engine.guest import RETURN_ADDRESS
from emu.engine.native import StandsBefore
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated.features import Core, Feature
from emu.engine.translated.features.callentries import MIX, RETURN
from emu.engine.translated.features.callrecords.layout import (
    ELEMENT_BIT,
    ENDED_BIT,
    FACT_BITS,
    FACT_SHIFT,
    MOST_LINKS,
    PLACE_BITS,
    PLACE_SHIFT,
    RECORD_SIZE,
    SIZE_BITS,
    Field,
    Own,
    Shared,
)
from emu.engine.translated.features.callrecords.poisoning import Plan, Tables
from emu.engine.translated.features.callrecords.poisoning.layout import ARGUMENTS_SIZE, TOLD
from emu.engine.translated.features.callrecords.probes import ENTERED, RETURNED_CALL
from emu.engine.translated.features.opencalls import KeptCalls
from emu.engine.translated.operations import Operation
from emu.engine.translated.plan import Part
from emu.engine.translated.rings import Buffer
from emu.engine.window import Word
from emu.hints import ClassVar
from emu.isa.csrs import Csr
from emu.isa.registers import A0

_SIZE = 1 << 19
MOST_RECORDS = _SIZE // RECORD_SIZE - 1
"""That wait to be read."""
_RECORD = Struct(f"<17Q{RECORD_SIZE - 152}x2Q")
_FIRST_WORD = Struct("<Q")
_DONE, _TO_DONE = Struct("<Q"), Field.DONE - Field.LINKS
_LINKS = tuple(Struct(f"<{count}Q") for count in range(MOST_LINKS + 1))
_CODE, _TO_CODE = tuple(Struct(f"<{count}I") for count in range(MOST_LINKS + 1)), Field.CODE - Field.LINKS
_LINK, _STACK = Field.LINK // 8, Field.STACK // 8
_ALL = (1 << 64) - 1
_ENDED, _ELEMENT = 1 << ENDED_BIT, 1 << ELEMENT_BIT
_WORD = 8

Record = tuple[int, ...]
"""The function's number; instructions that had retired; ra; sp; tp; the privilege as the core has it; who called, see
`CallRecords.links`; the number of facts about what the call means, or 0; a0 to a7; a number for it and all calls around
it; a number (`elements`); what was done to memory at once (`poisoning.layout.DONE`). Of a return tp and the privilege
mean nothing."""
Told = Callable[[Record], None]
Both = Callable[[Record, Record], None]
AtOnce = Callable[[Record], Told]
_NONE: Record = (-1,)
"""Comes behind the last one."""
Words = tuple[tuple[int, int], ...]
"""Addresses, multiples of eight, and what must stand there."""


class Function:
    """A function whose calls are recorded; made by `CallRecords.add`."""

    def __init__(self, number: int, salt: int, argument: int | None) -> None:
        self.number, self._salt, self._argument = number, salt, argument
        self._words = (ctypes.c_uint64 * len(Own))()
        self.address = ctypes.addressof(self._words)

    @property
    def before(self) -> StandsBefore:
        """What has to stand before Python's callback at its first instruction."""
        return StandsBefore(ENTERED, self._words)

    def set(self, values: Mapping[Own, int]) -> None:
        """What native code knows of it."""
        for word, value in values.items():
            self._words[word] = value

    def key(self, arguments: Sequence[int]) -> int:
        """Of what a call with these arguments means; 0 if that is always the same."""
        if not self._salt:
            return 0
        return (self._salt ^ (0 if self._argument is None else arguments[self._argument])) * MIX & _ALL


class CallRecords(Feature):
    """Records calls of functions while it is on; `KeptCalls` of the same core was switched on before."""

    works_alone: ClassVar[bool] = False  # a call by the host that asks nobody would leave records for later

    def __init__(self, kept: KeptCalls, *, has_model: bool) -> None:
        """`has_model`: address spaces are those of a model's `satp`, not of the core's."""
        self._has_model = has_model
        self._kept = kept
        self._memory = mmap.mmap(-1, _SIZE, flags=mmap.MAP_PRIVATE)
        self._view, self._begin = memoryview(self._memory), buffer_address(self._memory)
        self._facts = mmap.mmap(-1, 1 << FACT_BITS + SIZE_BITS, flags=mmap.MAP_PRIVATE)
        self._fact_words = memoryview(self._facts).cast("Q")
        self._lists: dict[int, ctypes.Array[ctypes.c_uint64]] = {}
        """What native code reads of facts, by their places."""
        self._awaited = mmap.mmap(-1, 1 << PLACE_BITS + SIZE_BITS, flags=mmap.MAP_PRIVATE)
        self._awaited_words = memoryview(self._awaited).cast("Q")
        shared = (ctypes.c_uint64 * len(Shared))()
        self._shared, self._shared_address = memoryview(shared).cast("B").cast("Q"), ctypes.addressof(shared)
        self._shared[Shared.PLACE], self.most = self._begin, MOST_RECORDS
        self._shared[Shared.HOST_CALLS] = RETURN_ADDRESS
        self._arguments = mmap.mmap(-1, ARGUMENTS_SIZE << PLACE_BITS, flags=mmap.MAP_PRIVATE)
        self._argument_words = memoryview(self._arguments).cast("Q")
        shared_memory = self._facts, self._awaited, self._arguments
        for word, memory in zip((Shared.FACTS, Shared.AWAITED, Shared.ARGUMENTS), shared_memory, strict=True):
            self._shared[word] = buffer_address(memory)
        self._shared[Shared.MIX] = MIX
        self._slots = memoryview(bytearray(8 * SLOTS)).cast("Q")
        self._learned = self._satp = 0
        self._looks_at_memory = True
        self.telling = b"", 0
        """Where the rest of the record is that is being told; nowhere with no octets."""
        self._plans: list[Plan | None] = []
        self._learned_plans: dict[int, Plan | None] = {}
        """These are kept while native code may look at them."""
        self._tables: Tables | None = None
        self._told: dict[int, Told] = {}
        """By the first words of records."""
        self._both: list[Both | None] = []
        self._telling: set[int] = set()
        """The first words of records that tell something."""
        self._at_once: list[AtOnce] = []
        self.read: Callable[[bytes], None] = self.tell
        """Gets the records that buffers had, to tell of them some time."""

    @property
    def rings(self) -> Sequence[Buffer]:
        """See `Feature`: itself."""
        return (self,)

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`: none, but the function that empties buffers has a native one in front of it from now on."""
        slots, shared, kept = core.slots, self._shared, self._kept.native(core)
        self._slots = slots
        shared[Shared.INNERMOST], shared[Shared.ENTRIES], shared[Shared.MASK], shared[Shared.MESSAGE] = kept[:4]
        shared[Shared.END] = kept.end
        shared[Shared.RAM], shared[Shared.RAM_SIZE], shared[Shared.HOST] = core.base, core.size, core.host_address
        self._satp = slots[Slot.MODEL] + 8 * Csr.SATP if self._has_model else core.state_address + 8 * Word.SATP
        self.looks_at_memory = self._looks_at_memory
        if not slots[Slot.RECORDS]:
            shared[Shared.DRAIN] = slots[Slot.DRAIN]
            slots[Slot.RECORDS], slots[Slot.DRAIN] = self._shared_address, native.load(RETURNED_CALL)
        return {}

    def switched_off(self) -> None:
        """See `Feature`."""
        if self._slots[Slot.RECORDS]:
            self._slots[Slot.RECORDS], self._slots[Slot.DRAIN] = 0, self._shared[Shared.DRAIN]

    def add(
        self,
        mark: int,
        entered: Told,
        ended: Told,
        both: "Both | None",
        told_at_once: AtOnce,
        element: "Told | None",
        *,
        waits: bool,
        at_entry: bool,
        argument: int | None,
        learns: bool,
        plan: Plan | None = None,
    ) -> Function:
        """A function; `entered` and `ended` get the records of its calls, and must leave the machine alone.

        `both`, if there is one, gets the two of a call where nothing lies between them, as the second is told.
        `told_at_once` gets the record of a call and returns what tells of it, or of its elements by theirs, before
        whoever tells of records later gets them. `element`, if there is one, gets those of elements behind the call's.
        Each call is given a mark, and nothing is recorded of calls inside of one that has it. `waits`: returns are
        recorded, too. `at_entry`: a call tells something when it is entered, else when it has returned; its facts are
        looked for then. `learns`: what it means are facts, for each value of an `argument` (0 to 7) or for all calls.
        `plan`: what each call does to memory, where that takes no facts; else it is learned with them.
        """
        number = len(self._both)
        self._told[number], self._told[number | _ENDED] = entered, ended
        self._both.append(both)
        self._at_once.append(told_at_once)
        if element is not None:
            self._told[number | _ELEMENT] = element
        self._telling.add(number | (_ELEMENT if element is not None else 0 if at_entry else _ENDED))
        function = Function(number, (number + 1) * MIX & _ALL if learns else 0, argument)
        function.set({
            Own.SHARED: self._shared_address,
            Own.MARK: mark | RETURN if waits else mark,
            Own.INSIDE: mark,
            Own.NUMBER: number,
            Own.AT_ENTRY: int(at_entry),
            Own.SALT: (number + 1) * MIX & _ALL if learns else 0,
            Own.ARGUMENT: 0 if argument is None else _WORD * (A0 + argument),
            Own.PLAN: 0 if plan is None else plan.address,
            Own.ELEMENTS: int(element is not None),
        })  # fmt: skip
        self._plans.append(plan)
        return function

    @property
    def at_once(self) -> bool:
        """Whether each record that tells something is read where it is made, or before the next block begins."""
        return bool(self._shared[Shared.AT_ONCE])

    @at_once.setter
    def at_once(self, at_once: bool) -> None:
        self._shared[Shared.AT_ONCE] = at_once

    @property
    def most(self) -> int:
        """How many records are written until Python is told of the next one at its moment."""
        return (self._shared[Shared.LIMIT] - self._begin) // RECORD_SIZE

    @most.setter
    def most(self, most: int) -> None:
        self._shared[Shared.LIMIT] = self._begin + min(most, MOST_RECORDS) * RECORD_SIZE

    def poison(self, tables: "Tables | None") -> None:
        """Carry out the plans of calls by what is known of memory; what is not carried out is read at once.

        With None all is left to whoever reads the records.
        """
        self._tables = tables
        self._shared[Shared.TABLES] = 0 if tables is None else tables.address

    @property
    def done(self) -> int:
        """Of the record that is being told: whether its plan was carried out (`poisoning.layout.DONE`)."""
        data, at = self.telling
        return _DONE.unpack_from(data, at + _TO_DONE)[0] if data else 0

    @property
    def looks_at_memory(self) -> bool:
        """Whether native code may look at memory; not where what the core has as S mode is M mode."""
        return self._looks_at_memory

    @looks_at_memory.setter
    def looks_at_memory(self, looks_at_memory: bool) -> None:
        self._looks_at_memory = looks_at_memory
        self._shared[Shared.SATP] = self._satp if looks_at_memory else 0

    def await_return(self, where: tuple[int, ...], function: Function | None, arguments: Sequence[int]) -> None:
        """Have the return of a call recorded that Python was told of; or none, where a function is not recorded."""
        return_address, stack_pointer = where
        place = (stack_pointer >> PLACE_SHIFT & (1 << PLACE_BITS) - 1) << SIZE_BITS - 3
        words = self._awaited_words
        address, key = (0, 0) if function is None else (function.address, function.key(arguments))
        words[place : place + 4] = memoryview(array("Q", (stack_pointer, return_address, address, key)))
        self._argument_words[2 * place : 2 * place + len(arguments)] = memoryview(array("Q", arguments))

    def forget_awaited(self) -> None:
        """Record the return of no call that has begun."""
        self._awaited.madvise(mmap.MADV_DONTNEED)

    def forget_facts(self) -> None:
        """Nothing is known; numbers are not used again."""
        self.empty()
        self._facts.madvise(mmap.MADV_DONTNEED)
        self._lists.clear()
        self._learned_plans.clear()

    def learn_beyond(self, return_address: int, words: Words) -> int:
        """Facts about all outermost calls that return to an address: these addresses count from the stack pointer.

        That one, and they, are multiples of eight.
        """
        return self.learn((return_address + 1) * MIX & _ALL, words)

    def learn(self, key: int, words: Words, plan: Plan | None = None) -> int:
        """Facts by a key: a number for them, as long as these words stand there; those known before have it no more.

        `plan` is what calls do to memory that have these facts.
        """
        place = key >> FACT_SHIFT & (1 << FACT_BITS) - 1
        known = self._fact_words
        at = place << SIZE_BITS - 3
        number = known[at + 1] if known[at] == key else 0
        made = self._lists[place] = (ctypes.c_uint64 * (1 + 2 * len(words)))(len(words), *chain.from_iterable(words))
        if not number:
            self._learned += 1
            number = self._learned
        known[at], known[at + 1], known[at + 2] = key, number, ctypes.addressof(made)
        known[at + 3] = 0 if plan is None else plan.address
        self._learned_plans[place] = plan
        return number

    def empty(self) -> None:
        """Have all read that was recorded."""
        shared = self._shared
        length = shared[Shared.PLACE] - self._begin
        if length:
            shared[Shared.PLACE] = self._begin
            self.read(bytes(self._view[:length]))

    def tell(self, data: bytes) -> None:
        """Tell of these records."""
        told, all_both = self._told, self._both
        at, is_told = int(Field.LINKS), False
        for record, behind in pairwise(chain(_RECORD.iter_unpack(data), (_NONE,))):
            number = record[0]
            if is_told:
                is_told = False
            elif (
                behind[0] == number + _ENDED
                and (behind[_LINK] == record[_LINK] and behind[_STACK] == record[_STACK])
                and (both := all_both[number]) is not None
            ):
                self.telling = data, at + RECORD_SIZE
                both(record, behind)
                is_told = True
            else:
                self.telling = data, at
                told[number](record)
            at += RECORD_SIZE
        self.telling = b"", 0

    def told_at_once(self, data: bytes) -> int:
        """Where the record is of the call whose are the last ones; behind all if they need not be told of at once."""
        at = last = len(data) - RECORD_SIZE
        if _DONE.unpack_from(data, last + Field.DONE)[0] or _FIRST_WORD.unpack_from(data, last)[0] not in self._telling:
            return len(data)
        while _FIRST_WORD.unpack_from(data, at)[0] & _ELEMENT:
            at -= RECORD_SIZE
        return at

    def tell_at_once(self, data: bytes, wait: Callable[[bytes], None]) -> None:
        """Tell of a call, or of its elements; `wait` gets the records for whoever tells of those before it later."""
        marked, records = bytearray(data), list[int]()
        for at in range(0, len(data), RECORD_SIZE):
            number, done = _FIRST_WORD.unpack_from(data, at)[0], _DONE.unpack_from(data, at + Field.DONE)[0]
            if number in self._telling and not done:
                _DONE.pack_into(marked, at + Field.DONE, TOLD)
                records.append(at)
        call = self.unpacked(data, 0)
        tell = self._at_once[call[0] & _ENDED - 1](call)
        wait(bytes(marked))
        for at in records:
            self.telling = data, at + Field.LINKS
            tell(self.unpacked(data, at))
        self.telling = b"", 0

    def unpacked(self, data: bytes, at: int) -> Record:
        """One of many records."""
        return _RECORD.unpack_from(data, at)

    empty_if_full = empty

    def links(self, count: int) -> tuple[int, ...]:
        """Of the record that is being told: the return addresses of its call and those around it.

        The word about who called says how many there are, 17 at most, in its upper half; in its lower half by which
        facts it goes on; 0 where nothing does.
        """
        return _LINKS[count].unpack_from(*self.telling)

    def code(self, count: int) -> tuple[int, ...]:
        """The four bytes before each of these addresses."""
        data, at = self.telling
        return _CODE[count].unpack_from(data, at + _TO_CODE)
