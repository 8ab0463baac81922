"""Records that wait: in which order all is told, and who awaits a return meanwhile."""

from struct import Struct

import pytest

from emu.engine.translated.features.callrecords.layout import ENDED_BIT, RECORD_SIZE, Field
from emu.observe.calls.later import Later

WAITS, DOES_NOT = 3, 4
RETURNED = WAITS | 1 << ENDED_BIT
HERE, ELSEWHERE = (0x8000_1000, 0x8080_0000), (0x8000_1000, 0x8080_0010)
_WORDS = Struct("<17Q")


class Records:
    """As much of `CallRecords` as is needed: what was told, in its order."""

    def __init__(self):
        self.telling = b"", 0
        self.told = []

    def unpacked(self, data, at):
        return _WORDS.unpack_from(data, at)

    def tell(self, data):
        self.told += [self.unpacked(data, at)[0] for at in range(0, len(data), RECORD_SIZE)]
        self.telling = b"", 0


def record(number, where, *, first=0):
    words = [0] * 17
    words[0], words[Field.LINK // 8], words[Field.STACK // 8], words[Field.FIRST // 8] = number, *where, first
    return _WORDS.pack(*words).ljust(RECORD_SIZE, b"\0")


@pytest.fixture
def records():
    return Records()


@pytest.fixture
def later(records):
    return Later(records, lambda record: ("recorded", record[Field.FIRST // 8]) if record[0] == WAITS else None)


def test_everything_is_told_in_the_order_in_which_it_came(later, records):
    later.add_records(record(1, HERE) + record(2, HERE))
    later.add(lambda: records.told.append("between"))
    later.add_change(HERE, [], lambda: records.told.append("changed"))
    later.add_records(record(5, HERE))
    assert later.size == 5
    records.telling = b"now", 7
    later.tell()
    assert records.told == [1, 2, "between", "changed", 5]
    assert records.telling == (b"now", 7)  # whoever settles in the middle of a record goes on with it
    assert later.size == 0
    later.tell()
    assert len(records.told) == 5


def test_the_last_record_says_who_awaits_a_return(later):
    later.add_records(record(WAITS, HERE, first=1) + record(WAITS, ELSEWHERE, first=2))
    later.add_records(record(WAITS, HERE, first=3) + record(DOES_NOT, HERE))
    assert later.awaited(HERE) == ([("recorded", 3)], True)
    assert later.awaited(ELSEWHERE) == ([("recorded", 2)], True)


def test_a_recorded_return_leaves_nobody(later):
    later.add_records(record(WAITS, HERE))
    later.add_records(record(RETURNED, HERE))
    assert later.awaited(HERE) == ([], True)


def test_who_is_known_otherwise_is_asked_where_nothing_is_recorded_of_a_call(later):
    later.add_records(record(WAITS, ELSEWHERE) + record(DOES_NOT, HERE))
    assert later.awaited(HERE) == ([], False)


def test_a_place_among_a_calls_arguments_is_not_taken_for_its_own(later):
    argument = bytearray(record(WAITS, ELSEWHERE))
    argument[Field.FIRST : Field.FIRST + 16] = Struct("<2Q").pack(*HERE)
    later.add_records(record(WAITS, HERE, first=1) + bytes(argument))
    assert later.awaited(HERE) == ([("recorded", 1)], True)


def test_changes_come_between_records(later):
    later.add_records(record(WAITS, HERE, first=1))
    later.add_change(HERE, ["also"], lambda: None, also=True)
    assert later.awaited(HERE) == ([("recorded", 1), "also"], True)
    later.add_change(HERE, ["instead"], lambda: None)
    assert later.awaited(HERE) == (["instead"], True)
    later.add_change(HERE, [], lambda: None)
    assert later.awaited(HERE) == ([], True)
    later.add_records(record(WAITS, HERE, first=2))
    assert later.awaited(HERE) == ([("recorded", 2)], True)


def test_who_awaits_as_well_is_added_to_those_known_otherwise(later):
    later.add_change(HERE, ["also"], lambda: None, also=True)
    assert later.awaited(HERE) == (["also"], False)
