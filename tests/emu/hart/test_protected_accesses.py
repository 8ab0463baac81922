"""Random PMP entries: each access is allowed or refused as the manual says, and as QEMU does."""

import random
import subprocess
from dataclasses import dataclass

import pytest

from emu.isa.privilege import Access
from emu.machine import Machine, MachineConfig, StopReason
from emu.mmu.pmp import LOCKED, NA4, NAPOT, TOR, allows, decode

AREA = 0x8010_0000
PAGE = 4096
TO_M, TO_S, TO_U = 0x1800, 0x0800, 0
MPRV = 1 << 17
KINDS = ("lb", "lh", "lw", "ld", "sb", "sh", "sw", "sd", "amoor.w", "lr.d", "jr")
SIZES = {"b": 1, "h": 2, "w": 4, "d": 8, "r": 4}

PROBER = """
    la t0, next
    csrw mtvec, t0
    li t0, {area}           # ecalls, as data and as code
    li t1, {area} + 4 * 4096
    li t2, 0x73
1:  sw t2, (t0)
    addi t0, t0, 4
    bltu t0, t1, 1b
    li t0, -1               # behind all others: everything else is open
    csrw pmpaddr15, t0
    li t0, 0x1f << 56
    csrw pmpcfg2, t0
    {entries}
    la s0, probes
    ecall
    .balign 4
next:
    csrr a0, mcause
    csrr s3, mtval
    li t0, {mprv}
    csrc mstatus, t0
    jal hex
    mv a0, s3
    jal hex
    li t0, 0x10000000
    li t1, 10
    sb t1, (t0)
    ld t0, 0(s0)
    beqz t0, off
    csrw mepc, t0
    ld a0, 8(s0)
    li t0, {mprv} | 0x1800
    csrc mstatus, t0
    ld t0, 16(s0)
    addi s0, s0, 24
    li a1, 0x73             # what a store stores is there already
    slli a2, a1, 32
    or a1, a1, a2
    andi a2, a0, 3
    slli a2, a2, 3
    srl a1, a1, a2
    csrs mstatus, t0        # last, because MPRV decides what M mode itself may load
    mret
off:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, (t0)
    j .
hex:
    li t0, 0x10000000
    li t1, 60
1:  srl t2, a0, t1
    andi t2, t2, 15
    addi t2, t2, '0'
    sb t2, (t0)             # 10 to 15 become : to ?
    addi t1, t1, -4
    bgez t1, 1b
    ret
routines:
    {routines}
    .balign 8
probes:
    {probes}
    .dword 0
"""


@dataclass(frozen=True)
class Probe:
    """One access: what, where, and `mstatus` bits that say with which privilege."""

    kind: str
    address: int
    status: int

    @property
    def privilege(self) -> int:
        """The effective one: with MPRV that of MPP, which `mret` to M mode has made U."""
        return 0 if self.status & MPRV else self.status >> 11 & 3

    @property
    def fault(self) -> int:
        return {"l": 5, "s": 7, "a": 7, "j": 1}[self.kind[0]]

    @property
    def access(self) -> Access:
        return {5: Access.LOAD, 7: Access.STORE, 1: Access.FETCH}[self.fault]


def prober(entries, probes):
    routines = []
    for kind in KINDS:
        operands = "a0" if kind == "jr" else "a1, a1, (a0)" if kind[0] == "a" else "a1, (a0)"
        routines.append(f"do_{kind.replace('.', '_')}: {kind} {operands}\n ecall\n")
    settings = []
    for index, (config, address) in enumerate(entries):
        settings.append(f"li t0, {address}\n csrw pmpaddr{index}, t0\n li t0, {config} << {index % 8 * 8}\n")
    for index, (_config, _address) in enumerate(entries):
        # One after the other: a lock would keep the next entry's address from being written.
        settings[index] += f"csrs pmpcfg{index // 8 * 2}, t0\n"
    table = "\n".join(f".dword do_{p.kind.replace('.', '_')}, {p.address}, {p.status}" for p in probes)
    return PROBER.format(
        area=AREA, mprv=MPRV, entries="\n".join(settings), routines="\n".join(routines), probes=table
    )  # fmt: skip


def run(build, source, **config):
    machine = Machine(MachineConfig(ram_size=16 << 20, firmware="none", **config))
    machine.load(build(source, 0x8000_0000))
    assert machine.run(max_instructions=3_000_000).reason is StopReason.POWERED_OFF
    return machine.console.split(b"\n")[1:-1]


def line(cause, tval):
    return f"{cause:016x}{tval:016x}".translate({ord("a") + n: ord(":") + n for n in range(6)}).encode()


def expected(entries, probes):
    """What the manual says of each probe."""
    padding = [(0, 0)] * (15 - len(entries))
    configs, addresses = zip(*entries, *padding, (0x1F, (1 << 54) - 1), strict=True)
    regions = decode(configs, addresses)
    lines = []
    for probe in probes:
        size = SIZES[probe.kind[-1]]
        units = [(0, 2), (2, 2)] if probe.kind == "jr" else [(0, size)]
        refused = [
            offset for offset, length in units
            if not allows(regions, probe.address + offset, length, probe.access, probe.privilege)
        ]  # fmt: skip
        calls = {0: 8, 1: 9, 3: 11}[3 if probe.status & MPRV else probe.privilege]
        lines.append(line(probe.fault, probe.address + refused[0]) if refused else line(calls, 0))
    return lines


def random_case(seed, *, bytes_matter):
    rng = random.Random(seed)
    grain = 4 if bytes_matter else PAGE
    entries = [(0, AREA >> 2)]  # no range begins below
    for _ in range(rng.randint(1, 6)):
        config = rng.choice((0, 1, 3, 4, 5, 7)) | rng.choice((0, TOR, NAPOT, NA4 if bytes_matter else TOR)) << 3
        place = AREA + rng.randrange(0, 4 * PAGE, grain)
        address = place >> 2
        if config >> 3 & 3 == NAPOT:
            bits = rng.randint(3 if bytes_matter else 12, 14)
            address = (place & -(1 << bits)) >> 2 | (1 << (bits - 3)) - 1
        entries.append((config | rng.choice((0, 0, LOCKED)), address))
    probes = []
    for _ in range(60):
        kind = rng.choice(KINDS)
        size = SIZES[kind[-1]]
        place = AREA + rng.randrange(0, 4 * PAGE, size)
        if bytes_matter and rng.random() < 0.8:  # near an edge
            edge = rng.choice(entries)[1] << 2
            place = edge + rng.randrange(-16, 17, size)
        place = min(max(place & -size, AREA), AREA + 4 * PAGE - 8)
        status = rng.choice((TO_M, TO_S, TO_U))
        if kind != "jr" and status == TO_M and rng.random() < 0.5:
            status |= MPRV
        probes.append(Probe(kind, place, status))
    return entries, probes


@pytest.mark.parametrize("seed", range(8))
def test_every_access_is_allowed_or_refused_to_the_byte(build, seed):
    entries, probes = random_case(seed, bytes_matter=True)
    assert run(build, prober(entries, probes)) == expected(entries, probes)


@pytest.mark.parametrize("seed", range(4))
def test_regions_of_whole_pages(build, seed):
    entries, probes = random_case(seed, bytes_matter=False)
    assert run(build, prober(entries, probes)) == expected(entries, probes)


@pytest.mark.parametrize("seed", range(6))
def test_qemu_allows_and_refuses_the_same(build, oracle, tmp_path, seed):
    entries, probes = random_case(seed, bytes_matter=seed >= 3)
    # With one hart, QEMU carries AMOs out as a load and a store, and reports a refused one as a load.
    probes = [probe for probe in probes if not probe.kind.startswith("amo")]
    image = build(prober(entries, probes), 0x8000_0000)
    raw = tmp_path / "prober.bin"
    (segment,) = image.segments
    raw.write_bytes(segment.data)
    command = [oracle("qemu-system-riscv64"), "-M", "virt", "-m", "16M", "-nographic", "-bios", raw]
    result = subprocess.run(command, capture_output=True, timeout=20, check=True, stdin=subprocess.DEVNULL)
    assert run(build, prober(entries, probes)) == result.stdout.split(b"\n")[1:-1]
