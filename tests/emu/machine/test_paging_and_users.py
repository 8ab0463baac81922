"""Sv39 kernels with user programs: both fidelities take the same traps, and every event tells the truth."""

import pytest

from emu.errors import ConfigError
from emu.events import AddressSpaceSwitched, PageFault, SyscallMade, TlbFilled, TrapReturned, TrapTaken
from emu.isa.privilege import Access, Privilege
from emu.machine import Machine, MachineConfig, StopReason
from emu.walks import Refusal
from tests.guests import LOWER_TABLES, PAGING_ON

KERNEL = """
    la sp, stack_top
    la t0, trap
    csrw stvec, t0
    {tables}
    la t1, user
    srli t1, t1, 2
    ori t1, t1, {user_flags:#x}
    sd t1, 0x80(t0)
    la t1, data
    srli t1, t1, 2
    ori t1, t1, {data_flags:#x}
    sd t1, 0x88(t0)
    {paging_on}
    {setup}
    li t0, 0x10000
    csrw sepc, t0
    li t0, 0x100
    csrc sstatus, t0
    sret
    .balign 4
trap:
    csrr t0, scause
    li t1, 8
    bne t0, t1, 1f
    li t1, 93
    beq a7, t1, 1f
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    sret
1:  csrr s2, scause
    csrr s3, stval
    csrr s4, sepc
    li a7, 8
    ecall
    .balign 4096
user:
    {user}
    .balign 4096
data: .rept 512
 .dword 0x1122334455667788
 .endr
root: .fill 512, 8, 0
table1: .fill 512, 8, 0
table0: .fill 512, 8, 0
    .fill 512, 8, 0
stack_top:
"""


def kernel(user: str, *, setup: str = "", user_flags: int = 0x5B, data_flags: int = 0xD7) -> str:
    pieces = {"tables": LOWER_TABLES, "paging_on": PAGING_ON}
    return KERNEL.format(user=user, setup=setup, user_flags=user_flags, data_flags=data_flags, **pieces)


def run(boot, source, **config):
    machine = boot(source, **config)
    outcome = machine.run(max_instructions=100_000)
    assert outcome.reason is StopReason.POWERED_OFF
    return machine


FAULTS = [
    ("ld a0, (zero)", 13, 0, Refusal.INVALID),
    ("li t0, 0x12345678\n sd a0, 4(t0)", 15, 0x1234567C, Refusal.INVALID),
    ("li t0, 0x80200000\n ld a0, (t0)", 13, 0x8020_0000, Refusal.SUPERVISOR_PAGE),
    ("li t0, 0x80200000\n jr t0", 12, 0x8020_0000, Refusal.SUPERVISOR_PAGE),
    ("li t0, 0x10000\n sw a0, (t0)", 15, 0x10000, Refusal.NOT_WRITABLE),
    ("li t0, 0x11000\n jr t0", 12, 0x11000, Refusal.NOT_EXECUTABLE),
    ("li t0, 0x11ffc\n ld a0, (t0)", 13, 0x12000, Refusal.INVALID),
    ("li t0, 0x11fff\n sh a0, (t0)", 15, 0x12000, Refusal.INVALID),
    ("li t0, 0x11ffe\n c.sdsp a0, 0(sp)", 15, 0x8020_0000, Refusal.SUPERVISOR_PAGE),
    ("li t0, 0x4000000000\n ld a0, (t0)", 13, 0x40_0000_0000, Refusal.NOT_CANONICAL),
    ("li t0, 0x40000000\n amoadd.w a0, a1, (t0)", 15, 0x4000_0000, Refusal.INVALID),
    ("li t0, 0x40000000\n lr.w a0, (t0)", 13, 0x4000_0000, Refusal.INVALID),
    ("li t0, 0x40000000\n fld fa0, 8(t0)", 13, 0x4000_0008, Refusal.INVALID),
    ("csrr a0, sstatus", 2, 0x10002573, None),
    ("sret", 2, 0x10200073, None),
    ("wfi", 2, 0x10500073, None),
    ("sfence.vma", 2, 0x12000073, None),
    ("mret", 2, 0x30200073, None),
    ("ebreak", 3, None, None),
]


@pytest.mark.parametrize(("user", "cause", "tval", "refusal"), FAULTS, ids=[case[0] for case in FAULTS])
def test_a_user_program_that_does_what_it_must_not_traps(boot, collect, user, cause, tval, refusal):
    setup = "li sp, 0x80200000\n li t0, 0x2000\n csrs sstatus, t0"
    machine = boot(kernel("nop\n c.nop\n" + user, setup=setup))
    faults, traps = collect(machine, PageFault), collect(machine, TrapTaken)
    machine.run(max_instructions=10_000)
    last = traps[-1]
    assert (last.cause, last.privilege) == (cause, Privilege.U)
    assert tval is None or last.tval == tval
    assert machine.hart.x["s2"] == cause
    assert machine.hart.x["s3"] == last.tval
    assert machine.hart.x["s4"] == last.pc
    if refusal is None:
        assert not faults
    else:
        assert [fault.walk.refusal for fault in faults] == [refusal]
        assert (faults[0].pc, faults[0].instret, faults[0].address) == (last.pc, last.instret, last.tval)


def test_both_fidelities_and_both_kinds_of_probes_agree_to_the_last_event(build, collect):
    source = kernel(
        "li t0, 0x11000\n ld a0, (t0)\n sd a0, 8(t0)\n li a7, 64\n ecall\n li a7, 1\n ecall\n ld a0, (zero)"
    )
    runs = []
    for fidelity in ("exact", "fast"):
        for probes in ("native", "python"):
            machine = Machine(MachineConfig(fidelity=fidelity, probes=probes, ram_size=16 << 20))
            machine.load(build(source))
            events = collect(machine, TrapTaken, TrapReturned, PageFault, AddressSpaceSwitched, SyscallMade)
            runs.append((machine.run(), events, list(machine.hart.x)))
    assert len(runs[0][1]) >= 10
    assert all(one == runs[0] for one in runs[1:])


def test_a_system_call_is_an_event(boot, collect):
    machine = boot(kernel("li a7, 64\n li a0, 1\n li a1, 2\n ecall\n li a7, 93\n ecall"))
    calls = collect(machine, SyscallMade)
    machine.run()
    assert [(call.number, call.args[:2], call.pc) for call in calls] == [(64, (1, 2), 0x10008), (93, (1, 2), 0x10010)]


def test_user_pages_need_sum_in_s_mode(boot):
    access = "li t0, 0x11000\n ld a0, (t0)"
    machine = run(boot, kernel("ecall", setup=access))
    assert (machine.hart.x["s2"], machine.hart.x["s3"]) == (13, 0x11000)
    allowed = "li t0, 0x40000\n csrs sstatus, t0\n" + access + "\n mv s5, a0\n li t0, 0x40000\n csrc sstatus, t0\n"
    machine = run(boot, kernel("ecall", setup=allowed + access))
    assert machine.hart.x["s5"] == 0x1122_3344_5566_7788
    assert machine.hart.x["s2"] == 13


def test_executable_pages_are_readable_with_mxr_only(boot):
    access = "li t0, 0x11000\n li t1, 0x40000\n csrs sstatus, t1\n {mxr} ld s5, (t0)\n"
    machine = run(boot, kernel("ecall", setup=access.format(mxr=""), data_flags=0xD9))
    assert machine.hart.x["s2"] == 13
    machine = run(boot, kernel("li a7, 93\n ecall", data_flags=0xD9,
                               setup=access.format(mxr="li t1, 0x80000\n csrs sstatus, t1\n")))  # fmt: skip
    assert machine.hart.x["s5"] == 0x1122_3344_5566_7788


def test_accessed_and_dirty_are_set_by_the_walk(boot):
    program = kernel(
        "li s0, 0x11000\n ld a0, (s0)\n li a7, 1\n ecall\n sd a0, (s0)\n li a7, 93\n ecall", data_flags=0x17
    )
    machine = boot(program)
    collected = []
    machine.on(SyscallMade, lambda _: collected.append(machine.walk(0x11000).leaf.pte & 0xC0))
    machine.run()
    assert collected == [0x40, 0xC0]


def test_accessed_and_dirty_are_left_to_software_with_svade(build):
    from emu.mmu import AdUpdate

    source = kernel("li t0, 0x11000\n sd a0, (t0)", data_flags=0x57)
    machine = Machine(MachineConfig(ad_update=AdUpdate.FAULT, ram_size=16 << 20))
    machine.load(build(source))
    faults = []
    machine.on(PageFault, faults.append)
    machine.run()
    assert faults[0].walk.refusal is Refusal.NOT_DIRTY


@pytest.mark.parametrize("adue", [False, True])
def test_menvcfg_selects_who_sets_accessed_and_dirty_where_it_may(build, collect, adue):
    from emu.mmu import AdUpdate

    source = kernel("li t0, 0x11000\n sd a0, (t0)\n li a7, 93\n ecall", data_flags=0x17)
    machine = Machine(MachineConfig(ad_update=AdUpdate.SELECTED, ram_size=16 << 20))
    machine.load(build(source))
    machine.hart.csr["menvcfg"] = int(adue) << 61
    faults = collect(machine, PageFault)
    machine.run(max_instructions=10_000)
    assert machine.hart.csr["menvcfg"] == int(adue) << 61
    assert [fault.walk.refusal for fault in faults] == ([] if adue else [Refusal.NOT_ACCESSED])
    assert machine.walk(0x11000, privilege=Privilege.U).leaf.pte & 0xC0 == (0xC0 if adue else 0)
    other = Machine(MachineConfig(ram_size=4 << 20))
    other.hart.csr["menvcfg"] = 1 << 61
    assert other.hart.csr["menvcfg"] == 0


def test_each_translation_that_is_cached_is_an_event_in_exact(build, collect):
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(build(kernel("li t0, 0x11000\n ld a0, (t0)\n li a7, 93\n ecall")))
    plain = Machine(MachineConfig(ram_size=16 << 20))
    plain.load(build(kernel("li t0, 0x11000\n ld a0, (t0)\n li a7, 93\n ecall")))
    fills = collect(machine, TlbFilled)
    assert machine.run() == plain.run()
    user = [(fill.access, fill.vpn, fill.pc) for fill in fills if fill.privilege == Privilege.U]
    assert user == [(Access.FETCH, 0x10, 0x10000), (Access.LOAD, 0x11, 0x10002)]


def test_translations_cannot_be_listened_to_in_fast(build):
    with pytest.raises(ConfigError, match="TlbFilled"):
        Machine(MachineConfig(fidelity="fast")).on(TlbFilled, lambda event: None)


def test_a_switch_of_the_address_space_is_an_event(boot, collect):
    machine = boot(kernel("li a7, 93\n ecall"))
    switches = collect(machine, AddressSpaceSwitched)
    machine.run()
    assert [(switch.old, switch.new >> 60) for switch in switches] == [(0, 8)]


def test_virtual_memory_is_read_as_the_guest_sees_it(boot):
    machine = run(boot, kernel("li a7, 93\n ecall"))
    assert machine.read_virtual(0x11000, 8) == (0x1122_3344_5566_7788).to_bytes(8, "little")
    assert machine.peek(0x50000, 1) is None


@pytest.mark.parametrize("mode", ["sv39", "sv48"])
def test_only_the_configured_paging_modes_exist_in_exact(build, mode):
    machine = Machine(MachineConfig(paging=mode, ram_size=4 << 20))
    machine.load(build("li t0, 10\n slli t0, t0, 60\n csrw satp, t0\n csrr a1, satp\n li a7, 8\n ecall"))
    machine.run()
    assert machine.hart.x["a1"] == 0


ALIAS = """
    la s0, function
    li t0, 0x11000
    la t1, patch
    lw t1, (t1)
    li t2, 0x40000
    csrs sstatus, t2
    lw s1, 64(t0)
    sw s1, 64(t0)       # the first store through the mapping that cannot be executed
    jalr s0             # 1: what is there
    mv s5, a0
    sw t1, 0(t0)        # patch it through the alias
    fence.i
    jalr s0
    mv s6, a0
"""


PATCHED = """data:
function:
    .option norvc
    addi a0, zero, 1
    ret
    .option rvc
    .balign 128
patch: addi a0, zero, 2
    .balign 4096"""


def test_code_that_is_patched_through_another_mapping_runs_as_patched(boot):
    source = kernel("li a7, 93\n ecall", setup=ALIAS)
    data = "data: .rept 512\n .dword 0x1122334455667788\n .endr"
    assert data in source
    machine = run(boot, source.replace(data, PATCHED))
    assert (machine.hart.x["s5"], machine.hart.x["s6"]) == (1, 2)
