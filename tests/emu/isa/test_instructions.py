"""What single instructions do beyond their result: traps, reservations, flags, unaligned memory."""

import pytest

from emu.machine import Machine, MachineConfig

DATA = 0x8021_0000
ONE, THREE = 0x3FF0_0000_0000_0000, 0x4008_0000_0000_0000


def test_register_zero_stays_zero(execute):
    assert execute("addi zero, zero, 5").x["zero"] == 0


def test_a_load_need_not_be_aligned(execute):
    hart = execute("ld a0, 1(a1)", memory=bytes(range(0x80, 0x90)), a1=DATA)
    assert hart.x["a0"] == 0x8887_8685_8483_8281


def test_a_store_conditional_succeeds_after_its_load_reserved(execute):
    hart = execute("lr.d a0, (a1)\n sc.d a2, a3, (a1)\n ld a4, 0(a1)", memory=(5).to_bytes(8, "little"), a1=DATA, a3=9)
    assert (hart.x["a0"], hart.x["a2"], hart.x["a4"]) == (5, 0, 9)


def test_a_store_conditional_alone_fails(execute):
    hart = execute("sc.d a2, a3, (a1)\n ld a4, 0(a1)", memory=(5).to_bytes(8, "little"), a1=DATA, a3=9)
    assert (hart.x["a2"], hart.x["a4"]) == (1, 5)


@pytest.mark.parametrize("copy", ["fmv.s fa0, fa1", "fsgnj.s fa0, fa1, fa1", "flw fa0, (a1)"])
def test_a_single_has_ones_above_it(execute, copy):
    single = 0xFFFF_FFFF_3F80_0000
    assert execute(copy, memory=single.to_bytes(8, "little"), a1=DATA, fa1=single).f["fa0"] == single


def test_an_inexact_division_accrues_its_flag(execute):
    hart = execute("fdiv.d fa0, fa1, fa2\n csrr a0, fflags", fa1=ONE, fa2=THREE)
    assert hart.x["a0"] == 1


def test_the_flags_can_be_written_and_read(execute):
    assert execute("csrw fcsr, a1\n csrr a0, fcsr", a1=0xFF).x["a0"] == 0xFF
    assert execute("csrw fcsr, a1\n csrr a0, frm", a1=0x60).x["a0"] == 3


TRAPS = [
    ("ecall", {}, 11, 0),
    ("ebreak", {}, 3, 0x8020_0000),
    ("c.ebreak", {}, 3, 0x8020_0000),
    (".word 0xffffffff", {}, 2, 0xFFFF_FFFF),
    (".half 0x0000", {}, 2, 0),
    ("csrw mhartid, a0", {}, 2, 0xF145_1073),
    ("lw a0, 4(a1)", {"a1": 0x4000_0000}, 5, 0x4000_0004),
    ("sd a0, 4(a1)", {"a1": 0x4000_0000}, 7, 0x4000_0004),
    ("jr a1", {"a1": 0x4000_0000}, 1, 0x4000_0000),
]


@pytest.mark.parametrize(("source", "before", "cause", "tval"), TRAPS, ids=lambda value: str(value))
def test_traps_with_cause_and_tval(build, fidelity, source, before, cause, tval):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, firmware="none"))
    machine.load(build(source + "\n nop\n nop"))
    machine.hart.csr["mtvec"] = 0x8010_0000
    machine.memory.write(0x8010_0000, bytes.fromhex("13000000"))
    for name, value in before.items():
        machine.hart.x[name] = value
    machine.step(2 if source == "jr a1" else 1)
    csr = machine.hart.csr
    assert (csr["mcause"], csr["mtval"]) == (cause, tval)
    assert csr["mepc"] == (0x4000_0000 if source == "jr a1" else 0x8020_0000)
    assert machine.hart.pc == 0x8010_0004


@pytest.mark.parametrize("probes", ["native", "python"])
@pytest.mark.parametrize(
    "between", ["csrw mepc, t0\n mret", "csrw sepc, t0\n sret", "csrw mtvec, t0\n ecall", "csrw mtvec, t0\n ebreak"]
)
def test_a_reservation_does_not_outlive_a_trap_or_a_return_from_one(boot, probes, between):
    machine = boot(
        f"""
        la a1, data
        la t0, 2f
        lr.d a0, (a1)
        sc.d a2, t0, (a1)           # it holds while nothing comes between
        li t1, 3 << 11 | 1 << 8     # mret goes to M mode, sret to S mode
        csrs mstatus, t1
        li t1, -1
        csrw pmpaddr0, t1
        csrwi pmpcfg0, 15
        lr.d a0, (a1)
        {between}
        .balign 4
     2: sc.d a3, t0, (a1)
        j .
        .balign 8
  data: .dword 0
        """,
        firmware="none", probes=probes,
    )  # fmt: skip
    machine.run(30)
    assert (machine.hart.x["a2"], machine.hart.x["a3"]) == (0, 1)
