"""The native function in the place of the core's that fills its TLB, for both kinds of hosts."""

import struct
from dataclasses import replace

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import library, native
from emu.engine.fills import table as second
from emu.engine.fills.filling import TLB_FILL
from emu.engine.fills.tlb import _place
from emu.engine.guest import Note
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated.layout import CORE_STATE
from emu.engine.window import Word
from emu.errors import DoubleFault
from emu.events import PageFault
from emu.machine import Machine, MachineConfig
from tests.emu.engine.hosts import HOSTS, JUNK

CODE, STACK, FUNCTIONS, CORE, TABLE, RETURN, SLOT_WORDS = range(0x10_0000, 0x80_0000, 0x10_0000)
OWN, ASK, SET_PAGE, RAISE = range(FUNCTIONS, FUNCTIONS + 0x400, 0x100)
MODE, BACK = 1, 0x1234_5678
_MORE = {
    "x86_64": (unicorn.x86_const.UC_X86_REG_R9,),
    "aarch64": (unicorn.arm64_const.UC_ARM64_REG_X5, unicorn.arm64_const.UC_ARM64_REG_X6),
}


class Processor:
    """One of the two processors; the library's functions and the guest's answers are Python's."""

    def __init__(self, architecture: str) -> None:
        host = HOSTS[architecture]
        self.host = replace(host, arguments=(*host.arguments, *_MORE[architecture]))
        self.core = core = unicorn.Uc(*host.engine)
        for base in (CODE, STACK, FUNCTIONS, CORE, TABLE, RETURN, SLOT_WORDS):
            core.mem_map(base, 0x10_0000)
        core.mem_write(CODE, native.assemble(TLB_FILL, architecture)[:-8] + struct.pack("<Q", OWN))
        for function in (OWN, ASK, SET_PAGE, RAISE):
            core.mem_write(function, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._called, begin=FUNCTIONS, end=FUNCTIONS + 0x3FF)
        self.calls: list[tuple[int, ...]] = []
        self.answer: tuple[int, int] | None = None

    def put(self, address: int, *values: int) -> None:
        self.core.mem_write(address, struct.pack(f"<{len(values)}Q", *values))

    def fill(self, address: int, access: int, *, probe: bool) -> int:
        stack = STACK + 0x8000
        arguments = [CORE, address, 8, access, MODE, int(probe)]
        if self.host.architecture == "x86_64":
            self.put(stack, BACK)
        else:
            arguments.append(BACK)
        return self.host.call(self.core, CODE, RETURN, stack, arguments) & 0xFF

    def _called(self, core: unicorn.Uc, address: int, _size: int, _data: object) -> None:
        given = self.host.called(core) if address != OWN else [core.reg_read(r) for r in self.host.arguments]
        if address == ASK:
            self.calls.append((ASK, given[1], given[2] & 0xFF))
            if self.answer is not None:
                self.put(given[3], *self.answer)
            self.host.answer(core, JUNK & ~0xFF | (self.answer is not None))
        elif address == SET_PAGE:
            self.calls.append((SET_PAGE, *given[:4], given[4] & 0xFFFF_FFFF, given[5]))
            self.host.answer(core, JUNK)
        elif address == OWN:
            self.calls.append((OWN, given[0], given[1], given[3] & 0xFF, given[4] & 0xFF, given[5] & 0xFF))
            self.host.answer(core, 0)
        else:
            self.calls.append((RAISE, given[0], given[1] & 0xFF, given[2]))
            core.emu_stop()


@pytest.fixture(scope="module", params=list(HOSTS))
def processor(request):
    pytest.importorskip("keystone", reason="keystone has no wheel for this host")
    return Processor(request.param)


@settings(max_examples=60, deadline=None)
@given(
    address=st.integers(0, (1 << 64) - 1), access=st.sampled_from([0, 1, 2]), kept=st.booleans(),
    answer=st.sampled_from([None, (0x8123_4000, 7), (0x8000_0123, 1)]), probe=st.booleans(),
    state=st.sampled_from(["raises", "raises", "leaves", "alone", "another's"]),
)  # fmt: skip
def test_a_fill_is_answered_raised_or_left_to_the_core(processor, address, access, kept, answer, probe, state):
    slots, page = [0] * SLOTS, address >> 12
    for slot, value in {
        Slot.TRANSLATIONS: TABLE, Slot.RAISES: state != "leaves", Slot.ALONE: Note.ALONE * (state == "alone"),
        Slot.SET_PAGE: FUNCTIONS + 0x800, Slot.RAISE: RAISE,
    }.items():  # fmt: skip
        slots[slot] = value
    processor.put(FUNCTIONS + 0x800, SET_PAGE)
    processor.put(SLOT_WORDS, *slots)
    processor.put(CORE + CORE_STATE[processor.host.architecture] + 8 * Word.RDTIME_FUNCTION,
                  SLOT_WORDS * (state != "another's"))  # fmt: skip
    processor.core.mem_write(TABLE, bytes(8 * second.WORDS))
    processor.put(TABLE + 8 * second.CONTEXT, 5)
    processor.put(TABLE + 8 * second.ASK, ASK)
    processor.put(TABLE + 8 * second.CLOCK, SLOT_WORDS)
    if kept:
        processor.put(TABLE + 8 * _place(page, library.MEM_READ + access), page | 5 << 52, 0x8765_4000 | 3)
    processor.calls.clear()
    processor.answer = answer
    own = (OWN, CORE, address, access, MODE, int(probe))
    state_of = CORE + CORE_STATE[processor.host.architecture]
    asked = (ASK, address & -4096, library.MEM_READ + access)

    def placed(frame: int, granted: int) -> tuple[int, ...]:
        return (SET_PAGE, CORE, address & -4096, frame & -4096, granted, MODE, 4096)

    if kept and state != "another's":
        expected = [placed(0x8765_4000, 3)]
    elif probe or state != "raises":
        expected = [own]
    elif answer:
        expected = [asked, placed(*answer)]
    else:
        expected = [asked, (RAISE, state_of, (13, 15, 12)[access], BACK)]
    if expected[-1][0] == RAISE:
        with pytest.raises(AssertionError):  # the core goes on elsewhere
            processor.fill(address, access, probe=probe)
    else:
        assert processor.fill(address, access, probe=probe) == (expected[-1] is not own)
    assert processor.calls == expected


FAULTS = """
    la t0, trap
    csrw stvec, t0
    la t0, root
    li t1, 0x200000cf               # the first GiB of RAM where it is
    sd t1, 16(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li s1, 0x5000123
    addi s2, s2, 1
    ld a0, 2(s1)
    addi s2, s2, 1
    sd a0, 4(s1)
    addi s2, s2, 1
    lr.w a0, (s1)
    la ra, 1f
    jr s1
1:  j {end}
    .balign 4
trap:
    csrr t1, scause
    csrr t2, stval
    slli s3, s3, 8
    add s3, s3, t1
    add s4, s4, t2
    csrr t0, sepc
    addi t0, t0, 4
    li t3, 12
    bne t1, t3, 2f
    mv t0, ra
2:  csrw sepc, t0
    sret
    .balign 4096
root: .zero 4096
"""


@pytest.mark.parametrize("listens", [False, True])
def test_refused_pages_trap_with_exact_counts_whoever_raises_them(build, listens):
    lives = []
    for probes in ("native", "python"):
        for step in (1000, 1, 3):
            machine = Machine(MachineConfig(ram_size=16 << 20, probes=probes))
            machine.load(build(FAULTS.format(end=".")))
            faults = []
            if listens:
                machine.on(PageFault, faults.append)
            while machine.instret < 80:
                machine.run(min(step, 80 - machine.instret))
            lives.append((machine.instret, machine.core.traps_taken, machine.hart.pc, list(machine.hart.x), faults))
    assert all(life == lives[0] for life in lives)
    x = machine.hart.x
    assert (x["s2"], x["s3"]) == (3, 0x0D_0F_04_0C)


def test_a_listener_that_raises_at_a_refused_page_ends_the_run(build):
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(build(FAULTS.format(end=".")))

    def refuse(fault: PageFault) -> None:
        raise RuntimeError(f"at {int(fault.address):#x}")

    subscription = machine.on(PageFault, refuse)
    with pytest.raises(RuntimeError, match="at 0x5000125"):
        machine.run(100)
    subscription.cancel()
    machine.run(100 - machine.instret)
    assert machine.hart.x["s2"] == 3


def test_a_handler_on_a_page_that_is_refused_is_a_double_fault(build):
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(build(FAULTS.replace("la t0, trap", "li t0, 0x7000000").format(end=".")))
    with pytest.raises(DoubleFault, match="its handler at 0x7000000 cannot execute"):
        machine.run(100)
