"""Watchpoints of Debian's gdb: each access stops it once, with the values before and behind it, as on QEMU."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from tests.emu.debug.gdb.conftest import Served

Gdb = Callable[..., str]
Serve = Callable[..., Served]

LOOP = """
    .globl _start, counter
_start:
    la s1, counter
    li s3, 11
again:
    li s2, 1
round:
    sw s2, 0(s1)
    sw s2, 4(s1)
    lw t0, 0(s1)
    addi s2, s2, 1
    bne s2, s3, round
    sw s2, 0(s1)
    sw zero, 0(s1)  # two stores in a row
    amoadd.w t0, s3, (s1)
    sw zero, 0(s1)
    j again
    .balign 8
counter: .word 0, 0
"""
WRITTEN = [*range(1, 12), 0, 11, 0]
"""What one round through the program writes to `counter`."""


@pytest.fixture(scope="module")
def loop(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loop")
    (folder / "loop.s").write_text(LOOP)
    options = (
        "-g",
        "-nostdlib",
        "-march=rv64ia_zicsr",
        "-mabi=lp64",
        "-mno-relax",
        "-Ttext=0x80000000",
        "-o",
        "loop.elf",
    )
    subprocess.run([oracle("riscv64-unknown-elf-gcc"), *options, "-o", "loop.elf", "loop.s"], cwd=folder, check=True)
    return folder / "loop.elf"


def watching(kind: str, times: int) -> list[str]:
    """Commands: so many accesses seen, beginning where the round begins."""
    return [
        "delete", "tbreak again", "continue", f"printf \"-- {kind}\\n\"", f"{kind} *(int *)&counter",
        *["continue", "printf \"at %lx\\n\", $pc"] * times,
    ]  # fmt: skip


SCRIPT = [
    *watching("watch", len(WRITTEN)),
    *watching("rwatch", 11),
    *watching("awatch", 24),
    "delete", "printf \"-- condition\\n\"", "watch *(int *)&counter if *(int *)&counter == 7",
    *["continue", "printf \"at %lx, round %d\\n\", $pc, $s2"] * 2,
    "delete", "printf \"-- software\\n\"", "set can-use-hw-watchpoints 0", "watch *(int *)&counter",
    *["continue", "printf \"at %lx\\n\", $pc"] * 3,
    "delete", "set can-use-hw-watchpoints 1", "printf \"-- end\\n\"",
]  # fmt: skip


def parts(shown: str) -> dict[str, str]:
    found = re.findall(r"^-- (\w+)\n(.*?)(?=^-- )", shown, re.DOTALL | re.MULTILINE)
    return {kind: re.sub(r"atchpoint \d+", "atchpoint", text) for kind, text in found}


def changes(text: str) -> list[tuple[int, int]]:
    """Old value and new value of each stop."""
    return [(int(old), int(new)) for old, new in re.findall(r"Old value = (\d+)\nNew value = (\d+)", text)]


@pytest.mark.slow
def test_every_access_stops_once_with_its_values_as_on_qemu(
    loop: Path, serve: Serve, gdb: Gdb, fidelity: str, oracle: Callable[[str], str]
) -> None:
    qemu = f"{oracle('qemu-system-riscv64')} -M virt -bios none -display none -serial none -monitor none -S -gdb stdio"
    theirs = parts(gdb(f"| {qemu} -kernel {loop}", loop, *SCRIPT, "kill"))
    machine = Machine(MachineConfig(fidelity=fidelity, firmware="none", ram_size=16 << 20))
    machine.load(loop)
    ours = parts(gdb(serve(machine, halted=True).port, loop, *SCRIPT, "kill"))
    assert changes(theirs["watch"]) == list(zip([0, *WRITTEN], WRITTEN, strict=False))
    assert theirs["rwatch"].count("Value = ") == 11
    assert ours == theirs


@pytest.mark.slow
def test_backwards_every_access_stops_once_in_the_other_order(
    loop: Path, serve: Serve, gdb: Gdb, fidelity: str
) -> None:
    machine = Machine(MachineConfig(fidelity=fidelity, firmware="none", ram_size=16 << 20))
    machine.load(loop)
    back = ["reverse-continue", 'printf "at %lx\\n", $pc']
    shown = gdb(
        serve(machine, halted=True).port, loop, "tbreak again", "continue", "tbreak again", "continue",
        "printf \"-- back\\n\"", "watch *(int *)&counter", *back * len(WRITTEN),
        "printf \"-- reads\\n\"", "delete", "tbreak again", "continue", "rwatch *(int *)&counter", *back * 11,
        "printf \"-- again\\n\"", "delete", "watch *(int *)&counter", *["continue", "reverse-continue"] * 2,
        "printf \"-- end\\n\"", "kill",
    )  # fmt: skip
    found = parts(shown)
    assert changes(found["back"]) == list(zip(WRITTEN[::-1], [*WRITTEN[-2::-1], 0], strict=True))
    assert found["reads"].count("Value = ") == 11
    assert changes(found["again"]) == [(1, 2), (2, 1)] * 2
