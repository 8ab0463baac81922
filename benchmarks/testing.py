"""What tests of kernels cost, beside QEMU started for each and an earlier machine: `python benchmarks/testing.py`."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import earlier, qemu
from figures.size import size
from figures.table import best, processor_time, row, title

from emu.engine.translated.features.fuzzed import Fuzzed
from emu.machine import MachineConfig
from emu.machine.repetition import Repetition
from emu.testing.conformance import Verdict, run
from emu.testing.fuzzing.campaign import Campaign
from emu.testing.fuzzing.keeping import FIRST, Gathered
from emu.testing.fuzzing.target import Inputs, Target
from emu.testing.program import program
from linker import link
from linker.assembler import assemble

_TESTS, _IN_QEMU, _CALLS = size(244, 2), size(20), size(5000, 2)
_SCRIPT = "ENTRY(_start) SECTIONS { . = 0x80000000; .text : { *(.text) } . = ALIGN(64); .tohost : { *(.tohost) } }"
_TEST = """
    .globl _start
_start:
    li a0, {number}
    li a1, 40
1:  mulw a0, a0, a1
    addi a1, a1, -1
    bnez a1, 1b
    {end}
    j .
    .section .tohost, "aw", @progbits
    .globl tohost
tohost: .dword 0
"""
_ENDS = {"tohost": "la t0, tohost; li t1, 1; sd t1, (t0)", "finisher": "li t0, 0x100000; li t1, 0x5555; sw t1, (t0)"}
"""QEMU has the finisher alone."""
_CALLED = """
    j .
    .globl add, twice, first
add:
    add a0, a0, a1
    ret
twice:
    fadd.d fa0, fa0, fa0
    ret
first:
    lbu a0, (a0)
    ret
"""
_FUNCTION = """
    j .
function:
    addi sp, sp, -16
    sd ra, 8(sp)
    li t0, 200
1:  lbu t1, (a0)
    add t2, t2, t1
    xor t2, t2, t0
    addi t0, t0, -1
    bnez t0, 1b
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
"""
_BOTH = """
import sys, time
from emu.machine import Machine, MachineConfig
fidelity, calls, called, *programs = sys.argv[1:]
machine = Machine(MachineConfig(fidelity=fidelity, firmware="none"))
machine.load(called)
machine.step()
add = machine.address_of("add")
machine.call(add, 1, 2)
start = time.process_time()
for _ in range(int(calls)):
    machine.call(add, 1, 2)
print((time.process_time() - start) / int(calls))

def run(file):
    machine = Machine(MachineConfig(fidelity=fidelity, firmware="none"))
    machine.load(file)
    machine.run()

run(programs[0])
start = time.process_time()
for file in programs:
    run(file)
print((time.process_time() - start) / len(programs))
"""
"""What both machines can do, in words that both know."""


def main() -> None:
    """Print the table."""
    _calls()
    _beside_earlier()
    _conformance()
    _fuzzing()


def _calls() -> None:
    title("Calls of functions of a few instructions, processor time")
    for fidelity in ("exact", "fast"):
        with program(_CALLED, MachineConfig(fidelity=fidelity, firmware="none")) as machine:
            machine.step()
            machine.hart.x["sp"], machine.hart.csr["mstatus"] = 0x8030_0000, machine.hart.csr["mstatus"] | 1 << 13
            add, place = machine.function("long add(long, int)"), machine.address_of("add")
            double, first = machine.function("double twice(double)"), machine.function("int first(const char *)")
            calls: dict[str, tuple[Callable[[], object], int]] = {
                "machine.call": (partial(machine.call, place, 1, 2), 200_000),
                "with types, integers": (partial(add, 1, 2), 150_000),
                "with types, a float": (partial(double, 1.5), 150_000),
                "with types, text": (partial(first, "text"), 0),
            }
            for what, (call, wanted) in calls.items():
                call()
                seconds = best(partial(_each, call))
                shown = f"{1 / seconds:,.0f} a second", f"{seconds * 1e6:.1f} us"
                if wanted:
                    row(f"{what}, {fidelity}", *shown, target=f"at least {wanted:,}", met=seconds <= 1 / wanted)
                else:
                    row(f"{what}, {fidelity}", *shown)


def _beside_earlier() -> None:
    title(f"Beside the machine of {earlier.REVISION}, processor time")
    with earlier.sources() as folder, TemporaryDirectory() as name:
        if folder is None:
            row(f"no revision {earlier.REVISION} to compare with")
            return
        called, test = Path(name, "called.elf"), Path(name, "test.elf")
        called.write_bytes(link([assemble(_CALLED, name="called.s")], script=_SCRIPT).elf)
        source = assemble(_TEST.format(number=1, end=_ENDS["finisher"]), name="test.s")
        test.write_bytes(link([source], script=_SCRIPT).elf)
        for fidelity in ("exact", "fast"):
            words = [fidelity, str(_CALLS), str(called), *[str(test)] * _IN_QEMU]
            rounds = [[earlier.measured(_BOTH, words, root) for root in (folder, earlier.ROOT)] for _ in range(size(3))]
            for number, what in enumerate((f"machine.call, {fidelity}", f"a machine for each program, {fidelity}")):
                before, now = (min(one[side][number] for one in rounds) for side in (0, 1))
                row(
                    what, f"{now * 1e6:.1f} us", f"before {before * 1e6:.1f} us", f"{now / before:.2f} times",
                    target="at most 1 times", met=now <= before,
                )  # fmt: skip


def _conformance() -> None:
    title(f"{_TESTS} self-checking programs in one process (ekernel act), processor time")
    with TemporaryDirectory() as name:
        files = {end: [Path(name, f"{end}-{number}.elf") for number in range(_TESTS)] for end in _ENDS}
        for end, paths in files.items():
            for number, file in enumerate(paths, 1):
                source = assemble(_TEST.format(number=number, end=_ENDS[end]), name="test.s")
                file.write_bytes(link([source], script=_SCRIPT).elf)
        reference = None
        if qemu.PROGRAM:
            some = files["finisher"][:_IN_QEMU]
            reference = sum(processor_time(qemu.bare(file)) for file in some) * _TESTS / _IN_QEMU
        for end, paths in files.items():
            for fidelity in ("exact", "fast"):
                seconds = best(partial(_run, paths, fidelity))
                _beside(f"by {end}, {fidelity}", seconds, reference)


def _beside(what: str, seconds: float, reference: float | None) -> None:
    shown = [f"{seconds / _TESTS * 1e3:.2f} ms each"]
    if reference is None:
        row(what, *shown)
        return
    factor = reference / seconds
    shown += [f"QEMU {reference / _TESTS * 1e3:.1f} ms", f"{factor:.1f} times as fast"]
    row(what, *shown, target="at least 20 times", met=factor >= 20)


def _run(files: list[Path], fidelity: str) -> float:
    start = time.process_time()
    assert all(result.verdict is Verdict.PASSED for result in run(files, fidelity=fidelity))
    return time.process_time() - start


def _fuzzing() -> None:
    title("Executions of a function of 1,007 instructions from one state, edges and comparisons followed")
    for fidelity in ("exact", "fast"):
        with program(_FUNCTION, MachineConfig(fidelity=fidelity, firmware="none")) as machine:
            machine.hart.x["sp"] = 0x8030_0000
            with Target(machine, "function", Inputs.parse("a0=buffer,a1=length")) as target:
                campaign = Campaign(target, FIRST, Gathered())
                campaign.run(executions=_CALLS)
                seconds = best(partial(_campaign, campaign)) / _CALLS
        row(
            f"a campaign, {fidelity}", f"{1 / seconds:,.0f} a second", f"{seconds * 1e6:.1f} us",
            target="at least 20,000", met=seconds <= 1 / 20_000,
        )  # fmt: skip
        machine = program(_FUNCTION, MachineConfig(fidelity=fidelity, firmware="none"))
        machine.hart.x["sp"] = 0x8030_0000
        edges = Fuzzed()
        machine.core.engine.switch_on(edges)
        again = Repetition(machine, "function", machine.address_of("function"), 1_000_000)

        def execute(edges: Fuzzed = edges, again: Repetition = again) -> None:
            edges.begin()
            again.call((0x8030_1000, 8))
            again.rewind()

        execute()
        whole, rewind = best(partial(_each, execute)), best(partial(_each, again.rewind))
        row(
            f"one by one, {fidelity}", f"{1 / whole:,.0f} a second",
            f"{whole * 1e6:.1f} us, {rewind * 1e6:.1f} us of it to rewind",
            target="at least 20,000", met=whole <= 1 / 20_000,
        )  # fmt: skip
        machine.close()


def _campaign(campaign: Campaign) -> float:
    start = time.process_time()
    campaign.run(executions=_CALLS)
    return time.process_time() - start


def _each(action: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(_CALLS):
        action()
    return (time.process_time() - start) / _CALLS


if __name__ == "__main__":
    main()
