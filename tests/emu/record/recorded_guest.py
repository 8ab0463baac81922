"""A guest with traps, timer interrupts, calls and code that changes itself, and what it executes by single steps."""

from functools import cache

from emu.events import TrapTaken
from emu.isa.operands import instruction_length
from emu.machine import Machine, MachineConfig, StopReason

PROGRAM = """
    la t0, handler
    csrw stvec, t0
    li t0, 32
    csrw sie, t0
    csrwi sstatus, 2
    call arm
    li s0, 60
again:
    mv a0, s0
    call work
    la t0, one
    andi t1, s0, 2
    slli t1, t1, 2
    add t0, t0, t1
    .option norvc
    jalr t0
    jal ra, one
    nop
    .option rvc
    sd s0, (x0)
    la t0, changed
    la t1, other
    andi t2, s0, 1
    beqz t2, 1f
    addi t1, t1, 4
1:  lw t1, (t1)
    sw t1, (t0)
    fence.i
    call changed
    addi s0, s0, -1
    bnez s0, again
    csrci sstatus, 2
    li a7, 8
    ecall
work:
    addi sp, sp, -16
    sd ra, 8(sp)
    beqz a0, 2f
    srli a0, a0, 1
    call work
2:  ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .balign 4
changed:
    .option norvc
    addi a3, a3, 1
    .option rvc
    ret
one:
    .option norvc
    addi a3, a3, 4
    j 5f
    addi a3, a3, 5
    .option rvc
5:  la t2, 6f
    jr t2
    nop
6:  ret
arm:
    rdtime a0
    addi a0, a0, 13
    li a7, 0
    ecall
    ret
    .balign 4
handler:
    csrw sscratch, sp
    la sp, stack
    sd ra, -8(sp)
    sd a0, -16(sp)
    sd a7, -24(sp)
    csrr a0, scause
    bltz a0, 3f
    csrr a0, sepc
    addi a0, a0, 4
    csrw sepc, a0
    j 4f
3:  call arm
4:  la sp, stack
    ld ra, -8(sp)
    ld a0, -16(sp)
    ld a7, -24(sp)
    csrr sp, sscratch
    sret
    .balign 4
other:
    .option norvc
    addi a3, a3, 2
    addi a3, a3, 3
    .data
    .zero 256
stack: .zero 16
"""


def machine(build, fidelity: str, probes: str | None = None, source: str = PROGRAM) -> Machine:
    made = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, probes=probes))
    made.load(build(source))
    made.hart.x["sp"] = 0x8030_0000
    return made


@cache
def stepped(build, fidelity: str) -> list[tuple[int, bytes]]:
    """The pc and the code of each instruction that retires: found out once a process."""
    single = machine(build, fidelity)
    memory, hart = single.memory, single.hart
    found: list[tuple[int, bytes]] = []
    traps: list[TrapTaken] = []
    single.on(TrapTaken, traps.append)
    stopped = False
    while not stopped:
        traps.clear()
        pc, before = int(hart.pc), single.instret
        code = memory.read(pc, 4)
        stopped = single.step().reason is StopReason.POWERED_OFF
        if single.instret > before:
            entered = [trap.handler for trap in traps if trap.instret == before]
            if entered:  # a step goes on to the handler's first instruction
                pc = int(entered[-1])
                code = memory.read(pc, 4)
            found.append((pc, code[: instruction_length(code[0])]))
    return found
