"""Loads and stores of each size and alignment to every device: what a guest gets, or that it traps, as on QEMU."""

import subprocess
from itertools import product

import pytest

from emu.firmware.image import Image
from emu.machine import Drive, Machine, MachineConfig, StopReason
from linker import link
from linker.assembler import assemble
from tests.guests import PRINT_DIGITS

SCRIPT = "ENTRY(_start) SECTIONS { . = 0x80000000; .text : { *(.text) } }"
PROGRAM = """
    la t0, trapped
    csrw mtvec, t0
    la s2, results
    {probes}
    la s1, results
print:
    ld a0, (s1)
    {print_digits}
    addi s1, s1, 8
    bltu s1, s2, print
    li t0, 0x100000
    li t1, 0x5555
    sw t1, (t0)
    j .
    .balign 4
trapped:
    csrr s0, mcause
    addi s0, s0, 0x700      # instead of a value
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
    .balign 8
results:
"""
LOADS = {1: "lbu", 2: "lhu", 4: "lwu", 8: "ld"}
STORES = {1: "sb", 2: "sh", 4: "sw", 8: "sd"}
PLACES = {
    "finisher": [0x10_0000, 0x10_0004],
    "rtc": [0x10_1008, 0x10_1010, 0x10_1018, 0x10_1020, 0x10_1800],
    "clint": [0x200_0000, 0x200_0004, 0x200_4008, 0x200_400C, 0x200_8000, 0x200_C000, 0x200_FFF8],
    "plic": [0xC00_0000, 0xC00_0004, 0xC00_1000, 0xC00_2000, 0xC20_0000, 0xC20_0004, 0xC20_1004, 0xC20_2000],
    "uart": [*range(0x1000_0000, 0x1000_0009), 0x1000_00F8],
    "disk": [0x1000_1000, 0x1000_1004, 0x1000_1030, 0x1000_1070, 0x1000_1100, 0x1000_1101, 0x1000_1114],
}
"""Physical addresses of registers that time does not change, and of holes between them. Not here: mtimecmp, which is
0 at the start on QEMU."""


SENDS = 0x1000_0000
"""A store to the UART's first register would be seen on the console."""
PROBE = """
    li s0, 0
    li t1, {}
    .option push
    .option norvc
    {}
    .option pop
"""
"""The address is in t1; what a load finds, or a trap's cause, is in s0."""


def run_both(oracle, tmp_path, lines, legacy):
    """What each probe found on ours and on QEMU."""
    text = "\n".join(f"{line}\n sd s0, (s2)\n addi s2, s2, 8" for line in lines)
    code = assemble(
        f".text\n.globl _start\n_start:\n{PROGRAM.format(print_digits=PRINT_DIGITS, probes=text)}\n", name="accesses.s"
    )
    program, disk = tmp_path / "accesses.elf", tmp_path / "disk.img"
    program.write_bytes(link([code], script=SCRIPT).elf)
    disk.write_bytes(bytes(4096))
    machine = Machine(
        MachineConfig(
            ram_size=16 << 20,
            firmware="none",
            drives=(Drive(path=disk, read_only=True, slot=0),),
            virtio_version=1 if legacy else 2,
        )
    )
    machine.load(Image.open(program))
    assert machine.run(max_instructions=5_000_000).reason is StopReason.POWERED_OFF
    command = [
        oracle("qemu-system-riscv64"), "-M", "virt", "-m", "16M", "-nographic", "-monitor", "none", "-bios", program,
        "-drive", f"file={disk},format=raw,if=none,id=x,readonly=on",
        "-device", "virtio-blk-device,drive=x,bus=virtio-mmio-bus.0",
        "-global", f"virtio-mmio.force-legacy={'on' if legacy else 'off'}",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    return tuple(output.split()[-len(lines) :] for output in (machine.console, result.stdout))


@pytest.mark.parametrize(("device", "legacy"), [*product(PLACES, [True]), ("disk", False)])
@pytest.mark.parametrize("direction", ["loads", "stores"])
def test_each_size_gives_what_it_gives_on_qemu(oracle, tmp_path, device, direction, legacy):
    table, operand = (LOADS, "s0, (t1)") if direction == "loads" else (STORES, "zero, (t1)")
    tried = [
        (hex(place), f"{table[size]} {operand}")
        for place, size in product(PLACES[device], table)
        if place % size == 0 and (place, direction) != (SENDS, "stores")
    ]
    mine, theirs = run_both(oracle, tmp_path, [PROBE.format(*access) for access in tried], legacy)
    assert {access: (one, other) for access, one, other in zip(tried, mine, theirs, strict=True) if one != other} == {}


def test_a_refused_access_traps_with_its_address(oracle, tmp_path):
    places = [("0x10000008", "lb"), ("0xc000000", "ld"), ("0xc000000", "sb"), ("0x101800", "sw")]
    lines = [PROBE.format(place, f"{name} zero, (t1)\n csrr s0, mtval") for place, name in places]
    mine, theirs = run_both(oracle, tmp_path, lines, legacy=True)
    assert mine == theirs
    assert [int(word.translate(DIGITS), 16) for word in mine] == [int(place, 16) for place, _ in places]


DIGITS = bytes.maketrans(b":;<=>?", b"abcdef")
