"""Physical memory protection as a guest meets it: faults, page tables, locks, pages that an entry cuts."""

import pytest

from emu.events import PageFault, TlbFilled, TrapTaken
from emu.isa.privilege import Access, Privilege
from emu.machine import Machine, MachineConfig, StopReason
from emu.mmu.pmp import LOCKED, TOR
from emu.walks import Refusal

AREA = 0x8010_0000
PAGE = 4096
MPRV = 1 << 17

OFF = "li t0, 0x100000\n li t1, 0x5555\n sw t1, (t0)\n"
OPEN = "li t0, -1\n csrw pmpaddr15, t0\n li t0, 0x1f << 56\n csrw pmpcfg2, t0\n"
TO_S_MODE = """
    la t0, handler
    csrw mtvec, t0
    {protect}
    li t0, 0x1800
    csrc mstatus, t0
    li t0, 0x0800
    csrs mstatus, t0
    la t0, supervisor
    csrw mepc, t0
    mret
    .globl supervisor
supervisor:
    {supervisor}
    ecall
    .balign 4
handler:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    {off}
    .balign 4096
    .globl area
area: .rept 1024
    .dword 0x0807060504030201
    .endr
    .globl root
root: .fill 512, 8, 0
middle: .fill 512, 8, 0
    .globl table
table: .fill 512, 8, 0
"""
PAGING = """
    la t0, root
    li t1, 0x200000cf
    sd t1, 16(t0)
    la t1, middle
    srli t2, t1, 2
    ori t2, t2, 1
    sd t2, 0(t0)
    la t2, table
    srli t2, t2, 2
    ori t2, t2, 1
    sd t2, 0(t1)
    la t1, table
    la t2, area
    srli t2, t2, 2
    ori t2, t2, {flags}
    sd t2, 0(t1)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
"""


def protected(name, config, *, size=4096, index=0):
    return f"""
    la t0, {name}
    srli t0, t0, 2
    ori t0, t0, {(size >> 3) - 1}
    csrw pmpaddr{index}, t0
    li t0, {config:#x} << {index * 8}
    csrs pmpcfg0, t0
    """


def guest(build, protect, supervisor, **config):
    machine = Machine(MachineConfig(ram_size=16 << 20, firmware="none", **config))
    machine.load(build(TO_S_MODE.format(protect=protect, supervisor=supervisor, off=OFF), 0x8000_0000))
    return machine


def ended(machine):
    assert machine.run(max_instructions=100_000).reason is StopReason.POWERED_OFF
    return machine.hart.x["s2"], machine.hart.x["s3"]


def test_without_any_entry_only_m_mode_reaches_memory(build):
    machine = guest(build, "la t0, area\n ld s5, (t0)", "nop")
    assert ended(machine) == (1, machine.address_of("supervisor"))
    assert machine.hart.x["s5"] == 0x0807_0605_0403_0201


@pytest.mark.parametrize(
    ("access", "cause"),
    [("lw a1, 8(t0)", 5), ("sw a1, 8(t0)", 7), ("amoadd.w a1, a1, (t0)", 7), ("lr.w a1, (t0)", 5), ("jr t0", 1)],
)
@pytest.mark.parametrize("size", [4096, 16])
def test_a_refused_access_traps_with_its_own_cause_and_address(build, collect, access, cause, size):
    machine = guest(build, protected("area", 0x18, size=size) + OPEN, f"la t0, area\n {access}")
    traps, faults = collect(machine, TrapTaken), collect(machine, PageFault)
    offset = 8 if "8(" in access else 0
    assert ended(machine) == (cause, machine.address_of("area") + offset)
    assert (traps[0].pc, traps[0].instret) == (machine.hart.x["s4"], traps[0].instret)
    assert not faults


def test_a_word_behind_an_entry_is_free_and_one_across_its_end_is_not(build):
    area = "la t0, area\n"
    free = guest(build, protected("area", 0x18, size=16) + OPEN, area + "ld s5, 16(t0)")
    assert ended(free)[0] == 9
    assert free.hart.x["s5"] == 0x0807_0605_0403_0201
    across = guest(build, protected("area", 0x1F, size=16) + OPEN, area + "lw s5, 12(t0)\n lw s6, 14(t0)")
    assert ended(across) == (5, across.address_of("area") + 14)
    assert across.hart.x["s5"] == 0x0807_0605


@pytest.mark.parametrize(
    ("access", "cause"), [("ld a1, 24(zero)", 5), ("sd a1, 24(zero)", 7), ("li t0, 24\n jr t0", 1)]
)
def test_a_page_table_that_s_mode_may_not_read_is_an_access_fault_of_the_access(build, collect, access, cause):
    machine = guest(build, PAGING.format(flags=0xCF) + protected("table", 0x18) + OPEN, access)
    faults = collect(machine, PageFault)
    assert ended(machine) == (cause, 24)
    assert not faults
    assert machine.walk(24, privilege=Privilege.S).refusal is Refusal.TABLE_PROTECTED


def test_a_page_table_that_s_mode_may_not_write_keeps_its_a_and_d_bits(build):
    for flags, access, outcome in (
        (0xCF, "ld s5, 24(zero)", 9),
        (0x4F, "sd s5, 24(zero)", 7),
        (0x0F, "ld s5, (x0)", 5),
    ):
        machine = guest(build, PAGING.format(flags=flags) + protected("table", 0x19) + OPEN, access)
        assert ended(machine)[0] == outcome
        assert machine.memory.read(machine.address_of("table"), 1)[0] == flags


def test_the_frame_is_protected_under_paging_and_the_walk_says_so(build):
    for size in (4096, 32):
        machine = guest(build, PAGING.format(flags=0xCF) + protected("area", 0x19, size=size) + OPEN, "sd a1, 24(zero)")
        assert ended(machine) == (7, 24)
        seen = machine.walk(24, Access.STORE, Privilege.S)
        assert (seen.refusal, seen.physical) == (Refusal.PHYSICAL_PROTECTION, None)
        assert machine.walk(24, Access.LOAD, Privilege.S).physical == machine.address_of("area") + 24


def test_a_change_of_protection_holds_from_the_next_access_on(build):
    """MPRV makes M mode load as S mode does; in between it takes the permission away."""
    protect = OPEN + protected("area", 0x1F) + "li t0, 0x1800\n csrc mstatus, t0\n li t0, 0x20800\n la s0, area\n"
    change = "csrs mstatus, t0\n ld s5, (s0)\n csrc mstatus, t0\n csrw pmpcfg0, 0x18\n csrs mstatus, t0\n"
    machine = guest(build, protect + change + "ld s6, (s0)", "nop")
    assert ended(machine) == (5, machine.address_of("area"))
    assert machine.hart.x["s5"] == 0x0807_0605_0403_0201


def test_m_mode_obeys_locked_entries_only(build):
    load = "la s0, area\n ld s5, (s0)\n"
    assert ended(guest(build, protected("area", 0x18) + OPEN + load, "nop"))[0] == 9
    machine = guest(build, protected("area", 0x98) + OPEN + load, "nop")
    assert ended(machine) == (5, machine.address_of("area"))


def test_locked_registers_keep_their_values_until_a_snapshot_returns(build):
    machine = Machine(MachineConfig(ram_size=4 << 20, firmware="none"))
    csr = machine.hart.csr
    start = machine.snapshot()
    csr["pmpaddr0"], csr["pmpaddr1"], csr["pmpaddr2"] = 1, 2, 3
    csr["pmpcfg0"] = (LOCKED | TOR << 3 | 1) << 8
    for name in ("pmpaddr0", "pmpaddr1", "pmpaddr2"):
        csr[name] = 9
    csr["pmpcfg0"] = 0x1F_1F1F
    assert [csr[name] for name in ("pmpaddr0", "pmpaddr1", "pmpaddr2")] == [1, 2, 9]
    assert csr["pmpcfg0"] == 0x1F_891F
    machine.restore(start)
    assert (csr["pmpcfg0"], csr["pmpaddr1"]) == (0, 0)


CUT_LOOP = "la t0, area\n li t1, 50\n 1: ld t2, (t0)\n sd t2, 40(t0)\n c.addi t1, -1\n bnez t1, 1b\n mv s5, t2\n"


def test_cut_pages_change_neither_the_count_nor_the_result(build, collect):
    runs = []
    for size in (8192, 16):  # the first leaves every page whole
        machine = guest(build, protected("area", 0x1F, size=size) + OPEN, CUT_LOOP)
        traps = collect(machine, TrapTaken)
        machine.run(max_instructions=100_000)
        runs.append((machine.instret, list(machine.hart.x)[1:], traps))
    assert runs[0][0] == runs[1][0]
    assert runs[0][1][18 - 1 :] == runs[1][1][18 - 1 :]
    assert [trap.instret for trap in runs[0][2]] == [trap.instret for trap in runs[1][2]]


def test_single_steps_go_through_cut_pages_as_a_run_does(build, collect):
    code = protected("supervisor", 0x1F, size=8) + protected("area", 0x1F, size=16, index=1) + OPEN
    whole, stepped = guest(build, code, CUT_LOOP), guest(build, code, CUT_LOOP)
    collect(stepped, TlbFilled)
    outcome = whole.run(max_instructions=100_000)
    assert outcome.reason is StopReason.POWERED_OFF
    while stepped.step().reason is not StopReason.POWERED_OFF:
        assert stepped.instret < 10_000
    assert (stepped.instret, list(stepped.hart.x)) == (outcome.instructions, list(whole.hart.x))


def test_code_runs_up_to_the_first_byte_that_it_may_not_fetch(build):
    jump = "la t0, area\n la ra, back\n jr t0\n back: nop"
    image = TO_S_MODE.replace(".dword 0x0807060504030201", "addi s5, s5, 1\n addi s5, s5, 1")
    machine = Machine(MachineConfig(ram_size=16 << 20, firmware="none"))
    protect = protected("area", 0x1D, size=64) + protected("area", 0x19, index=1) + OPEN + "li s5, 0\n"
    machine.load(build(image.format(protect=protect, supervisor=jump, off=OFF), 0x8000_0000))
    assert ended(machine) == (1, machine.address_of("area") + 64)
    length = 2 if machine.memory.read(machine.address_of("area"), 1)[0] & 3 != 3 else 4
    assert machine.hart.x["s5"] == 64 // length


@pytest.mark.parametrize("size", [4096, 16])
def test_a_watched_instruction_that_is_executed_alone_is_seen_once(build, collect, size):
    code = "la t0, area\n .globl place\n place: ld t1, (t0)\n"
    machine = guest(build, protected("area", 0x1F, size=size) + OPEN, code)
    collect(machine, TlbFilled)
    seen = []
    machine.watch("place", lambda: seen.append(machine.instret))
    machine.run(max_instructions=10_000)
    assert len(seen) == 1
