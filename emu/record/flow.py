"""Calls, returns and traps in a recording: what each block of code leads to, and the frames that follow from it."""

from array import array
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from emu.engine.translated.blocks import CUT
from emu.engine.translated.definitions import Block
from emu.isa.jumps import Way, flow
from emu.isa.operands import instruction_length
from emu.record.recording import left_by

_ECALL, _EBREAK, _C_EBREAK = 0x73, 0x100073, 0x9002
_MOST_STACKS = 1 << 10


class Part(NamedTuple):
    """A block of code, and where it leads to."""

    block: Block
    function: str
    addresses: tuple[int, ...]
    """Of its instructions."""
    end: int
    """Behind the last of them."""
    way: Way
    target: int | None
    """Of a jump, branch or call whose instruction says it."""

    def leads_to(self, pc: int) -> bool | None:
        """Whether its end leads to an address by itself; None where a register decides."""
        if self.way is Way.ON:
            return pc == self.end
        if self.way is Way.BRANCH:
            return pc in (self.end, self.target)
        return None if self.target is None else pc == self.target


def part_of(block: Block, function: str) -> Part:
    """What a block leads to; `function` is the one that it lies in."""
    addresses = tuple(block.addresses()) or (block.pc,)
    last = addresses[-1]
    code = block.code[last - block.pc :][:4]
    length = instruction_length(code[0]) if code else 4
    found = flow(int.from_bytes(code[:length], "little"))
    target = None if found.offset is None else last + found.offset & (1 << 64) - 1
    return Part(block, function, addresses, last + length, found.way, target)


class Node:
    """A function as it was called from others: a place in the tree of calls."""

    __slots__ = ("calls", "children", "function", "instructions", "parent")

    def __init__(self, function: str, parent: "Node | None") -> None:
        self.function, self.parent = function, parent
        self.children: dict[str, Node] = {}
        self.calls = 0
        self.instructions = 0
        """Retired in the function itself, when it was called from here."""

    def child(self, function: str) -> "Node":
        """The same called from here."""
        found = self.children.get(function)
        if found is None:
            found = self.children[function] = Node(function, self)
        return found

    def walk(self) -> Iterator["Node"]:
        """The place and all below it, callers first."""
        todo = [self]
        while todo:
            node = todo.pop()
            yield node
            todo += reversed(node.children.values())

    @property
    def path(self) -> tuple[str, ...]:
        """The functions from the outermost to this one."""
        names: list[str] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            names.append(node.function)
            node = node.parent
        return tuple(reversed(names))


class _Frame:
    """A call that has not returned, or a trap."""

    __slots__ = ("behind", "is_trap", "node", "pending")

    def __init__(
        self, node: Node, behind: tuple[int, ...], *, is_trap: bool = False, pending: Part | None = None
    ) -> None:
        self.node = node
        self.behind = behind
        """Where it returns to: behind the call; at, or behind, the instruction that trapped."""
        self.is_trap = is_trap
        self.pending = pending
        """The block before an interrupt whose jump is still to come."""


class Listener:
    """Told of calls, returns and traps as they happen; `depth` counts open frames."""

    def called(self, instret: int, pc: int, site: int, depth: int, /) -> None:
        """A function was called."""

    def returned(self, instret: int, depth: int, /) -> None:
        """A call has returned, or a trap handler has."""

    def trapped(self, instret: int, pc: int, at: int, depth: int, /) -> None:
        """A trap, or an interrupt, was taken before the instruction at an address; the handler begins at `pc`."""


_NOBODY = Listener()


class Flow:
    """Follows calls through the words of a recording: the tree of calls with exact numbers of instructions.

    A call is `jal` or `jalr` that links, a return is `jalr` by a link register (table 3 of the unprivileged manual).
    A frame is left by a return to the address behind its call only, so what has no such frame (a context switch)
    goes on with the frames of another thread that waits there, or begins a new one.
    """

    def __init__(self, function_at: Callable[[int], str], listener: Listener = _NOBODY) -> None:
        self._function_at, self._listener = function_at, listener
        self._parts: dict[int, Part] = {}
        self.lengths: dict[int, int] = {}
        self._dull: set[tuple[int, int]] = set()
        self.root = Node("", None)
        self._stack: list[_Frame] = []
        self._others: list[list[_Frame]] = []
        self._last, self._retired = 0, 0
        self._handlers: set[int] = set()
        self.instret = 0
        self.unmatched = 0
        """Returns to where no frame waits: of threads that began before the recording, or were made by hand."""

    def define(self, block: Block, /) -> None:
        """A block that will be named by its number."""
        self._parts[block.number] = part_of(block, self._function_at(block.pc))
        self.lengths[block.number] = block.length

    def span(self, instret: int, /) -> None:
        """What follows does not go on from where it was."""
        self.instret, self._last = instret, 0
        self._stack.clear()
        self._others.clear()

    def words(self, words: "array[int] | memoryview", /) -> None:
        """Follow these."""
        words = words if isinstance(words, array) else array("I", words)
        dull, begin = self._dull, 0
        for place, pair in enumerate(zip(chain((self._last,), words), words, strict=False)):
            if pair not in dull:
                if begin < place:
                    self._retire(words[begin:place])
                    begin = place
                self._step(*pair)
        self._retire(words[begin:])
        if len(words):
            self._last = words[-1]

    def _retire(self, words: "array[int]") -> None:
        lengths = self.lengths
        number = 0
        for word in words:
            number += -left_by(word) if word & CUT else lengths[word]
        self.instret += number
        if self._stack:
            self._stack[-1].node.instructions += number

    def _step(self, before: int, word: int) -> None:
        """One word follows another, and is something else than the code going on."""
        if word & CUT:
            known = self._parts.get(before)
            self._cut = (known, len(known.addresses) - left_by(word)) if known else (None, 0)
            return
        part = self._parts[word]
        if before & CUT:
            left, retired = self._cut
            if left is not None:
                self._left(left, max(0, retired), part)
            return
        source = self._parts.get(before)
        if source is None or not self._stack:
            self._begin(part)
            return
        if self._goes_on(source, part):
            self._dull.add((before, word))
        elif self._trapped(source, part):
            return
        else:
            self._jump(source, part)

    def _goes_on(self, source: Part, part: Part) -> bool:
        """Whether it is the same function going on."""
        if source.way not in (Way.ON, Way.BRANCH, Way.JUMP) or source.function != part.function:
            return False
        same = source.block.privilege == part.block.privilege
        return same and source.leads_to(part.block.pc) is not False and part.block.pc not in self._handlers

    def _trapped(self, source: Part, part: Part) -> bool:
        pc = part.block.pc
        leads = source.leads_to(pc)
        if leads is not False and not (leads is None and pc in self._handlers and source.way is not Way.TRAP_RETURN):
            return False
        self._handlers.add(pc)
        waits = source if source.way not in (Way.ON, Way.BRANCH) else None
        behind = () if source.target is None else (source.target,)
        self._trap(part, (source.end, *behind), source.end, waits)
        return True

    def _left(self, source: Part, retired: int, part: Part) -> None:
        """A block was left in its middle."""
        if retired >= len(source.addresses):
            self._begin(part) if not self._stack else self._jump(source, part)
            return
        at = source.addresses[retired]
        if part.block.pc == at:  # it was stopped there, and goes on
            return
        self._handlers.add(part.block.pc)
        self._trap(part, (at, at + 2, at + 4), at, None)

    def _begin(self, part: Part) -> None:
        self._push(part, ())

    def _push(self, part: Part, behind: tuple[int, ...], *, is_trap: bool = False, pending: Part | None = None) -> None:
        above = self._stack[-1].node if self._stack else self.root
        node = above.child(part.function)
        node.calls += 1
        self._stack.append(_Frame(node, behind, is_trap=is_trap, pending=pending))

    def _trap(self, part: Part, behind: tuple[int, ...], at: int, pending: Part | None) -> None:
        self._push(part, behind, is_trap=True, pending=pending)
        self._listener.trapped(self.instret, part.block.pc, at, len(self._stack) - 1)

    def _jump(self, source: Part, part: Part) -> None:
        pc = part.block.pc
        if source.way is Way.CALL:
            self._push(part, (source.end,))
            self._listener.called(self.instret, pc, source.addresses[-1], len(self._stack) - 1)
        elif source.way is Way.RETURN:
            self._return(part)
        elif source.way is Way.TRAP_RETURN:
            self._trap_return(part)
        elif self._stack and self._stack[-1].node.function != part.function:  # a tail call, or a label on the way
            frame = self._stack[-1]
            frame.node = (frame.node.parent or self.root).child(part.function)
            frame.node.calls += 1

    def _return(self, part: Part) -> None:
        pc, stack = part.block.pc, self._stack
        for depth in range(len(stack) - 1, -1, -1):
            frame = stack[depth]
            if frame.is_trap:
                break
            if pc in frame.behind:
                del stack[depth:]
                self._listener.returned(self.instret, depth)
                self._resume(part)
                return
        for other in reversed(self._others):
            if other[-1].behind and pc in other[-1].behind and not other[-1].is_trap:
                self._change_to(other)
                self._stack.pop()
                self._resume(part)
                return
        self.unmatched += 1
        self._change_to([])
        self._resume(part)

    def _trap_return(self, part: Part) -> None:
        stack = self._stack
        depth = next((n for n in range(len(stack) - 1, -1, -1) if stack[n].is_trap), None)
        if depth is None:  # the first entry of a lower mode
            stack.clear()
            self._resume(part)
            return
        del stack[depth + 1 :]
        if not self._is_left_by(stack[depth], part):
            found = next((o for o in reversed(self._others) if o[-1].is_trap and self._is_left_by(o[-1], part)), None)
            self._change_to(found if found is not None else [])
            if found is None:
                self._resume(part)
                return
        frame = self._stack.pop()
        self._listener.returned(self.instret, len(self._stack))
        if frame.pending is not None:
            self._jump(frame.pending, part)
        self._resume(part)

    @staticmethod
    def _is_left_by(frame: _Frame, part: Part) -> bool:
        return (frame.pending is not None and frame.pending.target is None) or part.block.pc in frame.behind

    def _change_to(self, stack: list[_Frame]) -> None:
        if self._stack:
            self._others.append(self._stack)
            del self._others[:-_MOST_STACKS]
        self._others = [other for other in self._others if other is not stack]
        self._stack = stack

    def _resume(self, part: Part) -> None:
        """The code of a block goes on in the frame that is open now."""
        if not self._stack:
            self._push(part, ())
        elif self._stack[-1].node.function != part.function:
            self._stack[-1].node = (self._stack[-1].node.parent or self.root).child(part.function)
