import pytest
from hypothesis import given

from emu.devices.finisher import Finisher
from emu.devices.power import PowerRequest
from tests.emu.devices.conftest import SIZES, accesses_to


@pytest.mark.parametrize(
    ("value", "request_", "code"),
    [
        (0x5555, PowerRequest.SHUTDOWN, 0),
        (0x0007_5555, PowerRequest.SHUTDOWN, 0),
        (0x0007_3333, PowerRequest.SHUTDOWN, 7),
        (0xFFFF_3333, PowerRequest.SHUTDOWN, 0xFFFF),
        (0x0000_3333, PowerRequest.SHUTDOWN, 1),
        (0x0000_7777, PowerRequest.COLD_REBOOT, 0),
    ],
)
def test_a_status_ends_the_machine(value, request_, code):
    asked = []
    Finisher(lambda *request: asked.append(request)).write(0, 4, value)
    assert asked == [(request_, code)]


def test_a_halfword_is_enough_for_a_status_without_a_code():
    asked = []
    Finisher(lambda *request: asked.append(request)).write(0, 2, 0x5555)
    assert asked == [(PowerRequest.SHUTDOWN, 0)]


@pytest.mark.parametrize(("offset", "size", "value"), [(4, 4, 0x5555), (0, 4, 0), (0, 4, 0x1234)])
def test_anything_else_does_nothing(offset, size, value):
    asked = []
    finisher = Finisher(lambda *request: asked.append(request))
    finisher.write(offset, size, value)
    assert asked == []
    assert finisher.read(offset, size) == 0


def test_it_takes_halfwords_and_words():
    finisher = Finisher(lambda *_: None)
    assert [size for size in SIZES if finisher.takes(0, size)] == [2, 4]


@given(accesses_to(0))
def test_any_access_is_answered(exercise, accesses):
    exercise(Finisher(lambda _request, _code: None), accesses)
