"""What a machine does while nobody disturbs it."""

from collections.abc import Callable

import pytest

from emu.machine import Machine, Outcome, StopReason
from tests.emu.machine.life import LIFE, life_of


@pytest.fixture
def undisturbed(boot: Callable[..., Machine]) -> tuple[Outcome, int, bytes, list[int], int]:
    """The life that nobody listens to."""
    life = life_of(boot(LIFE))
    assert life[0].reason is StopReason.POWERED_OFF
    assert life[2].count(b"a") == life[2].count(b"b") == 60
    return life
