"""Every instruction of F and D with hundreds of operands, in every rounding mode: all bits and flags as on QEMU."""

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig, StopReason
from tests.emu.isa.float_cases import BOX, MODES, NUMBERS, QUIET, SIGNALLING
from tests.emu.isa.test_floating_point_traps import OPERANDS, ROWS, written

BASE = 0x8000_0000
FLOATS = {"frd": "fa0", "frs1": "fa1", "frs2": "fa2", "frs3": "fa3"}
ALIASED = {"frd": "fa1", "frs1": "fa1", "frs2": "fa1", "frs3": "fa3", "rd": "a1", "rs1": "a1"}
"""The destination and two sources in one register: the core translates some instructions differently then."""
OPERAND_SETS = 600
RESERVED = (5, 6, 7)

COMMON = """
    .macro hash register
    xor s2, s2, \\register
    mul s2, s2, s7
    srli t6, s2, 29
    xor s2, s2, t6
    .endm
    li s7, 0x9e3779b97f4a7c15
    la t0, trap
    csrw mtvec, t0
    li t0, 0x2000           # FS
    csrs mstatus, t0
    j program
off:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, (t0)
    j .
print:
    li t0, 0x10000000
    li t1, 60
3:  srl t2, s2, t1
    andi t2, t2, 15
    addi t2, t2, 48
    sb t2, (t0)
    addi t1, t1, -4
    bgez t1, 3b
    li t2, 10
    sb t2, (t0)
    ret
    .balign 4
trap:                       # of an illegal instruction, which has changed nothing
    csrr t6, mcause
    xor s2, s2, t6
    csrr t6, mepc
    addi t6, t6, 4
    csrw mepc, t6
    mret
program:
"""
PROGRAM = """
    la s0, entries
1:  ld s3, 0(s0)            # the instruction, the rounding mode, how many sets of operands
    beqz s3, 9f
    ld s4, 8(s0)
    ld s5, 16(s0)
    la s6, operands
    li s2, 0
2:  fld fa0, 0(s6)
    fld fa1, 8(s6)
    fld fa2, 16(s6)
    fld fa3, 24(s6)
    ld a0, 32(s6)
    ld a1, 40(s6)
    csrw fcsr, s4
    jalr s3
    frflags t0
    fsd fa0, scratch, t1
    ld t1, scratch
    fmv.x.d t2, fa1
    fmv.x.d t3, fa2
    .irp register, t0, t1, t2, t3, a0, a1
    hash \\register
    .endr
    {each}
    addi s6, s6, 48
    addi s5, s5, -1
    bnez s5, 2b
    {all}
    addi s0, s0, 24
    j 1b
9:  j off
    .balign 8
scratch: .dword 0
"""


@dataclass(frozen=True)
class Entry:
    """One instruction in one rounding mode."""

    instruction: str
    frm: int
    sets: int

    def __str__(self) -> str:
        return f"{self.instruction} with frm {self.frm}"


def _entries() -> list[Entry]:
    found = []
    for row in ROWS:
        if "(" in row.signature:
            continue
        for registers in (FLOATS, ALIASED):
            if row.signature.endswith(" rm"):
                static = (written(row, OPERANDS | registers | {"rm": mode}) for mode in MODES)
                found += [Entry(instruction, 0, OPERAND_SETS) for instruction in static]
                instruction = written(row, OPERANDS | registers)
                found += [Entry(instruction, frm, OPERAND_SETS // 4) for frm in MODES.values()]
                found += [Entry(instruction, frm, 10) for frm in RESERVED]
            else:
                found.append(Entry(written(row, OPERANDS | registers), 0, OPERAND_SETS))
    return found


def _single(choose: random.Random) -> int:
    kind = choose.randrange(6)
    if kind == 0:
        return choose.choice((*NUMBERS["s"], *QUIET["s"], *SIGNALLING["s"]))
    if kind == 1:
        return choose.getrandbits(32)
    if kind == 2:  # subnormal
        return choose.getrandbits(1) << 31 | choose.getrandbits(choose.randrange(1, 24))
    if kind == 3:  # a whole number, or one with few bits behind the point
        return choose.getrandbits(1) << 31 | choose.randrange(120, 160) << 23 | choose.getrandbits(8) << 15
    return choose.getrandbits(1) << 31 | choose.randrange(110, 145) << 23 | choose.getrandbits(23)


def _register(choose: random.Random) -> int:
    kind = choose.randrange(12)
    if kind < 5:
        return BOX | _single(choose)
    if kind == 5:  # not boxed
        return choose.choice((0, 1, 0x7FFF_FFFF, 0xFFFF_FFFE, choose.getrandbits(32))) << 32 | _single(choose)
    if kind == 6:
        return choose.choice((*NUMBERS["d"], *QUIET["d"], *SIGNALLING["d"]))
    if kind == 7:
        return choose.getrandbits(64)
    if kind == 8:
        return choose.getrandbits(1) << 63 | choose.getrandbits(choose.randrange(1, 53))
    if kind == 9:
        return choose.getrandbits(1) << 63 | choose.randrange(1010, 1090) << 52 | choose.getrandbits(10) << 42
    return choose.getrandbits(1) << 63 | choose.randrange(1000, 1060) << 52 | choose.getrandbits(52)


def _integer(choose: random.Random) -> int:
    return choose.choice((choose.getrandbits(64), choose.getrandbits(choose.randrange(1, 65)), -1 << 31, 1 << 63, 0))


def _operands(seed: int) -> list[tuple[int, ...]]:
    choose = random.Random(seed)
    return [
        (*(_register(choose) for _ in range(4)), *(_integer(choose) & (1 << 64) - 1 for _ in range(2)))
        for _ in range(OPERAND_SETS)
    ]


def _program(entries: list[Entry], operands: list[tuple[int, ...]], *, details: bool = False) -> str:
    lines = [
        COMMON + PROGRAM.format(each="call print\n li s2, 0" if details else "", all="" if details else "call print")
    ]
    places = {entry.instruction: number for number, entry in enumerate(entries)}
    lines += [f"i{number}: {instruction}\n ret" for instruction, number in places.items()]
    lines.append(".balign 8\nentries:")
    lines += [f".dword i{places[entry.instruction]}, {entry.frm << 5}, {entry.sets}" for entry in entries]
    lines.append(".dword 0\noperands:")
    lines += [".dword " + ", ".join(map(hex, values)) for values in operands]
    return "\n".join(lines)


def _on_qemu(qemu: str, image: Image, path: Path) -> list[bytes]:
    (segment,) = image.segments
    path.write_bytes(segment.data)
    command = [qemu, "-M", "virt", "-m", "16M", "-nographic", "-bios", str(path)]
    return subprocess.run(
        command, capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL
    ).stdout.splitlines()


def _here(image: Image, fidelity: str) -> list[bytes]:
    machine = Machine(MachineConfig(fidelity=fidelity, firmware="none", ram_size=16 << 20))
    machine.load(image)
    assert machine.run(max_instructions=200_000_000).reason is StopReason.POWERED_OFF
    return machine.console.splitlines()


def test_every_result_and_flag_is_qemus(
    build: Callable[..., Image], oracle: Callable[[str], str], fidelity: str, tmp_path: Path
) -> None:
    qemu, entries, operands = oracle("qemu-system-riscv64"), _entries(), _operands(2)
    image = build(_program(entries, operands), BASE)
    ours, theirs = _here(image, fidelity), _on_qemu(qemu, image, tmp_path / "floats.bin")
    assert len(theirs) == len(entries)
    wrong = []
    for entry, our, their in zip(entries, ours, theirs, strict=True):
        if our == their:
            continue
        image = build(_program([entry], operands, details=True), BASE)
        results = zip(operands, _here(image, fidelity), _on_qemu(qemu, image, tmp_path / "one.bin"), strict=False)
        values = next(values for values, one, other in results if one != other)
        wrong.append(f"{entry}: fa0..fa3, a0, a1 = {', '.join(map(hex, values))}")
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:10])


SEGMENTS, LENGTH, ROUNDS = 40, 25, 6


def _sequence(choose: random.Random) -> str:
    """Segments of any instructions, each executed some times; then all that they may have changed is printed."""
    rows = [row for row in ROWS if "(" not in row.signature]
    lines = [COMMON, "li s2, 0"]
    lines += [
        f"li t0, {_register(choose):#x}\n fmv.d.x fa{number}, t0\n li a{number}, {_integer(choose)}"
        for number in range(8)
    ]
    for segment in range(SEGMENTS):
        lines.append(f"li s8, {ROUNDS}\n 1:")
        for _ in range(LENGTH):
            names = {name: f"{'f' if name[0] == 'f' else ''}a{choose.randrange(8)}" for name in OPERANDS}
            rounding = {"rm": choose.choice((*MODES, "dyn", "dyn")), "rm0": "rne"}
            lines.append(written(choose.choice(rows), names | rounding))
            if choose.random() < 0.1:
                lines.append(f"fsrmi {choose.randrange(8 if choose.random() < 0.1 else 5)}")
            if choose.random() < 0.1:
                lines.append(
                    f"andi t0, a{choose.randrange(8)}, 1\n beqz t0, 2f\n {written(rows[0], names | rounding)}\n 2:"
                )
            if choose.random() < 0.2:
                lines.append(f"li t0, {_register(choose):#x}\n fmv.d.x fa{choose.randrange(8)}, t0")
        lines.append("addi s8, s8, -1\n bnez s8, 1b")
        lines += [f"fmv.x.d t0, fa{number}\n hash t0\n hash a{number}" for number in range(8)]
        lines.append(f"csrr t0, fcsr\n hash t0\n call print\n fsrmi {segment % 5}")
    return "\n".join((*lines, "j off"))


def test_sequences_of_instructions_end_as_on_qemu(
    build: Callable[..., Image], oracle: Callable[[str], str], fidelity: str, tmp_path: Path
) -> None:
    qemu = oracle("qemu-system-riscv64")
    for seed in range(6):
        image = build(_sequence(random.Random(seed)), BASE)
        theirs = _on_qemu(qemu, image, tmp_path / "sequence.bin")
        assert len(theirs) == SEGMENTS
        assert _here(image, fidelity) == theirs
