"""Counts of instructions, coverage and the tree of calls, compared with single steps."""

import re
import struct
from collections import Counter
from pathlib import Path

import pytest

from emu.address import VirtAddr
from emu.engine.translated.features.calls import Calls, decode
from emu.events import TrapTaken
from emu.isa.operands import instruction_length
from emu.machine import StopReason
from emu.observe.calls.tree import CallTree, folded, totals
from emu.record.branches import branch_ways
from emu.record.coverage import coverage
from emu.record.edges import Destinations, Edge, EdgeKind, edges
from emu.record.hits import HitCounter, Hits, merged
from emu.record.recorder import Recorder
from emu.record.recording import Recording
from emu.report.coverage.lcov import lcov
from emu.report.coverage.lines import coverage_lines
from emu.report.disassembly import disassemble
from emu.report.files.drcov import drcov
from tests.emu.record import recorded_guest as guest


@pytest.mark.parametrize("probes", [None, "python"])
def test_each_instruction_is_counted_as_often_as_it_retires(build, fidelity, probes, tmp_path: Path) -> None:
    expected = Counter(pc for pc, _ in guest.stepped(build, fidelity))
    machine = guest.machine(build, fidelity, probes)
    with Recorder(machine, tmp_path / "run.ekrec", []), HitCounter(machine) as counter:
        while machine.run(97).reason is not StopReason.POWERED_OFF:
            pass
    assert +counter.hits.by_address() == expected
    read = Hits()
    with Recording(tmp_path / "run.ekrec") as recording:
        read.read(recording)
    assert +read.by_address() == expected
    assert +merged([read, counter.hits]).by_address() == Counter({pc: 2 * n for pc, n in expected.items()})


@pytest.mark.parametrize("probes", [None, "python"])
def test_blocks_cover_what_was_executed_and_nothing_else(build, fidelity, probes) -> None:
    steps = guest.stepped(build, fidelity)
    executed = {at for pc, code in steps for at in range(pc, pc + len(code))}
    machine = guest.machine(build, fidelity, probes)
    with HitCounter(machine) as counter:
        machine.run()
    assert {at for pc, size in counter.hits.blocks() for at in range(pc, pc + size)} == executed


def test_recordings_with_other_blocks_are_merged(build, tmp_path: Path) -> None:
    parts = "la s0, 1f; jr s0; 1: nop; la s0, 1f; jr s0; 1: li a7, 8; ecall", "j 1f; 1: li a7, 8; ecall"
    expected, blocks = Counter[int](), set()
    whole = Hits()
    for number, source in enumerate(parts):
        machine = guest.machine(build, "fast", source=source.replace("; ", "\n"))
        with Recorder(machine, tmp_path / f"{number}.ekrec", []), HitCounter(machine) as counter:
            machine.run()
        expected += counter.hits.by_address()
        blocks |= counter.hits.blocks()
        with Recording(tmp_path / f"{number}.ekrec") as recording:
            whole.read(recording)
    assert +whole.by_address() == expected
    assert whole.blocks() == blocks


def test_drcov_has_modules_and_blocks_as_its_definition_says(build) -> None:
    machine = guest.machine(build, "fast")
    with HitCounter(machine) as counter:
        machine.run()
    blocks = counter.hits.blocks() | {(0x1000, 8)}
    made = drcov(machine.platform.names, blocks)
    text, _, rest = made.data.partition(b"BB Table: ")
    head = [
        r"DRCOV VERSION: 2", r"DRCOV FLAVOR: drcov", r"Module Table: version 2, count 1",
        r"Columns: id, base, end, entry, path", r" *0, 0x0*(80200000), 0x0*(802[0-9a-f]{5}), 0x0+, test.elf", "",
    ]  # fmt: skip
    assert re.fullmatch("\n".join(head), text.decode())
    number, _, table = rest.partition(b" bbs\n")
    entries = list(struct.iter_unpack("<IHH", table))
    assert len(entries) == int(number) == made.blocks
    assert {(0x80200000 + start, size) for start, size, module in entries if module == 0} == counter.hits.blocks()
    assert made.elsewhere == 1


KINDS = {
    "c.jr ra": EdgeKind.RETURN, "c.jr": EdgeKind.JUMP_BY_REGISTER, "c.jalr": EdgeKind.CALL_BY_REGISTER,
    "jalr": EdgeKind.CALL_BY_REGISTER, "jal": EdgeKind.CALL, "j": EdgeKind.JUMP, "c.j": EdgeKind.JUMP,
    "sret": EdgeKind.TRAP_RETURN,
}  # fmt: skip
"""What Capstone calls them."""


@pytest.mark.parametrize("probes", [None, "python"])
def test_each_edge_is_counted_also_those_by_registers_and_those_that_an_interrupt_parts(
    build, fidelity, probes, tmp_path: Path
) -> None:
    steps, expected = guest.stepped(build, fidelity), Counter[Edge]()
    machine = guest.machine(build, fidelity)
    machine.on(TrapTaken, lambda trap: expected.update([Edge(EdgeKind.TRAP, int(trap.pc), int(trap.handler))]))
    machine.run()
    handler = machine.address_of("handler")
    for number, (pc, code) in enumerate(steps[:-1]):
        text = disassemble(code, pc) or ""
        kind = KINDS.get(text) or KINDS.get(text.split()[0])
        ways = branch_ways(int.from_bytes(code, "little"), pc)
        if kind or ways:
            behind = next(n for n in range(number + 1, len(steps)) if comes_after(steps, n, number + 1, handler))
            target = steps[behind][0]
            if ways:
                kind = EdgeKind.TAKEN if target == ways[0] else EdgeKind.PASSED
            expected[Edge(kind, pc, target)] += 1
    assert {edge.kind for edge in expected} == set(EdgeKind)
    counted, read = Destinations(), Destinations()
    machine = guest.machine(build, fidelity, probes)
    with Recorder(machine, tmp_path / "run.ekrec"), HitCounter(machine, [Calls(counted.add)]) as counter:
        while machine.run(97).reason is not StopReason.POWERED_OFF:
            pass
    assert +edges(counter.hits, counted) == expected
    hits = Hits()
    with Recording(tmp_path / "run.ekrec") as recording:
        for _ in range(2):
            hits.read(recording)
            read.read(recording)
    assert +edges(hits, read) == Counter({edge: 2 * times for edge, times in expected.items()})


RETURN, CALL, TRAP_RETURN = 0x8082, (0xEF, 0xE7), 0x10200073


def comes_after(steps, number: int, begin: int, handler: int) -> bool:
    """Whether this is the first instruction that no handler executes."""
    returned = number == begin or int.from_bytes(steps[number - 1][1], "little") == TRAP_RETURN
    return returned and steps[number][0] != handler


def tree_by_steps(build, fidelity: str) -> Counter[tuple[str, ...]]:
    """Instructions by the path of calls, without the outermost function."""
    machine = guest.machine(build, fidelity)
    symbols = machine.symbols
    found: Counter[tuple[str, ...]] = Counter()
    stack: list[str] = []
    called = False
    steps = guest.stepped(build, fidelity)
    handler = machine.address_of("handler")
    for number, (pc, code) in enumerate(steps):
        if called:  # the function is entered when it is called, though an interrupt may come first
            entry = next(n for n in range(number, len(steps)) if comes_after(steps, n, number, handler))
            stack.append(symbols.at(steps[entry][0])[0].name)
        if pc == handler:
            stack.append("handler")
        word = int.from_bytes(code, "little")
        assert instruction_length(code[0]) == len(code)
        found[tuple(stack)] += 1
        called = word & 0xFFF in CALL
        if word in (RETURN, TRAP_RETURN):
            stack.pop()
    return found


@pytest.mark.parametrize("probes", [None, "python"])
def test_each_branch_is_counted_the_way_it_goes_whatever_interrupts_it(build, fidelity, probes, tmp_path: Path) -> None:
    steps, expected, interrupted = guest.stepped(build, fidelity), Counter[tuple[int, bool]](), 0
    machine = guest.machine(build, fidelity, probes)
    handler = machine.address_of("handler")
    for number, (pc, code) in enumerate(steps):
        if (ways := branch_ways(int.from_bytes(code, "little"), pc)) is not None:
            behind = next(n for n in range(number + 1, len(steps)) if comes_after(steps, n, number + 1, handler))
            interrupted += behind > number + 1
            expected[pc, steps[behind][0] == ways[0]] += 1
    with Recorder(machine, tmp_path / "run.ekrec", []), HitCounter(machine) as counter:
        while machine.run(97).reason is not StopReason.POWERED_OFF:
            pass
    assert interrupted
    assert +counter.hits.branches() == expected
    read = Hits()
    with Recording(tmp_path / "run.ekrec") as recording:
        read.read(recording)
    assert +merged([read, counter.hits]).branches() == Counter({way: 2 * n for way, n in expected.items()})


@pytest.mark.parametrize("probes", [None, "python"])
def test_the_tree_of_calls_has_each_instruction_at_its_path(build, fidelity, probes) -> None:
    machine = guest.machine(build, fidelity, probes)
    tree = CallTree(lambda pc: machine.symbols.at(VirtAddr(pc))[0].name)
    calls = Calls(lambda records: [tree.apply(transfer) for transfer in decode(records)])
    machine.core.engine.switch_on(calls)
    machine.run()
    machine.core.engine.flush_features()
    tree.until(machine.instret, machine.address_of("again"))
    found: Counter[tuple[str, ...]] = Counter()
    for node in tree.root.walk():
        found[node.path[1:]] += node.instructions
    assert +found == tree_by_steps(build, fidelity)
    lines = [line.rpartition(" ") for line in folded(tree.root)]
    assert sum(int(number) for _, _, number in lines) == machine.instret
    assert max(path.count("work") for path, _, _ in lines) == 7  # halved from up to 60 to 0
    own, whole, times = totals(tree.root)["work"]
    assert own == sum(n for path, n in found.items() if path and path[-1] == "work")
    assert whole == sum(n for path, n in found.items() if "work" in path)
    assert times == sum(s.bit_length() + 1 for s in range(1, 61))


def test_coverage_names_what_was_never_executed_and_merges_runs(build, tmp_path: Path) -> None:
    source = "".join(
        f"{name}:\n    bnez a0, {name}_on\n    addi a0, a0, 1\n{name}_on: ret\n    .type {name}, @function\n"
        for name in ("one", "two", "three")
    )
    runs = []
    for name, argument in (("one", 0), ("two", 1)):
        machine = guest.machine(build, "fast", source=f"    li a7, 8\n    ecall\n{source}")
        with HitCounter(machine) as counter:
            machine.call(name, argument)
        runs.append(counter.hits)
    names = machine.platform.names
    missed = [[f.name for file in coverage(names, hits.by_address()) for f in file.functions if not f.executed]
              for hits in (*runs, merged(runs))]  # fmt: skip
    assert missed == [["two", "three"], ["one", "three"], ["three"]]
    text = "\n".join(coverage_lines(coverage(names, merged(runs).by_address()), never=False))
    assert text.startswith("functions  2 of 3 executed (66.7 %)")
    assert "never called: three" in text
    files = coverage(names, merged(runs).by_address(), merged(runs).branches())
    assert files[0].branches == {0: [(0, 1), (1, 0), (0, 0)]}
    assert "branches   2 of 6 ways gone (33.3 %)" in coverage_lines(files, never=False)
    assert not list(lcov(coverage(names, Counter())))
