"""Features of translated code, each against single steps, with native probes and with Python's."""

import threading

import pytest
import unicorn

from emu.engine.translated.features import accesses, blocks
from emu.engine.translated.features.accesses import Accesses
from emu.engine.translated.features.blocks import Blocks
from emu.engine.translated.features.lastwriter import LastWriter, Writer
from emu.errors import MachineError
from emu.machine import MachineConfig, StopReason
from tests.emu.engine import feature_guest as guest


def test_every_load_and_store_is_recorded_with_its_pc_address_size_value_and_time(build, fidelity, probes, plain):
    expected, _, _ = guest.life(build, fidelity)
    machine, found = guest.machine(build, fidelity, probes), []
    machine.core.engine.switch_on(Accesses(accesses.collect(found), size=1 << 12))
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    assert found == expected
    assert len(found) > 700


@pytest.mark.parametrize("stores", [False, True])
def test_loads_alone_or_stores_alone_are_recorded_on_demand(build, fidelity, probes, stores):
    expected, _, _ = guest.life(build, fidelity)
    machine, found = guest.machine(build, fidelity, probes), []
    machine.core.engine.switch_on(Accesses(accesses.collect(found), loads=not stores, stores=stores))
    guest.run(machine)
    machine.core.engine.flush_features()
    assert found == [access for access in expected if access.is_store is stores]


def executed(record: Blocks, words: bytes) -> list[int]:
    """The pc of each instruction that retired."""
    found: list[int] = []
    for block in blocks.decode(words):
        known = record.known[block.number]
        found += known.addresses()[: known.length - block.not_retired]
    return found


def test_every_instruction_of_a_run_comes_out_of_the_record_of_blocks(build, fidelity, probes, plain):
    _, expected, _ = guest.life(build, fidelity)
    machine, words = guest.machine(build, fidelity, probes), bytearray()
    record = Blocks(words.extend, size=1 << 8)
    machine.core.engine.switch_on(record)
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    assert executed(record, words) == expected


def test_the_record_of_blocks_stays_exact_over_stops_between_any_two_instructions(build, fidelity, probes):
    _, expected, _ = guest.life(build, fidelity)
    machine, words = guest.machine(build, fidelity, probes), bytearray()
    record = Blocks(words.extend)
    machine.core.engine.switch_on(record)
    for count in (1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 1, 1, 100, 4):
        machine.run(count)
        machine.core.engine.flush_features()
        assert executed(record, words) == expected[: machine.instret]
    guest.run(machine)
    machine.core.engine.flush_features()
    assert executed(record, words) == expected


def test_the_code_of_a_block_is_what_it_was_when_it_was_executed(boot, probes):
    machine = boot(
        "la t0, 2f\n la t1, 3f\n lw t1, (t1)\n call 2f\n sw t1, (t0)\n fence.i\n call 2f\n li a7, 8\n ecall\n"
        ".balign 64\n2: li a0, 1\n c.nop\n ret\n3: li a0, 2\n c.nop\n",
        probes=probes,
    )
    words = bytearray()
    record = Blocks(words.extend)
    machine.core.engine.switch_on(record)
    machine.run()
    machine.core.engine.flush_features()
    called = [record.known[block.number] for block in blocks.decode(words)]
    codes = [block.code for block in called if block.pc & 63 == 0 and block.pc > 0x8020_0000]
    assert [code[:2] for code in codes] == [bytes.fromhex("0545"), bytes.fromhex("0945")]


def test_who_has_written_each_8_bytes_last_is_known_by_physical_address(build, fidelity, probes, plain):
    expected, _, _ = guest.life(build, fidelity)
    machine, writers = guest.machine(build, fidelity, probes), LastWriter()
    machine.core.engine.switch_on(writers)
    assert guest.run(machine) == plain
    last: dict[int, Writer] = {}
    for access in expected:
        if access.is_store:
            start = guest.physical(access.address)
            end = start + access.size - 1
            for byte in (start, end if end >> 12 == start >> 12 else start):
                last[byte >> 3] = Writer(access.instret, access.pc)
    assert len(last) > 10
    for cell in range(0x8000_0000 >> 3, 0x8100_0000 >> 3, 1 if probes == "native" else 3):
        if cell in last:
            assert writers.of(cell << 3) == last[cell]
    assert [cell for cell in range(0x8020_0000 >> 3, 0x8021_0000 >> 3) if writers.of(cell << 3)] == sorted(
        cell for cell in last if 0x8020_0000 <= cell << 3 < 0x8021_0000
    )
    assert writers.of(0x1000_0000) is None
    writers.forget()
    assert writers.of(next(iter(last)) << 3) is None


def all_features(found: list, words: bytearray) -> list:
    return [Accesses(accesses.collect(found)), Blocks(words.extend), LastWriter()]


def test_all_features_together_record_what_each_records_alone(build, fidelity, probes, plain):
    expected, retired, _ = guest.life(build, fidelity)
    machine, found, words = guest.machine(build, fidelity, probes), [], bytearray()
    features = all_features(found, words)
    for feature in features:
        machine.core.engine.switch_on(feature)
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    assert found == expected
    assert executed(features[1], words) == retired


HARD = """
    la s0, data
    la s1, patched
    li s2, 1
1:  .rept 20
    sd s2, 0(s0)
    c.addi s3, 1
    ld s4, 0(s0)
    .endr
    .rept 540
    c.addi s3, 1
    .endr
    lw t0, other
    call patched
    sw t0, 0(s1)
    sd s2, 8(s0)
    fence.i
    call patched
    addi s2, s2, -1
    bnez s2, 1b
    li t1, 0x100000
    li t2, 0x5555
    sd s2, 16(s0)
    sw t2, (t1)
    sd t2, 24(s0)
    sd t2, 32(s0)
patched:
    li a0, 1
    ret
other:
    li a0, 2
    ret
    .balign 4096
data: .zero 64
"""


def test_features_are_exact_in_the_longest_blocks_in_code_that_changes_itself_and_at_power_off_in_a_block(
    boot, fidelity, probes
):
    expected, retired, _ = guest.stepped(boot(HARD))
    plain = boot(HARD)
    assert plain.run().reason is StopReason.POWERED_OFF
    machine, found, words = boot(HARD, probes=probes), [], bytearray()
    features = all_features(found, words)
    for feature in features:
        machine.core.engine.switch_on(feature)
    assert machine.run().reason is StopReason.POWERED_OFF
    machine.core.engine.flush_features()
    assert found == expected
    assert executed(features[1], words) == retired
    assert (machine.instret, list(machine.hart.x)) == (plain.instret, list(plain.hart.x))
    assert machine.memory.read_int(expected[-1].address + 8, 8) == 0  # nothing behind the power-off
    assert max(block.length for block in features[1].known.values()) >= 500


def test_features_are_switched_on_and_off_a_hundred_times_in_a_run(build, fidelity, probes, plain):
    expected, _, _ = guest.life(build, fidelity)
    machine, found = guest.machine(build, fidelity, probes), []
    engine, record, on = machine.core.engine, Accesses(accesses.collect(found)), []
    while machine.run(17).reason is not StopReason.POWERED_OFF:
        if len(on) % 2:
            engine.switch_off(record)
        else:
            engine.switch_on(record)
        on.append(machine.instret)
    engine.flush_features()
    spans = list(zip(on[::2], [*on[1::2], machine.instret + 1], strict=False))
    assert len(on) > 90
    assert found == [access for access in expected if any(a <= access.instret < b for a, b in spans)]
    assert (machine.instret, list(machine.hart.x)) == plain[:2]


def test_a_feature_that_a_listener_switches_on_begins_at_the_end_of_the_slice(build, fidelity, probes, plain):
    from emu.events import TrapTaken

    machine, found = guest.machine(build, fidelity, probes), []
    record = Accesses(accesses.collect(found))
    engine = machine.core.engine
    begun = []

    def taken(_event):
        if not begun:
            begun.append(machine.instret)
            engine.switch_on(record)

    machine.on(TrapTaken, taken)
    assert guest.run(machine) == plain
    engine.flush_features()
    expected, _, _ = guest.life(build, fidelity)
    assert found == expected[len(expected) - len(found) :]


def test_a_feature_can_be_on_once_only(boot):
    machine = boot("nop")
    record = LastWriter()
    machine.core.engine.switch_on(record)
    with pytest.raises(MachineError, match="already"):
        machine.core.engine.switch_on(record)
    machine.core.engine.switch_off(record)
    machine.core.engine.switch_off(record)
    machine.core.engine.switch_on(record)


def test_what_a_drain_raises_comes_out_of_the_run(boot, probes):
    def broken(_records):
        raise LookupError("full")

    machine = boot("li t0, 100000\n1: sd t0, -8(sp)\n addi t0, t0, -1\n bnez t0, 1b\n li a7, 8\n ecall", probes=probes)
    machine.hart.x["sp"] = 0x8030_0000
    machine.core.engine.switch_on(Accesses(broken, size=1 << 12))
    with pytest.raises(LookupError):
        machine.run()


def test_machines_in_threads_and_other_users_of_unicorn_keep_their_own_features(build, fidelity, plain):
    expected, retired, _ = guest.life(build, fidelity)
    results: list[tuple] = []
    foreign = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
    foreign.mem_map(0x1000, 0x1000)
    foreign.mem_write(0x1000, bytes.fromhex("13051500 93851500 6ff09fff"))  # addi a0, a0, 1; addi a1, a1, 1; j .-8

    def observe(number: int) -> None:
        machine, found, words = guest.machine(build, fidelity), [], bytearray()
        features = all_features(found, words)[: number % 4]
        for feature in features:
            machine.core.engine.switch_on(feature)
        assert guest.run(machine) == plain
        machine.core.engine.flush_features()
        results.append((len(features), found, executed(features[1], words) if len(features) > 1 else []))

    threads = [threading.Thread(target=observe, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    foreign.emu_start(0x1000, 0, count=3001)
    for thread in threads:
        thread.join()
    assert foreign.reg_read(unicorn.riscv_const.UC_RISCV_REG_A0) == 1001
    assert len(results) == 8
    for number, found, pcs in results:
        assert found == (expected if number else [])
        assert pcs == (retired if number > 1 else [])


def test_a_snapshot_in_the_middle_is_run_from_again_with_features_on(build, fidelity, plain):
    machine, found = guest.machine(build, fidelity), []
    machine.run(500)
    snapshot = machine.snapshot()
    machine.core.engine.switch_on(Accesses(accesses.collect(found)))
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    first = list(found)
    found.clear()
    machine.restore(snapshot)
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    assert found == first
    assert first


def test_a_machine_without_features_after_one_with_them_is_what_it_was(build, fidelity):
    machine = guest.machine(build, fidelity)
    machine.core.engine.switch_on(LastWriter())
    assert MachineConfig(fidelity=fidelity)
    other = guest.machine(build, fidelity)
    assert guest.run(other) == guest.run(machine)


FAR_FROM_ITS_CODE = """
    la t0, table
    li t1, (0x80000000 >> 12 << 10) | 0xcf
    sd t1, 2 * 8(t0)
    sd t1, 5 * 8(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li s0, 0x140600018
    li s1, 0x80600018
    li t1, 77
    sd t1, (s0)
    ld s2, (s1)
    li a7, 8
    ecall
    .balign 4096
table: .zero 4096
"""


def test_an_access_goes_where_its_page_is_though_its_code_has_the_same_place_in_the_cores_tlb(boot, probes):
    machine, seen = boot(FAR_FROM_ITS_CODE, probes=probes), []
    machine.core.engine.switch_on(Accesses(accesses.collect(seen)))
    machine.run()
    machine.core.engine.flush_features()
    assert machine.hart.x["s2"] == 77
    assert [access.address for access in seen[-2:]] == [0x1_4060_0018, 0x8060_0018]
