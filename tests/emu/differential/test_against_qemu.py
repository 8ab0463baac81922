"""Random programs leave the same registers, CSRs and memory at each trap here and on QEMU."""

import pytest

from emu.isa.causes import ExceptionCause, InterruptCause
from tests.emu.differential import run
from tests.emu.differential.batch import EndlessError, Executed, on_machine
from tests.emu.differential.compare import differences, records
from tests.emu.differential.layout import AREA_SIZE, FINAL, FIRST_AREA, RECORD_CSRS, RECORD_WORDS, STATE_PAGE
from tests.emu.differential.programs import LENGTH
from tests.emu.differential.traits import MODES

LOG = STATE_PAGE * 512 + 160
FAULTS = {"LOAD_PAGE_FAULT", "STORE_PAGE_FAULT", "INSTRUCTION_PAGE_FAULT"}


@pytest.fixture(scope="module")
def programs():
    return run.batch(2, 100)


@pytest.fixture(scope="module")
def executed(programs):
    return on_machine(programs, "exact").areas


@pytest.mark.parametrize("seed", [0, 1, 2])  # odd page tables, interrupts anywhere, neither
def test_hundreds_of_random_programs_do_the_same_on_qemu(oracle, tmp_path, seed):
    assert run.compare(run.batch(seed, 256), oracle(run.QEMU), tmp_path).texts == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [8, 9, 10, 11])
def test_thousands_of_random_programs_do_the_same_on_qemu(oracle, tmp_path, seed):
    assert run.compare(run.batch(seed), oracle(run.QEMU), tmp_path).texts == []


def test_a_batch_meets_what_it_is_to_compare(programs, executed):
    log = [(number, record) for number in range(programs.size) for record in records(executed, number)]
    causes = {record[RECORD_CSRS["mcause"]] for _, record in log}
    in_s = {record[RECORD_CSRS["scause"]] for _, record in log if record[RECORD_CSRS["mcause"]] == 9}
    faults = {int(ExceptionCause[name]) for name in FAULTS}
    assert {int(ExceptionCause.ILLEGAL_INSTRUCTION), int(ExceptionCause.STORE_MISALIGNED)} | faults <= causes
    assert {int(ExceptionCause.ILLEGAL_INSTRUCTION), int(ExceptionCause.LOAD_PAGE_FAULT)} <= in_s
    assert any(cause >> 63 for cause in causes), f"no interrupt ({InterruptCause.__name__}) was taken in M mode"
    assert any(cause >> 63 for cause in in_s), "no interrupt was taken in S mode"
    assert {number for number, _ in log} == set(range(programs.size)), "each program traps at least at its end"
    assert {MODES[mode] for mode in programs.traits.mode} == set(MODES)
    changed = executed[:, -1024:] != programs.codes.view("<u8")
    assert changed.any(), "no program has changed its own code"


@pytest.mark.parametrize("word", [7, 29, RECORD_CSRS["mepc"], RECORD_CSRS["scause"]])
def test_a_difference_at_a_trap_is_told_with_instructions_and_register(programs, executed, word):
    changed = executed.copy()
    number = 41
    changed[number, LOG + word] ^= 1
    ((program, text),) = differences(executed, changed, programs)
    assert program == number
    assert "trap 0 mcause=" in text
    assert f"QEMU {int(executed[number, LOG + word]):#018x}" in text
    assert f"this machine {int(changed[number, LOG + word]):#018x}" in text
    assert f"# {int(programs.virtual_code()[number] + programs.starts[number, 0]) & (1 << 64) - 1:x}: " in text


@pytest.mark.parametrize(
    ("word", "told"),
    [(STATE_PAGE * 512 + FINAL + 3, "f3 "), (STATE_PAGE * 512 + FINAL + 43, "sstatus"), (3 * 512 + 5, "0x81039028")],
)
def test_a_difference_at_the_end_is_told_with_its_place(programs, executed, word, told):
    changed = executed.copy()
    changed[9, word] ^= 1 << 40
    ((program, text),) = differences(executed, changed, programs)
    assert program == 9
    assert told in text


def test_a_trap_that_only_one_of_them_takes_is_told(programs, executed):
    changed = executed.copy()
    changed[5, STATE_PAGE * 512 + 1] -= RECORD_WORDS * 8
    ((program, text),) = differences(executed, changed, programs)
    assert program == 5
    assert "only QEMU takes trap" in text


def test_a_program_that_differs_is_reduced_to_the_units_that_it_takes(monkeypatch, programs, tmp_path):
    """This machine stands for QEMU, and one that is wrong about a unit for this machine."""
    number, unit = 9, 4
    place = slice(programs.starts[number, unit], programs.starts[number, unit + 1])
    needed = bytes(programs.codes[number, place])

    def wrong(chosen, fidelity):
        areas = on_machine(chosen, fidelity).areas.copy()
        if bytes(chosen.codes[number, place]) == needed:
            areas[number, LOG + 5] ^= 1
        return Executed(areas, 0)

    monkeypatch.setattr(run, "on_qemu", lambda _qemu, chosen, *_: on_machine(chosen, "exact").areas)
    monkeypatch.setattr(run, "on_machine", wrong)
    text = run.reduced(programs, number, "exact", "", tmp_path)
    first = int.from_bytes(needed[: 4 if needed[0] & 3 == 3 else 2], "little")
    assert f"{first:#0{10 if first & 3 == 3 else 6}x}" in text
    assert text.count("0x0001 ") * 2 == sum(
        programs.starts[number, other + 1] - programs.starts[number, other] for other in range(LENGTH) if other != unit
    )


@pytest.mark.parametrize("both", [True, False])
def test_a_program_that_does_not_end_is_left_out_and_told_where_it_ends_elsewhere(monkeypatch, tmp_path, both):
    programs = run.batch(2, 20)
    endless = FIRST_AREA + 5 * AREA_SIZE
    wanted = bytes(programs.code(5))

    def executed(chosen, *_):
        if bytes(chosen.code(5)) == wanted:
            raise EndlessError(endless, "it jumps to itself")
        return on_machine(chosen, "fast")

    monkeypatch.setattr(run, "on_qemu", lambda _qemu, chosen, *_: executed(chosen).areas)
    if both:
        monkeypatch.setattr(run, "on_machine", executed)
    texts = run.compare(programs, "", tmp_path).texts
    told = "on QEMU program 5 does not end: it jumps to itself"
    assert texts == ([] if both else [f"batch 2, program 5, {fidelity}: {told}" for fidelity in ("exact", "fast")])
