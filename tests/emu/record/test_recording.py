"""A recording holds each instruction that retired, as single steps find them."""

import json

import numpy as np
import pytest

from emu.engine.translated.features import accesses
from emu.engine.translated.features.accesses import Accesses
from emu.errors import ConfigError, RecordingError
from emu.events import TlbFilled, TrapTaken
from emu.isa.privilege import Privilege
from emu.machine import Machine, MachineConfig, StopReason
from emu.record import formats
from emu.record.container import Writer
from emu.record.recorder import Recorder
from emu.record.recording import Recording
from tests.emu.record import recorded_guest as guest
from tests.guests import BEHIND_IT, TO_SUPERVISOR


def retired(path, *span) -> list[tuple[int, bytes]]:
    with Recording(path) as recording:
        return [(int(one.pc), one.code) for one in recording.instructions(*span)]


@pytest.mark.parametrize("probes", [None, "python"])
def test_traps_interrupts_and_changed_code_are_recorded_as_single_steps_see_them(build, fidelity, probes, tmp_path):
    expected = guest.stepped(build, fidelity)
    assert {code for pc, code in expected} >= {bytes.fromhex("93862600"), bytes.fromhex("93863600")}
    machine = guest.machine(build, fidelity, probes)
    with Recorder(machine, tmp_path / "run.ekrec"):
        assert machine.run().reason is StopReason.POWERED_OFF
    assert retired(tmp_path / "run.ekrec") == expected
    assert len(expected) == machine.instret
    with Recording(tmp_path / "run.ekrec") as recording:
        assert [one.instret for one in recording.instructions()] == list(range(machine.instret))
        assert recording.missing is None


def test_who_listens_to_tlb_fills_has_every_block_in_the_recording(build, tmp_path):
    machine, fills = guest.machine(build, "exact"), []
    machine.on(TlbFilled, fills.append)
    with Recorder(machine, tmp_path / "run.ekrec"):
        machine.run()
    assert fills
    assert retired(tmp_path / "run.ekrec") == guest.stepped(build, "exact")


def test_a_range_and_the_columns_hold_the_same_instructions(build, fidelity, tmp_path):
    machine = guest.machine(build, fidelity)
    with Recorder(machine, tmp_path / "run.ekrec"):
        machine.run()
    with Recording(tmp_path / "run.ekrec") as recording:
        everything = list(recording.instructions())
        for first, last in ((0, 0), (1, 1), (17, 400), (500, 10**9), (machine.instret, 10**9)):
            wanted = [one for one in everything if first <= one.instret <= last]
            assert list(recording.instructions(first, last)) == wanted
            columns = recording.columns(first, last)
            assert columns["pc"].tolist() == [one.pc for one in wanted]
            assert columns["instret"].tolist() == [one.instret for one in wanted]
            assert columns["privilege"].tolist() == [int(one.privilege) for one in wanted]
            assert columns["pc"].dtype == np.uint64


def test_what_lies_between_stop_and_start_is_left_out_and_the_rest_keeps_its_time(build, fidelity, tmp_path):
    expected = guest.stepped(build, fidelity)
    machine = guest.machine(build, fidelity)
    spans = []
    with Recorder(machine, tmp_path / "run.ekrec", start=False) as recorder:
        for length in (5, 40, 1, 333, 7, 200, 2, 2, 64):
            machine.run(length)
            begin = machine.instret
            recorder.start()
            machine.run(length + 3)
            recorder.stop()
            spans.append((begin, machine.instret))
    with Recording(tmp_path / "run.ekrec") as recording:
        found = [(one.instret, int(one.pc), one.code) for one in recording.instructions()]
    assert found == [(n, *expected[n]) for begin, end in spans for n in range(begin, end)]


def test_a_machine_that_goes_back_is_recorded_going_back(build, fidelity, tmp_path):
    expected = guest.stepped(build, fidelity)
    machine = guest.machine(build, fidelity)
    with Recorder(machine, tmp_path / "run.ekrec"):
        machine.run(300)
        snapshot = machine.snapshot()
        machine.run(211)
        machine.restore(snapshot)
        machine.run(400)
    with Recording(tmp_path / "run.ekrec") as recording:
        found = [one.instret for one in recording.instructions()]
        assert found == [*range(511), *range(300, 700)]
        assert [int(one.pc) for one in recording.instructions()] == [expected[n][0] for n in found]


ALL_MODES = f"""
    la t0, handler
    csrw mtvec, t0
    li t0, 0x100  # ecall from U goes to S
    csrw medeleg, t0
{TO_SUPERVISOR}    la t0, called
    csrw stvec, t0
    ecall
    la t0, user
    csrw sepc, t0
    csrw sstatus, zero
    sret
user:
    call work
    ecall
    call work
    csrr a0, mhartid
    j user
    .balign 4
called:
    call work
    ecall
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    sret
    .balign 4
handler:
    call work
{BEHIND_IT}work:
    addi s0, s0, 1
    ret
"""


def test_the_privilege_of_each_instruction_is_the_harts(build, fidelity, tmp_path):
    single = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, firmware="none"))
    single.load(build(ALL_MODES, 0x8000_0000))
    expected = []
    while single.instret < 300:
        before, privilege = single.instret, single.hart.privilege
        traps: list[TrapTaken] = []
        with single.on(TrapTaken, traps.append):
            single.step()
        if single.instret > before:
            expected.append(traps[-1].to_privilege if traps else privilege)
    assert {name: expected.count(name) > 30 for name in Privilege} == dict.fromkeys(Privilege, True)

    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, firmware="none"))
    machine.load(build(ALL_MODES, 0x8000_0000))
    with Recorder(machine, tmp_path / "run.ekrec"):
        machine.run(150)
        snapshot = machine.snapshot()
        machine.run(77)
        machine.restore(snapshot)
        machine.run(150)
    with Recording(tmp_path / "run.ekrec") as recording:
        found = [(one.instret, one.privilege) for one in recording.instructions()]
        assert found == [(n, expected[n]) for n in (*range(227), *range(150, 300))]
        assert recording.columns()["privilege"].tolist() == [privilege for _, privilege in found]


def test_accesses_and_writes_of_registers_are_recorded_on_request(build, fidelity, tmp_path):
    machine, found = guest.machine(build, fidelity), []
    machine.core.engine.switch_on(Accesses(accesses.collect(found)))
    with Recorder(machine, tmp_path / "run.ekrec", ["memory", "registers"]):
        machine.run()
    machine.core.engine.flush_features()
    with Recording(tmp_path / "run.ekrec") as recording:
        assert list(recording.accesses()) == found
        assert len(found) > 200
        assert [one.instret for one in recording.accesses(100, 200)] == [
            one.instret for one in found if 100 <= one.instret <= 200
        ]
        value = 0
        for write in recording.writes():
            value = write.value if write.register == 8 else value
        assert value == machine.hart.x["s0"]
    with pytest.raises(ConfigError, match="'memry' cannot be recorded: did you mean 'memory'"):
        Recorder(machine, tmp_path / "other.ekrec", ["memry"])


def test_a_recording_knows_the_names_of_its_addresses_and_says_what_it_lacks(build, tmp_path):
    machine = guest.machine(build, "fast")
    with Recorder(machine, tmp_path / "run.ekrec"):
        machine.run()
    with Recording(tmp_path / "run.ekrec") as recording:
        assert recording.names.symbols.lookup("work").address == machine.address_of("work")
        with pytest.raises(RecordingError, match=r"has no memory: record them with .*--record-what memory"):
            next(recording.accesses())


def test_a_run_that_was_not_ended_is_readable_as_far_as_it_was_written(build, fidelity, tmp_path):
    expected = guest.stepped(build, fidelity)
    machine = guest.machine(build, fidelity)
    with Recorder(machine, tmp_path / "run.ekrec"):
        for _ in range(6):
            machine.run(250)
            machine.core.engine.flush_features()
    whole = (tmp_path / "run.ekrec").read_bytes()
    part = tmp_path / "part.ekrec"
    lengths = set()
    for length in range(len(whole) - 1, 400, -37):
        part.write_bytes(whole[:length])
        found = retired(part)
        assert found == expected[: len(found)]
        lengths.add(len(found))
    assert {250, 1500} <= lengths


@pytest.mark.parametrize(
    ("section", "data", "text"),
    [
        (formats.BLOCKS, b"\x09\0\0\0", "names block 9"),
        (formats.BLOCKS, b"\x09\0", "half a word"),
        (formats.RUN, b"[]", "does not say"),
        (formats.RUN, b"\xff", "does not say"),
        (formats.RUN, json.dumps({"files": [1] * 99}).encode(), "names block 9"),
        (formats.EVENTS, b"{\n", "no JSON"),
        (formats.CODE, formats.DEFINITION.pack(8, 0, 1, 0, 0), "names block 9"),
    ],
)
def test_a_recording_that_contradicts_itself_is_an_error(tmp_path, section, data, text):
    with Writer(tmp_path / "run.ekrec") as writer:
        writer.add(section, data)
        writer.add(formats.BLOCKS, b"\x09\0\0\0")

    def read():
        with Recording(tmp_path / "run.ekrec") as recording:
            return list(recording.events()), list(recording.instructions())

    with pytest.raises(RecordingError, match=text):
        read()
