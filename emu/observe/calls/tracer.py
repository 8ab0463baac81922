"""Follows calls of guest functions from their entry to their return, recursion and tail calls included."""

from collections.abc import Callable, Iterator
from itertools import islice

from emu.address import VirtAddr
from emu.hints import NamedTuple, cast
from emu.isa.csrs import Csr
from emu.isa.privilege import Privilege
from emu.isa.status import SATP_PPN, process_space
from emu.machine import Machine
from emu.mmu.stacks import is_other_stack
from emu.observe.calls.backtrace import Backtrace
from emu.observe.calls.underway import UnderWay
from emu.observe.code import HOST, jumps_to
from emu.subscriptions import Subscription

_RA, _SP, _TP, _A0 = 1, 2, 4, 10
_SAVING = (5, 8, 9, *range(18, 28))
"""Registers in which a function may keep its return address: t0, and those that a callee saves."""
_NEWEST = 64
"""Open calls that are asked whether they enclose a new one."""
_LARGEST_STACK = 1 << 16
_MOST_ENTRIES = 1000
"""Tail calls of one call that are followed."""
_LARGEST_FUNCTION = 1 << 14


class Call(NamedTuple):
    """A call that was entered: what the psABI says about it at the function's first instruction."""

    name: str
    address: VirtAddr
    args: tuple[int, ...]
    """a0 to a7, unsigned."""
    return_address: VirtAddr
    stack_pointer: int
    thread_pointer: int
    instret: int
    privilege: Privilege
    depth: int
    """How many open calls of the same tracer it was made inside of, on its own stack."""


class Return(NamedTuple):
    """The end of a call: its result registers."""

    call: Call
    value: int
    """a0, unsigned."""
    second_value: int
    """a1, unsigned."""
    instret: int
    """Instructions that have retired."""


_Entry = tuple[Call, Callable[[Return], None]]
_Place = tuple[int, int, int]
"""The return address and the stack pointer of a call, and whose stack that is (`process_space`)."""
_Called = dict[tuple[int, int], tuple[int, int]]
_Elsewhere = dict[tuple[_Place, int], list[_Entry]]
_Saved = tuple[dict[_Place, tuple[_Entry, ...]], dict[int, Call], _Called, dict[_Place, int], _Elsewhere]


class CallTracer:
    """Reports each call and each return of the functions given to `trace`.

    A return is recognised by its return address together with its stack pointer, which tells recursive calls apart, and
    in U mode with the address space, in S mode with the memory of the stack, which tells processes apart;
    a function that jumps to another in its last instruction returns together with it. Calls from which the guest never
    returns (a panic, a `longjmp`, the exit of a process) stay open, and are given up when the same call is made again;
    a later call counts as inside of one of them only when the stack leads back to it. Costs a callback for each entry
    and each return, nothing between them.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._backtrace = Backtrace(machine)
        self._open: dict[_Place, list[_Entry]] = {}
        self._satps: dict[_Place, int] = {}
        """In which address space each of them was entered."""
        self._elsewhere: _Elsewhere = {}
        """Open calls on stacks of a kernel that others lie in the place of, with the root of their address space."""
        self._newest: dict[int, Call] = {}
        """Open calls by identity, oldest first."""
        self._watches: dict[int, Subscription] = {}
        self._return_watches: dict[int, Subscription] = {}
        self._site_watches: dict[int, Subscription] = {}
        self._called: _Called = {}
        """By return address and process: when a watched call instruction was executed last, and its stack pointer."""
        self._under_way: UnderWay | None = None

    def trace(
        self, name: str, address: VirtAddr, on_call: Callable[[Call], None], on_return: Callable[[Return], None]
    ) -> None:
        """Follow the function that starts at `address`, until `untrace` or `close`."""

        def entered() -> None:
            call = self._enter(name, address, on_return)
            if call is not None:
                on_call(call)

        if self._under_way is None:
            self._under_way = UnderWay(self._machine, self._save, self._restore)
        self._watches[address] = self._machine.watch(address, entered)

    def adopt(self, call: Call, on_return: Callable[[Return], None]) -> None:
        """Go on following a call that another tracer has seen entered."""
        place = call.return_address, call.stack_pointer, process_space(call.privilege, self._machine.hart.csr[Csr.SATP])
        self._open.setdefault(place, []).append((call, on_return))
        self._newest[id(call)] = call
        self._await(call.return_address)

    def untrace(self, address: VirtAddr) -> None:
        """Stop following one function; the last one ends everything."""
        watch = self._watches.pop(address, None)
        if watch is not None:
            watch.cancel()
        if not self._watches:
            self.close()

    def site(self, call: Call) -> VirtAddr:
        """The address of the call instruction, two or four bytes before the return address; HOST for the host."""
        return self._backtrace.site(call.return_address)

    @property
    def traces(self) -> bool:
        """Whether any function is followed."""
        return bool(self._watches)

    def newest(self) -> Iterator[Call]:
        """The calls that are open, the newest first."""
        return reversed(self._newest.values())

    def close(self) -> None:
        """Stop following; open calls are forgotten."""
        for watches in (self._watches, self._return_watches, self._site_watches):
            for watch in watches.values():
                watch.cancel()
            watches.clear()
        if self._under_way is not None:
            self._under_way.close()
            self._under_way = None
        self._restore(None)

    def _save(self) -> object:
        opened = {key: tuple(entries) for key, entries in self._open.items()}
        elsewhere = {place: list(entries) for place, entries in self._elsewhere.items()}
        return opened, dict(self._newest), dict(self._called), dict(self._satps), elsewhere

    def _restore(self, state: object | None) -> None:
        saved, newest, called, satps, elsewhere = cast("_Saved", state or ({}, {}, {}, {}, {}))
        self._satps = dict(satps)
        self._elsewhere = {place: list(entries) for place, entries in elsewhere.items()}
        self._open = {key: list(entries) for key, entries in saved.items()}
        self._newest, self._called = dict(newest), dict(called)

    def _space(self) -> int:
        """Whose stack the hart is on."""
        hart = self._machine.hart
        return process_space(Privilege.U, hart.csr[Csr.SATP]) if hart.privilege == Privilege.U else 0

    def _enter(self, name: str, address: VirtAddr, on_return: Callable[[Return], None]) -> Call | None:
        registers = self._machine.hart.x
        return_address, stack_pointer = registers[_RA], registers[_SP]
        key = return_address, stack_pointer, self._space()
        entries = self._entries(key)
        if entries is not None:
            if self._is_called_again(address, key, entries):
                self._give_up(key)
                entries = None
            elif entries[-1][0].address == address or len(entries) == _MOST_ENTRIES:
                return None  # a loop back to the function's first instruction
        call = Call(
            name=name,
            address=address,
            args=tuple(registers[_A0 : _A0 + 8]),
            return_address=VirtAddr(return_address),
            stack_pointer=stack_pointer,
            thread_pointer=registers[_TP],
            instret=self._machine.instret,
            privilege=self._machine.hart.privilege,
            depth=self._depth(*key),
        )
        self._open.setdefault(key, []).append((call, on_return))
        self._satps[key] = self._machine.hart.csr[Csr.SATP]
        self._newest[id(call)] = call
        self._await(return_address)
        return call

    def _entries(self, key: _Place) -> list[_Entry] | None:
        """The open calls at a place of the stack that is there now: a kernel may have another one for each process."""
        entries, satp = self._open.get(key), self._machine.hart.csr[Csr.SATP]
        if entries is not None and self._is_of_other_stack(key, satp):
            self._elsewhere[key, self._satps.pop(key) & SATP_PPN] = self._open.pop(key)
            entries = None
        if entries is None and self._elsewhere:
            entries = self._elsewhere.pop((key, satp & SATP_PPN), None)
            if entries is not None:
                self._open[key], self._satps[key] = entries, satp
        return entries

    def _is_of_other_stack(self, key: _Place, satp: int) -> bool:
        """Whether other memory is at a stack pointer of S mode than when calls at this place were entered."""
        known = self._satps.get(key, satp)
        return not key[2] and is_other_stack(self._machine.memory.ram.read_word, known, satp, key[1])

    def _await(self, return_address: int) -> None:
        if return_address not in self._return_watches:
            self._return_watches[return_address] = self._machine.watch(
                return_address, lambda: self._returned(return_address)
            )

    def _is_called_again(self, address: VirtAddr, key: _Place, entries: list[_Entry]) -> bool:
        """Whether the call at this place is a new one: the open one never returned."""
        return_address, stack_pointer, space = key
        if return_address in self._site_watches:
            when, where = self._called.get((return_address, space), (-1, 0))
            return where == stack_pointer and when >= entries[-1][0].instret
        if return_address == HOST:
            return False
        # From here on it is known. The first time the code has to tell: does the function loop to its beginning?
        site = self.site(entries[0][0])

        def called() -> None:
            self._called[return_address, self._space()] = self._machine.instret, self._machine.hart.x[_SP]

        self._site_watches[return_address] = self._machine.watch(site, called)
        return entries[0][0].address == address and not self._loops(address)

    def _loops(self, address: VirtAddr) -> bool:
        found = self._machine.symbols.at(address)
        size = found[0].size if found is not None else 0
        return jumps_to(self._machine, address, min(size or _LARGEST_FUNCTION, _LARGEST_FUNCTION))

    def _depth(self, return_address: int, stack_pointer: int, space: int) -> int:
        """How many open calls enclose one that is entered now."""
        enclosing = self._entries((return_address, stack_pointer, space))
        if enclosing is not None:
            return enclosing[-1][0].depth + 1  # one jumped to the other in its last instruction
        thread = self._machine.hart.x[_TP]
        above = [
            call
            for call in islice(reversed(self._newest.values()), _NEWEST)
            if call.thread_pointer == thread and 0 <= call.stack_pointer - stack_pointer <= _LARGEST_STACK
        ]
        if not above:
            return 0
        highest = max(call.stack_pointer for call in above)
        for address, frame in self._backtrace.frames(return_address, stack_pointer):
            enclosing = self._entries((address, frame, space))
            if enclosing is not None:
                return enclosing[-1][0].depth + 1
            if frame > highest:
                return 0
        if self._backtrace.complete:
            return 0
        kept = (call for call in above if self._holds(call.return_address, stack_pointer, call.stack_pointer))
        return next((call.depth + 1 for call in kept), 0)

    def _holds(self, wanted: int, stack_pointer: int, end: int) -> bool:
        """Whether the return address of an open call is still kept, in a register or in the stack above."""
        registers = self._machine.hart.x
        if any(registers[number] == wanted for number in _SAVING):
            return True
        frame = self._machine.peek(stack_pointer, end - stack_pointer)
        return frame is not None and wanted.to_bytes(8, "little") in frame

    def _give_up(self, key: _Place) -> None:
        self._satps.pop(key, None)
        for call, _ in self._open.pop(key):
            del self._newest[id(call)]

    def _returned(self, return_address: int) -> None:
        registers = self._machine.hart.x
        key = return_address, registers[_SP], self._space()
        finished = self._entries(key)
        if finished is None:
            return
        del self._open[key]
        self._satps.pop(key, None)
        value, second_value = registers[_A0], registers[_A0 + 1]
        for call, _ in finished:
            del self._newest[id(call)]
        for call, on_return in reversed(finished):
            on_return(Return(call, value, second_value, self._machine.instret))
