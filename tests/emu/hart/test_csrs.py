"""CSRs by their WARL rules, traps by the privileged manual's pseudo-state, and pure helper functions."""

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.hart.floats import riscv_flags, softfloat_flags
from emu.isa.csrs import Csr
from emu.isa.operands import MemoryOperand, memory_operand
from emu.isa.privilege import Access, Privilege
from emu.isa.status import MPP_SHIFT, Status
from emu.machine import Machine, MachineConfig, StopReason
from linker.assembler import assemble

M64 = (1 << 64) - 1
OFF = "li a7, 8\n ecall\n"


@pytest.fixture
def exact() -> Machine:
    return Machine(MachineConfig(ram_size=4 << 20, firmware="none"))


WARL = [
    ("stvec", M64 - 2, M64 - 2),
    ("stvec", M64, 0),
    ("mtvec", 0x8000_0001, 0x8000_0001),
    ("mtvec", 0x8000_0002, 0),
    ("sepc", M64, M64 - 1),
    ("mepc", 0x8000_0003, 0x8000_0002),
    ("medeleg", M64, 0xB3FF),
    ("mideleg", M64, 0x222),
    ("mie", M64, 0xAAA),
    ("sscratch", M64, M64),
    ("mcause", M64, M64),
    ("scounteren", M64, 0xFFFF_FFFF),
    ("satp", 8 << 60 | 5, 8 << 60 | 5),
    ("satp", 1 << 60 | 5, 0),
    ("misa", 0, 0x8000_0000_0014_112D),
    ("mcountinhibit", M64, 5),
    ("menvcfg", M64, 1 << 63 | 1),
    ("pmpcfg0", M64, 0x9F9F_9F9F_9F9F_9F9F),
    ("pmpcfg2", 0x7F00_007A, 0x1F00_0018),
    ("pmpaddr0", M64, (1 << 54) - 1),
    ("pmpaddr15", 3, 3),
    ("tselect", 5, 0),
    ("mhpmcounter3", M64, 0),
    ("mstatus", M64, 0x8000_000A_007E_79AA),
    ("mstatus", 0, 0xA_0000_0000),
]


@pytest.mark.parametrize(("name", "written", "read"), WARL)
def test_a_csr_takes_only_legal_values(fidelity, name, written, read):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, firmware="none"))
    number = 0xB03 if name == "mhpmcounter3" else name
    machine.hart.csr[number] = written
    assert machine.hart.csr[number] == read


def test_mpp_keeps_its_value_when_the_reserved_mode_is_written(exact):
    csr = exact.hart.csr
    csr["mstatus"] = 1 << MPP_SHIFT
    csr["mstatus"] = 2 << MPP_SHIFT
    assert csr["mstatus"] >> MPP_SHIFT & 3 == 1


def test_sstatus_and_sie_are_views(exact):
    csr = exact.hart.csr
    csr["mideleg"], csr["mie"] = 0x222, 0xAAA
    assert csr["sie"] == 0x222
    csr["sie"] = 0
    assert csr["mie"] == 0x888
    csr["mstatus"] = M64
    assert csr["sstatus"] == 0x8000_0002_000C_6122
    csr["sstatus"] = 0
    assert csr["mstatus"] & int(Status.TVM | Status.TW | Status.TSR | Status.MIE | Status.MPP)


def test_supervisor_accesses_without_permission_are_illegal(boot):
    for source in ("csrr a0, mstatus", "csrw mtvec, a0", "csrr a0, 0x7c0", "csrw time, a0", "mret"):
        machine = boot(f"la t0, 1f\n csrw stvec, t0\n {source}\n .balign 4\n 1: csrr a1, scause\n{OFF}")
        machine.run(100)
        assert machine.hart.x["a1"] == 2, source


TRAPPED = [(Status.TVM, "csrr a0, satp"), (Status.TVM, "sfence.vma"), (Status.TW, "wfi"), (Status.TSR, "sret")]


@pytest.mark.parametrize(("bit", "source"), TRAPPED)
def test_m_mode_can_have_supervisor_instructions_trapped(boot, bit, source):
    machine = boot(
        f"""la t0, trap
        csrw mtvec, t0
        li t0, -1
        csrw pmpaddr0, t0
        csrwi pmpcfg0, 0x1f
        li t0, {int(bit):#x}
        csrs mstatus, t0
        li t0, 0x1800
        csrc mstatus, t0
        li t0, 0x0800
        csrs mstatus, t0
        la t0, 1f
        csrw mepc, t0
        mret
    1:  {source}
        j .
        .balign 4
    trap: csrr a1, mcause
        csrr a2, mepc
        la a3, 1b
        j .""",
        firmware="none",
    )
    machine.run(60)
    assert machine.hart.x["a1"] == 2
    assert machine.hart.x["a2"] == machine.hart.x["a3"]


def test_counters_need_their_enable_bits(boot):
    source = "la t0, 1f\n csrw stvec, t0\n csrr a0, {name}\n li a1, 99\n .balign 4\n 1: {off}"
    for name in ("cycle", "time", "instret"):
        for enabled in (0, 7):
            machine = boot(source.format(name=name, off=OFF))
            machine.hart.csr["mcounteren"] = enabled
            machine.run(100)
            assert (machine.hart.x["a1"] == 99) == bool(enabled)


WRITES_OF_COUNTERS = ["unimp", "csrrw a0, time, zero", "csrrwi a0, instret, 0", "csrrw a0, hpmcounter7, zero"]
READS_OF_COUNTERS = [
    "csrrs a0, cycle, zero",
    "csrrsi a0, time, 0",
    "csrrci a0, instret, 0",
    "csrrc a0, hpmcounter7, zero",
]


@pytest.mark.parametrize("source", [*WRITES_OF_COUNTERS, *READS_OF_COUNTERS])
def test_a_write_of_a_counter_is_illegal_also_with_an_operand_of_zero(boot, source):
    machine = boot(
        f"la t0, 1f\n csrw stvec, t0\n li a1, 0\n {source}\n {source}\n j 2f\n.balign 4\n 1: csrr a1, scause\n 2: {OFF}"
    )
    machine.hart.csr["mcounteren"] = 0xFFFF_FFFF
    machine.run(100)
    assert machine.hart.x["a1"] == (2 if source in WRITES_OF_COUNTERS else 0)


def test_a_counter_that_is_written_goes_on_from_there(build):
    machine = Machine(MachineConfig(ram_size=4 << 20, firmware="none"))
    machine.load(build("li a0, 1000\n csrw minstret, a0\n nop\n csrr a1, minstret\n csrr a2, instret\n j ."))
    machine.run(10)
    assert (machine.hart.x["a1"], machine.hart.x["a2"]) == (1001, 1002)


def test_an_inhibited_counter_stands_still(build):
    machine = Machine(MachineConfig(ram_size=4 << 20, firmware="none"))
    machine.load(build("csrwi mcountinhibit, 4\n csrr a1, minstret\n nop\n csrr a2, minstret\n j ."))
    machine.run(10)
    assert machine.hart.x["a1"] == machine.hart.x["a2"]


def test_floating_point_is_illegal_while_it_is_off_and_dirties_its_state(boot):
    machine = boot(
        "la t0, 1f\n csrw stvec, t0\n li t1, 0x6000\n csrc sstatus, t1\n fadd.d fa0, fa0, fa0\n .balign 4\n"
        f"1: csrr s2, scause\n li t0, 0x2000\n csrs sstatus, t0\n csrr s3, sstatus\n"
        f" fmv.d.x fa0, zero\n csrr s4, sstatus\n{OFF}"
    )
    machine.run(100)
    assert machine.hart.x["s2"] == 2
    assert machine.hart.x["s3"] >> 13 & 3 == 1
    assert (machine.hart.x["s4"] >> 13 & 3, machine.hart.x["s4"] >> 63) == (3, 1)


def test_stimecmp_interrupts_when_it_is_enabled(boot):
    machine = boot(
        f"""la t0, handler
        csrw stvec, t0
        csrr t0, time
        addi t0, t0, 30
        csrw stimecmp, t0
        li t0, 32
        csrw sie, t0
        csrsi sstatus, 2
    1:  j 1b
        .balign 4
    handler: csrr s2, scause
        csrr s3, time
        li t0, -1
        csrw stimecmp, t0
        csrr s4, sip
        {OFF}"""
    )
    machine.hart.csr["menvcfg"] = 1 << 63
    assert machine.run(10_000).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s2"] == 1 << 63 | 5
    assert machine.hart.x["s3"] == 30
    assert machine.hart.x["s4"] == 0


@given(st.integers(0, 31))
def test_float_flags_survive_the_way_to_the_core_and_back(flags):
    assert riscv_flags(softfloat_flags(flags)) == flags


OPERANDS = [
    ("lb a0, -5(a1)", MemoryOperand(11, -5, 1, Access.LOAD)),
    ("lwu a0, 2047(sp)", MemoryOperand(2, 2047, 4, Access.LOAD)),
    ("sd a0, -2048(t6)", MemoryOperand(31, -2048, 8, Access.STORE)),
    ("fld fa0, 8(a1)", MemoryOperand(11, 8, 8, Access.LOAD)),
    ("fsw fa0, -4(a1)", MemoryOperand(11, -4, 4, Access.STORE)),
    ("amoadd.w a0, a1, (a2)", MemoryOperand(12, 0, 4, Access.STORE)),
    ("lr.d a0, (a2)", MemoryOperand(12, 0, 8, Access.LOAD)),
    ("sc.d a0, a1, (a2)", MemoryOperand(12, 0, 8, Access.STORE)),
    *((f"c.lw a0, {n}(s1)", MemoryOperand(9, n, 4, Access.LOAD)) for n in (0, 4, 64, 124)),
    *((f"c.sd a0, {n}(s1)", MemoryOperand(9, n, 8, Access.STORE)) for n in (0, 8, 64, 248)),
    *((f"c.fld fa0, {n}(s1)", MemoryOperand(9, n, 8, Access.LOAD)) for n in (0, 128)),
    *((f"c.ldsp a0, {n}(sp)", MemoryOperand(2, n, 8, Access.LOAD)) for n in (0, 8, 32, 64, 504)),
    *((f"c.lwsp a0, {n}(sp)", MemoryOperand(2, n, 4, Access.LOAD)) for n in (0, 4, 32, 64, 252)),
    *((f"c.swsp a0, {n}(sp)", MemoryOperand(2, n, 4, Access.STORE)) for n in (0, 4, 32, 64, 252)),
    *((f"c.sdsp a0, {n}(sp)", MemoryOperand(2, n, 8, Access.STORE)) for n in (0, 8, 32, 64, 504)),
    ("add a0, a1, a2", None),
    ("c.addi a0, 1", None),
    ("jal ra, .", None),
]


@pytest.mark.parametrize(("source", "operand"), OPERANDS, ids=[case[0] for case in OPERANDS])
def test_knows_what_an_instruction_accesses(source, operand):
    code = bytes(assemble(source, name="t.s").section(".text").data)
    assert memory_operand(int.from_bytes(code[:4], "little")) == operand


@lru_cache
def _pair() -> tuple[Machine, Machine]:
    exact, fast = (Machine(MachineConfig(fidelity=one, ram_size=4 << 20, firmware="none")) for one in ("exact", "fast"))
    return exact, fast


NAMES = [
    "mstatus", "sstatus", "mie", "sie", "mip", "sip", "medeleg", "mideleg", "mepc", "sepc", "mtvec", "stvec", "satp",
    "mcounteren", "scounteren", "mcause", "stval",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, M64)), max_size=8))
def test_both_fidelities_keep_the_same_of_what_is_written(writes):
    exact, fast = _pair()
    for name, value in writes:
        for machine in (exact, fast):
            machine.hart.csr[name] = value
    assert {name: exact.hart.csr[name] for name in NAMES} == {name: fast.hart.csr[name] for name in NAMES}


CSR_CODE = """
    la t0, 9f
    csrw mtvec, t0
    li s0, {first}
    li s1, {second}
    {setup}
    csrrw s2, {name}, s0
    csrrs s3, {name}, s1
    csrrc s4, {name}, s0
    csrr s5, {name}
    j .
    .balign 4
9:  csrr s6, mcause
    j ."""


@pytest.mark.parametrize(
    "name", [*NAMES, "fcsr", "fflags", "frm", "mhartid", "misa", "menvcfg", "mcountinhibit", "0x7c0", "0x320"]
)
def test_csr_instructions_of_both_fidelities_give_the_same(build, name):
    found = []
    for fidelity in ("exact", "fast"):
        for first, second in ((M64, 0), (0x8000_0000_0022_3023, 0x66AA), (0x1000, 0x21805)):
            source = CSR_CODE.format(name=name, first=first, second=second, setup="li t0, 0x2000\n csrs mstatus, t0")
            machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, firmware="none"))
            machine.load(build(source, 0x8000_0000))
            machine.run(60)
            found.append([machine.hart.x[f"s{number}"] for number in range(2, 7)])
    assert found[:3] == found[3:]


def test_every_csr_has_a_name_that_finds_it(exact):
    for csr in Csr:
        assert exact.hart.csr[csr.label] == exact.hart.csr[csr]


RETURNS = [
    # (instruction, status before, privilege after, status bits after under the mask MPRV|MPP|SPP|MPIE|SPIE|MIE|SIE)
    ("mret", 0x21880, 3, 0x20088),  # to M mode: MPRV stays, MPP becomes U
    ("mret", 0x20880, 1, 0x00088),  # to S mode: MPRV is cleared
    ("mret", 0x20000, 0, 0x00080),
    ("mret", 0x00088, 0, 0x00088),
    ("mret", 0x00008, 0, 0x00080),
    ("sret", 0x21920, 1, 0x01822),  # in M mode, to S mode: MPRV is cleared, SPP becomes U
    ("sret", 0x20002, 0, 0x00020),
    ("sret", 0x00120, 1, 0x00022),
]


@pytest.mark.parametrize(("instruction", "before", "privilege", "after"), RETURNS)
def test_a_return_changes_the_stacked_bits_as_the_manual_says(build, fidelity, instruction, before, privilege, after):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, firmware="none"))
    machine.load(build(f"{instruction}\n j .", 0x8000_0000))
    csr = machine.hart.csr
    csr["pmpaddr0"], csr["pmpcfg0"] = M64, 0x1F
    csr["mepc"] = csr["sepc"] = machine.hart.pc + 4
    csr["mstatus"] = before
    machine.step()
    assert (machine.hart.privilege, csr["mstatus"] & 0x219AA) == (privilege, after)
    assert machine.hart.pc == 0x8000_0004


def test_tsr_traps_sret_of_s_mode_only(build):
    machine = Machine(MachineConfig(ram_size=4 << 20, firmware="none"))
    machine.load(build("sret\n j .", 0x8000_0000))
    csr = machine.hart.csr
    csr["mstatus"], csr["sepc"], csr["mtvec"] = int(Status.TSR | Status.SPP), 0x8000_0004, 0x8000_0100
    csr["pmpaddr0"], csr["pmpcfg0"] = M64, 0x1F
    machine.step()
    assert (machine.hart.pc, machine.hart.privilege) == (0x8000_0004, Privilege.S)


def test_wfi_ends_for_an_interrupt_that_is_enabled_even_where_it_is_not_taken(build):
    machine = Machine(MachineConfig(ram_size=4 << 20, firmware="none"))
    machine.load(build("csrwi mie, 2\n csrwi mip, 2\n wfi\n li a0, 1\n csrwi mie, 0\n wfi\n li a0, 2", 0x8000_0000))
    assert machine.run().reason is StopReason.IDLE_FOREVER
    assert machine.hart.x["a0"] == 1


@pytest.mark.parametrize(("stce", "tm", "exists"), [(0, 0, False), (1, 0, False), (0, 1, False), (1, 1, True)])
@pytest.mark.parametrize("access", ["csrr a0, stimecmp", "csrw stimecmp, a0"])
def test_stimecmp_needs_stce_and_the_time_in_s_mode_and_nothing_in_m_mode(boot, access, stce, tm, exists):
    machine = boot(f"la t0, 1f\n csrw stvec, t0\n {access}\n li a1, 99\n .balign 4\n 1: j .")
    machine.hart.csr["menvcfg"], machine.hart.csr["mcounteren"] = stce << 63, tm << 1
    machine.run(30)
    assert (machine.hart.x["a1"] == 99) == exists
    in_m = boot(f"la t0, 1f\n csrw mtvec, t0\n {access}\n li a1, 99\n .balign 4\n 1: j .", firmware="none")
    in_m.run(30)
    assert in_m.hart.x["a1"] == 99


def test_stip_belongs_to_stimecmp_while_sstc_is_on_and_to_m_mode_else(boot):
    machine = boot(
        """
        li t0, 0x20
        csrs mip, t0
        csrr s1, mip            # written by M mode
        csrc mip, t0
        li t1, 1 << 63
        csrw menvcfg, t1
        csrs mip, t0
        csrr s2, mip            # not any more
        csrw stimecmp, zero
        csrr s3, mip            # its time has come
        csrc mip, t0
        csrr s4, mip            # and stays
        csrw menvcfg, zero
        csrr s5, mip            # until Sstc is off
        j .
        """,
        firmware="none",
    )
    machine.run(60)
    names = ("s1", "s2", "s3", "s4", "s5")
    if machine.config.fidelity == "fast":  # docs/conformance.md: the core lets M mode write STIP in any case
        names = ("s1", "s3", "s5")
    values = {name: machine.hart.x[name] & 0x20 for name in names}
    assert values == {name: {"s1": 0x20, "s2": 0, "s3": 0x20, "s4": 0x20, "s5": 0}[name] for name in names}
