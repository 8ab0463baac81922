"""What this program relies on in the pinned Unicorn: each fact whose change would break the machine."""

import ctypes

import pytest

from emu.engine import Stop, Word, library, native
from emu.engine.core import Engine
from emu.engine.floats import layout
from emu.engine.library import KNOWN_VERSIONS
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE, ENGINE_CPU
from emu.engine.window import CopiedWindow, DirectWindow, check_layout
from emu.errors import MachineError
from emu.machine import Machine, MachineConfig, StopReason
from emu.memory import Ram

OFF = "li a7, 8\n ecall\n"


@pytest.fixture(params=["native", "python"])
def probes(request):
    if request.param == "native" and not native.available():
        pytest.skip("this host has no native probes")
    return request.param


class Recorder:
    """A guest that notes what the engine asks, translates one to one and stops at every exception."""

    def __init__(self):
        self.calls = []
        self.ram = Ram(1 << 20)
        self.engine = None

    def exception(self, number):
        self.calls.append((number, self.engine.words[Word.PC]))
        self.engine.request_stop()

    def breakpoint(self):
        self.calls.append(("breakpoint", self.engine.words[Word.PC]))
        self.engine.request_stop()

    def fill(self, address, access):
        return address & ~0xFFF, library.PROT_ALL

    def refused(self):
        self.engine.request_stop()

    def access_fault(self, fault):
        self.calls.append((fault, self.engine.words[Word.PC]))
        self.engine.request_stop()

    def device_read(self, address, size):
        self.calls.append(("read", address, size, self.engine.words[Word.PC]))
        return 0x8877_6655_4433_2211 & ((1 << 8 * size) - 1)

    def device_write(self, address, size, value):
        from emu.engine import Store

        self.calls.append(("write", address, size, value, self.engine.words[Word.PC]))
        return Store.DONE

    def store_done(self):
        raise AssertionError

    def instructions_between(self, start, end):
        return (end - start) // 4

    def code_address(self, address):
        return address

    def features_switched(self):
        pass


@pytest.fixture
def bare(probes):
    guest = Recorder()
    devices = ((0x1000_0000, 0x1000),)
    guest.engine = Engine(guest, guest.ram.base, guest.ram.size, guest.ram.host_address, devices, probes=probes)

    def run(*words, privilege=3):
        guest.ram.view[: 4 * len(words)] = b"".join(word.to_bytes(4, "little") for word in words)
        guest.engine.forget_all_code()
        window = guest.engine.window
        window.load()
        window.words[Word.PC], window.words[Word.PRIVILEGE] = guest.ram.base, privilege
        window.store()
        stop = guest.engine.run()
        return stop, guest.calls

    run.engine = guest.engine
    return run


NOP, ECALL, EBREAK, WFI = 0x13, 0x73, 0x100073, 0x10500073


def test_the_pinned_version_is_installed():
    assert library.VERSION in KNOWN_VERSIONS


def test_the_window_reads_and_writes_the_core(bare):
    window = bare.engine.window
    window.load()
    window.words[10] = 41
    window.store()
    bare(0x00150513, ECALL)  # addi a0, a0, 1
    assert window.words[10] == 42


def test_the_window_is_the_core_itself_with_native_probes_and_a_copy_without(bare, probes):
    assert isinstance(bare.engine.window, DirectWindow if probes == "native" else CopiedWindow)


def test_another_layout_is_refused(bare):
    with pytest.raises(MachineError, match="another layout"):
        check_layout(bare.engine.window, lambda number, value: None)


@pytest.mark.parametrize("privilege", [0, 1, 3])
def test_an_ecall_arrives_as_8_with_pc_behind_it_from_every_privilege(bare, privilege):
    _, calls = bare(NOP, ECALL, privilege=privilege)
    assert calls == [(8, 0x8000_0008)]


def test_an_illegal_instruction_arrives_as_2_with_pc_4_further_even_when_compressed(bare):
    assert bare(NOP, 0)[1] == [(2, 0x8000_0008)]


def test_a_breakpoint_arrives_with_its_own_pc(bare):
    assert bare(NOP, EBREAK)[1] == [("breakpoint", 0x8000_0004)]


@pytest.mark.parametrize("word", [0x30200073, 0x10200073, WFI, 0x12000073, 0x14002573])
def test_without_csrs_and_with_the_trapping_bits_every_privileged_instruction_arrives(bare, word):
    from emu.engine.window import EXT_ICSR_BYTE

    window = bare.engine.window
    window.load()
    window.octets[EXT_ICSR_BYTE] = 0
    window.words[Word.MSTATUS] = 1 << 20 | 1 << 29 | 1 << 30
    window.store()
    assert bare(NOP, word, privilege=1)[1] == [(2, 0x8000_0008)]


def test_wfi_returns_with_pc_behind_it(bare):
    stop, calls = bare(NOP, WFI)
    assert (stop, calls, bare.engine.words[Word.PC]) == (Stop.WAITING, [], 0x8000_0008)


def test_the_count_is_the_instructions_of_the_blocks_begun(bare):
    bare(NOP, NOP, NOP, ECALL)
    assert bare.engine.slots[Slot.COUNT] == 4


def test_a_block_that_does_not_fit_before_the_deadline_does_not_begin(bare):
    bare.engine.slots[Slot.DEADLINE] = 3
    stop, calls = bare(NOP, NOP, NOP, ECALL)
    assert (stop, calls, bare.engine.words[Word.PC]) == (Stop.DEADLINE, [], 0x8000_0000)
    assert bare.engine.slots[Slot.COUNT] == 0


def test_a_device_sees_whole_accesses_with_an_exact_pc_every_time(bare):
    words = bare.engine.words
    words[11] = 0x1000_0000
    bare.engine.window.store()
    load, store = 0x0005B503, 0x00A5B423  # ld a0, 0(a1); sd a0, 8(a1)
    _, calls = bare(NOP, load, load, store, store, ECALL)
    value = 0x8877_6655_4433_2211
    assert calls[:4] == [
        ("read", 0x1000_0000, 8, 0x8000_0004),
        ("read", 0x1000_0000, 8, 0x8000_0008),
        ("write", 0x1000_0008, 8, value, 0x8000_000C),
        ("write", 0x1000_0008, 8, value, 0x8000_0010),
    ]
    assert bare.engine.words[10] == value


def test_an_unmapped_access_is_reported_once_with_an_exact_pc(bare):
    from emu.engine import Fault
    from emu.isa.privilege import Access

    bare.engine.words[11] = 0x8010_0000 - 3  # over the end of RAM
    bare.engine.window.store()
    _, calls = bare(NOP, 0x00A5B023)  # sd a0, 0(a1)
    assert calls == [(Fault(Access.STORE, 0x8010_0000), 0x8000_0004)]


def test_an_exception_in_a_callback_comes_out_of_run(bare, monkeypatch):
    def broken(number):
        raise LookupError(number)

    monkeypatch.setattr(bare.engine, "_kept_test", None, raising=False)
    guest = Recorder()
    guest.exception = broken
    guest.engine = Engine(guest, guest.ram.base, guest.ram.size, guest.ram.host_address)
    guest.ram.words[0] = ECALL
    guest.engine.words[Word.PC] = guest.ram.base
    guest.engine.window.store()
    with pytest.raises(LookupError):
        guest.engine.run()
    assert not guest.engine.running


def test_a_core_that_asks_for_the_same_page_for_ever_is_given_up():
    guest = Recorder()
    guest.fill = lambda address, access: None
    guest.refused = lambda: None
    guest.engine = Engine(guest, guest.ram.base, guest.ram.size, guest.ram.host_address)
    guest.engine.translate_in_guest(True)
    guest.engine.words[Word.PC] = guest.ram.base
    guest.engine.window.store()
    for _ in range(2):
        with pytest.raises(MachineError, match="does not get past the instruction at pc 0x80000000"):
            guest.engine.run()
    assert not guest.engine.running


def test_memory_that_the_host_changes_is_executed_as_changed(build, fidelity):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20))
    machine.load(build("1: li a0, 1\n j 1b\n"))
    machine.run(100)
    assert machine.hart.x["a0"] == 1
    machine.memory.write(0x8020_0000, bytes.fromhex("0945"))  # c.li a0, 2
    machine.run(100)
    assert machine.hart.x["a0"] == 2


PROGRAM = """
    li s0, 300
    la s1, buffer
1:  mul t0, s0, s0
    sd t0, 0(s1)
    c.ld a0, 0(s1)
    csrr t1, sstatus
    andi t2, t0, 4
    beqz t2, 2f
    addi s2, s2, 1
2:  addi s0, s0, -1
    bnez s0, 1b
""" + OFF + "\n.balign 8\n buffer: .dword 0"  # fmt: skip


def test_the_count_agrees_with_one_instruction_at_a_time(build, fidelity, probes):
    counted = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, probes=probes))
    counted.load(build(PROGRAM))
    assert counted.run().reason is StopReason.POWERED_OFF
    single = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, probes=probes))
    single.load(build(PROGRAM))
    steps = 0
    while single.step().reason is not StopReason.POWERED_OFF:
        steps += 1
        assert single.instret == steps
    assert counted.instret == steps + 1
    assert list(counted.hart.x) == list(single.hart.x)


def test_a_page_of_memory_that_holds_code_is_noted(build, fidelity, probes):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, probes=probes))
    machine.load(build(OFF))
    machine.run()
    pages = machine.core.engine.pages
    assert pages.holds_code(0x8020_0000, 4)
    assert not pages.holds_code(0x8020_1000, 4096)
    assert not pages.holds_code(0x8020_0000, 0)


def test_a_device_page_may_share_its_place_in_the_tlb_with_the_code_that_reads_it(boot):
    # 0x0c000000 and 0x80200000 agree in the bits that choose the entry
    machine = boot("li t0, 0x0c000028\n li t1, 5\n sw t1, (t0)\n nop\n lw s0, (t0)\n nop\n lw s1, (t0)\n" + OFF)
    machine.run()
    assert (machine.hart.x["s0"], machine.hart.x["s1"]) == (5, 5)


PAGING_ON = """
    la t0, table
    li t1, (0x80000000 >> 12 << 10) | 0xcf
    sd t1, 2 * 8(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    .globl switch
switch:
    csrw satp, t0
    sfence.vma
    c.nop
    c.nop
    c.nop
    j 1f
1:  c.nop
""" + OFF + "\n .balign 4096\n table: .zero 4096"  # fmt: skip


def test_the_count_is_exact_where_paging_begins(build, fidelity, probes):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, probes=probes))
    machine.load(build(PAGING_ON))
    machine.run(until="switch")
    before = machine.instret
    assert machine.run(1000).reason is StopReason.POWERED_OFF
    assert machine.instret - before == 9


def test_the_state_is_where_the_core_and_its_class_are_looked_for_from():
    if not native.available():
        pytest.skip("this host has no native probes")
    machine = Machine(MachineConfig(fidelity="fast"))
    engine = machine.core.engine
    state = engine.clock.state_address
    core = ctypes.c_uint64.from_address(engine.handle.value + ENGINE_CPU).value
    assert state - core == CORE_STATE[native.architecture()]
    assert ctypes.c_uint64.from_address(state + layout.ENGINE).value == engine.handle.value
    assert engine.slots[Slot.INTERRUPT] != 0
