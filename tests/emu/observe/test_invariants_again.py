"""Invariants of page tables say the same as full walks say after each store, whatever a guest does to its tables."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.address import PAGE_SIZE
from emu.events import AddressSpaceSwitched, PteWritten
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from emu.machine.snapshots import Snapshot
from emu.mmu.pte import Pte
from emu.mmu.space import AddressSpace, Entry
from emu.observe.pagetables.invariants import Broken, Check, Invariants, MadeFor, named
from emu.subscriptions import cancel_all

NAMES = "no-writable-code,no-user-in-kernel,mapped-once"
TABLES = ("root", "other", "middle", "upper", "low", "next", "high")
BELOW = {
    ("root", 0): "middle", ("root", 256): "upper", ("other", 0): "middle", ("other", 256): "upper",
    ("middle", 0): "low", ("middle", 1): "next", ("upper", 0): "high",
}  # fmt: skip
"""Which table an entry leads to: each has one place in both spaces."""
GUEST = f"""
    la s0, orders
1:  ld t0, 0(s0)
    ld t1, 8(s0)
    addi s0, s0, 16
    beqz t0, 3f
    bltz t0, 2f
    sd t1, (t0)
    j 1b
2:  csrw satp, t1
    sfence.vma
    j 1b
3:  li a7, 8
    ecall
    .bss
    .balign 4096
{"".join(f"{name}: .zero 4096{chr(10)}" for name in TABLES)}
pages: .zero 3 * 4096
orders: .zero 4096
"""
ENTER, WHOLE_MAP = -1 & (1 << 64) - 1, 0x80000 << 10 | 0xCF
LAST = ("low", "next", "high")
slots = st.tuples(st.sampled_from(TABLES) | st.sampled_from(LAST), st.sampled_from([0, 1, 256, 257]))
leaves = st.tuples(st.integers(0, 2), st.sampled_from([0xC7, 0xD7, 0xDF, 0xCB, 0xD3, 0, 0xC6]))
Slot = tuple[str, int]
Leaf = tuple[int, int]
Order = str | tuple[Slot, Leaf | None]
orders = st.lists(st.one_of(st.sampled_from(["root", "other"]), st.tuples(slots, st.none() | leaves)), max_size=40)


def _in_place(machine: Machine, slot: Slot, leaf: Leaf | None) -> int:
    """A leaf of the last level, or what leads to the one table that may be there."""
    if leaf is not None:
        return machine.address_of("pages") + leaf[0] * PAGE_SIZE >> 2 | leaf[1] if slot[0] in LAST else 0
    return machine.address_of(BELOW[slot]) >> 2 | 1 if slot in BELOW else 0


def _anywhere(machine: Machine, slot: Slot, leaf: Leaf | None) -> int:
    """A leaf of any level, or what leads to any table, in circles as well."""
    if leaf is None:
        return machine.address_of(TABLES[slot[1] + len(slot[0]) & 3]) >> 2 | 1
    return machine.address_of("pages") + leaf[0] * PAGE_SIZE >> 2 | leaf[1] if leaf[0] else 0x80000 << 10 | leaf[1]


def _run(machine: Machine, chosen: list[Order], value: Callable[[Machine, Slot, Leaf | None], int]) -> None:
    """Have the guest do what was chosen: store, or write `satp`."""
    at = machine.address_of
    words = [word for root in ("root", "other") for word in (at(root) + 16, WHOLE_MAP)]
    words += [word for slot in BELOW for word in (at(slot[0]) + 8 * slot[1], _in_place(machine, slot, None))]
    for order in ["root", *chosen]:
        if isinstance(order, str):
            words += [ENTER, 8 << 60 | at(order) >> 12]
        else:
            slot, leaf = order
            words += [at(slot[0]) + 8 * slot[1], value(machine, slot, leaf)]
    machine.memory.write(at("orders"), b"".join(word.to_bytes(8, "little") for word in words))
    machine.run()


class FullWalks:
    """Reads the whole address space at each event, and judges what it finds there."""

    def __init__(self, machine: Machine) -> None:
        self.told: list[tuple[str, int, int, str]] = []
        self._machine, self._entered = machine, set[int]()
        self.subscriptions = [machine.on(AddressSpaceSwitched, self._enters), machine.on(PteWritten, self._written)]

    def _enters(self, _event: AddressSpaceSwitched) -> None:
        space = self._machine.address_space()
        if not space.levels or space.root in self._entered:
            return
        self._entered.add(int(space.root))
        found: dict[tuple[str, str], list[Entry]] = {}
        for leaf in space.leaves:
            for key in _judged(leaf, space):
                found.setdefault(key, []).append(leaf)
        for (name, why), broken in found.items():
            more = f", and {len(broken) - 1:,} more pages are" if len(broken) > 1 else ""
            self.told.append((name, int(broken[0].address), int(broken[0].pte), why + more))

    def _written(self, write: PteWritten) -> None:
        leaf = Entry(write.pte_address, Pte(write.new), write.level, 0, write.first)
        judged = _judged(leaf, self._machine.address_space())
        self.told += [(name, int(leaf.address), int(leaf.pte), why) for name, why in judged]


def _judged(leaf: Entry, space: AddressSpace) -> list[tuple[str, str]]:
    found = []
    if leaf.pte.v and leaf.pte.w and leaf.pte.x:
        found.append(("no-writable-code", "it is writable and executable"))
    if leaf.pte.v and leaf.pte.u and leaf.first >> 63:
        found.append(("no-user-in-kernel", "it is a user page in the upper half"))
    places = space.aliases().get(leaf.physical, [])
    if leaf.pte.v and not leaf.level and leaf.first in places:
        found.append(("mapped-once", f"its frame {leaf.physical} is mapped at {' and '.join(map(str, places))}"))
    return found


def _said(broken: Broken) -> tuple[str, int, int, str]:
    return broken.invariant, int(broken.write.pte_address), broken.write.new, broken.why


def _unsifted(check: Check | MadeFor) -> Check | MadeFor:
    """The same for an observer that does not know what it may leave out."""
    if isinstance(check, MadeFor):
        return MadeFor(lambda machine: partial(_asked, check.make(machine)))
    return partial(_asked, check)


def _asked(check: Check, write: PteWritten, space: Callable[[], AddressSpace]) -> str | None:
    return check(write, space)


@pytest.fixture(scope="module")
def paged(build: Callable[..., Image]) -> tuple[Machine, Snapshot]:
    machine = Machine(MachineConfig(ram_size=16 << 20, fidelity="fast"))
    machine.load(build(GUEST))
    return machine, machine.snapshot()


@settings(max_examples=60, deadline=None)
@given(chosen=orders)
def test_what_is_told_is_what_full_walks_find(paged: tuple[Machine, Snapshot], chosen: list[Order]) -> None:
    machine, begin = paged
    machine.restore(begin)
    found, walks = Invariants(machine, named(NAMES)), FullWalks(machine)
    try:
        _run(machine, chosen, _in_place)
    finally:
        found.close()
        cancel_all(walks.subscriptions)
    assert [_said(broken) for broken in found.broken] == walks.told


@settings(max_examples=60, deadline=None)
@given(chosen=orders)
def test_what_is_left_out_has_nothing_to_tell(paged: tuple[Machine, Snapshot], chosen: list[Order]) -> None:
    machine, begin = paged
    machine.restore(begin)
    checks = named(NAMES)
    both = [Invariants(machine, each) for each in (checks, {name: _unsifted(checks[name]) for name in checks})]
    try:
        _run(machine, chosen, _anywhere)
    finally:
        for each in both:
            each.close()
    assert both[0].broken == both[1].broken
