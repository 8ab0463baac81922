"""Where an address leads to, told quickly: the same that the whole walk tells, whatever the tables hold."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.isa.privilege import Privilege
from emu.machine import Machine, MachineConfig

ROOT = 0x8010_0000
TABLES = 3
"""Tables in a row from ROOT on, to which random entries lead."""
SLOTS = (0, 511)
FLAGS = st.one_of(
    st.sampled_from([0x01, 0x01, 0x01, 0xCF, 0xC7, 0x4B, 0xDF, 0x49, 0x45, 0xC9, 0xCE, 0x0A]), st.integers(0, 0xFF)
)
PAGES = st.one_of(
    st.integers(ROOT >> 12, (ROOT >> 12) + TABLES - 1), st.sampled_from([0x80000, 0x80200, 0x10000, 0xC0000, 0])
)
ENTRIES = st.builds(
    lambda page, flags, high: page << 10 | flags | high << 54, PAGES, FLAGS, st.sampled_from([0, 0, 0, 1, 512])
)
ADDRESSES = st.builds(
    lambda indexes, offset, upper: sum(index << 12 + 9 * level for level, index in enumerate(indexes)) | offset | upper,
    st.lists(st.sampled_from(SLOTS), min_size=5, max_size=5),
    st.integers(0, 4095),
    st.sampled_from([0, 0, 0xFFFF_FFC0_0000_0000, 0xFF00_0000_0000_0000]),
)


@cache
def machine(fidelity: str) -> Machine:
    return Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
@settings(max_examples=60, deadline=None)
@given(
    tables=st.dictionaries(
        st.tuples(st.integers(0, TABLES - 1), st.sampled_from(SLOTS)), ENTRIES, min_size=5, max_size=6
    ),
    mode=st.sampled_from([0, 8, 9, 10]),
    privilege=st.sampled_from(list(Privilege)),
    addresses=st.lists(ADDRESSES, min_size=1, max_size=6),
)
def test_an_address_leads_where_its_walk_leads(
    fidelity: str, tables: dict[tuple[int, int], int], mode: int, privilege: Privilege, addresses: list[int]
) -> None:
    subject = machine(fidelity)
    subject.memory.write(ROOT, bytes(4096 * TABLES))
    for (table, index), entry in tables.items():
        subject.memory.write_int(ROOT + 4096 * table + 8 * index, 8, entry)
    subject.hart.csr["satp"] = mode << 60 | ROOT >> 12
    subject.hart.privilege = privilege
    for address in (*addresses, *(address & 0x3FFF for address in addresses)):
        assert subject.core.physical_of(address) == subject.core.look_up(address).physical, hex(address)
