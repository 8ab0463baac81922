"""Compares as many random jumps in time as you like with straight runs: `python -m tests.emu.machine.history.jumps`.

A kernel lives once, with keys typed now and then. A second machine lives the same and never looks back; registers,
CSRs, memory, console and counts of both are compared after each jump of the first. Half of the jumps are followed by
steps back, by single steps, or by a run on.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

from emu.machine import Machine, MachineConfig, StopReason
from emu.machine.history.moment import Moment
from kernel.build import build
from kernel.profiles import PROFILES

RAM = 32 << 20
FIDELITIES = ("exact", "fast")
_CSRS = (
    "mstatus", "mepc", "mcause", "mtval", "mie", "mip", "sepc", "scause", "stval", "satp", "stvec", "sscratch",
    "stimecmp", "fcsr", "minstret", "mcycle",
)  # fmt: skip
_TYPED: Mapping[int, bytes] = {700_000: b"help\r", 790_000: b"he", 790_500: b"llo\r"}
_MOST = 1_700_000
"""Instructions of a life: the shell waits for keys for ever."""


def state(machine: Machine) -> tuple[object, ...]:
    """All that a user can tell two moments by."""
    hart = machine.hart
    return (
        machine.moment, int(hart.pc), hart.x[:], hart.f[:], hart.privilege, [hart.csr[name] for name in _CSRS],
        machine.time, machine.console, crc32(machine.memory.view(0x8000_0000, RAM)),
    )  # fmt: skip


def _machine(elf: Path, fidelity: str) -> Machine:
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=RAM))
    machine.load(elf)
    return machine


def _live(machine: Machine, end: int, typed: Mapping[int, bytes]) -> bool:
    """Run to a count of instructions, and type on the way; whether the guest got there."""
    begin = machine.instret
    for aim in [*(at for at in typed if begin <= at < end), end]:
        while machine.instret < aim:
            before = machine.instret
            reason = machine.run(aim - before).reason
            if reason is not StopReason.INSTRUCTION_LIMIT and machine.instret == before:
                return False
        if aim in typed and aim < end:
            machine.type_text(typed[aim])
    return True


def _lived(elf: Path, fidelity: str, aims: list[int]) -> dict[Moment, tuple[object, ...]]:
    """A straight life: how the machine was at these counts, and behind the next instruction or trap."""
    seen = {}
    with _machine(elf, fidelity) as machine:
        for aim in aims:
            assert _live(machine, aim, _TYPED), f"the guest ended before {aim:,} instructions"
            seen[machine.moment] = state(machine)
            if aim not in _TYPED:
                machine.step()
                seen[machine.moment] = state(machine)
    return seen


def jump(profile: str, fidelity: str, count: int, seed: int, folder: Path) -> int:
    """Make jumps through the life of a kernel; how many moments were compared. AssertionError for one that differs."""
    elf = build(PROFILES[profile], folder).elf
    source = random.Random(seed)
    with _machine(elf, fidelity) as machine:
        _live(machine, _MOST, _TYPED)
        end = machine.instret
        aims = sorted({source.randrange(1, end - 2) for _ in range(min(count, 1_500))})
        seen = _lived(elf, fidelity, aims)
        moments = sorted(seen)
        compared = 0
        for number in range(count):
            aim = source.choice(moments)
            where = f"{profile}, {fidelity}, seed {seed}, jump {number} to {aim}"
            machine.goto(aim)
            assert state(machine) == seen[aim], where
            compared += 1
            match source.randrange(6):
                case 0:
                    for _ in range(source.randrange(1, 4)):
                        machine.history.back()
                case 1:
                    machine.history.back()
                    machine.history.forward()
                    assert state(machine) == seen[aim], f"{where}, a step back and forth"
                    compared += 1
                case 2:
                    later = moments[min(moments.index(aim) + source.randrange(1, 4), len(moments) - 1)]
                    machine.run(later.instret - machine.instret)
                    if machine.moment in seen:
                        assert state(machine) == seen[machine.moment], f"{where}, and run on"
                        compared += 1
        return compared


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="jump in time, and compare with runs that never look back")
    parser.add_argument("--count", type=int, default=10_000, help="jumps, both fidelities together")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    profiles, began, made, compared = ("full", "shell", "step-by-step"), time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for seed, (profile, fidelity) in enumerate((p, f) for p in profiles for f in FIDELITIES):
            share = (options.count - made) // (len(profiles) * len(FIDELITIES) - seed)
            compared += jump(profile, fidelity, share, options.seed + seed, Path(folder, profile))
            made += share
            print(f"{made:,} jumps, {compared:,} moments compared, {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
