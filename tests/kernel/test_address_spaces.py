"""Address spaces: areas, lazy pages, copy on write, copies from and to programs; nothing leaks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.machine import Machine
from tests.kernel.running import ERROR, use

V, R, W, X, U, G, A, D = 1, 2, 4, 8, 16, 32, 64, 128
TRAMPOLINE = 0xFFFF_FFFF_FFFF_F000
LINEAR, FRAMED, LAZY, SHARED, GUARD = range(5)
BASE = 0x10_0000
PAGE = 4096


class Space:
    """An address space in the guest."""

    def __init__(self, machine: Machine, address: int = 0) -> None:
        self.machine = machine
        self.address = address or machine.call("space_new", 7)
        assert self.address

    @property
    def root(self) -> int:
        return self.machine.memory.read_int(self.address, 8)

    def add(self, start: int, pages: int, flags: int, kind: int, ppn: int = 0) -> int:
        return self.machine.call("area_add", self.address, start >> 12, (start >> 12) + pages, flags, kind, ppn)

    def fault(self, va: int, access: int) -> str:
        """Why the access stays refused; empty when it can be repeated."""
        reason = self.machine.call("space_fault", self.address, va, access)
        return self.machine.read_virtual(reason, 80).partition(b"\0")[0].decode() if reason else ""

    def frame(self, va: int) -> int:
        return self.machine.call("translate", self.root, va) >> 12

    def flags(self, va: int) -> int:
        return self.machine.memory.read_int(self.machine.call("find_pte", self.root, va >> 12), 8) & 0xFF

    def free(self) -> None:
        self.machine.call("space_free", self.address)


@pytest.mark.no_leaks
@pytest.mark.parametrize("kind", [FRAMED, LAZY, GUARD])
def test_a_space_that_dies_gives_everything_back(machine: Machine, kind: int) -> None:
    space = Space(machine)
    assert space.add(BASE, 5, R | W | U, kind)
    assert space.add(BASE + (1 << 30), 3, R | U, kind)
    if kind == LAZY:
        assert space.fault(BASE + PAGE, W) == ""
    space.free()


@pytest.mark.no_leaks
def test_areas_that_overlap_or_are_empty_are_refused(machine: Machine) -> None:
    space = Space(machine)
    assert space.add(BASE, 4, R | U, LAZY)
    assert space.add(BASE + 3 * PAGE, 2, R | U, LAZY) == 0
    assert space.add(BASE - PAGE, 2, R | U, FRAMED) == 0
    assert space.add(BASE, 0, R | U, LAZY) == 0
    assert space.add(BASE + 4 * PAGE, 1, R | U, LAZY)
    space.free()


@pytest.mark.no_leaks
@pytest.mark.parametrize(
    ("kind", "flags", "access", "reason"),
    [
        (GUARD, 0, R, "that is a guard page"),
        (LAZY, R | U, W, "the page may not be written"),
        (LAZY, R | W | U, X, "the page may not be executed"),
        (LAZY, X | U, R, "the page may not be read"),
        (LAZY, R | W | X | U, W, ""),
    ],
)
def test_a_refused_access_says_why(machine: Machine, kind: int, flags: int, access: int, reason: str) -> None:
    space = Space(machine)
    assert space.add(BASE, 1, flags, kind)
    assert space.fault(BASE + 100, access) == reason
    assert space.fault(BASE + PAGE, access) == "nothing is mapped there"
    space.free()


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 3 * PAGE), length=st.integers(0, 3 * PAGE))
def test_a_lazy_page_holds_its_part_of_the_source_and_zeros(machine: Machine, start: int, length: int) -> None:
    source = machine.address_of("stext")
    space = Space(machine)
    area = space.add(BASE, 6, R | U, LAZY)
    machine.call("area_set_source", area, source, BASE + start, length)
    content = bytearray(6 * PAGE)
    content[start : start + length] = machine.read_virtual(source, length)
    for page in range(6):
        assert space.fault(BASE + page * PAGE, R) == ""
        assert (
            machine.memory.read(space.frame(BASE + page * PAGE) << 12, PAGE) == content[page * PAGE : (page + 1) * PAGE]
        )


@pytest.mark.no_leaks
def test_a_fork_shares_frames_until_somebody_writes(machine: Machine) -> None:
    parent = Space(machine)
    assert parent.add(BASE, 3, R | W | U, LAZY)
    assert parent.fault(BASE, W) == ""
    frame = parent.frame(BASE)
    machine.memory.write(frame << 12, b"before")
    child = Space(machine, machine.call("space_fork", parent.address, 8))
    assert child.frame(BASE) == frame
    assert machine.call("frame_owners", frame) == 2
    assert parent.flags(BASE) & W == child.flags(BASE) & W == 0

    assert child.fault(BASE, W) == ""
    copy = child.frame(BASE)
    assert copy != frame
    assert child.flags(BASE) & W
    machine.memory.write(copy << 12, b"behind")
    assert machine.memory.read(frame << 12, 6) == b"before"
    assert machine.call("frame_owners", frame) == 1

    frames = machine.call("frame_in_use")
    assert parent.fault(BASE, W) == ""  # the last owner needs no copy
    assert parent.frame(BASE) == frame
    assert machine.call("frame_in_use") == frames
    assert child.fault(BASE + PAGE, R) == ""  # pages that nobody had touched are private
    assert parent.frame(BASE + PAGE) == ERROR >> 12
    parent.free()
    child.free()


@pytest.mark.no_leaks
def test_shared_frames_stay_writable_and_go_with_their_last_owner(machine: Machine) -> None:
    first = machine.call("frame_alloc_contiguous", 2)
    space = Space(machine)
    assert space.add(BASE, 2, R | W | U, SHARED, first)
    machine.call("frame_unref", first)
    machine.call("frame_unref", first + 1)
    child = Space(machine, machine.call("space_fork", space.address, 8))
    assert child.flags(BASE) & W
    assert (child.frame(BASE), child.frame(BASE + PAGE)) == (first, first + 1)
    space.free()
    assert machine.call("frame_owners", first) == 1
    child.free()


def test_a_fork_without_memory_fails_and_leaves_nothing_behind(machine: Machine) -> None:
    parent = Space(machine)
    assert parent.add(BASE, 2, R | W | U, FRAMED)
    while machine.call("frame_alloc_contiguous", 64):
        pass
    taken = []
    while frame := machine.call("frame_alloc"):
        taken.append(frame)
    for free in range(4):
        start = use(machine)
        child = machine.call("space_fork", parent.address, 8)
        if child:
            assert free >= 3  # root and two tables
            break
        assert use(machine) == start
        machine.call("frame_dealloc", taken.pop())
    else:
        raise AssertionError("a fork with four free frames must succeed")


@settings(max_examples=40, deadline=None)
@given(offset=st.integers(0, 2 * PAGE), length=st.integers(0, 3 * PAGE), writes=st.booleans())
def test_copies_cross_pages_whatever_frames_they_lie_in(
    machine: Machine, offset: int, length: int, writes: bool
) -> None:
    buffer = machine.call("heap_alloc", 3 * PAGE, 8)
    data = bytes((7 * n + n // 256) & 0xFF for n in range(length))
    space = Space(machine)
    assert space.add(BASE, 5, R | W | U, LAZY)
    for page in (3, 0, 4):  # so that consecutive pages are no consecutive frames
        assert space.fault(BASE + page * PAGE, W) == ""
    if writes:
        machine.memory.write(buffer, data)
        assert machine.call("copy_to_user", space.address, buffer, BASE + offset, length) == 0
        seen = b"".join(
            machine.memory.read(space.frame(BASE + page * PAGE) << 12, PAGE)
            if space.frame(BASE + page * PAGE) != ERROR >> 12
            else bytes(PAGE)
            for page in range(5)
        )
        assert seen[offset : offset + length] == data
        assert seen.count(0) == len(seen) - length + data.count(0)
    else:
        for number, byte in enumerate(data):
            va = BASE + offset + number
            if number == 0 or va % PAGE == 0:
                space.fault(va, W)
                frame = space.frame(va) << 12
            machine.memory.write(frame + va % PAGE, bytes([byte]))
        assert machine.call("copy_from_user", space.address, buffer, BASE + offset, length) == 0
        assert machine.memory.read(buffer, length) == data


@pytest.mark.no_leaks
@pytest.mark.parametrize("address", [0, BASE - 1, 0x8020_0000, 0x3F_FFFF_FFFF, 1 << 40, ERROR - 7])
@pytest.mark.parametrize("function", ["copy_to_user", "copy_from_user"])
def test_a_bad_pointer_is_an_error(machine: Machine, address: int, function: str) -> None:
    space = Space(machine)
    assert space.add(BASE, 1, R | W | U, LAZY)
    assert machine.call(function, space.address, machine.address_of("heap_space"), address, 8) == ERROR
    space.free()


@pytest.mark.no_leaks
def test_a_copy_to_read_only_memory_or_to_the_kernels_pages_is_an_error(machine: Machine) -> None:
    space = Space(machine)
    assert space.add(BASE, 1, R | U, LAZY)
    assert space.add(BASE + PAGE, 1, R | W, FRAMED)
    buffer = machine.address_of("heap_space")
    assert machine.call("copy_to_user", space.address, buffer, BASE, 8) == ERROR
    assert machine.call("copy_from_user", space.address, buffer, BASE + PAGE, 8) == ERROR
    assert machine.call("copy_from_user", space.address, buffer, BASE + PAGE - 4, 8) == ERROR
    space.free()


@pytest.mark.no_leaks
@pytest.mark.parametrize("offset", [0, 0x40_0000_0000 - 0x8000_0000])
def test_a_linear_area_is_mapped_identically_or_at_an_offset_by_the_largest_leaves(
    machine: Machine, offset: int
) -> None:
    space = Space(machine)
    start, pages = 0x8000_0000 + offset, (1 << 18) + 512 + 3
    assert space.add(start, pages, R | W | X, LINEAR, 0x80000)
    levels = {}
    for vpn in (start >> 12, (start >> 12) + (1 << 18), (start >> 12) + pages - 1):
        levels[vpn - (start >> 12)] = level_of(machine, space.root, vpn)
        assert space.frame(vpn << 12) == vpn - (offset >> 12)
    assert list(levels.values()) == [2, 1, 0]
    assert space.frame(start - PAGE) == space.frame(start + pages * PAGE) == ERROR >> 12
    space.free()  # and the frames stay their owners'


def level_of(machine: Machine, root: int, vpn: int) -> int:
    """On which level the leaf for a page lies: the number of tables that are left below it."""
    table = root << 12
    for level in (2, 1, 0):
        pte = machine.memory.read_int(table + 8 * (vpn >> 9 * level & 511), 8)
        if pte & 0xE:
            return level
        table = pte >> 10 << 12
    raise AssertionError(f"nothing maps {vpn:#x}")


def test_all_flags_of_a_page_are_those_that_were_asked_for(machine: Machine) -> None:
    root = machine.call("page_table_new")
    for number, flags in enumerate((R, R | W, X, R | X, R | W | X, R | U, R | W | U | G | A | D, X | U | G | A)):
        assert machine.call("map_page", root, number, 0x1234, flags) == 0
        pte = machine.memory.read_int(machine.call("find_pte", root, number), 8)
        assert pte == 0x1234 << 10 | flags | V


def test_the_trampoline_is_the_same_global_page_at_the_top_of_every_space(machine: Machine) -> None:
    kernel = Space(machine, machine.memory.read_int(machine.address_of("kernel_space"), 8))
    space = Space(machine)
    context = machine.call("frame_alloc")
    assert machine.call("map_trap_pages", space.address, context) == 0
    code = machine.address_of("strampoline")
    for each in (kernel, space):
        assert each.frame(TRAMPOLINE) == code >> 12
        assert each.flags(TRAMPOLINE) == V | R | X | G | A | D
    assert space.frame(TRAMPOLINE - PAGE) == context
    assert space.flags(TRAMPOLINE - PAGE) == V | R | W | A | D  # not the program's
    assert kernel.frame(TRAMPOLINE - PAGE) == ERROR >> 12


def test_every_space_has_an_identifier_of_its_own_in_satp(machine: Machine) -> None:
    space = Space(machine)
    assert machine.call("satp_of_space", space.address) == 8 << 60 | 7 << 44 | space.root
