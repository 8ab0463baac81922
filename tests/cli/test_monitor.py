"""The monitor's answers about a machine with paging on."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from emu.terminal.monitor import PROMPT, Monitor

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
    for word in ("x /fmt", "xp /fmt", "print/fmt", "savevm", "loadvm", "mtree|qtree", "quit", "continue"):
        assert any(word in answer for answer in answers), word


QUESTIONS = """
x /6xw 0x80200000
x /3uh 0x80200000
print 1+2*3
x /2dg 0x80200000
x /2og 0x80200000
xp /4xb 0x80200000
xp /9c 0x80200000
x /20bx 0x80200000
x /2g 0x80200000
x /xw 0x0
x /2xw 0x5000000000
print /x 0x10 + 6 & 3
print /d -16
print /u -1
print /o 8
print /c 65
print /x ~0
print (7 - 3) * 2 % 5
x /2xw 0x80200000 + 4 * 2
""".strip()


def test_memory_and_numbers_are_printed_as_by_qemus_monitor(
    program: Callable[[str], Path], oracle: Callable[[str], str]
) -> None:
    guest = program(PAGING)
    command = [
        oracle("qemu-system-riscv64"), "-machine", "virt", "-display", "none", "-serial", "none", "-bios", "none",
        "-kernel", str(guest), "-S", "-monitor", "stdio",
    ]  # fmt: skip
    shown = subprocess.run(
        command, input=QUESTIONS + "\nquit\n", capture_output=True, text=True, timeout=60, check=True
    ).stdout.replace("\r", "")
    there = [line for line in shown.splitlines() if "(qemu)" not in line and "QEMU" not in line]
    machine = Machine(MachineConfig(firmware="none"))
    machine.load(guest)
    monitor = Monitor(machine)
    here = [line for question in QUESTIONS.splitlines() for line in monitor.answer(question)]
    assert here == there


def test_addresses_can_be_registers_and_symbols(monitor: Monitor) -> None:
    assert list(monitor.answer("print /x $s0")) == ["0x80400000"]
    assert list(monitor.answer("print /x $satp")) == ["0x8000000000080400"]
    assert list(monitor.answer("print /x handler - _start & 0")) == list(monitor.answer("print /x handler"))
    (line,) = monitor.answer("x /i handler")
    assert line.endswith("csrr t0, sepc")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("x", "an address or number is missing"),
        ("x /4q 0", "is no format"),
        ("print 1 +", "an address or number is missing"),
        ("print (1", "')' expected"),
        ("print 1 / 0", "division by zero"),
        ("print $nothing", "unknown register 'nothing'"),
        ("print no_such_symbol", "no symbol 'no_such_symbol'"),
        ("print 09", "'09' is not a number"),
        ("savem one", "did you mean 'savevm'?"),
        ("info mtre", "did you mean 'mtree'?"),
        ("loadvm one", "there is no snapshot 'one'"),
        ("savevm", "which name?"),
        ("symbols", "which file?"),
        ("symbols /no/such/file", "symbol file /no/such/file does not exist"),
    ],
)
def test_what_the_monitor_cannot_do_is_told_in_a_line(monitor: Monitor, question: str, answer: str) -> None:
    (line,) = monitor.answer(question)
    assert answer in line


def test_a_snapshot_is_returned_to(program: Callable[[str], Path]) -> None:
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(program(PAGING))
    monitor = Monitor(machine)
    machine.run(max_instructions=5)
    assert list(monitor.answer("savevm before")) == []
    machine.run(max_instructions=20)
    assert list(monitor.answer("info snapshots")) == ["before"]
    assert list(monitor.answer("loadvm before")) == []
    assert machine.instret == 5


def test_the_trees_name_memory_and_devices_where_qemu_has_them(monitor: Monitor) -> None:
    lines = list(monitor.answer("info mtree"))
    assert "    0000000080000000-0000000080ffffff (prio 0, ram): ram" in lines
    assert any(line.startswith("    0000000010000000-") and line.endswith("): uart") for line in lines)
    assert "    mmio 0000000010000000/0000000000001000" in list(monitor.answer("info qtree"))


def test_the_monitor_explains_walks_and_goes_to_other_moments(monitor: Monitor) -> None:
    assert next(iter(monitor.answer("explain"))).startswith("breakpoint at _start+")
    assert list(monitor.answer("walk 0xffffffc000001008"))[-1] == "0xffffffc000001008 is 0x80501008"
    assert "all zero) is invalid" in list(monitor.answer("walk 0xffffffc000003000"))[-1]
    now = next(iter(monitor.answer("when")))
    assert now.startswith("100 instructions and 1 traps since power-on")
    assert next(iter(monitor.answer("mark here"))).startswith("here: 100 instructions")
    assert next(iter(monitor.answer("goto start"))).startswith("0 instructions")
    assert next(iter(monitor.answer("goto 7"))).startswith("7 instructions")
    assert next(iter(monitor.answer("goto here"))) == now
    assert "written by `sd t0, 0x10(s0)` at _start+" in next(iter(monitor.answer("last-write 0x80400010")))
    made, read = monitor.answer("why t0")
    assert ": arithmetic of t0, by `c.addi t0, 2` at handler+0x4" in made
    assert ": a CSR, by `csrr t0, sepc` at handler" in read
    assert list(monitor.answer("info frames")) == ["nothing follows allocations"]
    now, mapped = monitor.answer("why 0xffffffc000001000")
    assert now.startswith("0xffffffc000001000: the level-0 PTE at ")
    assert mapped.startswith("mapped (0 -> PPN:0x80501 ")
    assert "_start+" in mapped
    assert next(iter(monitor.answer("why"))) == "why: of which register or address? why a0, why 0x80200000"
    assert "which goes from 0 to 100" in next(iter(monitor.answer("goto 1000")))
    assert "no instruction of this history" in next(iter(monitor.answer("last-write 0x80700000")))
