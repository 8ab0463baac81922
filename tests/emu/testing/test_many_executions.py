"""Executions of a campaign without Python: they find the same as with Python between each two of them."""

import pytest

from emu.machine import Machine, MachineConfig
from emu.machine.repetition import Repetition
from emu.memory import pagescan
from emu.observe.sanitizer.address import AddressSanitizer
from emu.testing.fuzzing.campaign import Campaign
from emu.testing.fuzzing.keeping import Gathered
from emu.testing.fuzzing.target import Inputs, Target
from emu.testing.program import program

SOURCE = """
    j .
    .globl magic, pages, floats, status, spins, traps, same, outer, inner
    .type outer, @function
    .type inner, @function
magic:                      # four bytes, and then one that crashes
    li t0, 6
    bltu a1, t0, 1f
    lwu t1, (a0)
    li t2, 0x47464544
    bne t1, t2, 1f
    lbu t1, 5(a0)
    li t2, 0x70
    bltu t1, t2, 1f
    sd zero, (zero)
1:  ret
pages:                      # the input's bytes choose the pages that are written; what is there must be 0
    li t4, 0x80400000
    add a1, a0, a1
1:  bgeu a0, a1, 2f
    lbu t0, (a0)
    andi t0, t0, 31
    slli t0, t0, 12
    add t0, t0, t4
    ld t1, (t0)
    bnez t1, 3f
    addi t1, t1, 1
    sd t1, (t0)
    addi a0, a0, 1
    j 1b
2:  ret
3:  andi t2, a0, 3
    bnez t2, 2b
    ret
floats:
    beqz a1, 1f
    lbu t0, (a0)
    andi t0, t0, 3
    fcvt.d.w fa0, t0
    fdiv.d fa0, fa0, fa1    # by 0: a flag that only some executions set
    csrr t1, fflags
    beqz t1, 1f
    nop
1:  ret
status:                     # counts its executions in a CSR
    csrr t0, mscratch
    addi t0, t0, 1
    csrw mscratch, t0
    li t1, 2
    bltu t0, t1, 1f
    ebreak
1:  ret
spins:
    beqz a1, 1f
    lbu t0, (a0)
    li t1, 'z'
2:  beq t0, t1, 2b
1:  ret
traps:                      # the kernel's handler goes on behind a load that is refused
    beqz a1, 1f
    lbu t0, (a0)
    andi t0, t0, 15
    bnez t0, 1f
    ecall
1:  ret
outer:                      # calls what may read behind the input
    addi sp, sp, -16
    sd ra, 8(sp)
    call inner
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
inner:
    beqz a1, 1f
    lbu t0, (a0)
    andi t0, t0, 3
    bnez t0, 1f
    add a0, a0, a1
    lbu a0, 2(a0)
1:  ret
same:                       # what it finds where an execution before it may have written
    la t0, kept
    ld t1, (t0)
    bnez t1, 1f
    sd a1, (t0)
    addi a2, a1, -3
    bltz a2, 1f
    nop
1:  ret
    .bss
    .balign 4096
kept: .zero 8
"""


def found(
    function: str, fidelity: str, *, most: int, seed: int, is_sanitized: bool = False, is_watched: int = False
) -> tuple[object, ...]:  # fmt: skip
    """All that a campaign tells."""
    machine = program(SOURCE, MachineConfig(fidelity=fidelity, firmware="none", ram_size=16 << 20))
    machine.hart.x["sp"], machine.hart.csr["mstatus"] = 0x8030_0000, machine.hart.csr["mstatus"] | 1 << 13
    sanitizer = AddressSanitizer(machine, [], []) if is_sanitized else None
    if is_watched:
        machine.watch(machine.hart.pc, lambda: None)
    before = state(machine)
    kept = Gathered()
    with Target(
        machine, function, Inputs.parse("a0=buffer,a1=length"), longest=64, max_instructions=2000, sanitizer=sanitizer,
    ) as target:  # fmt: skip
        campaign = Campaign(target, [b"", b"0123456789"], kept, seed=seed)
        for _ in range(2):
            summary = campaign.run(executions=most // 2)
        edges = target.edges
        told = (edges.total, edges.news, edges.blocks(), edges.compared(), campaign.inputs, campaign.take_waiting(99))
        failures = {key: (each.number, each.minimised) for key, each in summary.failures.items()}
    assert state(machine) == before
    assert failures or function not in ("magic", "spins", "traps")
    return told, failures, [(crash.data, crash.text) for crash in kept.crashes], summary.executions, summary.inputs


def state(machine: Machine) -> tuple[object, ...]:
    """Registers, memory and counts."""
    hart = machine.hart
    return machine.instret, hart.x[3:], list(hart.f), hart.csr["mscratch"], bytes(machine.memory.ram.view[: 5 << 20])


@pytest.mark.parametrize("function", ["magic", "pages", "floats", "status", "spins", "traps", "same"])
def test_a_campaign_finds_the_same_with_python_between_executions_and_without(function, fidelity, monkeypatch):
    quick = found(function, fidelity, most=240, seed=3)
    monkeypatch.setattr(Repetition, "call_all", lambda again, inputs: 0)
    assert found(function, fidelity, most=240, seed=3) == quick


def test_a_sanitizer_reports_the_same_of_executions_with_python_and_without(fidelity):
    quick, slow = (found("outer", fidelity, most=80, seed=3, is_sanitized=True, is_watched=each) for each in (0, 1))
    assert quick[1:3] == slow[1:3]
    ((_, text),) = quick[2]
    assert "user-poisoned-access in inner+0x10" in text
    assert "Call trace:\n inner+0x10\n outer+0x8\n the host\n" in text
    assert f"addr {0x8030_0000 - 64 - 64 + 3:016x} by" in text, "of the input that was made small"


def test_inputs_of_other_lengths_do_not_set_up_what_the_sanitizer_watches_anew(monkeypatch):
    machine = program(SOURCE, MachineConfig(firmware="none", ram_size=16 << 20))
    machine.hart.x["sp"] = 0x8030_0000
    sanitizer, opened = AddressSanitizer(machine, [], []), []
    with Target(machine, "same", Inputs.parse("a0=buffer,a1=length"), longest=64, sanitizer=sanitizer) as target:
        monkeypatch.setattr(machine.core.shadow, "open", opened.append)
        for length in 3, 64, 0, 64, 5:
            target.run(bytes(length))
    assert not opened


@pytest.mark.parametrize("kernel", ["present", "older"])
def test_executions_that_do_nothing_new_need_no_python(monkeypatch, kernel):
    if kernel == "older":
        monkeypatch.setattr(pagescan, "_SCAN", 0xC060_66FF)  # an ioctl that no kernel has
    machine = program(SOURCE, MachineConfig(firmware="none", ram_size=16 << 20))
    machine.hart.x["sp"] = 0x8030_0000
    with Target(machine, "same", Inputs.parse("a0=buffer,a1=length"), longest=64) as target:
        for data in b"", b"1", b"123", b"123":
            target.run(data)
        inputs = [b"1234"[: number % 4] for number in range(50)]
        numbers = []
        while inputs:
            number, failure = target.run_all(inputs)
            assert (failure, target.edges.news) == (None, 0)
            del inputs[:number]
            numbers.append(number)
        assert numbers == [1, 2, 4, 8, 16, 19] or not machine.core.engine.is_native
