"""The page walk against a reference model written straight from the manual's pseudo-code, and reason by reason."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.hart.fills import find_leaf, frame_of, leads_outside, permissions
from emu.isa.privilege import Access, Privilege
from emu.memory import Ram
from emu.mmu import AdUpdate, Pte, walk
from emu.mmu.walk import needed_flags
from emu.walks import Refusal

BASE = 0x8000_0000
LEVELS = {8: 3, 9: 4, 10: 5}


class Fault(Exception):
    pass


def reference(memory, satp, va, access, privilege, *, sum_bit, mxr, svade):  # noqa: C901  # one algorithm, as printed
    """Privileged manual 20211203, section 4.3.2, step by step; raises Fault or returns the physical address."""
    levels = LEVELS[satp >> 60]
    top = 12 + 9 * levels - 1
    signed = va - (1 << 64) if va >> 63 else va
    if not -(1 << top) <= signed < 1 << top:
        raise Fault
    a, i = (satp & ((1 << 44) - 1)) * 4096, levels - 1
    while True:
        vpn_i = (va >> (12 + 9 * i)) & 0x1FF
        pte = memory.get(a + vpn_i * 8)
        if pte is None:
            raise Fault
        v, r, w, x, u = (pte >> n & 1 for n in range(5))
        accessed, dirty = pte >> 6 & 1, pte >> 7 & 1
        if v == 0 or (r == 0 and w == 1) or pte >> 54:
            raise Fault
        if r == 0 and x == 0:
            if u or accessed or dirty:
                raise Fault
            i -= 1
            if i < 0:
                raise Fault
            a = (pte >> 10 & ((1 << 44) - 1)) * 4096
            continue
        break
    wanted = {Access.FETCH: x, Access.LOAD: r or (mxr and x), Access.STORE: w}[access]
    if not wanted:
        raise Fault
    if privilege == Privilege.U and not u:
        raise Fault
    if privilege == Privilege.S and u and (access is Access.FETCH or not sum_bit):
        raise Fault
    ppn = pte >> 10 & ((1 << 44) - 1)
    if i > 0 and ppn % (1 << 9 * i):
        raise Fault
    if svade and (not accessed or (access is Access.STORE and not dirty)):
        raise Fault
    offset_bits = 12 + 9 * i
    return (ppn >> 9 * i << offset_bits) | (va & ((1 << offset_bits) - 1))


def _entry(chosen: random.Random) -> int:
    """A pointer to a table, a leaf, or anything."""
    kind = chosen.randrange(10)
    if kind < 6:
        table = BASE + 4096 * chosen.randrange(5)
        return table >> 2 | chosen.choice([*[1] * 12, 0x21, 0x11, 0x41, 0x81, 0])
    if kind < 9:
        ppn = chosen.choice([0, 1 << 9, 1 << 18, 0x80000, 0x80001, 0xC0000, (1 << 44) - 1])
        usual = 0xC1 | chosen.choice([2, 6, 8, 0xA, 0xE]) | chosen.choice([0, 16])
        return ppn << 10 | chosen.choice([chosen.randrange(256), usual]) | chosen.choice([*[0] * 9, 1 << 54, 1 << 63])
    return chosen.getrandbits(chosen.choice([54, 64]))


SLOTS = (0, 1, 2, 255, 256, 511)


@st.composite
def translations(draw):
    chosen = random.Random(draw(st.integers(0, (1 << 64) - 1)))
    memory = {BASE + page * 4096 + index * 8: _entry(chosen) for page in range(5) for index in SLOTS}
    indexes = [chosen.choice(SLOTS) for _ in range(5)]
    mode = draw(st.sampled_from([8, 9, 10]))
    levels = LEVELS[mode]
    va = sum(index << (12 + 9 * level) for level, index in enumerate(indexes[:levels])) | draw(st.integers(0, 4095))
    if va >> (12 + 9 * levels - 1) & 1 and draw(st.integers(0, 9)):
        va |= (1 << 64) - (1 << (12 + 9 * levels))
    return memory, mode << 60 | BASE >> 12, va


@settings(max_examples=600, deadline=None)
@given(
    translations(),
    st.sampled_from(list(Access)),
    st.sampled_from([Privilege.U, Privilege.S]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_agrees_with_the_manual(case, access, privilege, sum_bit, mxr, svade):
    memory, satp, va = case
    try:
        expected = reference(memory, satp, va, access, privilege, sum_bit=sum_bit, mxr=mxr, svade=svade)
    except Fault:
        expected = None
    ad_update = AdUpdate.FAULT if svade else AdUpdate.HARDWARE
    seen = walk(memory.get, satp, va, access, privilege, sum_bit=sum_bit, mxr=mxr, ad_update=ad_update)
    assert seen.physical == expected
    assert (seen.refusal is None) == (expected is not None)
    assert all(step.pte == (memory.get(int(step.pte_address)) or 0) for step in seen.steps)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    translations(),
    st.sampled_from(list(Access)),
    st.sampled_from([Privilege.U, Privilege.S]),
    st.booleans(),
    st.booleans(),
)
def test_the_quick_walk_grants_nothing_that_the_full_walk_refuses(case, access, privilege, sum_bit, mxr):
    memory, satp, va = case
    ram = Ram(1 << 20)
    for place, entry in memory.items():
        ram.words[(place - BASE) >> 3] = entry
    leaf = find_leaf(ram.words, ram.base, ram.size, satp, va)
    seen = walk(ram.read_word, satp, va, access, privilege, sum_bit=sum_bit, mxr=mxr)
    needed = {Access.LOAD: 1, Access.STORE: 2, Access.FETCH: 4}[access]
    if leaf is None:
        return
    entry, shift = leaf
    granted = permissions(privilege, sum_bit=sum_bit, mxr=mxr)[entry & 0xFF]
    if granted & needed:
        assert seen.physical == frame_of(entry, shift, va) | va & 0xFFF
    elif seen.physical is not None:
        assert entry & needed_flags(access) != needed_flags(access)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(translations(), st.sampled_from([0, 0x1000, 0x4000]))
def test_what_leads_outside_of_memory_is_found_without_an_account_of_the_walk(case, size):
    memory, satp, va = case
    ram = Ram(1 << 20)
    for place, entry in memory.items():
        ram.words[(place - BASE) >> 3] = entry
    refusal = walk(
        lambda place: ram.read_word(place) if place < BASE + size else None, satp, va, Access.LOAD, Privilege.S
    ).refusal
    assert leads_outside(ram.words, ram.base, size, satp, va) == (refusal is Refusal.TABLE_OUTSIDE_MEMORY)


ROOT, MIDDLE, LAST = 0x8000_0000, 0x8000_1000, 0x8000_2000
V, R, W, X, U, A, D = 1, 2, 4, 8, 16, 64, 128


def pointer(table):
    return table >> 2 | V


def leaf(flags, frame=0x8020_0000):
    return frame >> 2 | flags


REFUSALS = [
    (Refusal.NOT_CANONICAL, {}, Access.LOAD, Privilege.S, 1 << 40),
    (Refusal.INVALID, {ROOT: 0}, Access.LOAD, Privilege.S, 0),
    (Refusal.RESERVED_WRITE_ONLY, {ROOT: leaf(V | W)}, Access.LOAD, Privilege.S, 0),
    (Refusal.RESERVED_BITS, {ROOT: leaf(V | R | A) | 1 << 60}, Access.LOAD, Privilege.S, 0),
    (Refusal.RESERVED_BITS, {ROOT: pointer(MIDDLE) | U}, Access.LOAD, Privilege.S, 0),
    (
        Refusal.NOT_A_LEAF,
        {ROOT: pointer(MIDDLE), MIDDLE: pointer(LAST), LAST: pointer(ROOT)},
        Access.LOAD,
        Privilege.S,
        0,
    ),
    (Refusal.MISALIGNED_SUPERPAGE, {ROOT: leaf(V | R | A)}, Access.LOAD, Privilege.S, 0),
    (Refusal.NOT_READABLE, {ROOT: leaf(V | X | A, 0x8000_0000)}, Access.LOAD, Privilege.S, 0),
    (Refusal.NOT_WRITABLE, {ROOT: leaf(V | R | A, 0x8000_0000)}, Access.STORE, Privilege.S, 0),
    (Refusal.NOT_EXECUTABLE, {ROOT: leaf(V | R | A, 0x8000_0000)}, Access.FETCH, Privilege.S, 0),
    (Refusal.USER_PAGE, {ROOT: leaf(V | R | U | A, 0x8000_0000)}, Access.LOAD, Privilege.S, 0),
    (Refusal.USER_CODE, {ROOT: leaf(V | X | U | A, 0x8000_0000)}, Access.FETCH, Privilege.S, 0),
    (Refusal.SUPERVISOR_PAGE, {ROOT: leaf(V | R | A, 0x8000_0000)}, Access.LOAD, Privilege.U, 0),
    (Refusal.NOT_ACCESSED, {ROOT: leaf(V | R, 0x8000_0000)}, Access.LOAD, Privilege.S, 0),
    (Refusal.NOT_DIRTY, {ROOT: leaf(V | R | W | A, 0x8000_0000)}, Access.STORE, Privilege.S, 0),
    (Refusal.TABLE_OUTSIDE_MEMORY, {ROOT: pointer(0x4000_0000)}, Access.LOAD, Privilege.S, 0),
]


@pytest.mark.parametrize(
    ("reason", "memory", "access", "privilege", "address"), REFUSALS, ids=[str(case[0].name) for case in REFUSALS]
)
def test_names_the_reason(reason, memory, access, privilege, address):
    def read(place):
        return memory.get(place, 0) if 0x8000_0000 <= place < 0x9000_0000 else None

    seen = walk(read, 8 << 60 | ROOT >> 12, address, access, privilege, ad_update=AdUpdate.FAULT)
    assert (seen.physical, seen.refusal) == (None, reason)


@pytest.mark.parametrize("privilege", [Privilege.M, Privilege.S])
def test_with_paging_off_addresses_are_physical(privilege):
    satp = 8 << 60 if privilege == Privilege.M else 0
    seen = walk(lambda _: 0, satp, 0x8000_1234, Access.LOAD, privilege)
    assert (seen.physical, seen.steps) == (0x8000_1234, ())


def test_a_superpage_keeps_the_low_bits():
    seen = walk(
        {ROOT + 8: leaf(V | R | A, 0x8000_0000)}.get, 8 << 60 | ROOT >> 12, 0x4012_3456, Access.LOAD, Privilege.S
    )
    assert seen.physical == 0x8012_3456


@given(st.integers(0, (1 << 44) - 1), st.integers(0, 1023))
def test_a_pte_shows_its_fields(ppn, flags):
    pte = Pte.of(ppn, flags)
    assert (pte.ppn, int(pte) & 1023) == (ppn, flags)
    assert [pte.v, pte.r, pte.w, pte.x, pte.u, pte.g, pte.a, pte.d] == [bool(flags >> bit & 1) for bit in range(8)]
    assert pte.is_leaf == bool(flags & 14)
