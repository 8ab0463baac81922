"""Random instruction streams leave the same registers, CSRs and memory at each trap here and on QEMU."""

import struct

import pytest

from emu.isa.causes import ExceptionCause
from tests.emu.differential import batch
from tests.emu.differential.compare import differences, records
from tests.emu.differential.layout import CSR_WORDS, MOST_STREAMS, RAM_BASE
from tests.emu.differential.run import EXCLUSIONS, LENGTH, QEMU
from tests.emu.differential.streams import MODES, generate


def streams(seed: int, mode: str, fidelity: str, count: int = MOST_STREAMS):
    return [
        generate(seed * MOST_STREAMS + number, number, mode, LENGTH, EXCLUSIONS[fidelity]) for number in range(count)
    ]


def check(qemu: str, directory, seed: int, mode: str, fidelity: str, count: int = MOST_STREAMS) -> None:
    chosen = streams(seed, mode, fidelity, count)
    reference, ours = batch.on_qemu(qemu, chosen, directory), batch.on_machine(chosen, fidelity)
    wrong = list(differences(reference, ours, chosen))
    assert not wrong, (
        f"{len(wrong)} of {count} streams differ; seed {seed}, {mode}, {fidelity}, stream {wrong[0][0]}:\n{wrong[0][1]}"
    )


@pytest.mark.parametrize("mode", MODES)
def test_random_streams_do_the_same_on_qemu(oracle, tmp_path, fidelity, mode):
    check(oracle(QEMU), tmp_path, 1, mode, fidelity, 30)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("mode", MODES)
def test_many_more_random_streams_do_the_same_on_qemu(oracle, tmp_path, fidelity, mode, seed):
    check(oracle(QEMU), tmp_path, seed, mode, fidelity)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_batch_meets_what_it_is_to_compare(mode):
    chosen = streams(1, mode, "exact", 100)
    log = list(records(batch.on_machine(chosen, "exact")))
    causes = {record[CSR_WORDS["mcause"]] for record in log}
    expected = {int(ExceptionCause.ILLEGAL_INSTRUCTION), int(ExceptionCause.STORE_MISALIGNED)}
    if mode in ("sv39", "sv48", "sv57", "user"):
        expected |= {int(ExceptionCause.LOAD_PAGE_FAULT), int(ExceptionCause.STORE_PAGE_FAULT)}
        expected |= {int(ExceptionCause.INSTRUCTION_PAGE_FAULT), int(ExceptionCause.ECALL_FROM_S)}
    assert expected <= causes
    assert any(cause >> 63 for cause in causes), "no interrupt was taken"
    assert {record[0] for record in log} == set(range(100)), "each stream traps at least at its end"


@pytest.mark.parametrize("word", [7, 40, CSR_WORDS["mepc"], CSR_WORDS["fcsr"]])
def test_a_difference_is_told_with_instructions_and_register(word):
    chosen = streams(1, "bare", "exact", 10)
    ram = batch.on_machine(chosen, "exact")
    illegal = ExceptionCause.ILLEGAL_INSTRUCTION
    log = enumerate(records(ram))
    place, number = next((at, record[0]) for at, record in log if record[CSR_WORDS["mcause"]] == illegal)
    changed = bytearray(ram)
    offset = batch.LOG - RAM_BASE + place * 8 * len(next(records(ram))) + 8 * word
    (value,) = struct.unpack_from("<Q", changed, offset)
    struct.pack_into("<Q", changed, offset, value ^ 1)
    ((stream, text),) = differences(ram, bytes(changed), chosen)
    assert stream == number
    assert f"{value:#018x}" in text
    assert f"{value ^ 1:#018x}" in text
    assert f"{chosen[number].first + chosen[number].start:#x}: " in text
    assert list(differences(ram, ram, chosen)) == []
