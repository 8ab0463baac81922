"""A guest that accesses memory in every way, and what it does, found out by single steps."""

from functools import cache

from emu.engine.translated.features import Access
from emu.events import TrapTaken
from emu.isa.operands import memory_operand
from emu.isa.privilege import Access as Kind
from emu.machine import Machine, MachineConfig, StopReason

ALIAS = 0x4000_0000
"""Virtual addresses from here on are RAM, too."""
PROGRAM = """
    la t0, table
    la t1, skip
    csrw stvec, t1
    li t1, (0x80000000 >> 12 << 10) | 0xcf
    sd t1, 1 * 8(t0)
    sd t1, 2 * 8(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li t1, 0x2000
    csrs sstatus, t1
    la s0, data
    li t1, 0x40000000
    sub s1, s0, t1
    lui t3, 1
    add t4, s0, t3
    add t5, s1, t3
    la sp, data + 8000
    li s2, 40
1:  sd s2, (s1)
    sb s2, 9(s0)
    sh s2, 12(s1)
    c.lw a2, 8(s1)
    lbu a3, 9(s0)
    lh x0, 12(s0)
    sd s2, -3(t5)
    ld a4, -3(t4)
    sw a2, 21(s1)
    fld f1, (s1)
    fsd f1, 24(s1)
    flw f2, 8(s0)
    fsw f2, 32(s1)
    c.fsd f8, 40(s0)
    amoadd.w a5, s2, (s0)
    amomaxu.d a5, s2, (s0)
    lr.w a5, (s1)
    sc.w a6, s2, (s1)
    sc.w a6, s2, (s1)
    addi a7, a7, 1
    sd s2, (x0)
    addi a7, a7, 1
    c.sdsp s2, 0(sp)
    lw a1, (x0)
    call leaf
    c.addi s2, -1
    bnez s2, 1b
    li a7, 1
    li a0, 65
    ecall
    li a7, 8
    ecall
leaf:
    c.addi sp, -16
    c.sdsp ra, 8(sp)
    c.ldsp ra, 8(sp)
    c.addi sp, 16
    ret
    .balign 4
skip:
    csrr t2, sepc
    addi t2, t2, 4
    csrw sepc, t2
    sret
    .balign 4096
data:  .zero 8192
table: .zero 4096
"""


def machine(build, fidelity: str, probes: str | None = None) -> Machine:
    made = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, probes=probes))
    made.load(build(PROGRAM))
    return made


@cache
def life(build, fidelity: str) -> tuple[list[Access], list[int], list[tuple[int, int, int]]]:
    """What the guest does, as `stepped` tells it: found out once a process."""
    return stepped(machine(build, fidelity))


def physical(address: int) -> int:
    return address + ALIAS if address >> 30 == 1 else address


def stepped(single: Machine) -> tuple[list[Access], list[int], list[tuple[int, int, int]]]:
    """All accesses, the pc of each instruction that retired, and its writes of registers (pc, register, value)."""
    accesses: list[Access] = []
    retired: list[int] = []
    written: list[tuple[int, int, int]] = []
    memory, hart = single.memory, single.hart
    traps: list[TrapTaken] = []
    single.on(TrapTaken, traps.append)
    stopped = False
    while not stopped:
        traps.clear()
        pc, before = hart.pc, single.instret
        registers = list(hart.x)
        operand = memory_operand(int.from_bytes(memory.read(physical(pc), 4), "little"))
        address = operand.address(registers) if operand else 0
        place = physical(address)
        known = operand is not None and 0x8000_0000 <= place < 0x8100_0000
        old = memory.read_int(place, operand.size) if known else 0
        stopped = single.step().reason is StopReason.POWERED_OFF
        if single.instret == before:
            continue
        if traps:
            pc = traps[0].handler  # a step goes on to the handler's first instruction
        retired.append(int(pc))
        written += [(pc, n, value) for n, value in enumerate(hart.x) if value != registers[n]]
        if operand is None or not known or traps:
            continue
        word = memory.read_int(physical(pc), 4)
        is_atomic, is_sc = word & 0x7F == 0x2F, word & 0x7F == 0x2F and word >> 27 == 3
        if is_sc and hart.x["a6"]:
            continue
        if operand.access is Kind.LOAD or is_atomic:
            accesses.append(Access(pc, address, operand.size, False, old, before))
        if operand.access is Kind.STORE:
            accesses.append(Access(pc, address, operand.size, True, memory.read_int(place, operand.size), before))
    return accesses, retired, written


def run(machine: Machine) -> tuple[object, ...]:
    """Run to the end; what a user sees of it."""
    assert machine.run().reason is StopReason.POWERED_OFF
    return machine.instret, list(machine.hart.x), bytes(machine.console), machine.memory.read(0x8020_0000, 1 << 16)
