"""The log of commits is the same of a part of a run, with and without native code, and on both kinds of hosts."""

import ctypes
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import unicorn

from emu.buffers import buffer_address
from emu.engine import native
from emu.engine.assembled import ASSEMBLED
from emu.events import CsrWritten
from emu.isa.csrs import Csr
from emu.isa.status import SSTATUS_WRITE
from emu.machine import Machine, MachineConfig
from emu.record.recorder import Recorder
from emu.record.recording import Recording
from emu.report.logs.commits.layout import Shared
from emu.report.logs.commits.recorded import commit_log
from emu.report.logs.commits.text import LogText
from emu.report.logs.commits.writer import CommitWriter
from tests.emu.engine.hosts import HOSTS

PROGRAM = """
    li s0, 60
    la s1, counter
again:
    ld t0, 0(s1)
    addi t0, t0, 1
    sd t0, 0(s1)
    call twice
    addi s0, s0, -1
    bnez s0, again
    li a7, 8
    ecall
twice:
    add a0, t0, t0
    ret
    .balign 8
counter: .dword 0
"""
MIXED = """
    li s0, 30
    la s1, counter
    li s2, 0x6000
    csrs sstatus, s2
again:
    ld t0, 0(s1)
    addi t0, t0, -3
    sd t0, 0(s1)
    sw t0, 8(s1)
    sh t0, 14(s1)
    sb t0, 1(s1)
    lbu t1, 1(s1)
    amoadd.w a1, t0, (s1)
    lr.d a2, (s1)
    sc.d a3, t0, (s1)
    sc.d a3, t0, (s1)
    fcvt.d.l fa0, t0
    fsd fa0, 16(s1)
    flw fa1, 16(s1)
    csrrs a4, sscratch, s0
    csrrc a5, sstatus, t0
    csrrsi a5, sstatus, 2
    csrrs zero, sstatus, t1
    csrrwi a5, sstatus, 0
    csrrs zero, sstatus, a5
    csrrs zero, sstatus, s2
    addi s0, s0, -1
    bnez s0, again
    li a7, 8
    ecall
    .balign 8
counter: .dword -9, 0, 0
"""
CODE = 0x10000
"""Where Unicorn has the native code, and behind it a stack."""


def test_a_log_that_is_switched_on_and_off_has_what_lies_between(build, fidelity):
    whole, parts = io.BytesIO(), io.BytesIO()
    for stream, start in ((whole, True), (parts, False)):
        machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
        machine.load(build(PROGRAM))
        with CommitWriter(machine, stream, start=start) as writer:
            machine.run(101)
            writer.start()
            machine.run(50)
            if not start:
                writer.stop()
            machine.run(77)
            writer.start()
            machine.run()
    lines = whole.getvalue().splitlines()
    assert parts.getvalue().splitlines() == [*lines[101:151], *lines[228:]]
    assert len(lines) == machine.instret


def test_what_is_written_to_sstatus_follows_from_the_registers(build, fidelity):
    machine, stream, told = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20)), io.BytesIO(), []
    machine.load(build(MIXED))
    with CommitWriter(machine, stream):
        machine.run(300)
        with machine.on(CsrWritten, lambda event: told.append((event.number, event.value & SSTATUS_WRITE))):
            machine.run(300)
    logged = [re.search(rb"c768_mstatus (\w+)$", line) for line in stream.getvalue().splitlines()[300:]]
    values = [int(found[1], 16) & SSTATUS_WRITE for found in logged if found]
    assert values == [value for number, value in told if number == Csr.SSTATUS]
    assert len(set(values)) > 3


def lines_of(recording: Recording, **options: bool) -> bytes:
    return "\n".join(commit_log(recording, 3, 400, **options)).encode()


@pytest.fixture
def recorded(build: Callable[[str], Path], tmp_path: Path) -> Iterator[Recording]:
    """A run with loads, stores, atomics and floats, in parts that overlap no block's end."""
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(build(MIXED))
    with Recorder(machine, tmp_path / "r", ["memory", "registers", "csrs"]):
        machine.run(77)
        machine.run()
    with Recording(tmp_path / "r") as recording:
        yield recording


def test_lines_are_the_same_without_native_code(recorded: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [lines_of(recorded, execution=execution) for execution in (False, True)]
    monkeypatch.setattr(native, "available", lambda: False)
    assert [lines_of(recorded, execution=execution) for execution in (False, True)] == found
    assert found[0].count(b" mem ") > 100
    assert found[0].count(b"\n") == 397


def areas(lent: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pages in which these lie, side by side ones together: address and size."""
    found: list[tuple[int, int]] = []
    for begin, size in sorted(each for each in lent if each[1]):
        first, end = begin & -4096, (begin + size + 4095) & -4096
        if found and first <= sum(found[-1]):
            first = found[-1][0]
            end = max(end, sum(found.pop()))
        found.append((first, end - first))
    return found


@pytest.mark.parametrize("execution", [False, True])
@pytest.mark.parametrize("architecture", HOSTS)
def test_lines_are_the_same_on_both_hosts(
    recorded: Recording, monkeypatch: pytest.MonkeyPatch, architecture: str, execution: bool
) -> None:
    host, calls = HOSTS[architecture], []
    found = lines_of(recorded, execution=execution)

    def filled(text: LogText) -> int:
        """What `LogText._filled` does, by the machine code for the host on Unicorn."""
        shared, log = text._shared, text._log
        core = unicorn.Uc(*host.engine)
        writes, accesses = shared[Shared.WRITES], shared[Shared.ACCESSES]
        address, registers = ctypes.addressof(shared), log.registers.buffer_info()[0]
        lent = [
            (address, ctypes.sizeof(shared)), (registers, 520), (writes, shared[Shared.WRITES_END] - writes),
            (accesses, shared[Shared.ACCESSES_END] - accesses), (text._begin, ctypes.sizeof(text._output)),
            (shared[Shared.WORDS], shared[Shared.WORDS_END] - shared[Shared.WORDS]),
            (shared[Shared.TABLE], 8 * shared[Shared.TABLE_SIZE]), (shared[Shared.NAMES], 8 * 64),
            *((buffer_address(arena), len(arena)) for arena in text._templates.arenas),
        ]  # fmt: skip
        for first, size in areas(lent):
            core.mem_map(first, size)
            core.mem_write(first, ctypes.string_at(first, size))
        core.mem_map(CODE, 0x4000)
        core.mem_write(CODE, ASSEMBLED[architecture]["commit_lines"])
        begin = shared[Shared.OUTPUT]
        answer = host.call(core, CODE, CODE + 0x2000, CODE + 0x4000, [address], most=10_000_000)
        for place, size in lent[:2]:
            ctypes.memmove(place, bytes(core.mem_read(place, size)), size)
        length = shared[Shared.OUTPUT] - begin
        if length:
            ctypes.memmove(begin, bytes(core.mem_read(begin, length)), length)
        calls.append(length)
        return answer

    monkeypatch.setattr(LogText, "_filled", filled)
    assert lines_of(recorded, execution=execution) == found
    assert sum(calls) > len(found) // 2
