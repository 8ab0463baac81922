"""The same SBI calls on OpenSBI (in QEMU) and on ours; errors and values must agree."""

import re
import subprocess

import pytest

from emu.firmware.image import Image
from emu.firmware.sbi import Extension, Sbi
from emu.machine import Machine, MachineConfig, StopReason
from tests.emu.firmware.test_sbi import Host

TIME, IPI, RFENCE, HSM, SRST, BASE = (
    int(extension)
    for extension in (Extension.TIME, Extension.IPI, Extension.RFENCE, Extension.HSM, Extension.SRST, Extension.BASE)
)
MAX = (1 << 64) - 1
# Not here: masks with harts that do not exist. OpenSBI of Debian 12 (1.1) takes them; the specification refuses them.
CALLS = [
    (TIME, 0, MAX, 0, 0), (TIME, 1, 0, 0, 0), (IPI, 0, 1, 0, 0), (IPI, 0, 1, MAX, 0),
    (IPI, 1, 0, 0, 0), (RFENCE, 0, 1, 0, 0), (RFENCE, 1, 1, 0, 0), (RFENCE, 2, 1, 0, 0),
    (RFENCE, 1, 0, MAX, 0), (RFENCE, 9, 1, 0, 0), (HSM, 2, 0, 0, 0), (HSM, 2, 1, 0, 0), (HSM, 0, 0, 0x8020_0000, 0),
    (HSM, 0, 1, 0x8020_0000, 0), (HSM, 9, 0, 0, 0), (HSM, 3, 1, 0, 0), (SRST, 0, 3, 0, 0), (SRST, 0, 0, 2, 0),
    (SRST, 1, 0, 0, 0), (BASE, 9, 0, 0, 0),
    *((BASE, 3, extension, 0, 0) for extension in (TIME, IPI, RFENCE, HSM, SRST, BASE, 0, 1, 2, 5, 7, 8, 0xA, 0x1234)),
    (BASE, 4, 0, 0, 0), (0x1234, 0, 0, 0, 0), (0xB, 0, 0, 0, 0),
    (3, 0, 0, 0, 0), (5, 0, 0, 0, 0), (6, 0, 0, 0, 0), (7, 0, 0, 0, 0), (2, 0, 0, 0, 0),
]  # fmt: skip

PROGRAM = """\
    .option norelax
    .globl _start
_start:
    la s0, calls
    la s1, calls_end
next:
    ld a7, 0(s0)
    ld a6, 8(s0)
    ld a0, 16(s0)
    ld a1, 24(s0)
    ld a2, 32(s0)
    ecall
    mv s2, a1
    jal hex
    mv a0, s2
    jal hex
    li a0, '\\n'
    jal put
    addi s0, s0, 40
    bltu s0, s1, next
    li a7, 8
    ecall
hex:
    mv s4, ra
    mv s5, a0
    li s6, 60
digit:
    srl a0, s5, s6
    andi a0, a0, 15
    addi a0, a0, '0'
    li a1, '9'
    ble a0, a1, out
    addi a0, a0, 'a' - '9' - 1
out:
    jal put
    addi s6, s6, -4
    bgez s6, digit
    li a0, ' '
    jal put
    jr s4
put:
    li a7, 1
    ecall
    ret
    .data
    .balign 8
calls:
"""


@pytest.fixture
def caller(oracle, tmp_path):
    """A program that makes all calls and prints error and value of each."""
    source, program = tmp_path / "calls.S", tmp_path / "calls.elf"
    table = "".join(f"    .quad {', '.join(map(hex, call))}\n" for call in CALLS)
    source.write_text(f"{PROGRAM}{table}calls_end:\n")
    # -N: without the ELF header in the first segment, because QEMU enters a kernel at its lowest address.
    link = ["-nostdlib", "-static", "-Wl,-N,-Ttext=0x80200000", "-march=rv64gc", "-mabi=lp64d"]
    subprocess.run([oracle("riscv64-unknown-elf-gcc"), *link, source, "-o", program], check=True)
    assert Image.open(program).entry == 0x8020_0000
    return program


def answers(console):
    pairs = re.findall(r"^([0-9a-f]{16}) ([0-9a-f]{16}) \r?$", console, re.MULTILINE)
    assert len(pairs) == len(CALLS)
    return [(int(error, 16), int(value, 16)) for error, value in pairs]


@pytest.fixture
def opensbis_answers(oracle, caller):
    machine = [oracle("qemu-system-riscv64"), "-M", "virt", "-m", "128M", "-nographic", "-kernel", caller]
    run = subprocess.run(machine, capture_output=True, text=True, timeout=20, check=True, stdin=subprocess.DEVNULL)
    return answers(run.stdout)


def test_every_call_gives_opensbis_error_and_value(opensbis_answers):
    sbi = Sbi(Host())
    different = []
    for call, theirs in zip(CALLS, opensbis_answers, strict=True):
        extension, function, *args = call
        result = sbi.call(extension, function, (*args, 0, 0, 0))
        mine = (result.a0, args[1] if result.a1 is None else result.a1)
        if mine != theirs:
            different.append([hex(number) for number in (*call, *mine, *theirs)])
    assert different == []


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_guest_gets_opensbis_answers(caller, opensbis_answers, fidelity):
    machine = Machine(MachineConfig(fidelity=fidelity))
    machine.load(caller)
    assert machine.run(max_instructions=5_000_000).reason is StopReason.POWERED_OFF
    assert answers(machine.console.decode()) == opensbis_answers
