"""Address spaces against a model: whatever is mapped, forked, written, replaced and freed, every page holds its own."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.machine import Machine
from tests.kernel.running import ERROR, doubleword, leave_free, use

R, W, U = 2, 4, 16
FRAMED, LAZY, GUARD = 1, 2, 4
BASE, PAGE = 0x10_0000, 4096
PAGES = 48
MOST_SPACES = 3
PLACES = (0, 2040, 4088)
"""Where in a page something is written."""
SLOTS = 512
SPARE = 28
"""Frames for tables, and for pages that cannot be replaced."""
LAZY_6 = 40
"""What `add` takes for six lazy pages that can be written."""

Step = tuple[str, int, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "write", "write", "write", "read", "read", "fork", "free"]),
        st.integers(0, MOST_SPACES - 1),
        st.integers(0, PAGES - 1),
        st.integers(0, 1 << 20),
    ),
    min_size=30,
    max_size=120,
)


@dataclass
class Area:
    start: int
    end: int
    flags: int
    kind: int


@dataclass
class Space:
    """What a program would see."""

    address: int
    areas: list[Area] = field(default_factory=list)
    contents: dict[tuple[int, int], int] = field(default_factory=dict)
    """By page, and by place in the page."""

    def area(self, page: int) -> Area | None:
        return next((area for area in self.areas if area.start <= page < area.end), None)


class Model:
    """Spaces in the guest, and what they must hold. With `short` memory anything may be refused for that."""

    def __init__(self, machine: Machine, *, short: bool) -> None:
        self.machine = machine
        self.short = short
        self.buffer = machine.call("heap_alloc", 8, 8)
        self.spaces: list[Space] = [self.new()]

    def new(self) -> Space:
        return Space(self.machine.call("space_new", 7))

    def do(self, step: Step) -> None:
        action, which, page, value = step
        space = self.spaces[which % len(self.spaces)]
        getattr(self, action)(space, page, value)

    def add(self, space: Space, page: int, value: int) -> None:
        pages, kind = 1 + value % 7, (LAZY, LAZY, LAZY, FRAMED, GUARD)[value % 5]
        flags = (R | W | U, R | U)[value % 3 == 2]
        if kind == FRAMED:
            pages = 1
        first = (BASE >> 12) + page
        result = self.machine.call("area_add", space.address, first, first + pages, flags, kind, 0)
        free = not any(space.area(other) for other in range(page, page + pages))
        assert bool(result) == free or (self.short and kind == FRAMED)
        if result:
            space.areas.append(Area(page, page + pages, flags, kind))

    def remove(self, space: Space, page: int, value: int) -> None:
        area = space.area(page)
        found = self.machine.call("area_find", space.address, (BASE >> 12) + page)
        assert bool(found) == bool(area)
        if area:
            self.machine.call("area_remove", space.address, found)
            space.areas.remove(area)
            space.contents = {at: held for at, held in space.contents.items() if not area.start <= at[0] < area.end}

    def write(self, space: Space, page: int, value: int) -> None:
        self.machine.memory.write(self.buffer, value.to_bytes(8, "little"))
        place = value % len(PLACES)  # each write leaves the page's other places as they are
        result = self.machine.call("copy_to_user", space.address, self.buffer, BASE + page * PAGE + PLACES[place], 8)
        area = space.area(page)
        allowed = area is not None and area.kind != GUARD and area.flags & W
        assert result == (0 if allowed else ERROR) or (self.short and result == ERROR)
        if result == 0:
            space.contents[page, place] = value

    def read(self, space: Space, page: int, value: int) -> None:
        place = value % len(PLACES)
        self.machine.memory.write(self.buffer, b"\xee" * 8)
        result = self.machine.call("copy_from_user", space.address, self.buffer, BASE + page * PAGE + PLACES[place], 8)
        area = space.area(page)
        if area is None or area.kind == GUARD:
            assert result == ERROR
        elif result == 0 or not self.short:
            assert result == 0
            assert self.machine.memory.read_int(self.buffer, 8) == space.contents.get((page, place), 0)

    def fork(self, space: Space, page: int, value: int) -> None:
        if len(self.spaces) < MOST_SPACES:
            child = self.machine.call("space_fork", space.address, 8)
            assert child or self.short
            if child:
                self.spaces.append(Space(child, list(space.areas), dict(space.contents)))

    def free(self, space: Space, page: int, value: int) -> None:
        self.machine.call("space_free", space.address)
        self.spaces.remove(space)
        if not self.spaces:
            self.spaces.append(self.new())

    def check(self) -> None:
        for space in self.spaces:
            for page in range(PAGES + 7):
                for place in range(len(PLACES)):
                    self.read(space, page, place)

    def end(self) -> None:
        for space in list(self.spaces):
            self.machine.call("space_free", space.address)
        self.machine.call("heap_dealloc", self.buffer, 8, 8)


def live(machine: Machine, moves: list[Step], *, short: bool) -> None:
    before = use(machine)
    model = Model(machine, short=short)
    for number, step in enumerate(moves):
        model.do(step)
        if number % 20 == 19:
            model.check()
    model.check()
    model.end()
    assert use(machine) == before


@settings(max_examples=40, deadline=None)
@given(moves=steps)
def test_every_page_of_every_space_holds_what_was_written_there(machine: Machine, moves: list[Step]) -> None:
    live(machine, moves, short=False)


@pytest.fixture
def tight(machine: Machine, policy: int) -> Machine:
    """The same kernel with a replacement policy, and fewer frames than the spaces may have pages."""
    assert machine.call("replacement_init", policy, SLOTS) == 0
    leave_free(machine, PAGES + SPARE)
    return machine


@pytest.mark.slow
@pytest.mark.parametrize("policy", [1, 2, 3], ids=["fifo", "clock", "lru"])
@settings(max_examples=15, deadline=None)
@given(moves=steps)
def test_the_same_holds_while_pages_are_replaced(tight: Machine, moves: list[Step]) -> None:
    areas: list[Step] = [("add", 0, page, LAZY_6) for page in range(0, PAGES, 6)]
    written: list[Step] = [("write", 0, page, page + 1) for page in range(PAGES)]
    copied: list[Step] = [("write", 0, page, page + 100) for page in range(PAGES)]
    live(tight, [*areas, *written, ("fork", 0, 0, 0), *copied, *moves], short=True)
    assert doubleword(tight, "pages_fetched") > 0
    assert doubleword(tight, "store_used") == 0
