"""The console's registers answer the same whether somebody is told of each access, or nobody, or now and then."""

import random

import pytest

from emu.events import ConsoleOutput, MmioAccess
from emu.machine import Machine, MachineConfig, StopReason

UART = 0x1000_0000
RESULTS = 0x8020_1000


def program(seed: int) -> str:
    """Accesses to the UART's registers, most of them THR and LSR, whose answers are added up and kept."""
    rng = random.Random(seed)
    lines = [f"li s0, {UART:#x}", f"li s1, {RESULTS:#x}", "li s2, 0"]
    for _ in range(120):
        offset = rng.choice((0, 0, 0, 5, 5, 5, 1, 2, 3, 4, 6, 7))
        if rng.random() < (0.8 if offset == 0 else 0.2):
            # IER, FCR, LCR and MCR are mostly as a console that is polled has them.
            value = rng.choice((0, rng.randrange(256))) if offset in (1, 3, 4) else rng.randrange(256)
            lines += [f"li t0, {value}", f"{rng.choice(('sb', 'sw')) if offset in (0, 4) else 'sb'} t0, {offset}(s0)"]
        else:
            lines += [f"lbu t1, {offset}(s0)", "add s2, s2, t1", "sb t1, (s1)", "addi s1, s1, 1"]
        lines += ["nop"] * rng.randrange(3)
    for _ in range(40):  # who looks for input again and again without any is noticed
        lines += ["lbu t1, 5(s0)", "sb t1, (s1)", "addi s1, s1, 1"]
    lines += [
        "sb zero, 3(s0)",
        "li t0, 2",
        "sb t0, 1(s0)",
        "sb zero, 1(s0)",
        "sb t0, (s0)",
    ]  # the holding register is empty
    return "\n".join([*lines, "li a7, 8", "ecall"])


def lived(machine: Machine, told: str, step: int) -> tuple[object, list[ConsoleOutput]]:
    """All that can be seen between the steps of a run and after it; and what was told of the console."""
    heard: list[ConsoleOutput] = []
    steps: list[object] = []
    if told == "of accesses":
        machine.on(MmioAccess, lambda event: None)
    for number in range(10_000):
        listening = (
            machine.on(ConsoleOutput, heard.append) if told == "always" or (told == "at times" and number % 2) else None
        )
        if number % 8 == 5:
            machine.type_text(b"typed")
        outcome = machine.run(step)
        steps.append((outcome.reason, machine.instret, machine.hart.pc, machine.hart.x["s2"], machine.console))
        if listening is not None:
            listening.cancel()
        if outcome.reason is StopReason.POWERED_OFF:
            break
    return (steps, machine.memory.read(RESULTS, 256), machine.platform.board.uart.save()), heard


@pytest.mark.parametrize("seed", range(6))
def test_the_same_is_read_and_written_whoever_is_told(fidelity, build, seed):
    lives, told = [], {}
    for way in ("always", "never", "at times", "of accesses"):
        with Machine(MachineConfig(ram_size=4 << 20, fidelity=fidelity)) as machine:
            machine.load(build(program(seed)))
            life, told[way] = lived(machine, way, step=47 + seed)
            console = machine.console
        lives.append(life)
    assert lives[1:] == lives[:1] * 3
    assert console
    assert b"".join(event.data for event in told["always"]) == console
    assert told["at times"] == [event for event in told["always"] if event in told["at times"]] != told["always"]
