"""The log of commits of a part of a run is that part of the whole run's log."""

import io

from emu.machine import Machine, MachineConfig
from emu.report.commitwriter import CommitWriter

PROGRAM = """
    li s0, 60
    la s1, counter
again:
    ld t0, 0(s1)
    addi t0, t0, 1
    sd t0, 0(s1)
    call twice
    addi s0, s0, -1
    bnez s0, again
    li a7, 8
    ecall
twice:
    add a0, t0, t0
    ret
    .balign 8
counter: .dword 0
"""


def test_a_log_that_is_switched_on_and_off_has_what_lies_between(build, fidelity):
    whole, parts = io.BytesIO(), io.BytesIO()
    for stream, start in ((whole, True), (parts, False)):
        machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
        machine.load(build(PROGRAM))
        with CommitWriter(machine, stream, start=start) as writer:
            machine.run(101)
            writer.start()
            machine.run(50)
            if not start:
                writer.stop()
            machine.run(77)
            writer.start()
            machine.run()
    lines = whole.getvalue().splitlines()
    assert parts.getvalue().splitlines() == [*lines[101:151], *lines[228:]]
    assert len(lines) == machine.instret
