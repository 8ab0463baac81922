"""Makes call stacks of a record of calls, returns and traps: one for each thread, told apart by stack pointers."""

from typing import NamedTuple

from emu.engine.translated.features.calls import Kind, Transfer
from emu.isa.privilege import Privilege
from emu.isa.status import SATP_PPN, process_space

MILLICODE = 5
"""t0: links to the compilers' routines that save and restore registers, and move sp between call and return."""
DEEPEST = 1 << 16
"""Frames of one stack; where there are more, the outer half is forgotten."""
_MOST_PARKED = 1 << 12
_SWITCHING = 256
"""Instructions in which a switch to another process's stack returns on it."""


class Frame(NamedTuple):
    """A call that has not returned, or a trap that has not been returned from."""

    entry: int
    """Where it begins: the function called, or the handler. After a tail call the function is another one: the next
    frame's `site`, or pc in the innermost frame, is in it."""
    site: int
    """The call instruction; of a trap the instruction in front of which it was entered."""
    return_address: int
    stack_pointer: int
    """At the call or trap."""
    instret: int
    """Instructions retired before the entry."""
    is_trap: bool
    satp: int
    """The address space, of a trap; else 0."""
    space: int = 0
    """Of a trap: whose stack it has interrupted, see `_Waiting`."""


class _Waiting:
    """Stacks that are not current, by return address and stack pointer of the topmost frame.

    Processes may have equal ones, so they are told apart by the address space that `sret` has led to; 0 is a kernel's.
    A kernel's threads may have been entered by `sret`, too, so a kernel finds those of any space.
    """

    def __init__(self) -> None:
        self._all: dict[tuple[int, int], dict[int, list[Frame]]] = {}
        """The oldest first, some thousands."""
        self._count = 0

    def park(self, space: int, stack: list[Frame]) -> None:
        """Have a stack wait; one that has waited there is forgotten."""
        where = stack[-1].return_address, stack[-1].stack_pointer
        here = self._all.setdefault(where, {})
        self._count += space not in here
        here.pop(space, None)
        here[space] = stack
        if self._count > _MOST_PARKED:
            self._count -= len(self._all.pop(next(iter(self._all))))

    def take(self, where: tuple[int, int], space: int) -> list[Frame] | None:
        """The one that waits there, which waits no longer."""
        here = self._all.get(where)
        if here is None:
            return None
        which = space if space in here else 0 if space else next(reversed(here))
        stack = here.pop(which, None)
        self._count -= stack is not None
        if not here:
            del self._all[where]
        return stack


class CallStacks:
    """The stack of calls that is current, and those that wait, by what `Calls` has recorded.

    - A return pops the call with its return address and its stack pointer; t0 links need only the address.
    - One that leads higher up the same stack (`longjmp`) ends the calls that were made below.
    - One to the address and stack pointer on top of a waiting stack is a switch to it; one to any other place off the
      current stack, or a call from there, begins a new stack.
    - A trap is a frame. `sret` and `mret` end it, and all above it, if they go on with its stack pointer and address
      space; else they switch to a context that waits for those, or begin a new one.
    - Processes whose stacks in the kernel have one virtual address: a write of `satp` leads from one to the other
      (`Kind.OTHER_STACK`).
    - A tail call (`Kind.JUMP`) pops and pushes nothing, as no return of its own follows.

    >>> stacks = CallStacks()
    >>> stacks.apply(Transfer(Kind.CALL, 0x1000, 0x2000, 0x8000, 1, 0x1004, 1, 0))
    >>> [hex(frame.entry) for frame in stacks.current]
    ['0x2000']
    >>> stacks.apply(Transfer(Kind.RETURN, 0x2000, 0x1004, 0x8000, 2, 0x2002, 1, 0))
    >>> stacks.current
    []
    """

    def __init__(self) -> None:
        self.current: list[Frame] = []
        """The current stack, its outermost call first. Of more than 65,536 the outer half is forgotten."""
        self._waiting = _Waiting()
        self._space = 0
        """Whose stack is current."""
        self._contexts: dict[tuple[int, int], list[Frame]] = {}
        """Stacks with a trap on top, by its stack pointer and address space."""
        self._elsewhere: dict[int, tuple[list[Frame], int]] = {}
        """Stacks that other ones lie in the place of, and whose they are, by the root of their address space."""
        self._other_since = -_SWITCHING
        self.switches = 0
        """How often another stack became the current one."""
        self.unwound = 0
        """How many calls were ended by a return that was not theirs."""

    def apply(self, transfer: Transfer) -> None:
        """Follow one transfer, in the order of the record."""
        kind = transfer.kind
        if kind is Kind.CALL:
            self._call(transfer)
        elif kind is Kind.RETURN:
            self._return(transfer)
        elif kind is Kind.SWAP:
            self._return(transfer)
            self._call(transfer)
        elif kind is Kind.TRAP:
            self._push(transfer, transfer.pc, is_trap=True)
            self._space = 0
        elif kind is Kind.TRAP_RETURN:
            self._trap_return(transfer)
        elif kind is Kind.OTHER_STACK:
            self._other_stack(transfer)

    def _push(self, transfer: Transfer, return_address: int, *, is_trap: bool) -> None:
        current = self.current
        if len(current) >= DEEPEST:
            del current[: DEEPEST // 2]
        current.append(
            Frame(
                transfer.target, transfer.pc, return_address, transfer.stack_pointer, transfer.instret, is_trap,
                transfer.satp, self._space if is_trap else 0,
            )
        )  # fmt: skip

    def _call(self, transfer: Transfer) -> None:
        current, place = self.current, transfer.stack_pointer
        if current and current[-1].stack_pointer < place and not current[-1].is_trap:
            if place <= self._highest():
                self._unwind(place - 1)
            else:
                self._switch([])
        self._push(transfer, transfer.return_address, is_trap=False)

    def _return(self, transfer: Transfer) -> None:
        current, target, place = self.current, transfer.target, transfer.stack_pointer
        top = current[-1] if current else None
        if top is not None and not top.is_trap and top.return_address == target:
            matches = top.stack_pointer == place or transfer.link == MILLICODE
        else:
            matches = False
        if matches:
            current.pop()
            return
        if transfer.link == MILLICODE:
            return
        if transfer.instret - self._other_since < _SWITCHING:  # of a process that is gone, and had the same root
            self.current = []
            return
        waiting = self._waiting.take((target, place), self._space)
        if waiting is not None:
            self._switch(waiting)
            waiting.pop()
        elif top is not None and not top.is_trap:
            if top.stack_pointer < place <= self._highest():
                self._unwind(place, target)
            else:
                self._switch([])

    def _highest(self) -> int:
        """The highest stack pointer of the calls since the last trap: the stack is known to reach there."""
        highest = 0
        for frame in reversed(self.current):
            if frame.is_trap:
                break
            highest = frame.stack_pointer
        return highest

    def _unwind(self, place: int, target: int = -1) -> None:
        """End the calls that were made with a stack pointer up to `place`; not those around one that returns there."""
        current = self.current
        while current and not current[-1].is_trap and current[-1].stack_pointer <= place:
            ended = current.pop()
            self.unwound += 1
            if (ended.return_address, ended.stack_pointer) == (target, place):
                break

    def _switch(self, to: list[Frame]) -> None:
        if self.current:
            self._waiting.park(self._space, self.current)
        self.current = to
        self.switches += 1

    def _other_stack(self, transfer: Transfer) -> None:
        old, new = transfer.target & SATP_PPN, transfer.satp & SATP_PPN
        self._elsewhere.pop(old, None)
        self._elsewhere[old] = self.current, self._space
        if len(self._elsewhere) > _MOST_PARKED:
            del self._elsewhere[next(iter(self._elsewhere))]
        self.current, self._space = self._elsewhere.pop(new, ([], 0))
        self._other_since = transfer.instret
        self.switches += 1

    def _trap_return(self, transfer: Transfer) -> None:
        current = self.current
        place = next((n for n in reversed(range(len(current))) if current[n].is_trap), None)
        key = transfer.stack_pointer, transfer.satp
        if place is not None:
            trap = current[place]
            if (trap.stack_pointer, trap.satp) == key:
                self._space = trap.space
                del current[place:]
                return
            del current[place + 1 :]
            self._contexts[trap.stack_pointer, trap.satp] = current
            if len(self._contexts) > _MOST_PARKED:
                del self._contexts[next(iter(self._contexts))]
        self.current = self._contexts.pop(key, [])
        self._space = self.current.pop().space if self.current else process_space(Privilege.U, transfer.satp)
        self.switches += 1
