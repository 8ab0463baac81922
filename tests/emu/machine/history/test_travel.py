"""Time as a place to go to: each moment is as it was when it was lived, with all that had come from outside."""

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pytest

from emu.errors import ConfigError
from emu.events import ConsoleOutput
from emu.machine import Drive, Machine, StopReason
from emu.machine.history.checkpoints import Checkpoints
from emu.machine.history.moment import Moment
from tests.emu.machine.history.jumps import jump

Boot = Callable[..., Machine]

ECHO = """
 la t0, handler
 csrw stvec, t0
 la s1, place
 li s2, 24
 call later
 li t0, 32
 csrs sie, t0
 csrsi sstatus, 2
1: li a7, 2
 ecall                  # getchar: -1 when nothing was typed
 bltz a0, 2f
 add s3, s3, a0
 li a7, 1
 ecall
2: ld t0, (s1)
 add t0, t0, s3
 addi t0, t0, 1
 sd t0, (s1)
 .word 0
 .globl around
around: addi s2, s2, -1
 bnez s2, 1b
 li a7, 8
 ecall
later: rdtime t5
 addi t5, t5, 9
 csrw 0x14d, t5         # stimecmp
 ret
 .balign 4
handler: csrr t6, scause
 bltz t6, 3f
 csrr t6, sepc
 addi t6, t6, 4
 csrw sepc, t6
 addi s5, s5, 1
 sret
3: addi s4, s4, 1
 mv t4, ra
 call later
 mv ra, t4
 sret
 .balign 8
 .globl place
place: .dword 0
"""
"""Polls the console, counts in memory, takes an exception in each round and a timer interrupt every 90 instructions."""


def state(machine: Machine, size: int = 1 << 16) -> tuple[object, ...]:
    csr = machine.hart.csr
    return (
        machine.moment, int(machine.hart.pc), machine.hart.x[:], machine.hart.privilege, csr["mstatus"], csr["sepc"],
        csr["scause"], csr["stimecmp"], machine.time, machine.console, crc32(machine.memory.read(0x8020_0000, size)),
    )  # fmt: skip


def lived(machine: Machine, *, typed: dict[int, bytes]) -> dict[Moment, tuple[object, ...]]:
    """Run to the end one step at a time, and type at some; every moment, and how the machine was then."""
    seen = {}
    while True:
        if machine.instret in typed:
            machine.type_text(typed.pop(machine.instret))
        seen[machine.moment] = state(machine)
        if machine.run(1).reason not in (StopReason.INSTRUCTION_LIMIT, StopReason.WANTS_INPUT):
            seen[machine.moment] = state(machine)
            return seen


def test_a_walk_in_time_meets_what_was_lived(boot: Boot) -> None:
    machine = boot(ECHO, ram_size=4 << 20)
    seen = lived(machine, typed={100: b"ab", 200: b"c", 201: b"d"})
    moments, source = list(seen), random.Random(5)
    assert len({moment.traps for moment in moments}) > 20
    for _ in range(30):
        aim = source.choice(moments)
        machine.goto(aim)
        assert state(machine) == seen[aim]
    machine.goto(moments[-1])
    assert machine.run().reason is StopReason.POWERED_OFF
    assert machine.console == b"abcd"


def test_each_step_back_undoes_one_instruction_or_one_trap(boot: Boot) -> None:
    machine = boot(ECHO, ram_size=4 << 20)
    machine.run(150)
    steps = [state(machine)]
    for _ in range(30):
        machine.history.forward()
        steps.append(state(machine))
    assert any(before[0][0] == after[0][0] for before, after in pairwise(steps))  # type: ignore[index]
    for step in reversed(steps[:-1]):
        assert machine.history.back()
        assert state(machine) == step
    machine.goto(0)
    assert not machine.history.back()


def test_what_python_changed_is_there_again(boot: Boot) -> None:
    machine = boot(ECHO, ram_size=4 << 20)
    place = machine.address_of("place")
    machine.run(120)
    machine.hart.x["s4"] = 1000
    machine.hart.csr["sscratch"] = 77
    machine.memory.write_int(place, 8, 1 << 40)
    machine.run(50)
    machine.call("later")
    machine.reset()
    machine.run(200)
    then = state(machine)
    machine.goto(110)
    assert machine.memory.read_int(place, 8) < 1 << 40
    machine.goto(130)
    assert machine.hart.x["s4"] >= 1000
    assert machine.memory.read_int(place, 8) >= 1 << 40
    machine.goto(then[0])  # type: ignore[arg-type]
    assert state(machine) == then


def test_a_change_in_the_past_begins_another_future(boot: Boot) -> None:
    machine = boot(ECHO, ram_size=4 << 20)
    machine.run(200)
    machine.type_text(b"later")
    machine.run(150)
    machine.goto(150)
    machine.hart.x["s2"] = 1
    assert machine.run().reason is StopReason.POWERED_OFF
    assert machine.console == b""
    with pytest.raises(ConfigError, match=f"from 0 to {machine.instret:,}"):
        machine.goto(300)


def test_a_past_that_is_lived_again_gets_what_it_got(boot: Boot) -> None:
    """The listener types again, too; that is what the history has already."""
    machine = boot(ECHO, ram_size=4 << 20)
    machine.type_text(b"a")
    shown: list[bytes] = []

    def answer(event: ConsoleOutput) -> None:
        shown.append(event.data)
        if len(machine.console) < 4:
            machine.type_text(b"z")

    machine.on(ConsoleOutput, answer)
    machine.run()
    end = state(machine)
    machine.goto(5)
    assert len(shown) == 4
    machine.run()
    assert state(machine) == end
    assert shown == [b"a", b"z", b"z", b"z"] * 2


def test_the_last_time_at_an_address_is_found_backwards(boot: Boot) -> None:
    machine = boot(ECHO, ram_size=4 << 20)
    passed: list[Moment] = []
    with machine.watch("around", lambda: passed.append(machine.moment)):
        machine.run()
    for expected in reversed(passed):
        assert machine.reverse_until("around") == expected == machine.moment
        assert int(machine.hart.pc) == machine.address_of("around")
    assert machine.reverse_until("around") is None
    assert machine.moment == passed[0]


def test_another_moment_can_be_visited(boot: Boot) -> None:
    machine = boot(ECHO, ram_size=4 << 20)
    machine.run(250)
    here = state(machine)
    with machine.at(100):
        assert machine.instret == 100
    assert state(machine) == here


def test_history_begins_where_a_snapshot_was_returned_to(boot: Boot) -> None:
    machine = boot(ECHO, ram_size=4 << 20)
    machine.run(100)
    snapshot = machine.snapshot()
    machine.run(100)
    machine.goto(50)
    machine.restore(snapshot)
    machine.run(77)
    there = state(machine)
    machine.goto(120)
    machine.goto(177)
    assert state(machine) == there
    with pytest.raises(ConfigError, match="from 100 to 177"):
        machine.goto(50)


def test_machines_whose_past_is_gone_say_so(boot: Boot, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(4096))
    for options, reason in (
        ({"clock": "host"}, "host's clock"),
        ({"drives": (Drive(path=disk),)}, "snapshot=on"),
    ):
        with boot("li a7, 8\n ecall", **options) as machine:
            machine.run()
            with pytest.raises(ConfigError, match=reason):
                machine.goto(0)


@pytest.mark.parametrize("cost", [0.0005, 0.015, 0.1])
def test_checkpoints_take_three_percent_of_the_time_from_the_first_on(
    monkeypatch: pytest.MonkeyPatch, cost: float
) -> None:
    now, speed = 0.0, 30e6
    monkeypatch.setattr("emu.machine.history.checkpoints.time.process_time", lambda: now)
    checkpoints, taken = Checkpoints(), 0.0
    for number in range(40):
        checkpoints.began()
        ran = checkpoints.interval
        now += ran / speed + cost
        assert not number or 2 * taken <= 0.03 * now  # the pages that are copied later cost as much again
        checkpoints.took(cost, ran)
        taken += cost
    assert 0.01 * now < taken


@pytest.mark.slow
def test_a_long_walk_through_the_life_of_a_kernel(fidelity: str, tmp_path: Path) -> None:
    """Programs, paging, exceptions, timer interrupts, keys; compared with a second machine that only runs forward."""
    assert jump("full", fidelity, 150, 11, tmp_path) >= 150
    assert jump("shell", fidelity, 100, 12, tmp_path) >= 100
