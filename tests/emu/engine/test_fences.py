"""`sfence.vma` of an address in native code, for both kinds of hosts, against Python's; and in machines."""

import ctypes

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import library
from emu.engine.fills import table as filltable
from emu.engine.fills.tlb import Translations, _place
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated.layout import CORE_STATE
from emu.engine.traps import fences
from emu.engine.window import Word
from emu.events import PteWritten
from emu.isa.csrs import Csr
from emu.isa.status import Status
from emu.machine import Machine, MachineConfig
from tests.emu.engine.exceptions import KNOWN, MODEL, PYTHON, SLOT_WORDS, STATE, TABLE, WORDS

ACCESSES = (library.MEM_READ, library.MEM_WRITE, library.MEM_FETCH)
FORGET, REGISTER, BLOCK, PLACE, PC, COUNT = PYTHON + 0x100, 13, 77, 0x12, 0x8020_0012, 1000


@pytest.fixture(scope="module")
def forgetting(processor):
    """The processor, with the core's function that forgets a page, and what it was called for."""
    forgotten = []
    core, host = processor.core, processor.host
    core.mem_write(FORGET, host.returning)
    hook = core.hook_add(
        unicorn.UC_HOOK_CODE, lambda *_: forgotten.append(tuple(host.called(core)[:2])), begin=FORGET, end=FORGET
    )
    yield processor, forgotten
    core.hook_del(hook)


@settings(max_examples=60, deadline=None)
@given(
    address=st.one_of(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 39) - 1)), ahead=st.integers(1, 30),
    large=st.sampled_from([0, 0, 0, 21, 30, 39, 48]),
    odd=st.sampled_from(["", "", "", "TVM", "U", "no block", "place", "off"]),
)  # fmt: skip
def test_native_code_forgets_a_page_as_python_does_or_asks_it(forgetting, address, ahead, large, odd):
    processor, forgotten = forgetting
    put, get = processor.put, processor.get
    slots = [0] * SLOTS
    for slot, value in {
        Slot.RETURNS: KNOWN * (odd != "off"), Slot.MODEL: MODEL, Slot.TRANSLATIONS: TABLE, Slot.BLOCK: BLOCK,
        Slot.BLOCK_PC: PC - PLACE - 2 * (odd == "place"), Slot.BLOCK_LENGTH: 30 * (odd != "no block"),
        Slot.COUNT: COUNT, Slot.FORGET_PAGE: FORGET,
    }.items():  # fmt: skip
        slots[slot] = value
    put(WORDS, PYTHON, SLOT_WORDS, STATE)
    put(SLOT_WORDS, *slots)
    put(KNOWN, *([0] * 512))
    put(KNOWN + 16 * (BLOCK % 256), BLOCK << 12 | PLACE, fences.about(ahead, REGISTER))
    put(MODEL + 8 * Csr.MSTATUS, int(Status.TVM) * (odd == "TVM"))
    put(STATE + 8 * Word.PC, PC + 4)
    put(STATE + 8 * Word.PRIVILEGE, int(odd != "U"))
    put(STATE + 8 * REGISTER, address)
    engine = ctypes.create_string_buffer(0x400)
    model = Translations(ctypes.c_void_p(ctypes.addressof(engine)))
    if large:
        model.note_large(address, large)
    page = address >> 12 & (1 << 52) - 1
    places = [_place(page ^ other, access) for access in ACCESSES for other in (0, 1)]
    for place in places:
        put(TABLE + 8 * place, 0x1234)
    processor.core.mem_write(TABLE + 8 * filltable.LARGE, bytes(model._large))
    forgotten.clear()
    asks = bool(odd) or model.is_in_large(address)
    assert processor.raise_exception(2) == asks
    assert [get(TABLE + 8 * place) for place in places] == [0x1234] * 6 if asks else [0, 0x1234] * 3
    assert forgotten == ([] if asks else [(STATE - CORE_STATE[processor.host.architecture], address & -4096)])
    if not asks:
        slots[Slot.COUNT], slots[Slot.BLOCK_PC], slots[Slot.BLOCK_LENGTH] = COUNT - ahead + 1, PC + 4, 0
        slots[Slot.FENCES] = 1
    assert [get(SLOT_WORDS + 8 * slot) for slot in range(SLOTS)] == slots
    assert get(STATE + 8 * Word.PC) == PC + 4


GUEST = """
    la s0, root
    li t1, 0x200000cf               # the first GiB of RAM where it is
    sd t1, 16(s0)
    la t0, middle
    srli t1, t0, 12
    slli t1, t1, 10
    ori t1, t1, 1
    sd t1, 8(s0)                    # at 0x40000000 on: small pages
    la t1, last
    srli t1, t1, 12
    slli t1, t1, 10
    ori t1, t1, 1
    sd t1, (t0)
    srli t0, s0, 12
    li t1, 8 << 60
    or t0, t0, t1
    la s1, last
    la s2, one
    la s3, other
    sd s2, (s2)
    sd s3, (s3)
    csrw satp, t0
    sfence.vma
    li s4, 0x40000000
    li s5, 0
1:  mv t0, s2                       # by turns one page and the other
    andi t1, s5, 1
    beqz t1, 2f
    mv t0, s3
2:  srli t1, t0, 12
    slli t1, t1, 10
    ori t1, t1, 0xc7
    sd t1, (s1)
    nop
    sfence.vma s4
    ld a0, (s4)
    sub a0, a0, t0                  # 0 where the new translation is used
    or s6, s6, a0
    addi s5, s5, 1
    j 1b
    .balign 4096
one: .zero 4096
other: .zero 4096
root: .zero 4096
middle: .zero 4096
last: .zero 4096
"""


@pytest.mark.parametrize("listens", [False, True])
def test_each_access_behind_a_fence_goes_by_the_new_translation(build, listens):
    lives = []
    for probes in ("native", "python"):
        machine = Machine(MachineConfig(ram_size=16 << 20, probes=probes))
        machine.load(build(GUEST))
        told, moments = [], []
        subscription = machine.on(PteWritten, told.append) if listens else None
        for turn in range(40):
            machine.run(7 + turn % 17)
            moments.append((machine.instret, machine.hart.pc, list(machine.hart.x)))
            if subscription and turn == 20:
                subscription.cancel()
        lives.append((moments, told))
        assert (machine.core.slots[Slot.FENCES] > 0) == (probes == "native")
    assert lives[0] == lives[1]
    x = machine.hart.x
    assert (x["s6"], x["s5"] > 30) == (0, True)
