"""Both fidelities live through the same: every trap at the same instruction with the same values, and the console.

Each is the other's test. Slices of whatever length change nothing either.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from emu.events import TrapTaken
from emu.machine import Machine, MachineConfig, StopReason
from emu.machine.config import Drive
from kernel.build import PROFILES, BuiltKernel

pytestmark = pytest.mark.slow

Build = Callable[..., BuiltKernel]
LIMIT = 100_000_000
TIGHT = {"disk": 5 << 20, "ram": 6656 << 10}
"""RAM in which `large` has to share its frames, and a store in RAM still fits."""


@dataclass(frozen=True)
class Life:
    traps: list[tuple[int, int, bool, int, int]]
    """instret, cause, interrupt, epc, stval."""
    console: str
    instret: int
    exit_code: int


def life(
    kernel: BuiltKernel,
    typed: str,
    fidelity: str,
    *,
    ram: int,
    disk: Path | None = None,
    lengths: Callable[[], int] = lambda: LIMIT,
) -> Life:
    drives = (Drive(path=disk, snapshot=True),) if disk else ()
    machine = Machine(MachineConfig(ram_size=ram, fidelity=fidelity, drives=drives))
    machine.load(kernel.elf)
    machine.type_text(typed.encode())
    traps: list[tuple[int, int, bool, int, int]] = []

    def note(trap: TrapTaken) -> None:
        traps.append((trap.instret, trap.cause, trap.interrupt, int(trap.pc), trap.tval))

    machine.on(TrapTaken, note)
    while (outcome := machine.run(lengths())).reason is StopReason.INSTRUCTION_LIMIT:
        assert machine.instret < LIMIT, machine.console.decode()
    assert outcome.reason is StopReason.POWERED_OFF, outcome
    return Life(traps, machine.console.decode(), machine.instret, outcome.exit_code)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "swap.img"
    path.write_bytes(bytes(4 << 20))
    return path


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_lives_the_same_life_in_both_fidelities(kernel_of: Build, name: str) -> None:
    kernel = kernel_of(name)
    exact, fast = (
        life(kernel, kernel.profile.typed, fidelity, ram=kernel.profile.ram_size) for fidelity in ("exact", "fast")
    )
    assert exact.console == kernel.expected_console()
    assert exact == fast


@pytest.mark.parametrize("store", ["disk", "ram"])
@pytest.mark.parametrize("policy", ["fifo", "clock", "lru"])
def test_every_replacement_policy_lives_the_same_life_in_both_fidelities(
    kernel_of: Build, disk: Path, policy: str, store: str
) -> None:
    kernel = kernel_of("shell", replacement=policy, store=store)
    exact, fast = (
        life(kernel, "large\rmemory\rexit\r", fidelity, ram=TIGHT[store], disk=disk) for fidelity in ("exact", "fast")
    )
    assert "large: 512 pages, written and read twice\n" in exact.console
    assert len(exact.traps) > 2000
    assert exact == fast


@pytest.mark.slow
@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_slices_of_any_length_change_nothing(kernel_of: Build, disk: Path, fidelity: str) -> None:
    kernel = kernel_of("shell", replacement="fifo", store="disk")
    whole = life(kernel, "large\rexit\r", fidelity, ram=TIGHT["disk"], disk=disk)
    for seed in range(2):
        lengths = random.Random(seed)
        sliced = life(
            kernel,
            "large\rexit\r",
            fidelity,
            ram=TIGHT["disk"],
            disk=disk,
            lengths=lambda lengths=lengths: lengths.randrange(1, 20_000),
        )
        assert sliced == whole
