"""The tree of calls of a run: how many instructions each function has retired, by the calls that led to it."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from emu.engine.translated.features.calls import RECORD, Kind, Transfer, decoded, transfer
from emu.observe.calls.stacks import DEEPEST, MILLICODE, CallStacks, Frame

_NUMBER_BEHIND_BLANK = re.compile(r" (\d+(?:\.\d*)?)$")
_MOST_STACKS = 1 << 13
_MOST_SITES = 1 << 16
UNKNOWN = "[unknown]"
"""Code without a symbol that nobody was seen to call."""


class Node:
    """A function as it was called from others."""

    __slots__ = ("calls", "children", "function", "instructions", "parent", "symbol")

    def __init__(self, function: str, parent: "Node | None", symbol: str = "") -> None:
        self.function, self.parent = function, parent
        self.symbol = symbol
        """Its name; empty where it has none, and `function` tells where it was entered."""
        self.children: dict[str, Node] = {}
        self.calls = 0
        """How often it was called from here."""
        self.instructions = 0
        """Retired in the function itself, when it was called from here."""

    def child(self, symbol: str, entry: int | None = None) -> "Node":
        """A function that this one has called; one without a symbol by the address that was called, if it is known."""
        function = symbol or (UNKNOWN if entry is None else hex(entry))
        found = self.children.get(function)
        if found is None:
            found = self.children[function] = Node(function, self, symbol)
        return found

    def walk(self) -> Iterator["Node"]:
        """The function and all below it, callers first."""
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


class _Site(NamedTuple):
    """An instruction that calls, returns or jumps, at its address."""

    instruction: int
    kind: Kind
    target: int | None
    """Where it always leads; None where registers say so."""
    return_address: int
    link: int
    symbol: str
    """Of the function that it is in."""


class CallTree:
    """Follows the calls of a run, thread by thread (see `CallStacks`).

    What a function retires between two calls or returns counts for the path that is open then. After a direct jump
    into another function (a tail call) the whole stretch counts for that one, in the first one's place. Code without
    symbols counts for the address that was called there.
    """

    def __init__(
        self, symbol_at: Callable[[int], str], instret: int = 0, changed: dict[Node, None] | None = None
    ) -> None:
        """`symbol_at` gives the function that an address is in, empty where there is no symbol.

        `instret` is where the run begins; `changed` gets each node whose figures change, in that order.
        """
        self.root = Node("", None)
        self.stacks = CallStacks()
        self._symbol_at = symbol_at
        self.instret = instret
        """How far the run was followed."""
        self._changed = changed
        self._nodes: dict[int, tuple[list[Frame], list[Node]]] = {}
        self._open: list[Node] = []
        self._sites: dict[int, _Site] = {}

    def apply_all(self, records: bytes | memoryview) -> None:
        """Follow all that `Calls` has handed over: for most calls and returns no `Transfer` is made."""
        sites, symbol_at, new = self._sites, self._symbol_at, tuple.__new__
        call, returns, jump, changed = Kind.CALL, Kind.RETURN, Kind.JUMP, self._changed
        stack, nodes, instret = self.stacks.current, self._open, self.instret
        for record in RECORD.iter_unpack(records):
            pc, instruction, target, place, moment, _ = record
            site = sites.get(pc)
            if site is None or site[0] != instruction:
                site = self._site(record)
            _, kind, fixed, return_address, link, name = site
            depth = len(nodes)
            if depth and depth == len(stack) and nodes[-1].symbol == name:
                top, node, below = stack[-1], nodes[-1], None
                follows = True
                if kind is call and (top[3] >= place or top[5]) and depth < DEEPEST:
                    if fixed is not None:
                        target = fixed
                    stack.append(new(Frame, (target, pc, return_address, place, moment, False, 0, 0)))
                    called = symbol_at(target)
                    below = node.children.get(called) or node.child(called, target)
                    below.calls += 1
                    nodes.append(below)
                elif kind is returns and top[2] == target and (top[3] == place or link == MILLICODE) and not top[5]:
                    stack.pop()
                    nodes.pop()
                else:
                    follows = kind is jump
                if follows:
                    if moment > instret:
                        node.instructions += moment - instret
                    instret = moment
                    if changed is not None:
                        changed[node] = None
                        if below is not None:
                            changed[below] = None
                    continue
            self.instret = instret
            self.apply(transfer(*record))
            stack, nodes, instret = self.stacks.current, self._open, self.instret
        self.instret = instret

    def _site(self, record: tuple[int, ...]) -> _Site:
        """What is known of the instruction of a record from now on."""
        pc, instruction, *_ = record
        made, (_, always_leads_there, _, _) = transfer(*record), decoded(instruction)
        if len(self._sites) >= _MOST_SITES:
            self._sites.clear()
        site = self._sites[pc] = _Site(
            instruction, made.kind, made.target if always_leads_there else None, made.return_address, made.link,
            self._symbol_at(pc),
        )  # fmt: skip
        return site

    def apply(self, transfer: Transfer) -> None:
        """Follow one transfer, in the order of the record."""
        self.until(transfer.instret, transfer.pc)
        before, nodes = self.stacks.current, self._open
        depth = len(before)
        self.stacks.apply(transfer)
        stack = self.stacks.current
        if stack is before and len(nodes) == depth and self._one_step(transfer, nodes, len(stack) - depth):
            return
        known = self._nodes.get(id(stack))
        if known is None:
            if len(self._nodes) > _MOST_STACKS:
                self._nodes.clear()
            known = self._nodes[id(stack)] = stack, []
        self._open = nodes = known[1]
        if transfer.kind in (Kind.CALL, Kind.TRAP, Kind.SWAP):
            del nodes[len(stack) - 1 :]
        else:
            del nodes[len(stack) :]
        if len(nodes) < len(stack) - 1:
            nodes.clear()
        for frame in stack[len(nodes) :]:
            above = nodes[-1] if nodes else self.root
            if not nodes:
                above = self._outermost(frame.site)
            node = above.child(self._symbol_at(frame.entry), frame.entry)
            nodes.append(node)
        if transfer.kind in (Kind.CALL, Kind.TRAP, Kind.SWAP):
            self._count(nodes[-1])

    def _one_step(self, transfer: Transfer, nodes: list[Node], deeper: int) -> bool:
        """Follow a call by which the stack has one frame more, or a return by which it has one less: most are so."""
        kind = transfer.kind
        if deeper == 1 and nodes:
            nodes.append(nodes[-1].child(self._symbol_at(transfer.target), transfer.target))
            self._count(nodes[-1])
        elif deeper == -1 and kind is Kind.RETURN:
            nodes.pop()
        else:
            return deeper == 0 and kind is Kind.JUMP
        return True

    def _count(self, called: Node) -> None:
        """A function was called."""
        called.calls += 1
        if self._changed is not None:
            self._changed[called] = None

    def _outermost(self, site: int) -> Node:
        """Who has made the outermost call: a function that nobody was seen to call."""
        return self.root.child(self._symbol_at(site))

    def until(self, instret: int, pc: int) -> None:
        """What has retired up to here belongs to the calls that are open; pc is in the innermost."""
        retired = instret - self.instret
        self.instret = instret
        if retired <= 0:
            return
        symbol = self._symbol_at(pc)
        node = self._open[-1] if self._open else self.root.child(symbol)
        if node.symbol != symbol and node.parent is not None:
            node = node.parent.child(symbol)
        node.instructions += retired
        if self._changed is not None:
            self._changed[node] = None


def totals(root: Node) -> dict[str, tuple[int, int, int]]:
    """Of each function: instructions of its own, those and what it called, and calls. Recursion counts once."""
    own: dict[str, int] = {}
    calls: dict[str, int] = {}
    whole: dict[str, int] = {}
    sums: dict[int, int] = {}
    order = list(root.walk())
    for node in reversed(order):
        sums[id(node)] = node.instructions + sum(sums[id(child)] for child in node.children.values())
    open_names: list[str] = []
    for node in order:
        path = node.path
        del open_names[max(0, len(path) - 1) :]
        own[node.function] = own.get(node.function, 0) + node.instructions
        calls[node.function] = calls.get(node.function, 0) + node.calls
        if node.function not in open_names:
            whole[node.function] = whole.get(node.function, 0) + sums[id(node)]
        if node.parent is not None:
            open_names.append(node.function)
    return {name: (own[name], whole.get(name, 0), calls[name]) for name in own if name}


def folded(root: Node) -> Iterator[str]:
    """Folded stacks, as flamegraph.pl and speedscope read them: `outer;inner 123`, a line for each path.

    A path ends with its last blank and number; flamegraph.pl takes another one before that for a second count.
    """
    for node in root.walk():
        if node.instructions:
            yield f"{';'.join(map(_in_folded, node.path))} {node.instructions}"


def _in_folded(name: str) -> str:
    """A name without what ends it, its line, or its path there.

    >>> _in_folded("<[u8; 4] as Read>::read"), _in_folded("part 2")
    ('<[u8: 4] as Read>::read', 'part_2')
    """
    one_line = " ".join(name.replace(";", ":").split())
    return _NUMBER_BEHIND_BLANK.sub(r"_\1", one_line) or "?"
