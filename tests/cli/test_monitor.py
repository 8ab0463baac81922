"""The monitor's answers about a machine with paging on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emu.cli.monitor import PROMPT, Monitor
from emu.machine import Machine, MachineConfig

PAGING = """
    la t0, handler
    csrw stvec, t0
    li s0, 0x80400000
    li t0, 0x00000000 >> 2 | 0xc7       # 1 GiB of devices: rw, A, D
    sd t0, (s0)
    li t0, 0x80000000 >> 2 | 0xcf       # 1 GiB of RAM: rwx
    sd t0, 16(s0)
    li t0, 0x80401000 >> 2 | 1
    li s1, 0x80400800
    sd t0, (s1)                         # the first entry of the upper half: two pages side by side and one alone
    li s1, 0x80402000
    li t0, 0x80402000 >> 2 | 1
    li s2, 0x80401000
    sd t0, (s2)
    li t0, 0x80500000 >> 2 | 0x43
    sd t0, (s1)
    li t0, 0x80501000 >> 2 | 0x43
    sd t0, 8(s1)
    li t0, 0x80600000 >> 2 | 0x53
    sd t0, 16(s1)
    li t0, 8 << 60 | 0x80400
    csrw satp, t0
    sfence.vma
    ebreak
    j .
    .balign 4
handler:
    csrr t0, sepc
    addi t0, t0, 2
    csrw sepc, t0
    sret
"""


@pytest.fixture
def monitor(program: Callable[[str], Path]) -> Monitor:
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(program(PAGING))
    monitor = Monitor(machine)
    machine.run(max_instructions=100)
    return monitor


def test_info_mem_joins_neighbours_with_the_same_flags(monitor: Monitor) -> None:
    lines = [line.split() for line in monitor.answer("info mem")]
    assert lines == [
        ["vaddr", "paddr", "size", "attr"],
        ["-" * 16, "-" * 16, "-" * 16, "-" * 7],
        ["0000000000000000", "0000000000000000", "0000000040000000", "rw---ad"],
        ["0000000080000000", "0000000080000000", "0000000040000000", "rwx--ad"],
        ["ffffffc000000000", "0000000080500000", "0000000000002000", "r----a-"],
        ["ffffffc000002000", "0000000080600000", "0000000000001000", "r--u-a-"],
    ]


def test_info_tlb_shows_each_leaf(monitor: Monitor) -> None:
    lines = list(monitor.answer("i tlb"))
    assert lines[0] == "0000000000000000: 00000000000000 0x40000000 rw---ad"
    assert lines[2:4] == [
        "ffffffc000000000: 00000080500000 0x1000 r----a-",
        "ffffffc000001000: 00000080501000 0x1000 r----a-",
    ]
    assert len(lines) == 5


def test_info_traps_counts_and_shows_the_last(monitor: Monitor) -> None:
    lines = list(monitor.answer("info traps"))
    assert lines[0].split() == ["1", "breakpoint"]
    assert "breakpoint in S at" in lines[1]
    assert "_start+" in lines[1]


def test_info_registers_names_them_as_the_abi_does(monitor: Monitor) -> None:
    text = "\n".join(monitor.answer("info registers"))
    assert "s0   0000000080400000" in text
    assert "zero 0000000000000000" in text
    assert "satp     8000000000080400" in text


def test_talk_goes_on_until_continue_quit_or_the_end(monitor: Monitor) -> None:
    def said(*lines: str) -> tuple[bool, list[str]]:
        waiting: Iterator[str] = iter(lines)
        written: list[str] = []

        def read(prompt: str) -> str:
            assert prompt == PROMPT
            line = next(waiting, None)
            if line is None:
                raise EOFError
            return line

        return monitor.talk(read, written.append), written

    assert said("", "continue") == (True, [])
    assert said("quit") == (False, [])
    going_on, answers = said("help")
    assert going_on
    assert answers == ["info registers|mem|tlb|traps|heap, mark, continue, quit"]
