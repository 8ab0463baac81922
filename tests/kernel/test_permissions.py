"""The kernel's own mapping: every section tried by every access, with the reason of each refusal."""

import pytest

from emu.machine import Machine
from emu.testing.accounts import Faults
from emu.walks import Refusal

CAUSES = {"probe_load": 13, "probe_store": 15, "probe_execute": 12}
SECTIONS = [
    ("stext", "r-x"),
    ("srodata", "r--"),
    ("sdata", "rw-"),
    ("sbss", "rw-"),
    ("boot_stack", "rw-"),
    ("heap_space", "rw-"),
    ("ekernel", "rw-"),
]
WHY = {"probe_store": Refusal.NOT_WRITABLE, "probe_execute": Refusal.NOT_EXECUTABLE}


@pytest.mark.parametrize(("section", "permissions"), SECTIONS)
@pytest.mark.parametrize("function", ["probe_store", "probe_execute"])
def test_a_section_refuses_what_it_has_no_permission_for(
    machine: Machine, faults: Faults, section: str, permissions: str, function: str
) -> None:
    letter = {"probe_store": "w", "probe_execute": "x"}[function]
    address = machine.address_of(section)
    if letter in permissions:
        if function == "probe_store":
            assert machine.call(function, address) == 0
            assert faults.all == []
        return
    assert machine.call(function, address) == CAUSES[function]
    assert [(fault.walk.refusal, int(fault.address)) for fault in faults.all] == [(WHY[function], address)]


@pytest.mark.parametrize("section", [section for section, _ in SECTIONS])
def test_every_section_can_be_read(machine: Machine, section: str) -> None:
    assert machine.call("probe_load", machine.address_of(section)) == 0


@pytest.mark.parametrize("function", ["probe_load", "probe_execute"])
@pytest.mark.parametrize("what", ["guard page", "firmware", "behind memory", "null pointer"])
def test_nothing_is_mapped_where_nothing_belongs(machine: Machine, faults: Faults, what: str, function: str) -> None:
    address = {
        "guard page": machine.address_of("boot_stack_guard") + 4088,
        "firmware": 0x8000_0000,
        "behind memory": 0x8800_0000,
        "null pointer": 0,
    }[what]
    assert machine.call(function, address) == CAUSES[function]
    assert faults.all[0].walk.refusal is Refusal.INVALID


def test_all_memory_is_mapped_to_its_last_byte(machine: Machine) -> None:
    assert machine.call("probe_store", 0x8800_0000 - 8) == 0
