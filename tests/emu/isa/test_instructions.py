"""One instruction a case: assembled, executed on both fidelities, result compared."""

import pytest

M64 = (1 << 64) - 1
DATA = 0x8021_0000

INTEGER = [
    ("add a0, a1, a2", {"a1": 1, "a2": 2}, {"a0": 3}),
    ("add a0, a1, a2", {"a1": M64, "a2": 2}, {"a0": 1}),
    ("sub a0, a1, a2", {"a1": 1, "a2": 2}, {"a0": M64}),
    ("and a0, a1, a2", {"a1": 0xFF, "a2": 0x0F0}, {"a0": 0xF0}),
    ("or a0, a1, a2", {"a1": 0xF0, "a2": 0x0F}, {"a0": 0xFF}),
    ("xor a0, a1, a2", {"a1": 0xFF, "a2": 0x0F}, {"a0": 0xF0}),
    ("sll a0, a1, a2", {"a1": 1, "a2": 65}, {"a0": 2}),
    ("srl a0, a1, a2", {"a1": M64, "a2": 60}, {"a0": 15}),
    ("sra a0, a1, a2", {"a1": 1 << 63, "a2": 63}, {"a0": M64}),
    ("slt a0, a1, a2", {"a1": M64, "a2": 0}, {"a0": 1}),
    ("sltu a0, a1, a2", {"a1": M64, "a2": 0}, {"a0": 0}),
    ("addi a0, a1, -1", {"a1": 0}, {"a0": M64}),
    ("andi a0, a1, -16", {"a1": 0xFF}, {"a0": 0xF0}),
    ("ori a0, a1, 1", {"a1": 2}, {"a0": 3}),
    ("xori a0, a1, -1", {"a1": 0}, {"a0": M64}),
    ("slti a0, a1, -1", {"a1": M64 - 1}, {"a0": 1}),
    ("sltiu a0, a1, -1", {"a1": 5}, {"a0": 1}),
    ("slli a0, a1, 63", {"a1": 1}, {"a0": 1 << 63}),
    ("srli a0, a1, 63", {"a1": 1 << 63}, {"a0": 1}),
    ("srai a0, a1, 4", {"a1": 1 << 63}, {"a0": 0xF8 << 56}),
    ("lui a0, 0x80000", {}, {"a0": 0xFFFF_FFFF_8000_0000}),
    ("auipc a0, 1", {}, {"a0": 0x8020_1000}),
    ("addw a0, a1, a2", {"a1": 0x7FFF_FFFF, "a2": 1}, {"a0": 0xFFFF_FFFF_8000_0000}),
    ("subw a0, a1, a2", {"a1": 0, "a2": 1}, {"a0": M64}),
    ("sllw a0, a1, a2", {"a1": 1, "a2": 31}, {"a0": 0xFFFF_FFFF_8000_0000}),
    ("srlw a0, a1, a2", {"a1": 0xFFFF_FFFF, "a2": 28}, {"a0": 15}),
    ("sraw a0, a1, a2", {"a1": 0x8000_0000, "a2": 31}, {"a0": M64}),
    ("addiw a0, a1, 1", {"a1": 0xFFFF_FFFF}, {"a0": 0}),
    ("mul a0, a1, a2", {"a1": M64, "a2": 3}, {"a0": M64 - 2}),
    ("mulh a0, a1, a2", {"a1": M64, "a2": M64}, {"a0": 0}),
    ("mulhu a0, a1, a2", {"a1": M64, "a2": M64}, {"a0": M64 - 1}),
    ("mulhsu a0, a1, a2", {"a1": M64, "a2": M64}, {"a0": M64}),
    ("div a0, a1, a2", {"a1": -7 & M64, "a2": 2}, {"a0": -3 & M64}),
    ("div a0, a1, a2", {"a1": 7, "a2": 0}, {"a0": M64}),
    ("div a0, a1, a2", {"a1": 1 << 63, "a2": M64}, {"a0": 1 << 63}),
    ("divu a0, a1, a2", {"a1": M64, "a2": 16}, {"a0": M64 >> 4}),
    ("rem a0, a1, a2", {"a1": -7 & M64, "a2": 2}, {"a0": M64}),
    ("remu a0, a1, a2", {"a1": 7, "a2": 0}, {"a0": 7}),
    ("divw a0, a1, a2", {"a1": 0x8000_0000, "a2": 0xFFFF_FFFF}, {"a0": 0xFFFF_FFFF_8000_0000}),
    ("remuw a0, a1, a2", {"a1": 0xFFFF_FFFF, "a2": 16}, {"a0": 15}),
    ("c.addi a0, 5", {"a0": 1}, {"a0": 6}),
    ("c.mv a0, a1", {"a1": 7}, {"a0": 7}),
    ("c.add a0, a1", {"a0": 1, "a1": 7}, {"a0": 8}),
    ("addi zero, zero, 5", {}, {"zero": 0}),
]


@pytest.mark.parametrize(
    ("source", "before", "after"), INTEGER, ids=lambda value: value if isinstance(value, str) else ""
)
def test_computes(execute, source, before, after):
    hart = execute(source, **before)
    assert {name: hart.x[name] for name in after} == after


JUMPS = [
    ("jal ra, 1f; .skip 12; 1:", {}, 16),
    ("jalr ra, 8(a1)", {"a1": 0x8020_0101}, 0x108),
    ("beq a1, a2, 1f; .skip 12; 1:", {"a1": 5, "a2": 5}, 16),
    ("beq a1, a2, .+64", {"a1": 5, "a2": 6}, 4),
    ("bne a1, a2, .+64", {"a1": 5, "a2": 6}, 64),
    ("blt a1, a2, .+64", {"a1": M64, "a2": 0}, 64),
    ("bge a1, a2, .+64", {"a1": 0, "a2": M64}, 64),
    ("bltu a1, a2, .+64", {"a1": M64, "a2": 0}, 4),
    ("bgeu a1, a2, .+64", {"a1": M64, "a2": 0}, 64),
    ("c.j .+64", {}, 64),
    ("c.beqz a0, .+64", {}, 64),
    ("c.jr a1", {"a1": 0x8020_0200}, 0x200),
]


@pytest.mark.parametrize(("source", "before", "offset"), JUMPS[1:2] + JUMPS[3:], ids=lambda value: str(value)[:24])
def test_goes_to(execute, source, before, offset):
    assert execute(source, **before).pc == 0x8020_0000 + offset


LOADS = [
    ("lb a0, 0(a1)", M64 - 0x7F),
    ("lbu a0, 0(a1)", 0x80),
    ("lh a0, 0(a1)", M64 - 0x7E7F),
    ("lhu a0, 0(a1)", 0x8180),
    ("lw a0, 0(a1)", 0xFFFF_FFFF_8382_8180),
    ("lwu a0, 0(a1)", 0x8382_8180),
    ("ld a0, 0(a1)", 0x8786_8584_8382_8180),
    ("ld a0, 1(a1)", 0x8887_8685_8483_8281),
    ("c.lw a0, 4(a1)", 0xFFFF_FFFF_8786_8584),
    ("c.ld a0, 8(a1)", 0x8F8E_8D8C_8B8A_8988),
]


@pytest.mark.parametrize(("source", "value"), LOADS)
def test_loads(execute, source, value):
    assert execute(source, memory=bytes(range(0x80, 0x90)), a1=DATA).x["a0"] == value


@pytest.mark.parametrize(("source", "size"), [("sb", 1), ("sh", 2), ("sw", 4), ("sd", 8), ("c.sw", 4), ("c.sd", 8)])
def test_stores(execute, source, size):
    hart = execute(f"{source} a0, 0(a1)\n ld a2, 0(a1)", memory=bytes(8), a0=0x8786_8584_8382_8180, a1=DATA)
    assert hart.x["a2"] == 0x8786_8584_8382_8180 & ((1 << 8 * size) - 1)


ATOMICS = [
    ("amoswap.d", 7), ("amoadd.d", 12), ("amoxor.d", 2), ("amoand.d", 5), ("amoor.d", 7),
    ("amomin.d", 5), ("amomax.d", 7), ("amominu.d", 5), ("amomaxu.d", 7),
]  # fmt: skip


@pytest.mark.parametrize(("name", "stored"), ATOMICS)
def test_atomics_return_the_old_value_and_store_the_new(execute, name, stored):
    hart = execute(f"{name} a0, a2, (a1)\n ld a3, 0(a1)", memory=(5).to_bytes(8, "little"), a1=DATA, a2=7)
    assert (hart.x["a0"], hart.x["a3"]) == (5, stored)


def test_a_store_conditional_succeeds_after_its_load_reserved(execute):
    hart = execute("lr.d a0, (a1)\n sc.d a2, a3, (a1)\n ld a4, 0(a1)", memory=(5).to_bytes(8, "little"), a1=DATA, a3=9)
    assert (hart.x["a0"], hart.x["a2"], hart.x["a4"]) == (5, 0, 9)


def test_a_store_conditional_alone_fails(execute):
    hart = execute("sc.d a2, a3, (a1)\n ld a4, 0(a1)", memory=(5).to_bytes(8, "little"), a1=DATA, a3=9)
    assert (hart.x["a2"], hart.x["a4"]) == (1, 5)


ONE, TWO, THREE = 0x3FF0_0000_0000_0000, 0x4000_0000_0000_0000, 0x4008_0000_0000_0000
FLOATS = [
    ("fadd.d fa0, fa1, fa2", {"fa1": ONE, "fa2": TWO}, THREE),
    ("fsub.d fa0, fa1, fa2", {"fa1": THREE, "fa2": TWO}, ONE),
    ("fmul.d fa0, fa1, fa2", {"fa1": ONE, "fa2": TWO}, TWO),
    ("fmadd.d fa0, fa1, fa2, fa2", {"fa1": ONE, "fa2": ONE}, TWO),
    ("fcvt.d.l fa0, a1", {"a1": 3}, THREE),
    ("fsgnjn.d fa0, fa1, fa1", {"fa1": ONE}, ONE | 1 << 63),
]


@pytest.mark.parametrize(("source", "before", "value"), FLOATS)
def test_computes_in_floating_point(execute, source, before, value):
    assert execute(source, **before).f["fa0"] == value


def test_an_inexact_division_accrues_its_flag(execute):
    hart = execute("fdiv.d fa0, fa1, fa2\n csrr a0, fflags", fa1=ONE, fa2=THREE)
    assert hart.x["a0"] == 1


def test_the_flags_can_be_written_and_read(execute):
    assert execute("csrw fcsr, a1\n csrr a0, fcsr", a1=0xFF).x["a0"] == 0xFF
    assert execute("csrw fcsr, a1\n csrr a0, frm", a1=0x60).x["a0"] == 3


CSR = [
    ("csrrw a0, mscratch, a1\n csrr a2, mscratch", {"a1": 5}, {"a2": 5}),
    ("csrw mscratch, a1\n csrrs a0, mscratch, a3\n csrr a2, mscratch", {"a1": 5, "a3": 2}, {"a0": 5, "a2": 7}),
    ("csrw mscratch, a1\n csrrc a0, mscratch, a3\n csrr a2, mscratch", {"a1": 5, "a3": 4}, {"a0": 5, "a2": 1}),
    ("csrrwi a0, mscratch, 9\n csrr a2, mscratch", {}, {"a2": 9}),
    ("csrwi mscratch, 1\n csrrsi a0, mscratch, 8\n csrr a2, mscratch", {}, {"a0": 1, "a2": 9}),
    ("csrwi mscratch, 9\n csrrci a0, mscratch, 8\n csrr a2, mscratch", {}, {"a0": 9, "a2": 1}),
]


@pytest.mark.parametrize(("source", "before", "after"), CSR, ids=lambda value: str(value)[:32])
def test_csr_instructions(execute, source, before, after):
    hart = execute(source, **before)
    assert {name: hart.x[name] for name in after} == after


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
    from emu.machine import Machine, MachineConfig

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
