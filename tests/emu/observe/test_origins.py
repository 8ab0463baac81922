"""Where a value came from: last stores, last writes of registers, and the chain behind them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emu.engine.translated.registerwrites import RegisterWrites, decode
from emu.errors import AddressError, ConfigError
from emu.isa.dataflow import flow
from emu.isa.operands import instruction_length
from emu.machine import Machine, MachineConfig
from emu.machine.history.moment import Moment
from emu.observe.origins import why
from kernel.build import build
from kernel.profiles import PROFILES

CHAIN = """
 la s1, place
 li s2, 77
 mv s3, s2
 addi s4, s3, 1
stored: sd s4, 8(s1)
 sw zero, (s1)
 li s2, 5
 li s4, 6
 nop
loaded: ld a0, 8(s1)
copied: mv a5, a0
 li a0, 3
 li t0, 0x10000000
device: lbu a1, 5(t0)
 .globl end
end: li a7, 8
 ecall
 .balign 16
 .globl place
place: .dword 0, 0
"""


def test_a_value_is_followed_to_its_constant(boot: Callable[..., Machine]) -> None:
    machine = boot(CHAIN)
    machine.run(until="end")
    here = machine.moment
    chain = list(why(machine, "a5"))
    place = machine.address_of("place")
    assert [(link.place.split()[0], link.value) for link in chain] == [
        ("a5", 78), ("a0", 78), (f"{place + 8:#x}", 78), ("s4", 78), ("s3", 77), ("s2", 77),
    ]  # fmt: skip
    assert [link.origin.split(" from")[0] for link in chain] == [
        "a copy of a0", "a load of 8 bytes", "a store of s4", "arithmetic of s3", "a copy of s2", "a constant",
    ]  # fmt: skip
    assert machine.moment == here
    assert [link.origin for link in why(machine, "a1")] == ["a load from the device uart"]


def test_the_last_store_to_these_bytes_counts_and_not_its_neighbours(boot: Callable[..., Machine]) -> None:
    machine = boot(CHAIN)
    machine.run(until="end")
    place = machine.address_of("place")
    wide, narrow = machine.last_write("place", 16), machine.last_write(place + 8)
    assert wide is not None
    assert narrow is not None
    assert wide.instret == narrow.instret + 1
    assert machine.last_write(place, 4) == wide
    assert machine.last_write(place + 4, 4) is None
    assert machine.last_write(place, before=wide) is None
    with machine.at(narrow):
        assert machine.memory.read_int(place + 8, 8) == 0
        machine.history.forward()
        assert machine.memory.read_int(place + 8, 8) == 78
    with pytest.raises(AddressError, match="not mapped"):
        machine.last_write(0x10)


def test_the_last_change_of_a_register_is_found(boot: Callable[..., Machine]) -> None:
    machine = boot(CHAIN)
    machine.run(until="end")
    changed = machine.last_change("a0")
    assert changed is not None
    assert machine.last_change("a0", before=changed) < changed  # type: ignore[operator]
    assert machine.last_change("s11") is None
    with pytest.raises(ConfigError, match="register 'pc'"):
        machine.last_change("pc")
    assert machine.last_change("s3") < Moment(8, 0)  # type: ignore[operator]


def test_what_an_instruction_is_said_to_write_is_what_it_writes(tmp_path: Path) -> None:
    """All kinds of instructions that the kernel executes, against the record that translated code makes."""
    machine = Machine(MachineConfig(fidelity="fast", ram_size=32 << 20))
    machine.load(build(PROFILES["full"], tmp_path).elf)
    machine.run(100_000)
    written: dict[int, set[int]] = {}

    def drain(records: memoryview) -> None:
        for write in decode(records):
            if 0 < write.register < 32:
                written.setdefault(write.pc, set()).add(write.register)

    engine = machine.core.engine
    engine.switch_on(RegisterWrites(drain))
    machine.run(60_000)
    engine.flush_features()
    assert len(written) > 150
    for pc, registers in written.items():
        word = machine.memory.read_int(pc, 4)
        found = flow(word if instruction_length(word) == 4 else word & 0xFFFF)
        assert found is not None, hex(word)
        assert {found.destination} == registers, hex(word)
