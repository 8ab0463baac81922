"""What tests of features of translated code share: with native probes and without, and a run without features."""

from functools import cache

import pytest

from emu.engine import native
from tests.emu.engine import feature_guest as guest
from tests.emu.engine.exceptions import Processor
from tests.emu.engine.hosts import HOSTS
from tests.oracles import keystone


@pytest.fixture(params=["native", "python"])
def probes(request):
    if request.param == "native" and not native.can_replace_functions():
        pytest.skip("this host has no native probes")
    return request.param


@cache
def _plain(build, fidelity):
    return guest.run(guest.machine(build, fidelity))


@pytest.fixture
def plain(build, fidelity):
    return _plain(build, fidelity)


@pytest.fixture(scope="session", params=list(HOSTS))
def processor(request):
    keystone()
    return Processor(request.param)
