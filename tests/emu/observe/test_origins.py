"""Where a value came from: last stores, last writes of registers, and the chain behind them."""

from collections.abc import Callable

import pytest

from emu.engine.translated.features.registerwrites import RegisterWrites, decode
from emu.errors import AddressError, ConfigError
from emu.isa.dataflow import flow
from emu.isa.operands import instruction_length
from emu.isa.results import registers_written
from emu.machine import Machine, MachineConfig
from emu.machine.history.moment import Moment
from emu.mmu.pte import W
from emu.observe.origins import why
from emu.observe.pagetables.changes import pte_changes
from kernel.build import BuiltKernel

ECALL = 0x73
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


def test_what_an_ecall_has_returned_comes_from_the_host(boot: Callable[..., Machine]) -> None:
    """SBI's sbi_get_spec_version: an error of 0, and the version."""
    machine = boot("li a7, 0x10\n li a6, 0\n ecall\n mv s1, a1\n .globl end\nend: li a7, 8\n ecall\n")
    machine.run(until="end")
    assert machine.hart.x["s1"] != 0
    assert [(link.place, link.origin) for link in why(machine, "s1")] == [
        ("s1", "a copy of a1"), ("a1", "the host's answer to a call"),
    ]  # fmt: skip


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


def test_what_an_instruction_is_said_to_write_is_what_it_writes(kernel_of: Callable[..., BuiltKernel]) -> None:
    """All kinds of instructions that the kernel executes, against the record that translated code makes."""
    machine = Machine(MachineConfig(fidelity="fast", ram_size=32 << 20))
    machine.load(kernel_of("full").elf)
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
        word = word if instruction_length(word) == 4 else word & 0xFFFF
        found = flow(word)
        assert registers <= set(registers_written(word)), hex(word)
        assert {found.destination} == registers if found else word == ECALL, hex(word)


RIGHTS = """
 la t0, root
 srli t1, t0, 12
 li t2, 8 << 60
 or t1, t1, t2
 li t3, 0x200000cf           # 0x80000000, a gigabyte: DA__XWRV
 sd t3, 16(t0)
 csrw satp, t1
 la s0, leaf
 la s1, middle
 srli t4, s0, 12
 slli t4, t4, 10
 ori t4, t4, 1
 sd t4, 0(s1)
 srli t4, s1, 12
 slli t4, t4, 10
 ori t4, t4, 1
 sd t4, 8(t0)                # 0x40000000 leads to middle, and that to leaf
 la s2, page
 srli t4, s2, 12
 slli t4, t4, 10
 ori t5, t4, 0xc7
mapped: sd t5, 0(s0)         # DA___WRV
 li s3, 0x40000000
 sfence.vma
stored: sd s3, 0(s3)         # to page, by another address
 li t6, -5
called: jal protect
 .globl end
end: li a7, 8
 ecall
 .globl protect
protect: amoand.d zero, t6, (s0)
 sfence.vma
 ret
 .balign 4096
 .globl root
root: .zero 4096
middle: .zero 4096
leaf: .zero 4096
 .globl page
page: .zero 4096
"""


def test_a_page_table_entry_says_who_took_a_right_and_who_mapped_it(boot: Callable[..., Machine]) -> None:
    machine = boot(RIGHTS)
    machine.run(until="end")
    here = machine.moment
    taken, mapped = pte_changes(machine, 0x40000000)
    assert (machine.locate(taken.pc), machine.locate(mapped.pc)) == (
        f"{machine.address_of('protect'):#x} (protect)", f"{machine.address_of('mapped'):#x} (mapped)",
    )  # fmt: skip
    assert (str(taken.old).split()[-1], str(taken.new).split()[-1]) == ("DA___WRV", "DA____RV")
    assert (taken.taken, mapped.taken, mapped.maps, mapped.old) == (W, 0, True, 0)
    assert taken.callers == (machine.address_of("called"),)
    assert machine.moment == here
    assert [change.level for change in pte_changes(machine, "root")] == [2]
    with machine.at(mapped.moment):
        assert list(pte_changes(machine, 0x40000000)) == []
    with machine.at(0), pytest.raises(AddressError, match="no page-table entry"):
        list(pte_changes(machine, 0x40000000))


def test_a_store_by_another_virtual_address_is_the_last_write_too(boot: Callable[..., Machine]) -> None:
    machine = boot(RIGHTS)
    machine.run(until="end")
    moment = machine.last_write("page", 8)
    assert moment is not None
    assert moment == machine.last_write(0x40000004, 2) == machine.last_write(machine.address_of("page"), physical=True)
    with machine.at(moment):
        assert machine.hart.pc == machine.address_of("stored")
    with pytest.raises(AddressError, match="not in RAM"):
        machine.last_write(0x40000000, physical=True)
