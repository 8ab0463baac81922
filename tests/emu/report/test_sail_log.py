"""Sail's trace: each line in its form, and all of them together a run that makes sense."""

import io
import re

import pytest

from emu.errors import ConfigError
from emu.machine import Machine
from emu.report.logs.sail import SailWriter
from tests.guests import BEHIND_IT, LOWER_TABLES, PAGING_ON, TO_SUPERVISOR

PLAIN = """
    li t0, 0x6000
    csrw mstatus, t0
    csrr t1, mscratch
    la t2, data
    ld a0, (t2)
    sw a0, 8(t2)
    fld fa0, (t2)
    lui a1, 0x10000
    lbu a2, 5(a1)
    sb a2, (a1)
    la t0, over
    csrw mtvec, t0
    ecall
    .balign 4
over:
    mret
    .balign 8
data: .dword 0x1122334455667788, 0
"""
EXPECTED = r"""mem[X,0x0000000080000000] -> 0x6299
[0] [M]: 0x0000000080000000 (0x6299) c.lui t0, 6
x5 <- 0x0000000000006000
mem[X,0x0000000080000002] -> 0x9073
mem[X,0x0000000080000004] -> 0x3002
[1] [M]: 0x0000000080000002 (0x30029073) csrw mstatus, t0
CSR mstatus (0x300) <- 0x8000000A00006000
mem[X,0x0000000080000006] -> 0x2373
mem[X,0x0000000080000008] -> 0x3400
[2] [M]: 0x0000000080000006 (0x34002373) csrr t1, mscratch
CSR mscratch (0x340) -> 0x0000000000000000
x6 <- 0x0000000000000000
mem[X,0x000000008000000A] -> 0x0397
mem[X,0x000000008000000C] -> 0x0000
[3] [M]: 0x000000008000000A (0x00000397) auipc t2, 0
x7 <- 0x000000008000000A
mem[X,0x000000008000000E] -> 0x8393
mem[X,0x0000000080000010] -> 0x0363
[4] [M]: 0x000000008000000E (0x03638393) addi t2, t2, 0x36
x7 <- 0x0000000080000040
mem[X,0x0000000080000012] -> 0xB503
mem[X,0x0000000080000014] -> 0x0003
[5] [M]: 0x0000000080000012 (0x0003B503) ld a0, 0(t2)
mem[R,0x0000000080000040] -> 0x1122334455667788
x10 <- 0x1122334455667788
mem[X,0x0000000080000016] -> 0xA423
mem[X,0x0000000080000018] -> 0x00A3
[6] [M]: 0x0000000080000016 (0x00A3A423) sw a0, 8(t2)
mem[W,0x0000000080000048] <- 0x55667788
mem[X,0x000000008000001A] -> 0xB507
mem[X,0x000000008000001C] -> 0x0003
[7] [M]: 0x000000008000001A (0x0003B507) fld fa0, 0(t2)
mem[R,0x0000000080000040] -> 0x1122334455667788
f10 <- 0x1122334455667788
mem[X,0x000000008000001E] -> 0x05B7
mem[X,0x0000000080000020] -> 0x1000
[8] [M]: 0x000000008000001E (0x100005B7) lui a1, 0x10000
x11 <- 0x0000000010000000
mem[X,0x0000000080000022] -> 0xC603
mem[X,0x0000000080000024] -> 0x0055
[9] [M]: 0x0000000080000022 (0x0055C603) lbu a2, 5(a1)
mem[R,0x0000000010000005] -> 0x60
x12 <- 0x0000000000000060
mem[X,0x0000000080000026] -> 0x8023
mem[X,0x0000000080000028] -> 0x00C5
[10] [M]: 0x0000000080000026 (0x00C58023) sb a2, 0(a1)
mem[W,0x0000000010000000] <- 0x60
mem[X,0x000000008000002A] -> 0x0297
mem[X,0x000000008000002C] -> 0x0000
[11] [M]: 0x000000008000002A (0x00000297) auipc t0, 0
x5 <- 0x000000008000002A
mem[X,0x000000008000002E] -> 0x8293
mem[X,0x0000000080000030] -> 0x0122
[12] [M]: 0x000000008000002E (0x01228293) addi t0, t0, 0x12
x5 <- 0x000000008000003C
mem[X,0x0000000080000032] -> 0x9073
mem[X,0x0000000080000034] -> 0x3052
[13] [M]: 0x0000000080000032 (0x30529073) csrw mtvec, t0
CSR mtvec (0x305) <- 0x000000008000003C
mem[X,0x0000000080000036] -> 0x0073
mem[X,0x0000000080000038] -> 0x0000
[14] [M]: 0x0000000080000036 (0x00000073) ecall
trapping from M to M to handle m-call
handling exc#0x0B at priv M with tval 0x0000000000000000
CSR mstatus (0x300) <- 0x8000000A00007800
mem[X,0x000000008000003C] -> 0x0073
mem[X,0x000000008000003E] -> 0x3020
[15] [M]: 0x000000008000003C (0x30200073) mret
CSR mstatus (0x300) <- 0x8000000A00006080
ret-ing from M to M
"""

PAGED = f"""
    la t0, handler
    csrw mtvec, t0
{LOWER_TABLES}{PAGING_ON}{TO_SUPERVISOR}    li s0, 5
1:  li a0, 0x3000
    sd s0, 0x18(a0)
    ld a1, 0x18(a0)
    addi s0, s0, -1
    bnez s0, 1b
    ecall
2:  j 2b
    .balign 4
handler:
    csrr t0, mcause
    li t1, 15
    bne t0, t1, 3f
    la t0, table0                 # maps 0x3000 to the frame `page`
    la t1, page
    srli t1, t1, 2
    ori t1, t1, 0x47              # without D: the walk sets it
    sd t1, 24(t0)
    mret
3:{BEHIND_IT}    .balign 4096
root: .zero 4096
table1: .zero 4096
table0: .zero 4096
page: .zero 4096
"""
LINES = {
    "fetch": r"mem\[X,0x([0-9A-F]{16})\] -> 0x([0-9A-F]{4})",
    "instruction": r"\[(\d+)\] \[([USM])\]: 0x([0-9A-F]{16}) \(0x((?:[0-9A-F]{4}){1,2})\) (\S.*)",
    "read": r"mem\[R,0x([0-9A-F]{16})\] -> 0x((?:[0-9A-F]{2})+)",
    "write": r"mem\[W,0x([0-9A-F]{16})\] <- 0x((?:[0-9A-F]{2})+)",
    "register": r"([xf]\d+) <- 0x([0-9A-F]{16})",
    "csr": r"CSR (\w+) \(0x([0-9A-F]{3})\) (?:<-|->) 0x([0-9A-F]{16})",
    "start": r"PTW: Start, vpn=0x([0-9a-f]+), access_type=(R|W|X), privilege=([USM])",
    "step": r"PTW: Step, level=(\d), pte=0x([0-9A-F]+), pte_addr=0x([0-9A-F]+)",
    "success": r"PTW: Success, final_ppn=0x([0-9a-f]+), level=(\d)",
    "failed": r"PTW: failed, error=([a-z-]+), level=(\d), pte_addr=0x([0-9A-F]+)",
    "trapping": r"trapping from ([USM]) to ([USM]) to handle (\S+)",
    "handling": r"handling exc#0x([0-9A-F]{2}) at priv ([USM]) with tval 0x([0-9A-F]{16})",
    "return": r"ret-ing from ([USM]) to ([USM])",
}


def logged(machine: Machine, instructions: int) -> str:
    stream = io.BytesIO()
    with SailWriter(machine, stream):
        machine.run(instructions)
    return stream.getvalue().decode()


@pytest.fixture
def exact(boot, fidelity):
    if fidelity != "exact":
        pytest.skip("the trace is one of fidelity exact")
    return boot


def test_each_line_has_the_form_of_sails(exact):
    assert logged(exact(PLAIN, firmware="none"), 15) == EXPECTED


def test_walks_reads_and_registers_agree_with_memory_as_the_trace_itself_has_written_it(exact):
    machine = exact(PAGED, firmware="none")
    before = machine.memory.read(0x8000_0000, 1 << 20)
    text = logged(machine, 110)
    memory, registers, kinds, walk = bytearray(before), {}, [], []

    def at(address: str, size: int) -> int:
        place = int(address, 16) - 0x8000_0000
        return int.from_bytes(memory[place : place + size], "little")

    for line in text.splitlines():
        kind, match = next((kind, found) for kind, form in LINES.items() if (found := re.fullmatch(form, line)))
        kinds.append(kind)
        if kind == "write":
            data = bytes.fromhex(match[2])[::-1]
            place = int(match[1], 16) - 0x8000_0000
            memory[place : place + len(data)] = data
        elif kind in ("read", "fetch"):
            assert at(match[1], len(match[2]) // 2) == int(match[2], 16), line
        elif kind == "register":
            registers[match[1]] = int(match[2], 16)
        elif kind == "start":
            walk = [int(match[1], 16), None]
        elif kind == "step":
            level, pte, address = int(match[1]), int(match[2], 16), int(match[3], 16)
            table = walk[1] if walk[1] is not None else address & ~0xFFF
            assert address == table + 8 * (walk[0] >> 9 * level & 511)
            assert at(match[3], 8) | 0xC0 == pte | 0xC0, line  # A and D are the walk's own
            walk = [walk[0], (pte >> 10) << 12]
        elif kind == "success":
            low = (1 << 9 * int(match[2])) - 1
            assert int(match[1], 16) == walk[1] >> 12 | walk[0] & low
    assert {f"x{n}": value for n, value in enumerate(machine.hart.x) if value} == {
        name: value for name, value in registers.items() if value
    }
    assert set(kinds) == set(LINES)
    assert "PTW: failed, error=invalid-pte, level=0, pte_addr=0x80003018\ntrapping from S to M to handle" in text
    assert "access_type=W, privilege=S\nPTW: Step, level=2" in text


def test_fidelity_fast_says_that_it_has_no_walks(boot):
    machine = boot(PLAIN, firmware="none")
    if machine.config.fidelity == "fast":
        with pytest.raises(ConfigError, match="only fidelity exact"):
            SailWriter(machine, io.BytesIO())
