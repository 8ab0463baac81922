"""A guest that talks over the virtio console: what is typed on standard input comes back from it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel

ECHO = """
    li s0, 0x10001000
    li t0, 4096
    sw t0, 0x28(s0)         # GuestPageSize
    li s1, 0x80400000       # queue 0, to receive; queue 1, to send, 64 KiB behind it
    li s2, 0x80410000
    li s3, 0x80300000       # one byte
    mv a0, zero
    mv a1, s1
    li a2, 2                # the device writes it
    jal queue
    li a0, 1
    mv a1, s2
    li a2, 0
    jal queue
    li t0, 4
    sw t0, 0x70(s0)         # Status: DRIVER_OK
    li t0, '>'
    sb t0, (s3)
    li s4, 0                # requests so far, of each queue
1:  addi s4, s4, 1
    sh s4, 130(s2)          # the available ring's index
    li t0, 1
    sw t0, 0x50(s0)         # QueueNotify: send
    lbu t1, (s3)
    li t0, '.'
    beq t1, t0, 3f
    sh s4, 130(s1)
    fence
    sw zero, 0x50(s0)       # QueueNotify: receive
    lui t2, 1
    add t2, t2, s1
2:  lhu t0, 2(t2)           # the used ring's index
    bne t0, s4, 2b
    j 1b
3:  li a7, 8
    ecall

queue:                      # a0: which, a1: where, a2: flags of its only descriptor
    sw a0, 0x30(s0)         # QueueSel
    li t0, 8
    sw t0, 0x38(s0)         # QueueNum
    li t0, 4096
    sw t0, 0x3c(s0)         # QueueAlign
    srli t0, a1, 12
    sw t0, 0x40(s0)         # QueuePFN
    sd s3, (a1)
    slli a2, a2, 32
    addi a2, a2, 1
    sd a2, 8(a1)
    ret
"""


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_what_is_typed_comes_back_from_the_virtio_console(
    ekernel: Ekernel, program: Callable[[str], Path], fidelity: str
) -> None:
    bus = "virtio-serial-device,bus=virtio-mmio-bus.0"
    words = ["-device", bus, "-device", "virtconsole", "--fidelity", fidelity]
    result = ekernel("run", "-q", "--max-instructions", 5_000_000, program(ECHO), *words, typed="Hello, world.more")
    assert (result.stdout, result.stderr, result.returncode) == (">Hello, world.", "", 0)
