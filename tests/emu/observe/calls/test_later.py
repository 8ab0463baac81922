"""What is told later of calls: whether calls of user programs are among it."""

import struct

import pytest

from emu.engine.translated.features.callrecords.layout import ELEMENT_BIT, ENDED_BIT, RECORD_SIZE, Field
from emu.machine import Machine, MachineConfig
from emu.observe.calls.later import Later
from emu.observe.calls.opened import OpenCalls

U, S = 0, 1


def record(number: int, mode: int) -> bytes:
    octets = bytearray(RECORD_SIZE)
    struct.pack_into("<Q", octets, Field.NUMBER, number)
    struct.pack_into("<Q", octets, Field.MODE, mode)
    return bytes(octets)


@pytest.fixture
def later():
    with Machine(MachineConfig(ram_size=16 << 20)) as machine:
        yield Later(OpenCalls(machine).records, lambda _record: None)


def test_an_entry_in_u_mode_is_a_user_programs_call_until_all_is_told(later, monkeypatch):
    monkeypatch.setattr(later._records, "tell", lambda _data: None)
    later.add_records(record(7, S) + record(0, S))
    assert not later.has_user_calls()
    later.add_records(record(7, S) + record(0, U))
    later.add_records(record(7, S))
    assert later.has_user_calls()
    assert later.has_user_calls()
    later.tell()
    assert not later.has_user_calls()


@pytest.mark.parametrize("bit", [ENDED_BIT, ELEMENT_BIT])
def test_returns_and_elements_have_no_mode(later, bit):
    later.add_records(record(7, S) + record(7 | 1 << bit, U))
    later.add(lambda: None)
    assert not later.has_user_calls()
