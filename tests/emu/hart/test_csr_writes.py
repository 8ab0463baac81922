"""Who listens to CsrWritten is told what each CSR instruction has written."""

import pytest

from emu.events import CsrWritten
from emu.isa.csrs import Csr

TOLD = """
    la t0, handler
    csrw mtvec, t0
    li t0, -1
    csrw stvec, t0
    csrw sscratch, t0
    csrw sepc, t0
    csrrsi t1, sstatus, 2
    csrrc t1, sstatus, t0
    csrr t1, sscratch
    csrrs t1, sscratch, zero
    csrw mie, t0
    csrw mideleg, t0
    csrrw t1, sie, zero
    csrw satp, zero
    csrw mhartid, t0
    csrwi mscratch, 7
    csrrci zero, mscratch, 2
    csrs mstatus, t0
    csrwi frm, 1
    csrwi fflags, 3
    csrw fcsr, t0
    csrr t1, fcsr
    csrw pmpaddr3, t0
    csrwi mcountinhibit, 5
1:  j 1b
    .balign 4
handler:
    csrr t1, mepc
    addi t1, t1, 4
    csrw mepc, t1
    mret
"""


@pytest.mark.parametrize("probes", [None, "python"])
def test_who_listens_is_told_what_each_csr_instruction_has_written(boot, probes):
    machine = boot(TOLD, firmware="none", probes=probes)
    found: list[CsrWritten] = []
    expected = []
    with machine.on(CsrWritten, found.append):
        while machine.instret < 45:
            before, pc = machine.instret, int(machine.hart.pc)
            code = int.from_bytes(machine.memory.read(pc, 4), "little")
            machine.step()
            writes = code & 0x7F == 0x73 and code >> 12 & 3 and (code >> 12 & 3 == 1 or code >> 15 & 31)
            if writes and machine.instret > before and int(machine.hart.pc) == pc + 4:
                expected.append((before, pc, code >> 20, machine.hart.csr[code >> 20]))
    assert [(one.instret, int(one.pc), one.number, one.value) for one in found] == expected
    assert {one.number for one in found} >= {Csr.SSTATUS, Csr.SEPC, Csr.SATP, Csr.FCSR, Csr.PMPADDR3, Csr.MEPC}
    again = boot(TOLD, firmware="none", probes=probes)
    again.run(45)
    assert [again.hart.csr[one.number] for one in found] == [machine.hart.csr[one.number] for one in found]
    assert again.hart.x[:] == machine.hart.x[:]
    count = len(found)
    machine.hart.pc = 0x8000_0000
    machine.run(20)
    assert len(found) == count
