"""Which stores the translator sees: neighbouring pages with code have one hook, in whatever order they are found."""

import ctypes
import random

import pytest

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.engine import library
from emu.engine.codepages import CodePages
from emu.engine.translated import layout
from emu.machine import Machine, MachineConfig
from tests.guests import PAGING_ON

HOST, BASE = 0x7F00_0000_0000, 0x8000_0000
FIRST = BASE >> PAGE_BITS


@pytest.mark.parametrize("exported", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_neighbouring_pages_share_a_hook_and_every_page_is_in_one(monkeypatch, seed, exported):
    chosen = random.Random(seed)
    memory = []

    def add_hook(_handle, _kind, _callback, _data, begin, end):
        memory.append((ctypes.c_uint64 * 8)(3, 1, 1, begin, end, 5))
        return ctypes.addressof(memory[-1])

    shown, flushes = [], []
    monkeypatch.setattr(library, "add_hook", add_hook)
    monkeypatch.setattr(library, "tlb_reset_dirty", (lambda *given: shown.append(given)) if exported else None)
    monkeypatch.setattr(library, "flush_tlb", flushes.append)
    pages = CodePages(ctypes.c_void_p(), 5, BASE, 1 << 30, HOST)
    most = 0
    for number, place in enumerate(chosen.sample(range(1, 41), chosen.choice([10, 25, 40])), 1):
        pages._found(FIRST + place)
        hooked = {page for hook in memory for page in range(hook[3] >> PAGE_BITS, (hook[4] + 1) >> PAGE_BITS)}
        assert hooked == pages.numbers
        assert len(shown) + len(flushes) == number
        if exported:
            assert shown[-1] == (5, HOST + (place << PAGE_BITS), 1 << PAGE_BITS)
        runs = sum(page - 1 not in hooked for page in hooked)
        most = max(most, runs)
        assert len(memory) == most


END = """
    li a7, 8
    ecall
.balign 4096
root: .dword 0, 0x20000000 | 0xc7, 0x20000000 | 0xcf    # a second view that nothing can be fetched through
.zero 4096 - 24
"""
STORES = """
    la a0, data
    li a1, 100
1:  sd a1, 0(a0)
    ld a2, 0(a0)
    sd a2, 8(a0)
    addi a1, a1, -1
    bnez a1, 1b
    la a0, word     # in a page with code
    sd a0, 0(a0)
"""
DATA = """
data: .zero 64
"""


@pytest.mark.parametrize("paging", ["", PAGING_ON], ids=["bare", "one page for all"])
def test_only_stores_to_pages_with_code_leave_translated_code(build, fidelity, paging):
    machine = Machine(MachineConfig(fidelity=fidelity))
    if not machine.core.engine.is_native:
        pytest.skip("without native code each store under a leaf that grants everything is slow")
    machine.load(build("j begin\n.balign 8\nword: .dword 0\nbegin:" + paging + STORES + END + DATA))
    machine.run()
    data, code = (machine.symbols.lookup(name).address for name in ("data", "word"))
    assert data - code < 1 << 16
    assert _shows_stores(machine, data) == [False]
    assert True in _shows_stores(machine, code)


def _shows_stores(machine: Machine, address: int) -> list[bool]:
    """For each entry of the core's TLB by which an address can be written: whether the core sees the stores."""
    state, page, found = machine.core.engine.clock.state_address, address & -PAGE_SIZE, []
    for mode in range(layout.MMU_MODES):
        mask, entries = (ctypes.c_uint64 * 2).from_address(state + layout.TLB + 16 * mode)
        entry = entries + (page >> PAGE_BITS - layout.TLB_SHIFT & mask)
        stores = ctypes.c_uint64.from_address(entry + layout.TLB_STORES).value
        if stores & -PAGE_SIZE == page:
            found.append(stores != page)
    return found


MADE = """
    la s0, data
    la s1, data
    {view}
    sd zero, 0(s1)      # cached for stores, before there is code
    sd zero, 0(s0)
    lw t0, first
    lw t1, back
    sw t0, 0(s1)
    sw t1, 4(s1)
    fence.i
    jalr s0
    mv s2, a0
    li s4, 3            # and again, each time by a cached translation
1:  lw t0, second
    sw t0, 0(s1)
    fence.i
    jalr s0
    add s3, s3, a0
    lw t0, first
    sw t0, 0(s0)
    fence.i
    jalr s0
    add s3, s3, a0
    addi s4, s4, -1
    bnez s4, 1b
    j end
.balign 8
first: li a0, 5
.balign 4
second: li a0, 70
.balign 4
back: ret
.balign 4
end:
"""


@pytest.mark.parametrize(
    ("paging", "view"),
    [("", ""), (PAGING_ON, ""), (PAGING_ON, "li t0, 1 << 30\n sub s1, s1, t0")],
    ids=["bare", "one page for all", "through a view that cannot be executed"],
)
def test_code_that_is_made_in_data_is_seen_to_change(build, fidelity, probes, paging, view):
    machine = Machine(MachineConfig(fidelity=fidelity, probes=probes))
    machine.load(build(".option norvc\n" + paging + MADE.format(view=view) + END + DATA))
    machine.run()
    assert (machine.hart.x["s2"], machine.hart.x["s3"]) == (5, 3 * 75)
